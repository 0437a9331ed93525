//! Messages to be sent later.

use std::time::Duration;

use super::{Reader, Subject, channel, message};
use crate::{layer::SendError, telemetry::DropReason};

pub(in super::super) async fn a_later_message_comes_neither_early_nor_twice(subject: Subject) {
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

pub(in super::super) async fn later_messages_come_in_order_of_their_time(subject: Subject) {
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

pub(in super::super) async fn too_many_later_messages_are_refused(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let delay = Duration::from_secs(1);
    for number in 0..10 {
        layer.send_later(&channel("a"), message(number), delay).await.unwrap();
    }
    let refused = layer.send_later(&channel("a"), message(10), delay).await;
    assert_eq!(refused, Err(SendError::TooManyDelayed { limit: 10 }));
}

pub(in super::super) async fn a_later_message_waits_for_room_and_then_expires(subject: Subject) {
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
    assert_eq!(
        (layer.statistics().await.unwrap().delayed, metrics.dropped_count(DropReason::ChannelFull)),
        (0, 1)
    );
}
