//! What every channel layer must do. A backend runs all of it with [`conformance_tests`].
//!
//! The cases are those of asgiref's suite and what it left open: order, concurrent readers, fairness,
//! exact expiry, renewal of memberships, the longest names, the largest message, sending later.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Instant, advance, timeout};

use super::{Capacities, ChannelLayer, Demand, GroupSent, LayerConfig, SendError};
use crate::message::{
    Answer, ChannelName, Content, CorrelationId, Done, GroupName, InboxEntry, LocalName, Message,
    ModuleName, NodeName, Outcome, Payload, Reply,
};

/// A layer under test, and what it counted as lost.
pub(super) struct Subject {
    pub(super) layer: Arc<dyn ChannelLayer>,
    pub(super) metrics: Arc<crate::telemetry::Metrics>,
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

/// Makes a test of each case, with a paused clock.
macro_rules! conformance_tests {
    ($make:expr) => {
        $crate::layer::conformance::conformance_tests! {
            $make;
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
            the_module_that_holds_fewest_is_served_first
            a_module_at_its_ceiling_is_left_out
            names_of_99_bytes_carry_messages
            the_largest_message_passes_and_one_byte_more_does_not
            a_later_message_comes_neither_early_nor_twice
            later_messages_come_in_order_of_their_time
            too_many_later_messages_are_refused
            a_later_message_waits_for_room_and_then_expires
            all_messages_together_are_bounded_in_bytes
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
        }
    };
    ($make:expr; $($case:ident)*) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $case() {
                $crate::layer::conformance::$case($make).await;
            }
        )*
    };
}
pub(super) use conformance_tests;

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
    owners: HashMap<ChannelName, ModuleName>,
    held: HashMap<ModuleName, usize>,
    max: usize,
    ceiling: usize,
}

impl Reader {
    fn of(channels: &[&str]) -> Self {
        let owned = channels.iter().enumerate();
        let module = |at: usize| ModuleName::parse(&format!("module-{at}")).unwrap();
        let owners = owned.map(|(at, name)| (channel(name), module(at))).collect();
        Self { owners, held: HashMap::new(), max: 1, ceiling: 100 }
    }

    fn demand(&self) -> Demand<'_> {
        Demand {
            max: self.max,
            owners: &self.owners,
            held: self.held.clone(),
            ceiling: self.ceiling,
        }
    }

    /// What there is now; nothing is waited for.
    async fn ready(&self, layer: &dyn ChannelLayer) -> Vec<(String, u8)> {
        let demand = self.demand();
        // The clock is paused: it moves on only when nothing else can happen.
        match timeout(Duration::from_nanos(1), layer.receive(&demand)).await {
            Ok(received) => received.unwrap().into_iter().map(numbered).collect(),
            Err(_) => Vec::new(),
        }
    }

    async fn next(&self, layer: &dyn ChannelLayer) -> (String, u8) {
        numbered(layer.receive(&self.demand()).await.unwrap().remove(0))
    }
}

fn numbered(received: super::Received) -> (String, u8) {
    let Payload::Custom(content) = received.message.payload else { panic!("no event was sent") };
    (received.channel.to_string(), *content.as_bytes().last().unwrap())
}

async fn numbers(reader: &Reader, layer: &dyn ChannelLayer) -> Vec<u8> {
    let mut numbers = Vec::new();
    loop {
        match &reader.ready(layer).await[..] {
            [] => return numbers,
            received => numbers.extend(received.iter().map(|(_, number)| *number)),
        }
    }
}

pub(super) async fn a_message_is_received_once_and_in_order(Subject { layer, .. }: Subject) {
    let reader = Reader::of(&["a"]);
    for number in 0..5 {
        layer.send(&channel("a"), message(number)).await.unwrap();
    }
    assert_eq!(numbers(&reader, &*layer).await, [0, 1, 2, 3, 4]);
    assert!(numbers(&reader, &*layer).await.is_empty());
}

