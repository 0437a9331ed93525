//! The layer of many processes: lists, scripts and leases in Redis.
//!
//! A channel is a list in a partition, a node's inbox is one list with one reader. All times are the
//! server's. A popped entry is gone, so nothing is delivered twice. Entries that a process held when it died
//! are lost, and their senders time out. `docs/redis.md` describes keys and formats.

mod batch;
mod channels;
mod following;
mod groups;
mod histories;
mod inbox;
mod node;
mod presence;
mod present;
mod probe;
mod questions;
mod reading;
mod receive;
mod scripts;
mod sequence;
mod upkeep;
mod waiting;
mod wire;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak, atomic::AtomicUsize},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

#[cfg(feature = "fuzzing")]
pub use self::wire::fuzzing;
use self::{
    batch::Batches,
    node::{Answering, Node},
    receive::{Receiver, Receivers, Source},
    scripts::Scripts,
    upkeep::{Registrations, Seen},
    wire::Parcel,
};
use super::{
    ChannelLayer, Dispatch, GroupSent, Histories, LayerConfig, LayerError, Moved, Respondent,
    SendError, Statistics, Unanswered, Waiting, WaitingId, WaitingPage,
};
use crate::{
    message::{
        After, Answer, ChannelName, Content, CorrelationId, Entered, GroupName, InboxEntry,
        LocalName, MemberKey, MembersPage, Message, NodeName, Online, Page, Payload, Present,
        Receipt, Settled, Start, UserLimit,
    },
    redis::{Link, Redis, RedisFailure, partition_of},
    shutdown::Drain,
    telemetry::Metrics,
};

/// The pause before a full channel is tried again: Redis does not announce room.
const ROOM_CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// The channel layer of many processes.
#[derive(Debug)]
pub struct RedisLayer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: LayerConfig,
    lease: Duration,
    metrics: Arc<Metrics>,
    scripts: Arc<Scripts>,
    links: Arc<[Arc<Link>]>,
    drain: Drain,
    /// Keeps the connections open.
    _redis: Redis,
    /// Sends to the channels of each partition. The outcome is "ok", "full" or an error, and the number of
    /// expired entries.
    sending: Vec<Batches<(String, u64)>>,
    /// Puts entries into the inboxes of each partition. The outcome is "ok", "gone", "full" or an error.
    delivering: Vec<Batches<String>>,
    receivers: Receivers,
    source: Source,
    /// The nodes of this process. Locked for single operations only.
    nodes: Mutex<HashMap<NodeName, Arc<Node>>>,
    /// Which groups are remembered.
    histories: OnceLock<Histories>,
    /// For tasks that do not keep it.
    itself: Weak<Shared>,
    /// Notified of a message that is due sooner than the next known one.
    due: Notify,
    /// Notified of each partition where something of presence may be due.
    announcing: Vec<Notify>,
    /// The last seen state of each partition's store. Locked for single operations only.
    seen: Vec<Mutex<Seen>>,
    /// The registrations of this process in each partition.
    registrations: Vec<Registrations>,
}

impl Drop for RedisLayer {
    fn drop(&mut self) {
        self.shared.drain.stop();
    }
}

impl RedisLayer {
    /// Makes this process known to every partition. Tasks run on the runtime of the connections until the
    /// layer is dropped.
    pub async fn new(
        redis: &Redis,
        config: LayerConfig,
        metrics: Arc<Metrics>,
    ) -> Result<Self, LayerError> {
        Self::with_scripts(redis, config, metrics, Scripts::new("")).await
    }

    async fn with_scripts(
        redis: &Redis,
        config: LayerConfig,
        metrics: Arc<Metrics>,
        scripts: Scripts,
    ) -> Result<Self, LayerError> {
        let (links, lease) = (redis.links(), redis.lease());
        let (drain, scripts) = (Drain::new(redis.runtime()), Arc::new(scripts));
        let source = Source {
            links: Arc::clone(&links),
            scripts: Arc::clone(&scripts),
            metrics: Arc::clone(&metrics),
            lease,
            capacities: config.capacities.clone(),
        };
        let shared = Arc::new_cyclic(|itself| Shared {
            histories: OnceLock::new(),
            itself: Weak::clone(itself),
            seen: links.iter().map(|_| Mutex::default()).collect(),
            registrations: links.iter().map(|_| Registrations::default()).collect(),
            announcing: links.iter().map(|_| Notify::new()).collect(),
            config,
            lease,
            metrics,
            sending: links.iter().map(|it| Batches::new(it, &scripts.send, &drain)).collect(),
            delivering: links.iter().map(|it| Batches::new(it, &scripts.deliver, &drain)).collect(),
            scripts,
            links,
            drain: drain.clone(),
            _redis: redis.clone(),
            receivers: Receivers::default(),
            source,
            nodes: Mutex::default(),
            due: Notify::new(),
        });
        for partition in 0..shared.links.len() {
            // Also checks the layout.
            shared.renew(partition, false).await?;
            let renewing = upkeep::renew(Arc::clone(&shared), partition);
            drain.spawn_until_stopped("redis leases", renewing);
            let promoting = upkeep::promote(Arc::clone(&shared), partition);
            drain.spawn_until_stopped("redis later", promoting);
            let announcing = presence::announce(Arc::clone(&shared), partition);
            drain.spawn_until_stopped("redis presence", announcing);
        }
        Ok(Self { shared })
    }
}

