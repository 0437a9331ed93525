//! What every channel layer must do. A backend runs all of it with [`conformance_cases`].
//!
//! The cases are those of asgiref's suite and what it left open: order, concurrent readers, fairness,
//! exact expiry, renewal of memberships, the longest names, the largest message, sending later.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::{advance, timeout};

use super::{
    Capacities, ChannelLayer, Demand, GroupSent, LastingChannels, LayerConfig, Owners, SendError,
};
use crate::{
    message::{
        Answer, ChannelName, Content, CorrelationId, Done, GroupName, InboxEntry, Lasting,
        LocalName, Message, ModuleName, NodeName, Outcome, Payload, Receipt, Reply, Settled,
    },
    telemetry::Metrics,
};

/// A layer under test, what it counted as lost, and its time.
pub(super) struct Subject {
    pub(super) layer: Arc<dyn ChannelLayer>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Box<dyn Clock>,
}

/// The time of a layer, moved on by the case.
#[async_trait]
pub(super) trait Clock: Send + Sync {
    /// Moves it on.
    async fn advance(&self, span: Duration);

    /// How long the real clock runs until it is certain that there is nothing.
    fn patience(&self) -> Duration;

    /// How much of a span may be over already when somebody looks.
    fn grain(&self) -> Duration;
}

/// The paused clock of the runtime: it moves on by itself only when nothing else can happen.
pub(super) struct Paused;

#[async_trait]
impl Clock for Paused {
    async fn advance(&self, span: Duration) {
        advance(span).await;
    }

    fn patience(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn grain(&self) -> Duration {
        Duration::from_millis(1)
    }
}

/// The settings that the cases count on.
pub(super) fn config() -> LayerConfig {
    LayerConfig {
        message_bytes: 1_000,
        capacities: Capacities::new(5, [("small.*", 1)]).unwrap(),
        expiry: Duration::from_secs(60),
        group_expiry: Duration::from_secs(600),
        groups_per_connection: Some(3),
        inbox_bytes: 2_000,
        delayed_messages: 10,
        total_bytes: 4_000,
    }
}

/// Makes a test of each case; `$make`, awaited, is what it runs on.
macro_rules! one_test_each {
    ([$test:meta; $make:expr] $($case:ident)*) => {
        $(
            #[$test]
            async fn $case() {
                $crate::layer::conformance::$case($make.await).await;
            }
        )*
    };
}
pub(super) use one_test_each;

/// The cases for what shares out slots among all channels at once, given to another macro.
macro_rules! fairness_cases {
    ($with:ident! $how:tt) => {
        $with! {
            $how
            the_module_that_holds_fewest_is_served_first
            a_module_at_its_ceiling_is_left_out
        }
    };
}
pub(super) use fairness_cases;

/// The cases for any layer, given to another macro.
macro_rules! conformance_cases {
    ($with:ident! $how:tt) => {
        $with! {
            $how
            a_message_is_received_once_and_in_order
            a_reader_of_many_channels_gets_each_message_with_its_channel
            content_comes_out_as_it_went_in
            a_full_channel_refuses_and_takes_again_when_read
            capacities_go_by_pattern
            a_message_expires_exactly_and_is_counted
            an_expired_message_makes_room
            a_message_may_say_how_long_it_waits
            concurrent_readers_lose_and_double_nothing
            a_cancelled_receive_loses_nothing
            a_busy_channel_does_not_starve_a_quiet_one
            names_of_99_bytes_carry_messages
            the_largest_message_passes_and_one_byte_more_does_not
            a_later_message_comes_neither_early_nor_twice
            later_messages_come_in_order_of_their_time
            too_many_later_messages_are_refused
            a_later_message_waits_for_room_and_then_expires
            a_group_message_reaches_members_once_each
            leaving_a_group_ends_it_and_is_idempotent
            a_membership_expires_unless_renewed
            a_full_member_misses_a_group_message_and_the_sender_is_told
            group_messages_to_connections_come_as_one_entry_for_a_node
            a_message_to_a_connection_arrives_in_the_inbox_in_order
            an_inbox_is_bounded_in_bytes_and_done_marks_always_fit
            a_closed_inbox_takes_its_memberships_along
            leaving_all_groups_at_once
            a_connection_is_a_member_of_so_many_groups_and_a_named_channel_of_any_number
            room_is_told_when_a_full_channel_is_read
            statistics_tell_depth_and_age
            a_message_that_is_done_does_not_come_again
            a_message_that_failed_comes_again_after_its_pause_and_then_goes_to_the_dead
            a_message_whose_worker_is_gone_comes_again
            a_lasting_message_outlives_the_usual_expiry
        }
    };
}
pub(super) use conformance_cases;

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name).unwrap()
}

