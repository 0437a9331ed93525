//! Random operations on a layer, one after the other, and what a small model says must come of them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use proptest::{prelude::*, test_runner::TestRunner};
use tests::{RedisServer, Slots, history::Stamp, must};
use tidegate::{
    layer::{ChannelLayer, GroupSent, MemoryLayer, SendError},
    message::{ChannelName, CorrelationId, LocalName, Message, NodeName, Payload},
    telemetry::{DropReason, Metrics},
};
use tokio::{
    runtime::{Builder, Runtime},
    time::{Instant, advance, timeout},
};

use super::{
    config, counted, redis,
    witness::{channel, content, deliveries, group, owners, stamp_of},
};

const CHANNELS: [&str; 2] = ["a", "b"];
const GROUPS: [&str; 3] = ["g", "h", "i"];
const NODES: usize = 2;
/// Two on each node.
const CONNECTIONS: usize = 2 * NODES;
/// What `config` says.
const CAPACITY: usize = 5;
const GROUPS_EACH: usize = 2;
const EXPIRY: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
enum Operation {
    Send(usize),
    SendTo(usize),
    Receive { channel: usize, most: usize },
    Read(usize),
    Join { group: usize, connection: usize },
    JoinNamed { group: usize, channel: usize },
    Leave { group: usize, connection: usize },
    LeaveNamed { group: usize, channel: usize },
    LeaveAll(usize),
    Publish(usize),
    Wait(Duration),
}

fn operations(waits: bool) -> impl Strategy<Value = Vec<Operation>> {
    let (channel, connection) = (0..CHANNELS.len(), 0..CONNECTIONS);
    let group = 0..GROUPS.len();
    let seconds = if waits { 1..40_u64 } else { 0..1 };
    let one = prop_oneof![
        4 => channel.clone().prop_map(Operation::Send),
        2 => connection.clone().prop_map(Operation::SendTo),
        4 => (channel.clone(), 1..4_usize)
            .prop_map(|(channel, most)| Operation::Receive { channel, most }),
        2 => (0..NODES).prop_map(Operation::Read),
        3 => (group.clone(), connection.clone())
            .prop_map(|(group, connection)| Operation::Join { group, connection }),
        1 => (group.clone(), channel.clone())
            .prop_map(|(group, channel)| Operation::JoinNamed { group, channel }),
        2 => (group.clone(), connection.clone())
            .prop_map(|(group, connection)| Operation::Leave { group, connection }),
        1 => (group.clone(), channel)
            .prop_map(|(group, channel)| Operation::LeaveNamed { group, channel }),
        1 => connection.prop_map(Operation::LeaveAll),
        4 => group.prop_map(Operation::Publish),
        1 => seconds.prop_map(|seconds| Operation::Wait(Duration::from_secs(seconds))),
    ];
    prop::collection::vec(one, 1..60)
}

/// What must be.
#[derive(Default)]
struct Model {
    channels: [VecDeque<(Stamp, Instant)>; CHANNELS.len()],
    /// By group: connections, and named channels.
    members: [(BTreeSet<usize>, BTreeSet<usize>); GROUPS.len()],
    inboxes: [Vec<(usize, Stamp)>; NODES],
    expired: u64,
    next: u64,
}

impl Model {
    fn stamp(&mut self) -> Stamp {
        self.next += 1;
        Stamp { producer: 0, sequence: self.next }
    }

    fn expire(&mut self, at: usize) {
        let expiring = &mut self.channels[at];
        while expiring.front().is_some_and(|(_, until)| *until <= Instant::now()) {
            expiring.pop_front();
            self.expired += 1;
        }
    }

    /// Whether there was room.
    fn send(&mut self, at: usize, stamp: Stamp) -> bool {
        if self.channels[at].len() >= CAPACITY {
            self.expire(at);
        }
        let has_room = self.channels[at].len() < CAPACITY;
        if has_room {
            self.channels[at].push_back((stamp, Instant::now() + EXPIRY));
        }
        has_room
    }

    fn groups_of(&self, connection: usize) -> usize {
        self.members.iter().filter(|(members, _)| members.contains(&connection)).count()
    }
}

/// A layer and what must be in it.
struct Machine {
    layer: Arc<dyn ChannelLayer>,
    metrics: Arc<Metrics>,
    nodes: [NodeName; NODES],
    connections: Vec<ChannelName>,
    model: Model,
    /// Whether the clock is, so that it costs nothing to see that there is nothing.
    is_paused: bool,
}