impl From<RedisFailure> for LayerError {
    fn from(failure: RedisFailure) -> Self {
        let text = failure.to_string();
        match failure {
            RedisFailure::Unavailable(_) | RedisFailure::NoAnswer(_) => Self::Unavailable(text),
            RedisFailure::TimedOut { .. } => Self::TimedOut(text),
            RedisFailure::OutOfMemory { .. } => Self::OutOfMemory(text),
            RedisFailure::Refused(_) => Self::Refused(text),
            RedisFailure::Stopped => Self::Stopped,
        }
    }
}

impl Shared {
    fn partition_of(&self, name: &str) -> usize {
        partition_of(name, self.links.len())
    }

    fn link(&self, name: &str) -> Result<&Link, LayerError> {
        self.shared_link(name).map(|link| &**link)
    }

    fn shared_link(&self, name: &str) -> Result<&Arc<Link>, LayerError> {
        self.links.get(self.partition_of(name)).ok_or_else(no_partition)
    }

    fn nodes(&self) -> Vec<Arc<Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn node(&self, name: &NodeName) -> Option<Arc<Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn check_size(&self, bytes: usize) -> Result<(), SendError> {
        let limit = self.config.message_bytes;
        if bytes > limit { Err(SendError::TooLarge { bytes, limit }) } else { Ok(()) }
    }
}

impl From<RedisFailure> for SendError {
    fn from(failure: RedisFailure) -> Self {
        Self::Layer(failure.into())
    }
}

fn no_partition() -> LayerError {
    LayerError::Defect("there is no partition".to_owned())
}

/// The error of one item of a batch, such as `OOM command not allowed` for the key that it is about.
fn error_of_item(key: &str, answer: &str) -> LayerError {
    let text = format!("{key} in Redis: {answer}");
    match answer.starts_with("OOM") {
        true => LayerError::OutOfMemory(text),
        false => LayerError::Refused(text),
    }
}

fn content_for(connection: &ChannelName, payload: Payload) -> Result<Content, LayerError> {
    match payload {
        Payload::Custom(content) => Ok(content),
        Payload::Event(_) => Err(LayerError::EventToConnection(connection.clone())),
    }
}

#[async_trait]
impl ChannelLayer for RedisLayer {
    async fn send(&self, channel: &ChannelName, message: Message) -> Result<(), SendError> {
        self.shared.send(channel, message).await
    }

    async fn send_later(
        &self,
        channel: &ChannelName,
        message: Message,
        delay: Duration,
    ) -> Result<(), SendError> {
        self.shared.send_later(channel, message, delay).await
    }

    async fn room(&self, _channel: &ChannelName) {
        sleep_until(Instant::now() + ROOM_CHECK_INTERVAL).await;
    }

    fn outlives_the_process(&self) -> bool {
        true
    }

    fn attach(&self, dispatch: &Arc<Dispatch>) {
        let shared = Arc::clone(&self.shared);
        let feeding = dispatch.feeding();
        let receiver = Receiver::new(shared.source.clone(), dispatch);
        shared.receivers.add(Arc::clone(&receiver));
        let receive = async move {
            let run = async {
                // Without it no slot ever gets a message again. The panic is in the log already.
                while AssertUnwindSafe(receiver.run()).catch_unwind().await.is_err() {}
            };
            tokio::select! {
                () = run => {}
                () = shared.drain.stopping() => {}
            }
            shared.receivers.remove(&receiver);
            drop(feeding);
        };
        drop(self.shared.drain.spawn("redis receive", receive));
    }

    async fn settle(
        &self,
        channel: &ChannelName,
        receipt: &Receipt,
        settled: Settled,
    ) -> Result<(), LayerError> {
        self.shared.settle(channel, receipt, settled).await
    }

    async fn group_add(&self, group: &GroupName, channel: &ChannelName) -> Result<(), SendError> {
        self.shared.group_add(group, channel, None).await
    }

