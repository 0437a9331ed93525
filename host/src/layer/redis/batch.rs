//! Sends calls of one script together while an earlier call is under way. A command costs the server, and the
//! task that its answer wakes, more than a message in it.

use std::sync::Arc;

use tokio::{
    sync::{mpsc, oneshot},
    task::yield_now,
    time::{Instant, timeout_at},
};

use crate::{
    layer::LayerError,
    redis::{FromRedisValue, Link, Script},
    shutdown::Drain,
};

/// The most items of a call: the server does nothing else meanwhile.
const BATCH_ITEMS_MAX: usize = 256;
/// Bytes of arguments after which a call takes no more items, likewise.
const BATCH_BYTES_MAX: usize = 64 * 1024;

/// Arguments of one item.
pub(super) type Arguments = Vec<Vec<u8>>;

/// Calls a script that takes the arguments of several items and returns an outcome for each.
#[derive(Debug)]
pub(super) struct Batches<T> {
    link: Arc<Link>,
    items: mpsc::Sender<Item<T>>,
}

#[derive(Debug)]
struct Item<T> {
    arguments: Arguments,
    outcome: oneshot::Sender<Result<T, LayerError>>,
}

impl<T: FromRedisValue + Send + 'static> Batches<T> {
    pub(super) fn new(link: &Arc<Link>, script: &Script, drain: &Drain) -> Self {
        let (sender, items) = mpsc::channel(BATCH_ITEMS_MAX);
        let calling = call_all(Arc::clone(link), script.clone(), items);
        drain.spawn_until_stopped("redis batches", calling);
        Self { link: Arc::clone(link), items: sender }
    }

    /// Queues one item and waits for its outcome. The items of one caller run in the order of its calls.
    /// Dropping the future before the batch is sent cancels the item.
    pub(super) async fn call(&self, arguments: Arguments) -> Result<T, LayerError> {
        let (sender, outcome) = oneshot::channel();
        let item = Item { arguments, outcome: sender };
        let called = async {
            // Fails when the task is gone, and so is the sender of the outcome.
            drop(self.items.send(item).await);
            outcome.await.map_err(|_| LayerError::Stopped)?
        };
        let until = Instant::now() + self.link.patience();
        let silent = || self.link.trouble().unwrap_or_else(|| self.link.silent());
        timeout_at(until, called).await.unwrap_or_else(|_| Err(silent().into()))
    }
}

async fn call_all<T: FromRedisValue>(
    link: Arc<Link>,
    script: Script,
    mut items: mpsc::Receiver<Item<T>>,
) {
    while let Some(first) = items.recv().await {
        // Callers may time out while the connection is down; their items are skipped below.
        link.newer_than(0).await;
        // Tasks that are about to call join this batch.
        yield_now().await;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(item) = next {
            // Its caller has given up.
            if !item.outcome.is_closed() {
                bytes += item.arguments.iter().map(Vec::len).sum::<usize>();
                batch.push(item);
            }
            let is_full = batch.len() >= BATCH_ITEMS_MAX || bytes >= BATCH_BYTES_MAX;
            next = if is_full { None } else { items.try_recv().ok() };
        }
        if !batch.is_empty() {
            call_for(&link, &script, batch).await;
        }
    }
}

async fn call_for<T: FromRedisValue>(link: &Link, script: &Script, batch: Vec<Item<T>>) {
    let mut call = script.key(&link.keys.base);
    for argument in batch.iter().flat_map(|item| &item.arguments) {
        call.arg(argument);
    }
    let mut outcomes = match link.call::<Vec<T>>(&call).await {
        Ok(outcomes) => Ok(outcomes.into_iter()),
        Err(error) => Err(LayerError::from(error)),
    };
    for item in batch {
        let outcome = match &mut outcomes {
            Ok(outcomes) => outcomes
                .next()
                .ok_or_else(|| LayerError::Defect("an outcome is missing".to_owned())),
            Err(error) => Err(error.clone()),
        };
        // The caller may have given up meanwhile.
        drop(item.outcome.send(outcome));
    }
}