fn group(name: &str) -> GroupName {
    GroupName::parse(name).unwrap()
}

fn id() -> CorrelationId {
    CorrelationId::random()
}

/// `{"n": number}`
fn content(number: u8) -> Content {
    Content::parse(Bytes::from(vec![0x81, 0xa1, b'n', 0xcc, number])).unwrap()
}

/// A map of exactly so many bytes.
fn content_of(bytes: u16) -> Content {
    let mut map = vec![0x81, 0xa1, b'b', 0xc5];
    let filler = bytes - 6;
    map.extend(filler.to_be_bytes());
    map.extend(vec![0; filler.into()]);
    Content::parse(map.into()).unwrap()
}

fn message(number: u8) -> Message {
    Message::custom(content(number), id())
}

/// A reader of some channels, each of which belongs to a module of the same name.
struct Reader {
    owners: Arc<Owners>,
    lasting: Arc<LastingChannels>,
    held: HashMap<ModuleName, usize>,
    max: usize,
    ceiling: usize,
}

impl Reader {
    fn of(channels: &[&str]) -> Self {
        let owned = channels.iter().enumerate();
        let module = |at: usize| ModuleName::parse(&format!("module-{at}")).unwrap();
        let owners: Owners = owned.map(|(at, name)| (channel(name), module(at))).collect();
        let owners = Arc::new(owners);
        Self { owners, lasting: Arc::default(), held: HashMap::new(), max: 1, ceiling: 100 }
    }

    fn demand(&self) -> Demand<'_> {
        Demand {
            max: self.max,
            owners: &self.owners,
            lasting: &self.lasting,
            held: self.held.clone(),
            ceiling: self.ceiling,
        }
    }

    /// What there is now; nothing is waited for.
    async fn ready(&self, subject: &Subject) -> Vec<(String, u8)> {
        let demand = self.demand();
        match timeout(subject.clock.patience(), subject.layer.receive(&demand)).await {
            Ok(received) => received.unwrap().into_iter().map(numbered).collect(),
            Err(_) => Vec::new(),
        }
    }

    async fn next(&self, layer: &Arc<dyn ChannelLayer>) -> (String, u8) {
        numbered(layer.receive(&self.demand()).await.unwrap().remove(0))
    }
}

fn numbered(received: super::Received) -> (String, u8) {
    let Payload::Custom(content) = received.message.payload else { panic!("no event was sent") };
    (received.channel.to_string(), *content.as_bytes().last().unwrap())
}

async fn numbers(reader: &Reader, subject: &Subject) -> Vec<u8> {
    let mut numbers = Vec::new();
    loop {
        match &reader.ready(subject).await[..] {
            [] => return numbers,
            received => numbers.extend(received.iter().map(|(_, number)| *number)),
        }
    }
}

pub(super) async fn a_message_is_received_once_and_in_order(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let reader = Reader::of(&["a"]);
    for number in 0..5 {
        layer.send(&channel("a"), message(number)).await.unwrap();
    }
    assert_eq!(numbers(&reader, &subject).await, [0, 1, 2, 3, 4]);
    assert!(numbers(&reader, &subject).await.is_empty());
}

