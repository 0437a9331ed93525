//! Messages that wait in a channel, as operators look at them, move and drop them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{Reader, Subject, channel, message, numbered, numbers};
use crate::{
    layer::{ChannelLayer, LayerError, Moved, Waiting, WaitingId},
    message::{Lasting, Message, Payload, Settled},
    telemetry::DropReason,
};

fn number(waiting: &Waiting) -> u8 {
    match &waiting.message.payload {
        Payload::Custom(content) => *content.as_bytes().last().unwrap(),
        Payload::Event(_) => panic!("custom"),
    }
}

/// All that waits in a channel, by pages of so many.
async fn pages(layer: &Arc<dyn ChannelLayer>, name: &str, limit: usize) -> Vec<Vec<u8>> {
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = layer.waiting(&channel(name), after.as_ref(), limit).await.unwrap();
        pages.push(page.messages.iter().map(number).collect());
        let Some(next) = page.next else { return pages };
        after = Some(next);
    }
}

pub(in super::super) async fn waiting_messages_are_shown_in_pages_and_stay(subject: Subject) {
    let Subject { layer, .. } = &subject;
    assert_eq!(pages(layer, "a", 2).await, [Vec::<u8>::new()]);
    for number in 1..=5 {
        layer.send(&channel("a"), message(number)).await.unwrap();
    }
    assert_eq!(pages(layer, "a", 2).await, [vec![1, 2], vec![3, 4], vec![5]]);
    assert_eq!(pages(layer, "a", 5).await, [[1, 2, 3, 4, 5]]);
    let page = layer.waiting(&channel("a"), None, 3).await.unwrap();
    assert_eq!(page.total, 5);
    let second = &page.messages[1];
    let found = layer.find_waiting(&channel("a"), &second.id).await.unwrap().unwrap();
    assert_eq!((number(&found), &found.message), (2, &second.message));
    assert_eq!(found.expires.duration_since(found.sent).unwrap(), Duration::from_secs(60));
    // The page after one that is gone begins where it stood.
    assert_eq!(numbers(&Reader::of(&["a"]), &subject).await, [1, 2, 3, 4, 5]);
    layer.send(&channel("a"), message(6)).await.unwrap();
    assert!(layer.find_waiting(&channel("a"), &second.id).await.unwrap().is_none());
    let page = layer.waiting(&channel("a"), Some(&second.id), 10).await.unwrap();
    assert_eq!(page.messages.iter().map(number).collect::<Vec<_>>(), [6]);
    subject.clock.advance(Duration::from_secs(61)).await;
    assert_eq!(pages(layer, "a", 2).await, [Vec::<u8>::new()], "what has expired is not shown");
}

pub(in super::super) async fn a_dead_letter_is_moved_to_its_channel_where_its_tries_count_anew(
    subject: Subject,
) {
    let Subject { layer, metrics, .. } = &subject;
    let mut reader = Reader::of(&["a"]);
    let lasting = Lasting { retries: 0, lease: Duration::from_secs(30) };
    reader.lasting = Arc::new(HashMap::from([(channel("a"), lasting)]));
    let id = Some(crate::message::MessageId(7));
    layer.send(&channel("a"), Message { id, ..message(1) }).await.unwrap();
    let receipt = reader.take(layer).await.receipt.unwrap();
    layer.settle(&channel("a"), &receipt, Settled::Dead).await.unwrap();
    // Somebody else's, in the partition of that name.
    layer.send(&channel("a.dead"), message(2)).await.unwrap();
    let page = layer.waiting(&channel("a.dead"), None, 10).await.unwrap();
    let mut shown: Vec<_> = page.messages.iter().map(number).collect();
    shown.sort_unstable();
    assert_eq!((page.total, shown), (2, vec![1, 2]));
    assert_eq!(layer.statistics().await.unwrap().channels[&channel("a.dead")].0, 2);
    let dead = page.messages.iter().find(|it| number(it) == 1).unwrap();
    assert_eq!(dead.message.id, id);
    let (from, to) = (channel("a.dead"), channel("a"));
    assert_eq!(layer.move_waiting(&from, &dead.id, Some(&to)).await.unwrap(), Moved::Yes);
    assert_eq!(layer.move_waiting(&from, &dead.id, Some(&to)).await.unwrap(), Moved::Gone);
    let again = reader.take(layer).await;
    assert_eq!((again.message.id, again.receipt.as_ref().unwrap().attempt), (id, 0));
    assert_eq!(numbered(again).1, 1);
    let rest = layer.waiting(&from, None, 10).await.unwrap().messages.remove(0);
    assert_eq!(layer.move_waiting(&from, &rest.id, None).await.unwrap(), Moved::Yes);
    assert_eq!(layer.move_waiting(&from, &rest.id, None).await.unwrap(), Moved::Gone);
    assert_eq!(metrics.dropped_count(DropReason::ByOperator), 1);
    assert!(!layer.statistics().await.unwrap().channels.contains_key(&from));
}

pub(in super::super) async fn what_finds_no_room_is_not_moved(subject: Subject) {
    let Subject { layer, .. } = &subject;
    let (from, to) = (channel("small.a.dead"), channel("small.a"));
    let mut reader = Reader::of(&["small.a"]);
    let lasting = Lasting { retries: 0, lease: Duration::from_secs(30) };
    reader.lasting = Arc::new(HashMap::from([(to.clone(), lasting)]));
    layer.send(&to, message(1)).await.unwrap();
    let receipt = reader.take(layer).await.receipt.unwrap();
    layer.settle(&to, &receipt, Settled::Dead).await.unwrap();
    layer.send(&to, message(2)).await.unwrap();
    let waiting = layer.waiting(&from, None, 10).await.unwrap().messages.remove(0);
    assert_eq!(layer.move_waiting(&from, &waiting.id, Some(&to)).await.unwrap(), Moved::Full);
    assert_eq!(numbers(&Reader::of(&["small.a.dead"]), &subject).await, [1]);
    assert_eq!(numbers(&Reader::of(&["small.a"]), &subject).await, [2]);
}

pub(in super::super) async fn a_text_that_is_no_id_finds_nothing(subject: Subject) {
    let Subject { layer, .. } = &subject;
    layer.send(&channel("a"), message(1)).await.unwrap();
    for text in ["x", "0-", "9-1-0", "0-18446744073709551616-0", "-1", "0-x-0"] {
        let id = WaitingId::parse(text).unwrap();
        assert!(layer.find_waiting(&channel("a"), &id).await.unwrap().is_none(), "{text}");
        assert_eq!(layer.move_waiting(&channel("a"), &id, None).await.unwrap(), Moved::Gone);
    }
    let id = WaitingId::parse("x").unwrap();
    let refused = layer.waiting(&channel("a"), Some(&id), 1).await.unwrap_err();
    assert_eq!(refused, LayerError::NotAnId("x".to_owned()));
    for text in ["", "a b", &"1".repeat(101)] {
        assert_eq!(WaitingId::parse(text), None, "{text}");
    }
}
