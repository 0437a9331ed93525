//! Channels: order, room, expiry, and who is served first.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::time::timeout;

use super::{Reader, Subject, channel, content, content_of, group, id, message, numbered, numbers};
use crate::{
    layer::SendError,
    message::{Content, Message, ModuleName, Payload},
    telemetry::DropReason,
};

pub(in super::super) async fn a_message_is_received_once_and_in_order(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let reader = Reader::of(&["a"]);
    for number in 0..5 {
        layer.send(&channel("a"), message(number)).await.unwrap();
    }
    assert_eq!(numbers(&reader, &subject).await, [0, 1, 2, 3, 4]);
    assert!(numbers(&reader, &subject).await.is_empty());
}

pub(in super::super) async fn a_reader_of_many_channels_gets_each_message_with_its_channel(
    subject: Subject,
) {
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

pub(in super::super) async fn content_comes_out_as_it_went_in(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let bytes = b"\x83\xa1s\xa2\xc2\xa3\xa1b\xc4\x04\x01\x00\x03\x21\xa1n\x81\xa1l\x93\x01\xc0\xc3";
    let sent = Content::parse(Bytes::from_static(bytes)).unwrap();
    layer.send(&channel("a"), Message::custom(sent.clone(), id())).await.unwrap();
    let reader = Reader::of(&["a"]);
    let received = reader.take(layer).await;
    assert!(matches!(received.message.payload, Payload::Custom(got) if got == sent));
}

pub(in super::super) async fn a_full_channel_refuses_and_takes_again_when_read(subject: Subject) {
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

pub(in super::super) async fn capacities_go_by_pattern(subject: Subject) {
    let Subject { layer, .. } = &subject;
    layer.send(&channel("small.a"), message(0)).await.unwrap();
    let full = layer.send(&channel("small.a"), message(1)).await;
    assert_eq!(full, Err(SendError::ChannelFull(channel("small.a"))));
}

pub(in super::super) async fn a_message_expires_exactly_and_is_counted(subject: Subject) {
    let Subject { layer, metrics, .. } = &subject;
    let reader = Reader::of(&["a"]);
    layer.send(&channel("a"), message(1)).await.unwrap();
    subject.clock.advance(Duration::from_secs(60) - subject.clock.grain()).await;
    assert_eq!(numbers(&reader, &subject).await, [1], "it is not over yet");
    layer.send(&channel("a"), message(2)).await.unwrap();
    subject.clock.advance(Duration::from_secs(60)).await;
    assert!(numbers(&reader, &subject).await.is_empty());
    assert_eq!(metrics.dropped_count(DropReason::Expired), 1);
}

pub(in super::super) async fn an_expired_message_makes_room(subject: Subject) {
    let Subject { layer, metrics, .. } = &subject;
    layer.send(&channel("small.a"), message(1)).await.unwrap();
    subject.clock.advance(Duration::from_secs(60)).await;
    layer.send(&channel("small.a"), message(2)).await.unwrap();
    assert_eq!(numbers(&Reader::of(&["small.a"]), &subject).await, [2]);
    assert_eq!(metrics.dropped_count(DropReason::Expired), 1);
}

pub(in super::super) async fn a_message_may_say_how_long_it_waits(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let mut brief = message(1);
    brief.expires_after = Some(Duration::from_secs(1));
    layer.send(&channel("a"), brief).await.unwrap();
    layer.send(&channel("a"), message(2)).await.unwrap();
    subject.clock.advance(Duration::from_secs(1)).await;
    assert_eq!(numbers(&Reader::of(&["a"]), &subject).await, [2]);
}

pub(in super::super) async fn concurrent_readers_lose_and_double_nothing(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let are_all_sent = Arc::new(AtomicBool::new(false));
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (layer, are_all_sent) = (Arc::clone(layer), Arc::clone(&are_all_sent));
        readers.spawn(async move {
            let (reader, mut got) = (Reader::of(&["a", "b"]), Vec::new());
            loop {
                let is_last = are_all_sent.load(Ordering::Acquire);
                // It stops by itself: a reader that is dropped may have taken something.
                let received = reader.receive(&*layer, Duration::from_secs(5)).await;
                if is_last && received.is_empty() {
                    return got;
                }
                got.extend(received.into_iter().map(numbered));
                tokio::task::yield_now().await;
            }
        });
    }
    for number in 0..100 {
        for name in ["a", "b"] {
            while layer.send(&channel(name), message(number)).await.is_err() {
                layer.room(&channel(name)).await;
            }
        }
    }
    are_all_sent.store(true, Ordering::Release);
    let all: Vec<_> = readers.join_all().await.into_iter().flatten().collect();
    assert_eq!(all.len(), 200);
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), 200);
}

pub(in super::super) async fn a_worker_that_stops_loses_nothing(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let reader = Reader::of(&["a"]);
    for _ in 0..3 {
        assert!(reader.ready(&subject).await.is_empty());
    }
    layer.send(&channel("a"), message(1)).await.unwrap();
    assert_eq!(numbers(&reader, &subject).await, [1]);
}

pub(in super::super) async fn a_busy_channel_does_not_starve_a_quiet_one(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let reader = Reader::of(&["busy", "quiet"]);
    for number in 0..5 {
        layer.send(&channel("busy"), message(number)).await.unwrap();
    }
    layer.send(&channel("quiet"), message(9)).await.unwrap();
    let worker = reader.attach(&**layer);
    let first = [worker.next(layer).await.0, worker.next(layer).await.0];
    assert!(first.contains(&"quiet".to_owned()), "{first:?}");
}

pub(in super::super) async fn the_module_that_holds_fewest_is_served_first(subject: Subject) {
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

pub(in super::super) async fn a_module_at_its_ceiling_is_left_out(subject: Subject) {
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

pub(in super::super) async fn names_of_99_bytes_carry_messages(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let name = "n".repeat(99);
    layer.send(&channel(&name), message(1)).await.unwrap();
    assert_eq!(Reader::of(&[&name]).next(layer).await, (name.clone(), 1));
    layer.group_add(&group(&name), &channel(&name)).await.unwrap();
    layer.group_send(&group(&name), content(2), id()).await.unwrap();
    assert_eq!(Reader::of(&[&name]).next(layer).await, (name, 2));
}

pub(in super::super) async fn the_largest_message_passes_and_one_byte_more_does_not(
    subject: Subject,
) {
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

pub(in super::super) async fn room_is_told_when_a_full_channel_is_read(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let small = channel("small.a");
    layer.send(&small, message(1)).await.unwrap();
    let waiting = layer.room(&small);
    tokio::pin!(waiting);
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    Reader::of(&["small.a"]).next(layer).await;
    timeout(Duration::from_secs(1), waiting).await.unwrap();
}

pub(in super::super) async fn statistics_tell_depth_and_age(subject: Subject) {
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

pub(in super::super) async fn a_probe_counts_as_sent_and_as_received(subject: Subject) {
    let Subject { layer, metrics, .. } = &subject;
    layer.probe().await.unwrap();
    let (sent, received) = (metrics.messages_sent.get(), metrics.messages_received.get());
    assert!(sent > 0 && sent == received, "{sent} sent, {received} received");
}