pub(super) async fn a_reader_of_many_channels_gets_each_message_with_its_channel(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let mut reader = Reader::of(&["a", "b"]);
    reader.max = 10;
    layer.send(&channel("a"), message(1)).await.unwrap();
    layer.send(&channel("b"), message(2)).await.unwrap();
    layer.send(&channel("c"), message(3)).await.unwrap();
    let mut got = reader.ready(&subject).await;
    got.extend(reader.ready(&subject).await);
    got.sort();
    assert_eq!(got, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    assert_eq!(Reader::of(&["c"]).ready(&subject).await.len(), 1);
}

pub(super) async fn content_comes_out_as_it_went_in(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let bytes = b"\x83\xa1s\xa2\xc2\xa3\xa1b\xc4\x04\x01\x00\x03\x21\xa1n\x81\xa1l\x93\x01\xc0\xc3";
    let sent = Content::parse(Bytes::from_static(bytes)).unwrap();
    layer.send(&channel("a"), Message::custom(sent.clone(), id())).await.unwrap();
    let reader = Reader::of(&["a"]);
    let received = layer.receive(&reader.demand()).await.unwrap().remove(0);
    assert!(matches!(received.message.payload, Payload::Custom(got) if got == sent));
}

pub(super) async fn a_full_channel_refuses_and_takes_again_when_read(subject: Subject) {
    let Subject { layer, .. } = &subject;
    for number in 0..5 {
        layer.send(&channel("a"), message(number)).await.unwrap();
    }
    let full = layer.send(&channel("a"), message(5)).await;
    assert_eq!(full, Err(SendError::ChannelFull(channel("a"))));
    layer.send(&channel("b"), message(0)).await.unwrap();
    let reader = Reader::of(&["a"]);
    reader.next(layer).await;
    layer.send(&channel("a"), message(6)).await.unwrap();
    assert_eq!(numbers(&reader, &subject).await, [1, 2, 3, 4, 6]);
}

pub(super) async fn capacities_go_by_pattern(subject: Subject) {
    let Subject { layer, .. } = &subject;
    layer.send(&channel("small.a"), message(0)).await.unwrap();
    let full = layer.send(&channel("small.a"), message(1)).await;
    assert_eq!(full, Err(SendError::ChannelFull(channel("small.a"))));
}

pub(super) async fn a_message_expires_exactly_and_is_counted(subject: Subject) {
    let Subject { layer, metrics, .. } = &subject;
    let reader = Reader::of(&["a"]);
    layer.send(&channel("a"), message(1)).await.unwrap();
    subject.clock.advance(Duration::from_secs(60) - subject.clock.grain()).await;
    assert_eq!(numbers(&reader, &subject).await, [1], "it is not over yet");
    layer.send(&channel("a"), message(2)).await.unwrap();
    subject.clock.advance(Duration::from_secs(60)).await;
    assert!(numbers(&reader, &subject).await.is_empty());
    assert_eq!(metrics.dropped_count("expired"), 1);
}

pub(super) async fn an_expired_message_makes_room(subject: Subject) {
    let Subject { layer, metrics, .. } = &subject;
    layer.send(&channel("small.a"), message(1)).await.unwrap();
    subject.clock.advance(Duration::from_secs(60)).await;
    layer.send(&channel("small.a"), message(2)).await.unwrap();
    assert_eq!(numbers(&Reader::of(&["small.a"]), &subject).await, [2]);
    assert_eq!(metrics.dropped_count("expired"), 1);
}

pub(super) async fn a_message_may_say_how_long_it_waits(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let mut brief = message(1);
    brief.expires_after = Some(Duration::from_secs(1));
    layer.send(&channel("a"), brief).await.unwrap();
    layer.send(&channel("a"), message(2)).await.unwrap();
    subject.clock.advance(Duration::from_secs(1)).await;
    assert_eq!(numbers(&Reader::of(&["a"]), &subject).await, [2]);
}

pub(super) async fn concurrent_readers_lose_and_double_nothing(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let layer = Arc::clone(layer);
        readers.spawn(async move {
            let (reader, mut got) = (Reader::of(&["a", "b"]), Vec::new());
            while let Ok(next) = timeout(Duration::from_secs(5), reader.next(&layer)).await {
                got.push(next);
                tokio::task::yield_now().await;
            }
            got
        });
    }
    for number in 0..100 {
        for name in ["a", "b"] {
            while layer.send(&channel(name), message(number)).await.is_err() {
                layer.room(&channel(name)).await;
            }
        }
    }
    let all: Vec<_> = readers.join_all().await.into_iter().flatten().collect();
    assert_eq!(all.len(), 200);
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), 200);
}

pub(super) async fn a_cancelled_receive_loses_nothing(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let reader = Reader::of(&["a"]);
    for _ in 0..3 {
        assert!(reader.ready(&subject).await.is_empty());
    }
    layer.send(&channel("a"), message(1)).await.unwrap();
    assert_eq!(numbers(&reader, &subject).await, [1]);
}

