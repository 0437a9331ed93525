//! Questions to the nodes of other processes: an entry in the inbox of the node asks, a key has the answer.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    Shared,
    inbox::Put,
    node::{Answering, Node},
    wire::Parcel,
};
use crate::{
    layer::{LayerError, Unanswered},
    message::{CorrelationId, NodeName},
};

/// How long an answer waits to be read, in milliseconds.
const ANSWER_KEPT_MS: u64 = 10_000;
/// The pause before a look whether the answer is there, at first and at most.
const LOOK_PAUSE_FIRST: Duration = Duration::from_millis(2);
const LOOK_PAUSE_MAX: Duration = Duration::from_millis(25);

impl Shared {
    pub(super) async fn ask(
        &self,
        node: &NodeName,
        question: Bytes,
        patience: Duration,
    ) -> Result<Bytes, Unanswered> {
        let until = Instant::now() + patience;
        if let Some(here) = self.node(node) {
            let respondent = here.answering.get().and_then(|it| it.respondent.upgrade());
            let respondent = respondent.ok_or(Unanswered::Gone)?;
            let answer = timeout(patience, respondent.respond(question)).await;
            return answer.map_err(|_| Unanswered::TimedOut);
        }
        let id = CorrelationId::random();
        match self.put(node, &Parcel::Ask { id, question }).await? {
            Put::Taken => {}
            Put::Gone => return Err(Unanswered::Gone),
            Put::Full => return Err(Unanswered::Full),
        }
        let link = self.link(node.as_str())?;
        let mut call = self.scripts.take_answer.key(&link.keys.base);
        call.arg(id.to_string());
        let mut pause = LOOK_PAUSE_FIRST;
        loop {
            sleep_until((Instant::now() + pause).min(until)).await;
            let answer: Option<Vec<u8>> = link.call(&call).await.map_err(LayerError::from)?;
            if let Some(answer) = answer {
                return Ok(answer.into());
            }
            if Instant::now() >= until {
                return Err(Unanswered::TimedOut);
            }
            pause = (pause * 2).min(LOOK_PAUSE_MAX);
        }
    }

    /// Answers a question that arrived, beside the reader of the inbox.
    pub(super) fn answer_question(&self, node: &Node, id: CorrelationId, question: Bytes) {
        let Some(Answering { respondent, room }) = node.answering.get() else { return };
        let Some(respondent) = respondent.upgrade() else { return };
        let Ok(permit) = Arc::clone(room).try_acquire_owned() else {
            return tracing::warn!("too many processes ask at once; one gets no answer");
        };
        let partition = self.partition_of(node.name.as_str());
        let Some(link) = self.links.get(partition).cloned() else { return };
        let scripts = Arc::clone(&self.scripts);
        self.drain.spawn("answer to a question", async move {
            let answer = respondent.respond(question).await;
            let mut call = scripts.give_answer.key(&link.keys.base);
            call.arg(id.to_string()).arg(&answer[..]).arg(ANSWER_KEPT_MS);
            if let Err(error) = link.call::<u8>(&call).await {
                tracing::debug!(%error, "an answer to a question is not given");
            }
            drop(permit);
        });
    }
}
