//! The layer of many processes: lists, scripts and leases in Redis.
//!
//! A channel is a list in a partition, a node's inbox is one list with one reader. All times are the
//! server's. What is popped is gone, so nothing is delivered twice; what a process held when it died
//! is lost, and noticed by whoever waits for it. `docs/redis.md` describes keys and formats.

mod intake;
mod link;
mod node;
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
    time::{Instant, sleep_until, timeout_at},
};

#[cfg(feature = "fuzzing")]
pub use self::wire::fuzzing;
use self::{
    intake::{Intake, micros},
    link::Link,
    node::{Emptied, Joined, Node},
    scripts::{Keys, Scripts, partition_of},
    wire::{Parcel, Taken},
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
        Outcome, Payload, Receipt, Settled,
    },
    shutdown::Drain,
    telemetry::Metrics,
};

/// Entries of an inbox that are read at once.
const INBOX_BATCH: usize = 256;
/// Which part of an inbox may have been read without being told of: each time would be a command more
/// for each answer.
const UNTOLD: usize = 16;
/// How long a read of an inbox waits in Redis.
const INBOX_BLOCK: Duration = Duration::from_secs(1);
/// How soon a full channel is tried again: nothing tells of room.
const ROOM: Duration = Duration::from_millis(10);
/// How long a probe may take through an inbox.
const PROBE: Duration = Duration::from_secs(2);
/// Groups that one command names.
const CHUNK: usize = 500;

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
    /// Ends the tasks when the layer goes.
    drain: Drain,
}

#[derive(Debug)]
struct Shared {
    config: LayerConfig,
    lease: Duration,
    metrics: Arc<Metrics>,
    scripts: Arc<Scripts>,
    links: Arc<[Arc<Link>]>,
    intake: Arc<Intake>,
    /// The nodes of this process. Locked for single operations only.
    nodes: Mutex<HashMap<NodeName, Arc<Node>>>,
    /// A message that is due sooner than was known.
    due: Notify,
}

impl Drop for RedisLayer {
    fn drop(&mut self) {
        self.drain.stop();
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
            scripts,
            links,
            intake,
            nodes: Mutex::default(),
            due: Notify::new(),
        });
        for partition in 0..partitions {
            // Also says whether the layout is ours.
            shared.renew(partition, &mut None, false).await?;
            for (name, task) in [
                ("redis leases", Box::pin(upkeep::renew(Arc::clone(&shared), partition)) as Task),
                ("redis later", Box::pin(upkeep::promote(Arc::clone(&shared), partition))),
            ] {
                let stop = drain.clone();
                drain.spawn(name, async move {
                    tokio::select! {
                        () = task => {}
                        () = stop.stopping() => {}
                    }
                });
            }
        }
        Ok(Self { shared, drain })
    }
}

impl RedisLayer {
    /// What the processes of the layer keep together besides messages.
    pub fn shelf(&self) -> Result<Shelf, LayerError> {
        let link = self.shared.links.first().cloned();
        let link = link.ok_or_else(|| LayerError::new("there is no partition"))?;
        Ok(Shelf { link, scripts: Arc::clone(&self.shared.scripts), lease: self.shared.lease })
    }

    /// Makes room in an inbox for what was read of it. Nobody waits for that; if it fails, room comes
    /// back when the inbox is empty.
    fn tell_taken(&self, node: &NodeName, taken: &Taken) {
        let Taken { messages, answers } = *taken;
        let (shared, node) = (Arc::clone(&self.shared), node.clone());
        self.drain.spawn("redis inbox", async move {
            let Ok(link) = shared.link(node.as_str()) else { return };
            let mut call = shared.scripts.taken.key(&link.keys.base);
            call.arg(node.as_str()).arg(messages).arg(answers);
            if let Err(error) = link.call::<u8>(&call).await {
                tracing::debug!(%error, "room in an inbox is not told of");
            }
        });
    }
}

type Task = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

impl Shared {
    fn partition_of(&self, name: &str) -> usize {
        partition_of(name, self.links.len())
    }