pub(super) async fn a_busy_channel_does_not_starve_a_quiet_one(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let reader = Reader::of(&["busy", "quiet"]);
    for number in 0..5 {
        layer.send(&channel("busy"), message(number)).await.unwrap();
    }
    layer.send(&channel("quiet"), message(9)).await.unwrap();
    let first = [reader.next(layer).await.0, reader.next(layer).await.0];
    assert!(first.contains(&"quiet".to_owned()), "{first:?}");
}

pub(super) async fn the_module_that_holds_fewest_is_served_first(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let mut reader = Reader::of(&["a", "b"]);
    reader.held = HashMap::from([(ModuleName::parse("module-0").unwrap(), 2)]);
    reader.max = 4;
    for number in 0..3 {
        layer.send(&channel("a"), message(number)).await.unwrap();
        layer.send(&channel("b"), message(number)).await.unwrap();
    }
    let got = reader.ready(&subject).await;
    let of_b = got.iter().filter(|(name, _)| name == "b").count();
    // The messages taken count, too: two of b until both hold two, then one of each.
    assert_eq!((got.len(), of_b), (4, 3), "{got:?}");
}

pub(super) async fn a_module_at_its_ceiling_is_left_out(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let mut reader = Reader::of(&["a", "b"]);
    (reader.max, reader.ceiling) = (10, 2);
    for number in 0..4 {
        layer.send(&channel("a"), message(number)).await.unwrap();
    }
    layer.send(&channel("b"), message(9)).await.unwrap();
    let mut got = reader.ready(&subject).await;
    got.sort();
    assert_eq!(got, [("a".to_owned(), 0), ("a".to_owned(), 1), ("b".to_owned(), 9)]);
    reader.held = HashMap::from([(ModuleName::parse("module-0").unwrap(), 2)]);
    assert!(reader.ready(&subject).await.is_empty(), "it holds what it may");
}

pub(super) async fn names_of_99_bytes_carry_messages(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let name = "n".repeat(99);
    layer.send(&channel(&name), message(1)).await.unwrap();
    assert_eq!(Reader::of(&[&name]).next(layer).await, (name.clone(), 1));
    layer.group_add(&group(&name), &channel(&name)).await.unwrap();
    layer.group_send(&group(&name), content(2), id()).await.unwrap();
    assert_eq!(Reader::of(&[&name]).next(layer).await, (name, 2));
}

pub(super) async fn the_largest_message_passes_and_one_byte_more_does_not(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let send =
        async |bytes| layer.send(&channel("a"), Message::custom(content_of(bytes), id())).await;
    send(1_000).await.unwrap();
    let large = SendError::TooLarge { bytes: 1_001, limit: 1_000 };
    assert_eq!(send(1_001).await, Err(large.clone()));
    let later = Message::custom(content_of(1_001), id());
    let later = layer.send_later(&channel("a"), later, Duration::from_secs(1)).await;
    assert_eq!(later, Err(large.clone()));
    let to_group = layer.group_send(&group("g"), content_of(1_001), id()).await;
    assert_eq!(to_group, Err(large));
}

pub(super) async fn a_later_message_comes_neither_early_nor_twice(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let reader = Reader::of(&["a"]);
    layer.send_later(&channel("a"), message(1), Duration::from_secs(10)).await.unwrap();
    subject.clock.advance(Duration::from_secs(5)).await;
    assert!(reader.ready(&subject).await.is_empty());
    subject.clock.advance(Duration::from_secs(5)).await;
    assert_eq!(reader.next(layer).await.1, 1);
    subject.clock.advance(Duration::from_secs(30)).await;
    assert!(reader.ready(&subject).await.is_empty());
}

pub(super) async fn later_messages_come_in_order_of_their_time(subject: Subject) {
    let Subject { layer, .. } = &subject;
    for (number, seconds) in [(3, 30), (1, 10), (2, 20)] {
        let delay = Duration::from_secs(seconds);
        layer.send_later(&channel("a"), message(number), delay).await.unwrap();
    }
    let reader = Reader::of(&["a"]);
    for number in 1..=3 {
        subject.clock.advance(Duration::from_secs(10)).await;
        assert_eq!(reader.next(layer).await.1, number);
    }
}

pub(super) async fn too_many_later_messages_are_refused(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let delay = Duration::from_secs(1);
    for number in 0..10 {
        layer.send_later(&channel("a"), message(number), delay).await.unwrap();
    }
    let refused = layer.send_later(&channel("a"), message(10), delay).await;
    assert_eq!(refused, Err(SendError::TooManyDelayed { limit: 10 }));
}

