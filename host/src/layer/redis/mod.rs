//! The layer of many processes: lists, scripts and leases in Redis.
//!
//! A channel is a list in a partition, a node's inbox is one list with one reader. All times are the
//! server's. What is popped is gone, so nothing is delivered twice; what a process held when it died
//! is lost, and noticed by whoever waits for it. `docs/redis.md` describes keys and formats.

mod batch;
mod channels;
mod groups;
mod inbox;
mod intake;
mod link;
mod node;
mod probe;
mod scripts;
mod shelf;
mod target;
mod upkeep;
mod wire;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    runtime::Handle,
    sync::Notify,
    time::{Instant, sleep_until},
};

#[cfg(feature = "fuzzing")]
pub use self::wire::fuzzing;
use self::{
    batch::Batches,
    intake::Intake,
    link::Link,
    node::Node,
    scripts::{Keys, Scripts, partition_of},
    wire::Parcel,
};
pub use self::{
    shelf::{Heard, Shelf},
    target::{Target, TargetError},
};
use super::{
    ChannelLayer, Demand, GroupSent, LayerConfig, LayerError, Received, SendError, Statistics,
};
use crate::{
    message::{
        Answer, ChannelName, Content, CorrelationId, GroupName, InboxEntry, Message, NodeName,
        Payload, Receipt, Settled,
    },
    shutdown::Drain,
    telemetry::Metrics,
};

/// How soon a full channel is tried again: nothing tells of room.
const ROOM: Duration = Duration::from_millis(10);

/// Where Redis is and how long things may take there.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// The servers.
    pub target: Target,
    /// The start of all keys. Applications with different ones do not meet.
    pub prefix: String,
    /// Parts that the keys are in. All processes must have the same number. None: one a server, and
    /// eight for a Cluster.
    pub partitions: Option<usize>,
    /// How long a process is believed to be alive after it was last heard of.
    pub lease: Duration,
    /// How long a command may take, and a caller waits for a lost connection.
    pub timeout: Duration,
}

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
    /// For each partition, sending to its channels: "ok", "full" or what is wrong, and how many entries
    /// had expired.
    sending: Vec<Batches<(String, u64)>>,
    /// For each partition, putting into its inboxes: "ok", "gone", "full" or what is wrong.
    delivering: Vec<Batches<String>>,
    intake: Arc<Intake>,
    /// The nodes of this process. Locked for single operations only.
    nodes: Mutex<HashMap<NodeName, Arc<Node>>>,
    /// A message that is due sooner than was known.
    due: Notify,
}

impl Drop for RedisLayer {
    fn drop(&mut self) {
        self.shared.drain.stop();
    }
}

impl RedisLayer {
    /// Connects to every partition. Tasks run on the runtime until the layer is dropped.
    pub async fn connect(
        redis: &RedisConfig,
        config: LayerConfig,
        metrics: Arc<Metrics>,
        runtime: Handle,
    ) -> Result<Self, LayerError> {
        let drain = Drain::new(runtime);
        Self::connect_with(redis, config, metrics, drain, Scripts::new("")).await
    }

    async fn connect_with(
        redis: &RedisConfig,
        config: LayerConfig,
        metrics: Arc<Metrics>,
        drain: Drain,
        scripts: Scripts,
    ) -> Result<Self, LayerError> {
        let scripts = Arc::new(scripts);
        let partitions = redis.partitions.unwrap_or_else(|| redis.target.partitions());
        let mut links = Vec::with_capacity(partitions);
        for partition in 0..partitions {
            let keys = Keys::new(&redis.prefix, partition);
            let (target, timeout) = (&redis.target, redis.timeout);
            links.push(Link::open(target, keys, partition, &scripts, timeout, &drain).await?);
        }
        let links: Arc<[_]> = links.into();
        let intake = Intake::new(
            Arc::clone(&links),
            Arc::clone(&scripts),
            Arc::clone(&metrics),
            redis.lease,
            config.capacities.clone(),
            &drain,
        );
        let shared = Arc::new(Shared {
            config,
            lease: redis.lease,
            metrics,
            sending: links.iter().map(|it| Batches::new(it, &scripts.send, &drain)).collect(),
            delivering: links.iter().map(|it| Batches::new(it, &scripts.deliver, &drain)).collect(),
            scripts,
            links,
            drain: drain.clone(),
            intake,
            nodes: Mutex::default(),
            due: Notify::new(),
        });
        for partition in 0..partitions {
            // Also says whether the layout is ours.
            shared.renew(partition, &mut None, false).await?;
            let renewing = upkeep::renew(Arc::clone(&shared), partition);
            drain.spawn_until_stopped("redis leases", renewing);
            let promoting = upkeep::promote(Arc::clone(&shared), partition);
            drain.spawn_until_stopped("redis later", promoting);
        }
        Ok(Self { shared })
    }
}

impl RedisLayer {
    /// What the processes of the layer keep together besides messages.
    pub fn shelf(&self) -> Result<Shelf, LayerError> {
        let link = self.shared.links.first().cloned().ok_or_else(no_partition)?;
        Ok(Shelf { link, scripts: Arc::clone(&self.shared.scripts), lease: self.shared.lease })
    }
}

impl Shared {
    fn partition_of(&self, name: &str) -> usize {
        partition_of(name, self.links.len())
    }

    fn link(&self, name: &str) -> Result<&Link, LayerError> {
        let link = self.links.get(self.partition_of(name));
        link.map(|link| &**link).ok_or_else(no_partition)
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

fn no_partition() -> LayerError {
    LayerError::new("there is no partition")
}

fn content_of(payload: Payload) -> Result<Content, LayerError> {
    match payload {
        Payload::Custom(content) => Ok(content),
        Payload::Event(_) => Err(LayerError::new("an event was sent to a reply channel")),
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
        sleep_until(Instant::now() + ROOM).await;
    }

    async fn receive(&self, demand: &Demand<'_>) -> Result<Vec<Received>, LayerError> {
        self.shared.intake.receive(demand).await
    }

    async fn settle(
        &self,
        channel: &ChannelName,
        receipt: &Receipt,
        settled: Settled,
    ) -> Result<(), LayerError> {
        self.shared.settle(channel, receipt, settled).await
    }

    async fn leftover(&self) -> Vec<Received> {
        self.shared.intake.leftover().await
    }

    async fn group_add(&self, group: &GroupName, channel: &ChannelName) -> Result<(), SendError> {
        self.shared.group_add(group, channel).await
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

    async fn group_send(
        &self,
        group: &GroupName,
        content: Content,
        correlation: CorrelationId,
    ) -> Result<GroupSent, SendError> {
        self.shared.group_send(group, content, correlation).await
    }

    async fn open_inbox(&self, node: &NodeName) -> Result<(), LayerError> {
        self.shared.open_inbox(node).await
    }

    async fn answer(&self, node: &NodeName, answer: Answer) -> Result<(), LayerError> {
        self.shared.deliver(node, &Parcel::Answer(answer)).await.map(drop)
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

    async fn statistics(&self) -> Result<Statistics, LayerError> {
        self.shared.statistics().await
    }
}