    async fn present(
        &self,
        group: &GroupName,
        connection: &ChannelName,
        present: &Present,
    ) -> Result<(), SendError> {
        self.shared.group_add(group, connection, Some(present)).await
    }

    async fn members(
        &self,
        group: &GroupName,
        after: Option<&MemberKey>,
        limit: usize,
    ) -> Result<MembersPage, LayerError> {
        self.shared.members(group, after, limit).await
    }

    async fn group_discard(
        &self,
        group: &GroupName,
        channel: &ChannelName,
    ) -> Result<(), LayerError> {
        self.shared.group_discard(group, channel).await
    }

    async fn leave_all(&self, connection: &ChannelName) -> Result<(), LayerError> {
        self.shared.leave_all(connection).await
    }

    async fn enter(
        &self,
        user: &GroupName,
        connection: &ChannelName,
        limit: Option<UserLimit>,
    ) -> Result<Entered, LayerError> {
        self.shared.enter(user, connection, limit).await
    }

    async fn connections_of(&self, user: &GroupName, most: usize) -> Result<Online, LayerError> {
        self.shared.connections_of(user, most).await
    }

    async fn group_send(
        &self,
        group: &GroupName,
        content: Content,
        correlation: CorrelationId,
    ) -> Result<GroupSent, SendError> {
        self.shared.group_send(group, content, correlation).await
    }

    fn lend_histories(&self, histories: &Histories) {
        // Once: a process has one registry.
        drop(self.shared.histories.set(histories.clone()));
    }

    fn keeps_history(&self, group: &GroupName) -> bool {
        self.shared.kept(group).is_some()
    }

    async fn group_join(
        &self,
        group: &GroupName,
        channel: &ChannelName,
        start: &Start,
    ) -> Result<(), SendError> {
        self.shared.group_join(group, channel, start).await
    }

    async fn history(
        &self,
        group: &GroupName,
        after: After,
        limit: usize,
    ) -> Result<Page, LayerError> {
        self.shared.history(group, after, limit).await
    }

    async fn open_inbox(&self, node: &NodeName) -> Result<(), LayerError> {
        self.shared.open_inbox(node).await
    }

    fn count_sockets(&self, name: &NodeName, open: Arc<AtomicUsize>) {
        if let Some(node) = self.shared.node(name) {
            // Once: an interface server opens its inbox once.
            drop(node.sockets.set(open));
        }
    }

    async fn answer(&self, node: &NodeName, answer: Answer) -> Result<(), LayerError> {
        self.shared.deliver(node, &Parcel::Answer(answer)).await.map(drop)
    }

    fn lend_respondent(&self, name: &NodeName, respondent: Weak<dyn Respondent>) {
        if let Some(node) = self.shared.node(name) {
            // Once: an interface server opens its inbox once.
            drop(node.answering.set(Answering::new(respondent)));
        }
    }

    async fn ask(
        &self,
        node: &NodeName,
        question: Bytes,
        patience: Duration,
    ) -> Result<Bytes, Unanswered> {
        self.shared.ask(node, question, patience).await
    }

    fn members_on(&self, node: &NodeName, group: &GroupName) -> Vec<LocalName> {
        self.shared.node(node).map(|node| node.members_of(group)).unwrap_or_default()
    }

    fn groups_of(&self, connection: &ChannelName) -> Vec<GroupName> {
        let Some((node, local)) = connection.connection() else { return Vec::new() };
        self.shared.node(&node).map(|node| node.groups_of(&local)).unwrap_or_default()
    }

    async fn read_inbox(&self, name: &NodeName) -> Result<Vec<InboxEntry>, LayerError> {
        self.shared.read_inbox(name).await
    }

    async fn close_inbox(&self, node: &NodeName) {
        self.shared.close_inbox(node).await;
    }

    async fn probe(&self) -> Result<(), LayerError> {
        self.shared.probe().await
    }

    async fn waiting(
        &self,
        channel: &ChannelName,
        after: Option<&WaitingId>,
        limit: usize,
    ) -> Result<WaitingPage, LayerError> {
        self.shared.waiting(channel, after, limit).await
    }

    async fn find_waiting(
        &self,
        channel: &ChannelName,
        id: &WaitingId,
    ) -> Result<Option<Waiting>, LayerError> {
        self.shared.find_waiting(channel, id).await
    }

    async fn move_waiting(
        &self,
        channel: &ChannelName,
        id: &WaitingId,
        to: Option<&ChannelName>,
    ) -> Result<Moved, LayerError> {
        self.shared.move_waiting(channel, id, to).await
    }

    async fn statistics(&self) -> Result<Statistics, LayerError> {
        self.shared.statistics().await
    }
}