pub(super) async fn a_later_message_waits_for_room_and_then_expires(subject: Subject) {
    let Subject { layer, metrics, .. } = &subject;
    let mut lasting = message(0);
    lasting.expires_after = Some(Duration::from_secs(1_000));
    layer.send(&channel("small.a"), lasting).await.unwrap();
    layer.send_later(&channel("small.a"), message(1), Duration::from_secs(1)).await.unwrap();
    let other = Reader::of(&["other"]);
    subject.clock.advance(Duration::from_secs(2)).await;
    assert!(other.ready(&subject).await.is_empty());
    assert_eq!(layer.statistics().await.unwrap().delayed, 1, "it waits for room");
    subject.clock.advance(Duration::from_secs(61)).await;
    assert!(other.ready(&subject).await.is_empty());
    assert_eq!((layer.statistics().await.unwrap().delayed, metrics.dropped_count("full")), (0, 1));
}

pub(super) async fn a_group_message_reaches_members_once_each(subject: Subject) {
    let Subject { layer, .. } = &subject;
    for name in ["a", "b", "a"] {
        layer.group_add(&group("g"), &channel(name)).await.unwrap();
    }
    layer.group_add(&group("other"), &channel("c")).await.unwrap();
    let sent = layer.group_send(&group("g"), content(1), id()).await.unwrap();
    assert_eq!(sent, GroupSent { reached: 2, missed: 0 });
    for (name, expected) in [("a", &[1][..]), ("b", &[1]), ("c", &[])] {
        assert_eq!(numbers(&Reader::of(&[name]), &subject).await, expected, "{name}");
    }
    let nobody = layer.group_send(&group("empty"), content(1), id()).await.unwrap();
    assert_eq!(nobody, GroupSent::default());
}

pub(super) async fn leaving_a_group_ends_it_and_is_idempotent(subject: Subject) {
    let Subject { layer, .. } = &subject;
    layer.group_add(&group("g"), &channel("a")).await.unwrap();
    layer.group_discard(&group("g"), &channel("a")).await.unwrap();
    layer.group_discard(&group("g"), &channel("a")).await.unwrap();
    layer.group_discard(&group("never"), &channel("a")).await.unwrap();
    let sent = layer.group_send(&group("g"), content(1), id()).await.unwrap();
    assert_eq!((sent.reached, layer.statistics().await.unwrap().groups), (0, 0));
}

pub(super) async fn a_membership_expires_unless_renewed(subject: Subject) {
    let Subject { layer, .. } = &subject;
    layer.group_add(&group("g"), &channel("a")).await.unwrap();
    layer.group_add(&group("g"), &channel("b")).await.unwrap();
    subject.clock.advance(Duration::from_secs(400)).await;
    layer.group_add(&group("g"), &channel("a")).await.unwrap();
    subject.clock.advance(Duration::from_secs(400)).await;
    let sent = layer.group_send(&group("g"), content(1), id()).await.unwrap();
    assert_eq!(sent.reached, 1);
    assert_eq!(numbers(&Reader::of(&["a"]), &subject).await, [1]);
}

pub(super) async fn a_full_member_misses_a_group_message_and_the_sender_is_told(subject: Subject) {
    let Subject { layer, metrics, .. } = &subject;
    layer.group_add(&group("g"), &channel("small.a")).await.unwrap();
    layer.group_add(&group("g"), &channel("b")).await.unwrap();
    layer.send(&channel("small.a"), message(0)).await.unwrap();
    let sent = layer.group_send(&group("g"), content(1), id()).await.unwrap();
    assert_eq!(sent, GroupSent { reached: 1, missed: 1 });
    assert_eq!(metrics.dropped_count("group_full"), 1);
}

fn connection(node: &NodeName) -> (ChannelName, LocalName) {
    let local = LocalName::random();
    (ChannelName::of_connection(node, &local), local)
}