    fn link(&self, name: &str) -> Result<&Link, LayerError> {
        let link = self.links.get(self.partition_of(name));
        link.map(|link| &**link).ok_or_else(|| LayerError::new("there is no partition"))
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

    /// Says that a node has members of a group. The join entry carries the count; none if nobody
    /// knows the node.
    async fn register(&self, node: &Node, group: &GroupName) -> Result<Option<u64>, LayerError> {
        self.register_name(&node.name, group).await
    }

    async fn register_name(
        &self,
        node: &NodeName,
        group: &GroupName,
    ) -> Result<Option<u64>, LayerError> {
        let link = self.link(group.as_str())?;
        let mut call = self.scripts.join.key(&link.keys.base);
        call.arg(node.as_str()).arg(group.as_str());
        let count: i64 = link.call(&call).await?;
        Ok(u64::try_from(count).ok())
    }

    /// Says that a node has no members of groups any more.
    async fn deregister(&self, node: &NodeName, emptied: Vec<Emptied>) -> Result<(), LayerError> {
        let mut parts: HashMap<usize, Vec<Emptied>> = HashMap::new();
        for (group, count) in emptied {
            parts.entry(self.partition_of(group.as_str())).or_default().push((group, count));
        }
        for (partition, groups) in parts {
            let Some(link) = self.links.get(partition) else { continue };
            for chunk in groups.chunks(CHUNK) {
                let mut call = self.scripts.leave.key(&link.keys.base);
                call.arg(node.as_str());
                for (group, count) in chunk {
                    call.arg(group.as_str()).arg(*count);
                }
                let _: u8 = link.call(&call).await?;
            }
        }
        Ok(())
    }

    /// Says it, and again with the next renewal where it cannot be said now: nobody waits for Redis
    /// to leave a group.
    async fn release(&self, node: &Node, emptied: Vec<Emptied>) {
        let is_up = |group: &GroupName| self.link(group.as_str()).is_ok_and(Link::is_up);
        let (now, later): (Vec<_>, Vec<_>) =
            emptied.into_iter().partition(|(group, _)| is_up(group));
        node.owe(later);
        if let Err(error) = self.deregister(&node.name, now.clone()).await {
            tracing::debug!(%error, "groups are left later");
            node.owe(now);
        }
    }

    /// Puts a parcel into an inbox. False if it was dropped, which is counted.
    async fn deliver(&self, node: &NodeName, parcel: &Parcel) -> Result<bool, LayerError> {
        let link = self.link(node.as_str())?;
        let mut call = self.scripts.deliver.key(&link.keys.base);
        call.arg(node.as_str()).arg(self.config.inbox_bytes).arg(parcel.seal());
        let outcome: String = link.call(&call).await?;
        match outcome.as_str() {
            "ok" => return Ok(true),
            "full" => self.metrics.dropped("inbox_full"),
            _ => self.metrics.dropped("connection_gone"),
        }
        if outcome != "full" {
            return Ok(false);
        }
        // The end of an event always fits; the answer with it is lost.
        if let Parcel::Answer(Answer { to, order, done: Some(done), .. }) = parcel {
            let mut done = done.clone();
            done.outcome = Outcome::AnswerLost;
            let mark =
                Answer { to: to.clone(), order: *order, replies: Vec::new(), done: Some(done) };
            let mut call = self.scripts.deliver.key(&link.keys.base);
            call.arg(node.as_str()).arg(self.config.inbox_bytes).arg(Parcel::Answer(mark).seal());
            let _: String = link.call(&call).await?;
        }
        Ok(false)
    }

    /// What is known to be wrong.
    fn trouble(&self) -> Option<LayerError> {
        self.links.iter().find_map(|link| link.trouble()).or_else(|| self.intake.trouble())
    }

    async fn probe(&self) -> Result<(), LayerError> {
        let id = CorrelationId::random().to_string();
        for link in &*self.links {
            let mut call = self.scripts.probe.key(&link.keys.base);
            call.arg(format!("tidegate.probe.{id}")).arg(&id);
            let same: u8 = link.call(&call).await?;
            if same == 0 {
                return Err(LayerError::new("a probe did not come back as it was sent"));
            }
            if !link.is_settled() {
                return Err(LayerError::new("groups are being registered again"));
            }
        }
        for node in self.nodes() {
            let (number, link) = (node.probe(), self.link(node.name.as_str())?);
            let mut call = self.scripts.deliver.key(&link.keys.base);
            call.arg(node.name.as_str()).arg(self.config.inbox_bytes);
            call.arg(Parcel::Probe { number }.seal());
            let outcome: String = link.call(&call).await?;
            match outcome.as_str() {
                "ok" => node.hears(number).await,
                "full" => return Err(LayerError::new("the inbox of this node is full")),
                _ => return Err(LayerError::new("Redis does not know this node yet or any more")),
            }
        }
        self.intake.trouble().map_or(Ok(()), Err)
    }

    async fn send(&self, channel: &ChannelName, message: Message) -> Result<(), SendError> {
        self.check_size(message.len())?;
        if let Some((node, local)) = channel.connection() {
            let parcel = Parcel::Message {
                to: local,
                content: content_of(message.payload)?,
                correlation: message.correlation,
            };
            self.deliver(&node, &parcel).await?;
            self.metrics.messages_sent.inc();
            return Ok(());
        }
        let link = self.link(channel.as_str())?;
        let life = message.expires_after.unwrap_or(self.config.expiry);
        let mut call = self.scripts.send.key(&link.keys.base);
        call.arg(channel.as_str())
            .arg(self.config.capacities.of(channel))
            .arg(micros(life))
            .arg(wire::seal(&message));
        let (taken, expired): (u8, u64) = link.call(&call).await?;
        for _ in 0..expired {
            self.metrics.dropped("expired");
        }
        if taken == 0 {
            return Err(SendError::ChannelFull(channel.clone()));
        }
        self.metrics.messages_sent.inc();
        Ok(())
    }

    /// What came in an inbox, for the connections of this process.
    async fn hand_over(&self, node: &Node, parcel: Parcel) -> Option<InboxEntry> {
        match parcel {
            Parcel::Answer(answer) => Some(InboxEntry::Answer(answer)),
            Parcel::Message { to, content, correlation } => {
                Some(InboxEntry::Message { to: vec![to], content, from_group: false, correlation })
            }
            Parcel::Group { group, content, correlation } => {
                let to = node.members_of(&group);
                let message = InboxEntry::Message { to, content, from_group: true, correlation };
                matches!(&message, InboxEntry::Message { to, .. } if !to.is_empty())
                    .then_some(message)
            }
            Parcel::Join { local, group, count } => match node.join(local.clone(), group, count) {
                Joined::Member => Some(InboxEntry::Joined(local)),
                Joined::TooMany(emptied) => {
                    self.metrics.dropped("too_many_groups");
                    self.release(node, emptied.into_iter().collect()).await;
                    None
                }
            },
            Parcel::Leave { local, group } => {
                let emptied = node.leave(&local, &group);
                self.release(node, emptied.into_iter().collect()).await;
                None
            }
            Parcel::LeaveAll { local } => {
                self.release(node, node.leave_all(&local)).await;
                None
            }
            Parcel::Probe { number } => {
                node.heard(number);
                None
            }
        }
    }
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
        let shared = &self.shared;
        shared.check_size(message.len())?;
        let life = message.expires_after.unwrap_or(shared.config.expiry);
        let (target, name, limit, payload) = match channel.connection() {
            Some((node, to)) => {
                let correlation = message.correlation;
                let content = content_of(message.payload)?;
                let parcel = Parcel::Message { to, content, correlation };
                ("node", node.to_string(), shared.config.inbox_bytes, parcel.seal())
            }
            None => {
                let capacity = shared.config.capacities.of(channel);
                ("channel", channel.to_string(), capacity, wire::seal(&message))
            }
        };
        let link = shared.link(&name)?;
        let mut call = shared.scripts.later.key(&link.keys.base);
        call.arg(CorrelationId::random().to_string())
            .arg(micros(delay))
            .arg(shared.config.delayed_messages)
            .arg(target)
            .arg(name)
            .arg(limit)
            .arg(micros(life))
            .arg(payload);
        let taken: u8 = link.call(&call).await?;
        if taken == 0 {
            return Err(SendError::TooManyDelayed { limit: shared.config.delayed_messages });
        }
        shared.due.notify_waiters();
        Ok(())
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
        let shared = &self.shared;
        let link = shared.link(channel.as_str())?;
        let (how, pause) = match settled {
            Settled::Done => ("done", Duration::ZERO),
            Settled::Again(pause) => ("again", pause),
            Settled::Dead => ("dead", Duration::ZERO),
        };
        let mut call = shared.scripts.settle.key(&link.keys.base);
        call.arg(receipt.id).arg(how).arg(micros(pause));
        let outcome: String = link.call(&call).await?;
        match (settled, outcome.as_str()) {
            (Settled::Dead, "ok") => drop(shared.metrics.messages_dead_lettered.inc()),
            (Settled::Dead, "full") => shared.metrics.dropped("dead_letter_full"),
            (Settled::Again(_), _) => shared.due.notify_waiters(),
            _ => {}
        }
        Ok(())
    }