impl Machine {
    async fn new(layer: Arc<dyn ChannelLayer>, metrics: Arc<Metrics>, is_paused: bool) -> Self {
        let nodes = [(); NODES].map(|()| NodeName::random());
        for node in &nodes {
            layer.open_inbox(node).await.unwrap();
        }
        let local = |at: usize| ChannelName::of_connection(&nodes[at / 2], &LocalName::random());
        let connections = (0..CONNECTIONS).map(local).collect();
        Self { layer, metrics, nodes, connections, model: Model::default(), is_paused }
    }

    async fn run(&mut self, operation: &Operation) {
        match *operation {
            Operation::Send(at) => {
                let stamp = self.model.stamp();
                let has_room = self.model.send(at, stamp);
                let sent = self.send(&channel(CHANNELS[at]), stamp).await;
                let full = SendError::ChannelFull(channel(CHANNELS[at]));
                assert_eq!(sent, if has_room { Ok(()) } else { Err(full) });
            }
            Operation::SendTo(connection) => {
                let stamp = self.model.stamp();
                self.model.inboxes[connection / 2].push((connection, stamp));
                self.send(&self.connections[connection], stamp).await.unwrap();
            }
            Operation::Receive { channel, most } => self.receive(channel, most).await,
            Operation::Read(node) => self.read(node).await,
            Operation::Join { group, connection } => self.join(group, connection).await,
            Operation::JoinNamed { group: to, channel: at } => {
                self.model.members[to].1.insert(at);
                let (to, member) = (group(GROUPS[to]), channel(CHANNELS[at]));
                self.layer.group_add(&to, &member).await.unwrap();
            }
            Operation::Leave { group: from, connection } => {
                self.model.members[from].0.remove(&connection);
                let from = group(GROUPS[from]);
                self.layer.group_discard(&from, &self.connections[connection]).await.unwrap();
            }
            Operation::LeaveNamed { group: from, channel: at } => {
                self.model.members[from].1.remove(&at);
                let (from, member) = (group(GROUPS[from]), channel(CHANNELS[at]));
                self.layer.group_discard(&from, &member).await.unwrap();
            }
            Operation::LeaveAll(connection) => {
                // A connection that is over is told of joins that come later. So first all is read
                // up to a message of now.
                let stamp = self.model.stamp();
                self.model.inboxes[connection / 2].push((connection, stamp));
                self.send(&self.connections[connection], stamp).await.unwrap();
                self.read(connection / 2).await;
                for (members, _) in &mut self.model.members {
                    members.remove(&connection);
                }
                self.layer.leave_all(&self.connections[connection]).await.unwrap();
            }
            Operation::Publish(to) => self.publish(to).await,
            Operation::Wait(span) if span.is_zero() => {}
            Operation::Wait(span) => advance(span).await,
        }
    }

    async fn send(&self, to: &ChannelName, stamp: Stamp) -> Result<(), SendError> {
        let message = Message::custom(content(stamp), CorrelationId::random());
        self.layer.send(to, message).await
    }

    async fn receive(&mut self, at: usize, most: usize) {
        self.model.expire(at);
        let waiting = &mut self.model.channels[at];
        let expected: Vec<_> = waiting.drain(..most.min(waiting.len())).map(|it| it.0).collect();
        let (owners, mut got) = (owners(&[CHANNELS[at]]), Vec::new());
        while got.len() < expected.len() {
            let missing = expected.len() - got.len();
            let slots = Slots::read(&self.layer, &owners, &Arc::default(), missing);
            let mut received = vec![must("a message", slots.take()).await];
            received.extend(slots.stop().await);
            got.extend(received.into_iter().map(|received| match received.message.payload {
                Payload::Custom(content) => stamp_of(&content),
                Payload::Event(event) => panic!("no event was sent: {event:?}"),
            }));
        }
        assert_eq!(got, expected);
        if expected.is_empty() && self.is_paused {
            let slots = Slots::read(&self.layer, &owners, &Arc::default(), 1);
            let nothing = timeout(Duration::from_nanos(1), slots.take()).await;
            assert!(nothing.is_err(), "{nothing:?}");
        }
    }

    async fn join(&mut self, to: usize, connection: usize) {
        // A connection that is in too many groups is told of it at once or later, as a layer can.
        if self.model.groups_of(connection) >= GROUPS_EACH {
            return;
        }
        self.model.members[to].0.insert(connection);
        let to = group(GROUPS[to]);
        self.layer.group_add(&to, &self.connections[connection]).await.unwrap();
    }