pub(super) async fn group_messages_to_connections_come_as_one_entry_for_a_node(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let node = NodeName::random();
    layer.open_inbox(&node).await.unwrap();
    let mut members = HashSet::new();
    for _ in 0..3 {
        let (channel, local) = connection(&node);
        layer.group_add(&group("g"), &channel).await.unwrap();
        members.insert(local);
    }
    let sent = layer.group_send(&group("g"), content(1), id()).await.unwrap();
    assert_eq!(sent, GroupSent { reached: 1, missed: 0 });
    let entries = layer.read_inbox(&node).await.unwrap();
    // First that they joined, so that the node can say who is over.
    let [joined @ .., InboxEntry::Message { to, from_group: true, .. }] = &entries[..] else {
        panic!("{entries:?}")
    };
    let is_member =
        |entry: &InboxEntry| matches!(entry, InboxEntry::Joined(local) if members.contains(local));
    assert!(joined.len() == 3 && joined.iter().all(is_member), "{joined:?}");
    assert_eq!(to.iter().cloned().collect::<HashSet<_>>(), members);
}

pub(super) async fn a_message_to_a_connection_arrives_in_the_inbox_in_order(subject: Subject) {
    let Subject { layer, metrics, .. } = &subject;
    let node = NodeName::random();
    let (channel, local) = connection(&node);
    layer.send(&channel, message(0)).await.unwrap();
    assert_eq!(metrics.dropped_count("connection_gone"), 1, "nobody knows the node yet");
    layer.open_inbox(&node).await.unwrap();
    for number in 1..=10 {
        layer.send(&channel, message(number)).await.unwrap();
    }
    layer.send_later(&channel, message(11), Duration::from_secs(1)).await.unwrap();
    let mut got = Vec::new();
    while got.len() < 11 {
        for entry in layer.read_inbox(&node).await.unwrap() {
            let InboxEntry::Message { to, content, from_group: false, .. } = entry else {
                panic!("{entry:?}")
            };
            assert_eq!(to, std::slice::from_ref(&local));
            got.push(*content.as_bytes().last().unwrap());
        }
    }
    assert_eq!(got, (1..=11).collect::<Vec<_>>());
}

pub(super) async fn an_inbox_is_bounded_in_bytes_and_done_marks_always_fit(subject: Subject) {
    let Subject { layer, metrics, .. } = &subject;
    let node = NodeName::random();
    let (channel, local) = connection(&node);
    layer.open_inbox(&node).await.unwrap();
    for _ in 0..3 {
        let large = Message::custom(content_of(800), id());
        layer.send(&channel, large).await.unwrap();
    }
    assert_eq!(metrics.dropped_count("inbox_full"), 1);
    let done = Done { outcome: Outcome::Ok, state: None, version: 1 };
    let replies = vec![Reply::StreamChunk(Bytes::from_static(&[0; 500]))];
    let answer = Answer { to: local, order: 7, replies, done: Some(done) };
    layer.answer(&node, answer).await.unwrap();
    let entries = layer.read_inbox(&node).await.unwrap();
    let Some(InboxEntry::Answer(answer)) = entries.last() else { panic!("{entries:?}") };
    assert_eq!((entries.len(), answer.order, answer.replies.len()), (3, 7, 1), "room of its own");
    let replies = vec![Reply::StreamChunk(Bytes::from_static(&[0; 1_500])); 2];
    let done = Some(Done { outcome: Outcome::Ok, state: None, version: 1 });
    let to = answer.to.clone();
    layer.answer(&node, Answer { to, order: 8, replies, done }).await.unwrap();
    let entries = layer.read_inbox(&node).await.unwrap();
    let Some(InboxEntry::Answer(answer)) = entries.last() else { panic!("{entries:?}") };
    assert!(answer.replies.is_empty());
    assert_eq!(answer.done.as_ref().unwrap().outcome, Outcome::AnswerLost);
    let room = async {
        let mut dropped = metrics.dropped_count("inbox_full");
        loop {
            layer.send(&channel, Message::custom(content_of(800), id())).await.unwrap();
            layer.send(&channel, Message::custom(content_of(800), id())).await.unwrap();
            let now = metrics.dropped_count("inbox_full");
            if now == dropped {
                break layer.read_inbox(&node).await.unwrap().len();
            }
            dropped = now;
        }
    };
    assert_eq!(timeout(Duration::from_secs(9), room).await, Ok(2), "reading makes room");
}