    async fn leftover(&self) -> Vec<Received> {
        self.shared.intake.leftover().await
    }

    async fn group_add(&self, group: &GroupName, channel: &ChannelName) -> Result<(), SendError> {
        let shared = &self.shared;
        let Some((node, local)) = channel.connection() else {
            let link = shared.link(group.as_str())?;
            let mut call = shared.scripts.join_named.key(&link.keys.base);
            call.arg(group.as_str()).arg(channel.as_str()).arg(micros(shared.config.group_expiry));
            let _: u8 = link.call(&call).await?;
            return Ok(());
        };
        match shared.register_name(&node, group).await? {
            None => shared.metrics.dropped("connection_gone"),
            Some(count) => {
                // After it is registered: the entry is before any message to the group.
                let parcel = Parcel::Join { local, group: group.clone(), count };
                let delivered = shared.deliver(&node, &parcel).await;
                if !matches!(delivered, Ok(true)) {
                    shared.deregister(&node, vec![(group.clone(), count)]).await?;
                }
                delivered?;
            }
        }
        Ok(())
    }

    async fn group_discard(
        &self,
        group: &GroupName,
        channel: &ChannelName,
    ) -> Result<(), LayerError> {
        let shared = &self.shared;
        if let Some((node, local)) = channel.connection() {
            let parcel = Parcel::Leave { local, group: group.clone() };
            return shared.deliver(&node, &parcel).await.map(drop);
        }
        let link = shared.link(group.as_str())?;
        let mut call = shared.scripts.leave_named.key(&link.keys.base);
        call.arg(group.as_str()).arg(channel.as_str());
        link.call(&call).await.map(|_: u8| ())
    }

