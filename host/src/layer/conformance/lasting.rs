//! Channels that deliver at least once.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{Reader, Subject, channel, message, numbered, numbers};
use crate::{
    layer::ChannelLayer,
    message::{Lasting, Receipt, Settled},
    telemetry::DropReason,
};

fn lasting_reader(subject: &Subject) -> Reader {
    let mut reader = Reader::of(&["a"]);
    let lasting = Lasting { retries: 1, lease: Duration::from_secs(30) };
    reader.lasting = Arc::new(HashMap::from([(channel("a"), lasting)]));
    assert!(subject.clock.patience() < lasting.lease);
    reader
}

async fn take(reader: &Reader, layer: &Arc<dyn ChannelLayer>) -> (u8, Receipt) {
    let received = reader.take(layer).await;
    let receipt = received.receipt.clone().unwrap();
    (numbered(received).1, receipt)
}

pub(in super::super) async fn a_message_that_is_done_does_not_come_again(subject: Subject) {
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

pub(in super::super) async fn a_message_that_failed_comes_again_after_its_pause_and_then_goes_to_the_dead(
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

pub(in super::super) async fn a_message_whose_worker_is_gone_comes_again(subject: Subject) {
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

pub(in super::super) async fn a_lasting_message_outlives_the_usual_expiry(subject: Subject) {
    let Subject { layer, metrics, .. } = &subject;
    let reader = lasting_reader(&subject);
    // The layer learns which channels are lasting from whoever reads them.
    assert!(reader.ready(&subject).await.is_empty());
    layer.send(&channel("a"), message(1)).await.unwrap();
    subject.clock.advance(Duration::from_secs(3_600)).await;
    assert_eq!(take(&reader, layer).await.0, 1);
    assert_eq!(metrics.dropped_count(DropReason::Expired), 0);
}