    async fn publish(&mut self, to: usize) {
        let stamp = self.model.stamp();
        let (connections, named) = self.model.members[to].clone();
        for connection in &connections {
            self.model.inboxes[connection / 2].push((*connection, stamp));
        }
        let mut missed = 0;
        for at in &named {
            missed += usize::from(!self.model.send(*at, stamp));
        }
        let to = group(GROUPS[to]);
        let sent = self.layer.group_send(&to, content(stamp), CorrelationId::random()).await;
        let GroupSent { reached, missed: told } = sent.unwrap();
        assert_eq!(told, missed);
        // A node whose last member has just left may not have said so yet.
        let nodes: BTreeSet<_> = connections.iter().map(|connection| connection / 2).collect();
        let at_least = nodes.len() + named.len() - missed;
        assert!((at_least..=at_least + NODES).contains(&reached), "{reached}, not {at_least}");
    }

    /// Each connection gets what it must, in order. What is for several comes in any order of them.
    async fn read(&mut self, node: usize) {
        let expected = std::mem::take(&mut self.model.inboxes[node]);
        let mut got = Vec::new();
        while got.len() < expected.len() {
            let reading = self.layer.read_inbox(&self.nodes[node]);
            for entry in must("an entry", reading).await.unwrap() {
                got.extend(deliveries(&self.nodes[node], &entry));
            }
        }
        let mut by_connection: BTreeMap<String, Vec<Stamp>> = BTreeMap::new();
        for (connection, stamp) in got {
            by_connection.entry(connection).or_default().push(stamp);
        }
        let mut wanted: BTreeMap<String, Vec<Stamp>> = BTreeMap::new();
        for (connection, stamp) in expected {
            wanted.entry(self.connections[connection].to_string()).or_default().push(stamp);
        }
        assert_eq!(by_connection, wanted);
    }

    /// Nothing is left that nobody expects.
    async fn end(mut self) {
        for at in 0..CHANNELS.len() {
            self.receive(at, CAPACITY).await;
        }
        for node in 0..NODES {
            self.read(node).await;
            self.layer.close_inbox(&self.nodes[node]).await;
        }
        let statistics = self.layer.statistics().await.unwrap();
        assert_eq!(statistics.channels.values().map(|(count, _)| count).sum::<usize>(), 0);
        assert_eq!(self.metrics.dropped_count(DropReason::Expired), self.model.expired);
        let named = self.model.members.iter().filter(|(_, named)| !named.is_empty()).count();
        assert_eq!(statistics.groups, named, "groups without members are gone");
    }
}

async fn assert_is_as_modelled(
    layer: Arc<dyn ChannelLayer>,
    metrics: Arc<Metrics>,
    operations: Vec<Operation>,
    is_paused: bool,
) {
    let mut machine = Machine::new(layer, metrics, is_paused).await;
    for operation in &operations {
        machine.run(operation).await;
    }
    machine.end().await;
}

fn paused() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..Default::default() })
}

#[test]
fn the_memory_layer_does_what_the_model_says() {
    let checked = runner(256).run(&operations(true), |operations| {
        paused().block_on(async {
            let metrics = Arc::new(Metrics::new());
            let layer = Arc::new(MemoryLayer::new(config(), Arc::clone(&metrics)));
            assert_is_as_modelled(layer, metrics, operations, true).await;
        });
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn the_redis_layer_does_what_the_model_says() {
    let (server, number) = (RedisServer::start(), AtomicUsize::new(0));
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let checked = runner(24).run(&operations(false), |operations| {
        runtime.block_on(async {
            let prefix = format!("case-{}", number.fetch_add(1, Ordering::Relaxed));
            let metrics = Arc::new(Metrics::new());
            let layer = redis(&server.url(), &prefix, &metrics).await;
            assert_is_as_modelled(Arc::new(layer), metrics, operations, false).await;
        });
        Ok(())
    });
    checked.unwrap();
    let kinds = server
        .keys()
        .into_iter()
        .map(|key| key.rsplit("}:").next().unwrap().split(':').next().unwrap().to_owned());
    let kinds = counted(kinds);
    for kind in ["inbox", "bytes", "registrations", "channel", "ready", "nodes"] {
        assert_eq!(kinds.get(kind), None, "{kinds:?}");
    }
}