    async fn leave_all(&self, connection: &ChannelName) -> Result<(), LayerError> {
        let Some((name, local)) = connection.connection() else { return Ok(()) };
        match self.shared.node(&name) {
            Some(node) => {
                self.shared.release(&node, node.leave_all(&local)).await;
                Ok(())
            }
            None => self.shared.deliver(&name, &Parcel::LeaveAll { local }).await.map(drop),
        }
    }

    async fn group_send(
        &self,
        group: &GroupName,
        content: Content,
        correlation: CorrelationId,
    ) -> Result<GroupSent, SendError> {
        let shared = &self.shared;
        shared.check_size(content.as_bytes().len())?;
        let link = shared.link(group.as_str())?;
        let mut call = shared.scripts.members.key(&link.keys.base);
        call.arg(group.as_str());
        let (nodes, channels): (Vec<String>, Vec<String>) = link.call(&call).await?;
        let mut sent = GroupSent::default();
        let parcel = Parcel::Group { group: group.clone(), content: content.clone(), correlation };
        // All at once: they are in different inboxes, and the answers come together.
        let nodes = nodes.iter().filter_map(|name| NodeName::parse(name).ok());
        let delivering = nodes.map(|node| {
            let parcel = &parcel;
            async move { shared.deliver(&node, parcel).await }
        });
        for delivered in futures_util::future::join_all(delivering).await {
            if delivered? {
                sent.reached += 1;
            } else {
                sent.missed += 1;
            }
        }
        for name in channels {
            let Ok(channel) = ChannelName::parse(&name) else { continue };
            match shared.send(&channel, Message::custom(content.clone(), correlation)).await {
                Ok(()) => sent.reached += 1,
                Err(_) => {
                    shared.metrics.dropped("group_full");
                    sent.missed += 1;
                }
            }
        }
        Ok(sent)
    }