pub(super) async fn a_closed_inbox_takes_its_memberships_along(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let (gone, stays) = (NodeName::random(), NodeName::random());
    for node in [&gone, &stays] {
        layer.open_inbox(node).await.unwrap();
        layer.group_add(&group("g"), &connection(node).0).await.unwrap();
    }
    layer.close_inbox(&gone).await;
    let sent = layer.group_send(&group("g"), content(1), id()).await.unwrap();
    assert_eq!(sent, GroupSent { reached: 1, missed: 0 });
    assert!(layer.read_inbox(&gone).await.is_err());
    layer.group_add(&group("g"), &connection(&gone).0).await.unwrap();
    let sent = layer.group_send(&group("g"), content(1), id()).await.unwrap();
    assert_eq!(sent.reached, 1, "a node that nobody knows gets no members");
}

pub(super) async fn leaving_all_groups_at_once(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let node = NodeName::random();
    layer.open_inbox(&node).await.unwrap();
    let (one, two) = (connection(&node).0, connection(&node).0);
    for name in ["g", "h"] {
        layer.group_add(&group(name), &one).await.unwrap();
    }
    layer.group_add(&group("g"), &two).await.unwrap();
    // A node learns of joins by reading.
    assert_eq!(layer.read_inbox(&node).await.unwrap().len(), 3);
    layer.leave_all(&one).await.unwrap();
    layer.leave_all(&one).await.unwrap();
    assert_eq!(layer.statistics().await.unwrap().groups, 1);
    let sent = layer.group_send(&group("g"), content(1), id()).await.unwrap();
    assert_eq!(sent.reached, 1);
}

pub(super) async fn room_is_told_when_a_full_channel_is_read(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let small = channel("small.a");
    layer.send(&small, message(1)).await.unwrap();
    let waiting = layer.room(&small);
    tokio::pin!(waiting);
    assert!(timeout(Duration::from_nanos(1), waiting.as_mut()).await.is_err());
    Reader::of(&["small.a"]).next(layer).await;
    timeout(Duration::from_secs(1), waiting).await.unwrap();
}

pub(super) async fn statistics_tell_depth_and_age(subject: Subject) {
    let Subject { layer, .. } = &subject;
    layer.send(&channel("a"), message(1)).await.unwrap();
    subject.clock.advance(Duration::from_secs(3)).await;
    layer.send(&channel("a"), message(2)).await.unwrap();
    layer.send_later(&channel("b"), message(3), Duration::from_secs(9)).await.unwrap();
    let statistics = layer.statistics().await.unwrap();
    let [(name, (depth, age))] = statistics.channels.iter().collect::<Vec<_>>()[..] else {
        panic!("{statistics:?}")
    };
    let seconds = Duration::from_secs(3)..Duration::from_secs(5);
    assert!((name.as_str(), *depth) == ("a", 2) && seconds.contains(age), "{statistics:?}");
    assert_eq!(statistics.delayed, 1);
    assert_eq!(numbers(&Reader::of(&["a"]), &subject).await, [1, 2]);
    assert_eq!(
        layer.statistics().await.unwrap().channels.len(),
        0,
        "an empty channel leaves nothing"
    );
}

pub(super) async fn a_connection_is_a_member_of_so_many_groups_and_a_named_channel_of_any_number(
    subject: Subject,
) {
    let Subject { layer, metrics, .. } = &subject;
    let node = NodeName::random();
    layer.open_inbox(&node).await.unwrap();
    let connection = ChannelName::of_connection(&node, &LocalName::random());
    let named = channel("named");
    let group = |number: u32| GroupName::parse(&format!("group.{number}")).unwrap();
    for number in 0..3 {
        layer.group_add(&group(number), &connection).await.unwrap();
        layer.group_add(&group(number), &named).await.unwrap();
    }
    layer.group_add(&group(0), &connection).await.unwrap();
    layer.group_add(&group(3), &named).await.unwrap();
    // Whoever does not know what the node knows is not told, and the node leaves it out.
    match layer.group_add(&group(3), &connection).await {
        Err(refused) => assert_eq!(refused, SendError::TooManyGroups { limit: 3 }),
        Ok(()) => {
            assert_eq!(layer.read_inbox(&node).await.unwrap().len(), 4);
            assert_eq!(metrics.dropped_count("too_many_groups"), 1);
        }
    }
    let sent = layer.group_send(&group(3), content(1), id()).await.unwrap();
    assert_eq!(sent.reached, 1, "only the named channel");
    layer.group_discard(&group(1), &connection).await.unwrap();
    layer.group_add(&group(3), &connection).await.unwrap();
    let sent = layer.group_send(&group(3), content(1), id()).await.unwrap();
    assert_eq!(sent.reached, 2);
}

