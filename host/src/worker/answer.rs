//! Sends the outbox, the replies and the done mark of a run.

use std::sync::{Arc, atomic::Ordering};

use futures_util::FutureExt;

use super::{
    Record, Shared,
    delivery::{Delivery, Origin},
    fallback_reply::FallbackReply,
    spans::Place,
};
use crate::{
    engine::{Entry, Fault, Finished},
    layer::Received,
    message::{Done, Outcome, Payload},
    telemetry::DropReason,
};

/// Makes the sender of a message's run.
pub(super) fn delivery(shared: &Shared, received: &Received) -> Delivery {
    let Received { channel, module, message, waited, receipt, .. } = received;
    let receipt = receipt.clone().map(|receipt| (channel.clone(), receipt));
    let origin = match &message.payload {
        Payload::Event(event) => {
            let words = (!event.wants_done).then(|| FallbackReply::about(&event.kind));
            event.scope.reply_channel.connection().map(|(node, local)| {
                let order = event.order;
                Origin { node, local, order, words }
            })
        }
        Payload::Custom(_) => None,
    };
    let content = match &message.payload {
        Payload::Custom(content) if receipt.is_some() => Some(content.clone()),
        _ => None,
    };
    Delivery {
        means: Arc::clone(&shared.means),
        correlation: message.correlation,
        place: Place::of(&shared.traces, message, *waited),
        origin,
        receipt,
        module: module.clone(),
        id: message.id,
        content,
        answered: Arc::default(),
    }
}

/// Ends an event without a run.
pub(super) async fn conclude_without_run(shared: &Shared, delivery: &Delivery, done: Done) {
    if delivery.origin.is_none() && delivery.receipt.is_none() {
        shared.metrics.dropped(DropReason::NotRun);
    }
    // No entries, so no channel can be full.
    drop(delivery.conclude(Vec::new(), Some(done)).await);
    delivery.settle(false, shared.retry_pause).await;
}

/// Sends the outbox of a run, and settles its message.
pub(super) async fn conclude(
    shared: &Arc<Shared>,
    delivery: Arc<Delivery>,
    activation: u64,
    finished: Finished,
    record: Arc<Record>,
) {
    let Finished { fault, outbox, state, .. } = finished;
    let outcome = match &fault {
        None => Outcome::Ok,
        Some(Fault::StateUnreadable(_)) => Outcome::StateUnreadable(record.correlation),
        Some(_) => Outcome::Fault(record.correlation),
    };
    let done = delivery.origin.is_some().then(|| done(outcome, activation, state));
    if delivery.receipt.is_none() && outbox.iter().all(|it| matches!(it, Entry::Reply(_))) {
        return answer(shared, delivery, outbox, done).await;
    }
    let (is_done, pause) = (fault.is_none(), shared.retry_pause);
    match delivery.conclude(outbox, done).await {
        Ok(()) => delivery.settle(is_done, pause).await,
        // The slot is free for others meanwhile.
        Err((halted, done)) => drop(shared.drain.spawn("outbox", async move {
            let dropped = delivery.conclude_patiently(halted, done).await;
            record.messages_dropped.store(dropped, Ordering::Relaxed);
            delivery.settle(is_done, pause).await;
        })),
    }
}

/// Sends replies and nothing else. Where that takes its time the slot is free meanwhile: the next
/// event of the connection comes after the mark, and nobody else is concerned.
async fn answer(shared: &Shared, delivery: Arc<Delivery>, replies: Vec<Entry>, done: Option<Done>) {
    let Ok(permit) = Arc::clone(&shared.answering).try_acquire_owned() else {
        // No entry for a channel, so none can be full.
        drop(delivery.conclude(replies, done).await);
        return;
    };
    let mut answering = Box::pin(async move {
        drop(delivery.conclude(replies, done).await);
        drop(permit);
    });
    let drain = &shared.drain;
    if drain.enter(|| answering.as_mut().now_or_never()).is_none() {
        drop(drain.spawn("answer", answering));
    }
}

pub(super) const fn done(outcome: Outcome, activation: u64, state: Option<bytes::Bytes>) -> Done {
    Done { outcome, state, activation }
}