    async fn open_inbox(&self, node: &NodeName) -> Result<(), LayerError> {
        let shared = &self.shared;
        let known = Arc::new(Node::new(node.clone(), shared.config.groups_per_connection));
        shared.nodes.lock().unwrap_or_else(PoisonError::into_inner).insert(node.clone(), known);
        for partition in 0..shared.links.len() {
            shared.renew(partition, &mut None, false).await?;
        }
        Ok(())
    }

    async fn answer(&self, node: &NodeName, answer: Answer) -> Result<(), LayerError> {
        self.shared.deliver(node, &Parcel::Answer(answer)).await.map(drop)
    }

    async fn read_inbox(&self, name: &NodeName) -> Result<Vec<InboxEntry>, LayerError> {
        let shared = &self.shared;
        let node = shared
            .node(name)
            .ok_or_else(|| LayerError::new(format!("node {name} has no inbox")))?;
        let link = shared.link(name.as_str())?;
        loop {
            let entries =
                link.pop(&link.keys.inbox(name.as_str()), INBOX_BATCH, INBOX_BLOCK).await?;
            let (mut taken, mut arrived) = (Taken::default(), Vec::with_capacity(entries.len()));
            for entry in entries {
                match Parcel::open(&entry, name, &mut taken) {
                    Ok(parcel) => arrived.extend(shared.hand_over(&node, parcel).await),
                    Err(error) => {
                        tracing::warn!(%error, "an entry of the inbox is dropped");
                        shared.metrics.dropped("unreadable");
                    }
                }
            }
            let enough = shared.config.inbox_bytes / UNTOLD;
            if let Some(untold) = node.took(&taken, enough) {
                self.tell_taken(name, &untold);
            }
            if !arrived.is_empty() {
                return Ok(arrived);
            }
        }
    }

    async fn close_inbox(&self, node: &NodeName) {
        let shared = &self.shared;
        shared.nodes.lock().unwrap_or_else(PoisonError::into_inner).remove(node);
        for link in &*shared.links {
            let _renewing = link.renewing.lock().await;
            let mut call = shared.scripts.close.key(&link.keys.base);
            call.arg(node.as_str());
            loop {
                match link.call::<u8>(&call).await {
                    Ok(0) => {}
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(%error, "what this node has in Redis goes with its lease");
                        break;
                    }
                }
            }
        }
    }

    async fn probe(&self) -> Result<(), LayerError> {
        let shared = &self.shared;
        match timeout_at(Instant::now() + PROBE, shared.probe()).await {
            Ok(probed) => probed,
            Err(_) => Err(shared.trouble().unwrap_or_else(|| {
                LayerError::new(format!("a probe did not come back within {PROBE:?}"))
            })),
        }
    }

    async fn statistics(&self) -> Result<Statistics, LayerError> {
        let mut statistics = Statistics::default();
        for link in &*self.shared.links {
            let call = self.shared.scripts.statistics.key(&link.keys.base);
            let (groups, delayed, channels): (usize, usize, Vec<String>) = link.call(&call).await?;
            statistics.groups += groups;
            statistics.delayed += delayed;
            for channel in channels.chunks_exact(3) {
                if let [name, messages, age] = channel
                    && let (Ok(name), Ok(messages), Ok(age)) =
                        (ChannelName::parse(name), messages.parse(), age.parse())
                {
                    statistics.channels.insert(name, (messages, Duration::from_micros(age)));
                }
            }
        }
        Ok(statistics)
    }
}