pub(super) async fn a_reader_of_many_channels_gets_each_message_with_its_channel(
    Subject { layer, .. }: Subject,
) {
    let mut reader = Reader::of(&["a", "b"]);
    reader.max = 10;
    layer.send(&channel("a"), message(1)).await.unwrap();
    layer.send(&channel("b"), message(2)).await.unwrap();
    layer.send(&channel("c"), message(3)).await.unwrap();
    let mut got = reader.ready(&*layer).await;
    got.sort();
    assert_eq!(got, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    assert_eq!(Reader::of(&["c"]).ready(&*layer).await.len(), 1);
}

pub(super) async fn content_comes_out_as_it_went_in(Subject { layer, .. }: Subject) {
    let bytes = b"\x83\xa1s\xa2\xc2\xa3\xa1b\xc4\x04\x01\x00\x03\x21\xa1n\x81\xa1l\x93\x01\xc0\xc3";
    let sent = Content::parse(Bytes::from_static(bytes)).unwrap();
    layer.send(&channel("a"), Message::custom(sent.clone(), id())).await.unwrap();
    let reader = Reader::of(&["a"]);
    let received = layer.receive(&reader.demand()).await.unwrap().remove(0);
    assert!(matches!(received.message.payload, Payload::Custom(got) if got == sent));
}

pub(super) async fn a_full_channel_refuses_and_takes_again_when_read(
    Subject { layer, .. }: Subject,
) {
    for number in 0..5 {
        layer.send(&channel("a"), message(number)).await.unwrap();
    }
    let full = layer.send(&channel("a"), message(5)).await;
    assert_eq!(full, Err(SendError::ChannelFull(channel("a"))));
    layer.send(&channel("b"), message(0)).await.unwrap();
    let reader = Reader::of(&["a"]);
    reader.next(&*layer).await;
    layer.send(&channel("a"), message(6)).await.unwrap();
    assert_eq!(numbers(&reader, &*layer).await, [1, 2, 3, 4, 6]);
}

pub(super) async fn capacities_go_by_pattern(Subject { layer, .. }: Subject) {
    layer.send(&channel("small.a"), message(0)).await.unwrap();
    let full = layer.send(&channel("small.a"), message(1)).await;
    assert_eq!(full, Err(SendError::ChannelFull(channel("small.a"))));
}

pub(super) async fn a_message_expires_exactly_and_is_counted(Subject { layer, metrics }: Subject) {
    let reader = Reader::of(&["a"]);
    layer.send(&channel("a"), message(1)).await.unwrap();
    advance(Duration::from_millis(59_999)).await;
    assert_eq!(numbers(&reader, &*layer).await, [1], "it is not over yet");
    layer.send(&channel("a"), message(2)).await.unwrap();
    advance(Duration::from_secs(60)).await;
    assert!(numbers(&reader, &*layer).await.is_empty());
    assert_eq!(metrics.dropped_count("expired"), 1);
}

pub(super) async fn an_expired_message_makes_room(Subject { layer, metrics }: Subject) {
    layer.send(&channel("small.a"), message(1)).await.unwrap();
    advance(Duration::from_secs(60)).await;
    layer.send(&channel("small.a"), message(2)).await.unwrap();
    assert_eq!(numbers(&Reader::of(&["small.a"]), &*layer).await, [2]);
    assert_eq!(metrics.dropped_count("expired"), 1);
}

pub(super) async fn a_message_may_say_how_long_it_waits(Subject { layer, .. }: Subject) {
    let mut brief = message(1);
    brief.expires_after = Some(Duration::from_secs(1));
    layer.send(&channel("a"), brief).await.unwrap();
    layer.send(&channel("a"), message(2)).await.unwrap();
    advance(Duration::from_secs(1)).await;
    assert_eq!(numbers(&Reader::of(&["a"]), &*layer).await, [2]);
}

pub(super) async fn concurrent_readers_lose_and_double_nothing(Subject { layer, .. }: Subject) {
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let layer = Arc::clone(&layer);
        readers.spawn(async move {
            let (reader, mut got) = (Reader::of(&["a", "b"]), Vec::new());
            while let Ok(next) = timeout(Duration::from_secs(5), reader.next(&*layer)).await {
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

pub(super) async fn a_cancelled_receive_loses_nothing(Subject { layer, .. }: Subject) {
    let reader = Reader::of(&["a"]);
    for _ in 0..3 {
        assert!(reader.ready(&*layer).await.is_empty());
    }
    layer.send(&channel("a"), message(1)).await.unwrap();
    assert_eq!(numbers(&reader, &*layer).await, [1]);
}

pub(super) async fn a_busy_channel_does_not_starve_a_quiet_one(Subject { layer, .. }: Subject) {
    let reader = Reader::of(&["busy", "quiet"]);
    for number in 0..5 {
        layer.send(&channel("busy"), message(number)).await.unwrap();
    }
    layer.send(&channel("quiet"), message(9)).await.unwrap();
    let first = [reader.next(&*layer).await.0, reader.next(&*layer).await.0];
    assert!(first.contains(&"quiet".to_owned()), "{first:?}");
}

pub(super) async fn the_module_that_holds_fewest_is_served_first(Subject { layer, .. }: Subject) {
    let mut reader = Reader::of(&["a", "b"]);
    reader.held = HashMap::from([(ModuleName::parse("module-0").unwrap(), 2)]);
    reader.max = 4;
    for number in 0..3 {
        layer.send(&channel("a"), message(number)).await.unwrap();
        layer.send(&channel("b"), message(number)).await.unwrap();
    }
    let got = reader.ready(&*layer).await;
    let of_b = got.iter().filter(|(name, _)| name == "b").count();
    // The messages taken count, too: two of b until both hold two, then one of each.
    assert_eq!((got.len(), of_b), (4, 3), "{got:?}");
}

pub(super) async fn a_module_at_its_ceiling_is_left_out(Subject { layer, .. }: Subject) {
    let mut reader = Reader::of(&["a", "b"]);
    (reader.max, reader.ceiling) = (10, 2);
    for number in 0..4 {
        layer.send(&channel("a"), message(number)).await.unwrap();
    }
    layer.send(&channel("b"), message(9)).await.unwrap();
    let mut got = reader.ready(&*layer).await;
    got.sort();
    assert_eq!(got, [("a".to_owned(), 0), ("a".to_owned(), 1), ("b".to_owned(), 9)]);
    reader.held = HashMap::from([(ModuleName::parse("module-0").unwrap(), 2)]);
    assert!(reader.ready(&*layer).await.is_empty(), "it holds what it may");
}

pub(super) async fn names_of_99_bytes_carry_messages(Subject { layer, .. }: Subject) {
    let name = "n".repeat(99);
    layer.send(&channel(&name), message(1)).await.unwrap();
    assert_eq!(Reader::of(&[&name]).next(&*layer).await, (name.clone(), 1));
    layer.group_add(&group(&name), &channel(&name)).await.unwrap();
    layer.group_send(&group(&name), content(2), id()).await.unwrap();
    assert_eq!(Reader::of(&[&name]).next(&*layer).await, (name, 2));
}

pub(super) async fn the_largest_message_passes_and_one_byte_more_does_not(
    Subject { layer, .. }: Subject,
) {
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

pub(super) async fn a_later_message_comes_neither_early_nor_twice(Subject { layer, .. }: Subject) {
    let reader = Reader::of(&["a"]);
    let delay = Duration::from_secs(10);
    let sent = Instant::now();
    layer.send_later(&channel("a"), message(1), delay).await.unwrap();
    advance(Duration::from_millis(9_900)).await;
    assert!(reader.ready(&*layer).await.is_empty());
    assert_eq!(reader.next(&*layer).await.1, 1);
    let waited = sent.elapsed();
    assert!(waited >= delay && waited <= delay + Duration::from_millis(2), "{waited:?}");
    advance(delay * 3).await;
    assert!(reader.ready(&*layer).await.is_empty());
}

pub(super) async fn later_messages_come_in_order_of_their_time(Subject { layer, .. }: Subject) {
    for (number, seconds) in [(3, 30), (1, 10), (2, 20)] {
        let delay = Duration::from_secs(seconds);
        layer.send_later(&channel("a"), message(number), delay).await.unwrap();
    }
    let reader = Reader::of(&["a"]);
    for number in 1..=3 {
        assert_eq!(reader.next(&*layer).await.1, number);
    }
}

pub(super) async fn too_many_later_messages_are_refused(Subject { layer, .. }: Subject) {
    let delay = Duration::from_secs(1);
    for number in 0..10 {
        layer.send_later(&channel("a"), message(number), delay).await.unwrap();
    }
    let refused = layer.send_later(&channel("a"), message(10), delay).await;
    assert_eq!(refused, Err(SendError::TooManyDelayed { limit: 10 }));
}

pub(super) async fn a_later_message_waits_for_room_and_then_expires(
    Subject { layer, metrics }: Subject,
) {
    let mut lasting = message(0);
    lasting.expires_after = Some(Duration::from_secs(1_000));
    layer.send(&channel("small.a"), lasting).await.unwrap();
    layer.send_later(&channel("small.a"), message(1), Duration::from_secs(1)).await.unwrap();
    let other = Reader::of(&["other"]);
    for _ in 0..30 {
        advance(Duration::from_secs(1)).await;
        assert!(other.ready(&*layer).await.is_empty());
    }
    assert_eq!(layer.statistics().delayed, 1, "it waits for room");
    for _ in 0..40 {
        advance(Duration::from_secs(1)).await;
        assert!(other.ready(&*layer).await.is_empty());
    }
    assert_eq!((layer.statistics().delayed, metrics.dropped_count("full")), (0, 1));
}

pub(super) async fn all_messages_together_are_bounded_in_bytes(Subject { layer, .. }: Subject) {
    let large = || Message::custom(content_of(1_000), id());
    for name in ["a", "b", "c"] {
        layer.send(&channel(name), large()).await.unwrap();
    }
    layer.send_later(&channel("d"), large(), Duration::from_secs(1)).await.unwrap();
    let full = layer.send(&channel("e"), message(1)).await;
    assert_eq!(full, Err(SendError::ChannelFull(channel("e"))));
    assert!(layer.send_later(&channel("e"), message(1), Duration::from_secs(1)).await.is_err());
    let demand = Reader::of(&["a"]);
    layer.receive(&demand.demand()).await.unwrap();
    layer.send(&channel("e"), large()).await.unwrap();
    assert!(layer.send(&channel("e"), message(1)).await.is_err());
}

pub(super) async fn a_group_message_reaches_members_once_each(Subject { layer, .. }: Subject) {
    for name in ["a", "b", "a"] {
        layer.group_add(&group("g"), &channel(name)).await.unwrap();
    }
    layer.group_add(&group("other"), &channel("c")).await.unwrap();
    let sent = layer.group_send(&group("g"), content(1), id()).await.unwrap();
    assert_eq!(sent, GroupSent { delivered: 2, dropped: 0 });
    for (name, expected) in [("a", &[1][..]), ("b", &[1]), ("c", &[])] {
        assert_eq!(numbers(&Reader::of(&[name]), &*layer).await, expected, "{name}");
    }
    let nobody = layer.group_send(&group("empty"), content(1), id()).await.unwrap();
    assert_eq!(nobody, GroupSent::default());
}

pub(super) async fn leaving_a_group_ends_it_and_is_idempotent(Subject { layer, .. }: Subject) {
    layer.group_add(&group("g"), &channel("a")).await.unwrap();
    layer.group_discard(&group("g"), &channel("a")).await.unwrap();
    layer.group_discard(&group("g"), &channel("a")).await.unwrap();
    layer.group_discard(&group("never"), &channel("a")).await.unwrap();
    let sent = layer.group_send(&group("g"), content(1), id()).await.unwrap();
    assert_eq!((sent.delivered, layer.statistics().groups), (0, 0));
}

pub(super) async fn a_membership_expires_unless_renewed(Subject { layer, .. }: Subject) {
    layer.group_add(&group("g"), &channel("a")).await.unwrap();
    layer.group_add(&group("g"), &channel("b")).await.unwrap();
    advance(Duration::from_secs(400)).await;
    layer.group_add(&group("g"), &channel("a")).await.unwrap();
    advance(Duration::from_secs(400)).await;
    let sent = layer.group_send(&group("g"), content(1), id()).await.unwrap();
    assert_eq!(sent.delivered, 1);
    assert_eq!(numbers(&Reader::of(&["a"]), &*layer).await, [1]);
}

pub(super) async fn a_full_member_misses_a_group_message_and_the_sender_is_told(
    Subject { layer, metrics }: Subject,
) {
    layer.group_add(&group("g"), &channel("small.a")).await.unwrap();
    layer.group_add(&group("g"), &channel("b")).await.unwrap();
    layer.send(&channel("small.a"), message(0)).await.unwrap();
    let sent = layer.group_send(&group("g"), content(1), id()).await.unwrap();
    assert_eq!(sent, GroupSent { delivered: 1, dropped: 1 });
    assert_eq!(metrics.dropped_count("group_full"), 1);
}

fn connection(node: &NodeName) -> (ChannelName, LocalName) {
    let local = LocalName::random();
    (ChannelName::of_connection(node, &local), local)
}

pub(super) async fn group_messages_to_connections_come_as_one_entry_for_a_node(
    Subject { layer, .. }: Subject,
) {
    let node = NodeName::random();
    layer.open_inbox(&node).await.unwrap();
    let mut members = HashSet::new();
    for _ in 0..3 {
        let (channel, local) = connection(&node);
        layer.group_add(&group("g"), &channel).await.unwrap();
        members.insert(local);
    }
    let sent = layer.group_send(&group("g"), content(1), id()).await.unwrap();
    assert_eq!(sent, GroupSent { delivered: 3, dropped: 0 });
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

pub(super) async fn a_message_to_a_connection_arrives_in_the_inbox_in_order(
    Subject { layer, metrics }: Subject,
) {
    let node = NodeName::random();
    let (channel, local) = connection(&node);
    layer.send(&channel, message(0)).await.unwrap();
    assert_eq!(metrics.dropped_count("connection_gone"), 1, "nobody knows the node yet");
    layer.open_inbox(&node).await.unwrap();
    for number in 1..=20 {
        layer.send(&channel, message(number)).await.unwrap();
    }
    layer.send_later(&channel, message(21), Duration::from_secs(1)).await.unwrap();
    let mut got = Vec::new();
    while got.len() < 21 {
        for entry in layer.read_inbox(&node).await.unwrap() {
            let InboxEntry::Message { to, content, from_group: false, .. } = entry else {
                panic!("{entry:?}")
            };
            assert_eq!(to, std::slice::from_ref(&local));
            got.push(*content.as_bytes().last().unwrap());
        }
    }
    assert_eq!(got, (1..=21).collect::<Vec<_>>());
}

pub(super) async fn an_inbox_is_bounded_in_bytes_and_done_marks_always_fit(
    Subject { layer, metrics }: Subject,
) {
    let node = NodeName::random();
    let (channel, local) = connection(&node);
    layer.open_inbox(&node).await.unwrap();
    for _ in 0..3 {
        let large = Message::custom(content_of(900), id());
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
    layer.send(&channel, message(1)).await.unwrap();
    assert_eq!(layer.read_inbox(&node).await.unwrap().len(), 1, "reading makes room");
}

pub(super) async fn a_closed_inbox_takes_its_memberships_along(Subject { layer, .. }: Subject) {
    let (gone, stays) = (NodeName::random(), NodeName::random());
    for node in [&gone, &stays] {
        layer.open_inbox(node).await.unwrap();
        layer.group_add(&group("g"), &connection(node).0).await.unwrap();
    }
    layer.close_inbox(&gone).await;
    let sent = layer.group_send(&group("g"), content(1), id()).await.unwrap();
    assert_eq!(sent, GroupSent { delivered: 1, dropped: 0 });
    assert!(layer.read_inbox(&gone).await.is_err());
    layer.group_add(&group("g"), &connection(&gone).0).await.unwrap();
    let sent = layer.group_send(&group("g"), content(1), id()).await.unwrap();
    assert_eq!(sent.delivered, 1, "a node that nobody knows gets no members");
}

pub(super) async fn leaving_all_groups_at_once(Subject { layer, .. }: Subject) {
    let node = NodeName::random();
    layer.open_inbox(&node).await.unwrap();
    let (one, two) = (connection(&node).0, connection(&node).0);
    for name in ["g", "h"] {
        layer.group_add(&group(name), &one).await.unwrap();
    }
    layer.group_add(&group("g"), &two).await.unwrap();
    layer.leave_all(&one).await.unwrap();
    layer.leave_all(&one).await.unwrap();
    assert_eq!(layer.statistics().groups, 1);
    let sent = layer.group_send(&group("g"), content(1), id()).await.unwrap();
    assert_eq!(sent.delivered, 1);
}

pub(super) async fn room_is_told_when_a_full_channel_is_read(Subject { layer, .. }: Subject) {
    let small = channel("small.a");
    layer.send(&small, message(1)).await.unwrap();
    let waiting = layer.room(&small);
    tokio::pin!(waiting);
    assert!(timeout(Duration::from_nanos(1), waiting.as_mut()).await.is_err());
    Reader::of(&["small.a"]).next(&*layer).await;
    timeout(Duration::from_secs(1), waiting).await.unwrap();
}

pub(super) async fn statistics_tell_depth_and_age(Subject { layer, .. }: Subject) {
    layer.send(&channel("a"), message(1)).await.unwrap();
    advance(Duration::from_secs(3)).await;
    layer.send(&channel("a"), message(2)).await.unwrap();
    layer.send_later(&channel("b"), message(3), Duration::from_secs(9)).await.unwrap();
    let statistics = layer.statistics();
    assert_eq!(statistics.channels, HashMap::from([(channel("a"), (2, Duration::from_secs(3)))]));
    assert_eq!(statistics.delayed, 1);
    assert_eq!(numbers(&Reader::of(&["a"]), &*layer).await, [1, 2]);
    assert_eq!(layer.statistics().channels.len(), 0, "an empty channel leaves nothing");
}

pub(super) async fn a_connection_is_a_member_of_so_many_groups_and_a_named_channel_of_any_number(
    Subject { layer, .. }: Subject,
) {
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
    let refused = layer.group_add(&group(3), &connection).await;
    assert_eq!(refused, Err(SendError::TooManyGroups { limit: 3 }));
    layer.group_discard(&group(1), &connection).await.unwrap();
    layer.group_add(&group(3), &connection).await.unwrap();
}