fn lasting_reader(subject: &Subject) -> Reader {
    let mut reader = Reader::of(&["a"]);
    let lasting = Lasting { retries: 1, lease: Duration::from_secs(30) };
    reader.lasting = Arc::new(HashMap::from([(channel("a"), lasting)]));
    assert!(subject.clock.patience() < lasting.lease);
    reader
}

async fn take(reader: &Reader, layer: &Arc<dyn ChannelLayer>) -> (u8, Receipt) {
    let received = layer.receive(&reader.demand()).await.unwrap().remove(0);
    let receipt = received.receipt.clone().unwrap();
    (numbered(received).1, receipt)
}

pub(super) async fn a_message_that_is_done_does_not_come_again(subject: Subject) {
    let Subject { layer, metrics, .. } = &subject;
    let reader = lasting_reader(&subject);
    layer.send(&channel("a"), message(1)).await.unwrap();
    let (number, receipt) = take(&reader, layer).await;
    assert_eq!((number, receipt.attempt, receipt.retries), (1, 0, 1));
    layer.settle(&channel("a"), &receipt, Settled::Done).await.unwrap();
    subject.clock.advance(Duration::from_secs(100)).await;
    assert!(reader.ready(&subject).await.is_empty());
    assert_eq!(metrics.messages_redelivered.get(), 0);
}

pub(super) async fn a_message_that_failed_comes_again_after_its_pause_and_then_goes_to_the_dead(
    subject: Subject,
) {
    let Subject { layer, metrics, .. } = &subject;
    let reader = lasting_reader(&subject);
    layer.send(&channel("a"), message(1)).await.unwrap();
    let (_, receipt) = take(&reader, layer).await;
    let pause = Duration::from_secs(20);
    layer.settle(&channel("a"), &receipt, Settled::Again(pause)).await.unwrap();
    assert!(reader.ready(&subject).await.is_empty(), "it has a pause");
    subject.clock.advance(pause).await;
    let (number, receipt) = take(&reader, layer).await;
    assert_eq!((number, receipt.attempt), (1, 1));
    layer.settle(&channel("a"), &receipt, Settled::Dead).await.unwrap();
    // A receipt is good once.
    layer.settle(&channel("a"), &receipt, Settled::Again(Duration::ZERO)).await.unwrap();
    assert_eq!(numbers(&Reader::of(&["a.dead"]), &subject).await, [1]);
    assert!(reader.ready(&subject).await.is_empty());
    let counted = (metrics.messages_redelivered.get(), metrics.messages_dead_lettered.get());
    assert_eq!(counted, (1, 1));
}

pub(super) async fn a_message_whose_worker_is_gone_comes_again(subject: Subject) {
    let Subject { layer, metrics, .. } = &subject;
    let reader = lasting_reader(&subject);
    layer.send(&channel("a"), message(1)).await.unwrap();
    let (_, gone) = take(&reader, layer).await;
    subject.clock.advance(Duration::from_secs(30)).await;
    let (number, receipt) = take(&reader, layer).await;
    assert_eq!((number, receipt.attempt), (1, 1));
    // Whoever was thought gone has nothing to say any more.
    layer.settle(&channel("a"), &gone, Settled::Done).await.unwrap();
    subject.clock.advance(Duration::from_secs(30)).await;
    assert!(reader.ready(&subject).await.is_empty(), "it was run as often as may be");
    assert_eq!(numbers(&Reader::of(&["a.dead"]), &subject).await, [1]);
    let counted = (metrics.messages_redelivered.get(), metrics.messages_dead_lettered.get());
    assert_eq!(counted, (1, 1));
}

pub(super) async fn a_lasting_message_outlives_the_usual_expiry(subject: Subject) {
    let Subject { layer, metrics, .. } = &subject;
    let reader = lasting_reader(&subject);
    // The layer learns which channels are lasting from whoever reads them.
    assert!(reader.ready(&subject).await.is_empty());
    layer.send(&channel("a"), message(1)).await.unwrap();
    subject.clock.advance(Duration::from_secs(3_600)).await;
    assert_eq!(take(&reader, layer).await.0, 1);
    assert_eq!(metrics.dropped_count("expired"), 0);
}
