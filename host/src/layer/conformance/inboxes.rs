//! Inboxes of nodes, and what is sent to one connection.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::{Subject, connection, content, content_of, group, id, message};
use crate::{
    layer::GroupSent,
    message::{Answer, Done, InboxEntry, Message, NodeName, Outcome, Reply},
    telemetry::DropReason,
};

pub(in super::super) async fn a_message_to_a_connection_arrives_in_the_inbox_in_order(
    subject: Subject,
) {
    let Subject { layer, metrics, .. } = &subject;
    let node = NodeName::random();
    let (channel, local) = connection(&node);
    layer.send(&channel, message(0)).await.unwrap();
    assert_eq!(metrics.dropped_count(DropReason::ConnectionGone), 1, "nobody knows the node yet");
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

pub(in super::super) async fn an_inbox_is_bounded_in_bytes_and_done_marks_always_fit(
    subject: Subject,
) {
    let Subject { layer, metrics, .. } = &subject;
    let node = NodeName::random();
    let (channel, local) = connection(&node);
    layer.open_inbox(&node).await.unwrap();
    for _ in 0..3 {
        let large = Message::custom(content_of(800), id());
        layer.send(&channel, large).await.unwrap();
    }
    assert_eq!(metrics.dropped_count(DropReason::InboxFull), 1);
    let done = Done { outcome: Outcome::Ok, state: None, activation: 1 };
    let replies = vec![Reply::StreamChunk(Bytes::from_static(&[0; 500]))];
    let answer = Answer { to: local, order: 7, replies, done: Some(done) };
    layer.answer(&node, answer).await.unwrap();
    let entries = layer.read_inbox(&node).await.unwrap();
    let Some(InboxEntry::Answer(answer)) = entries.last() else { panic!("{entries:?}") };
    assert_eq!((entries.len(), answer.order, answer.replies.len()), (3, 7, 1), "room of its own");
    let replies = vec![Reply::StreamChunk(Bytes::from_static(&[0; 1_500])); 2];
    let done = Some(Done { outcome: Outcome::Ok, state: None, activation: 1 });
    let to = answer.to.clone();
    layer.answer(&node, Answer { to, order: 8, replies, done }).await.unwrap();
    let entries = layer.read_inbox(&node).await.unwrap();
    let Some(InboxEntry::Answer(answer)) = entries.last() else { panic!("{entries:?}") };
    assert!(answer.replies.is_empty());
    assert_eq!(answer.done.as_ref().unwrap().outcome, Outcome::AnswerLost);
    let room = async {
        let mut dropped = metrics.dropped_count(DropReason::InboxFull);
        loop {
            layer.send(&channel, Message::custom(content_of(800), id())).await.unwrap();
            layer.send(&channel, Message::custom(content_of(800), id())).await.unwrap();
            let now = metrics.dropped_count(DropReason::InboxFull);
            let lost = now - dropped;
            dropped = now;
            // The room may be known between the two: then the one that was taken is in the way of the next two.
            let taken = match lost {
                2.. => continue,
                _ => layer.read_inbox(&node).await.unwrap().len(),
            };
            if lost == 0 {
                break taken;
            }
        }
    };
    assert_eq!(timeout(Duration::from_secs(9), room).await, Ok(2), "reading makes room");
}

pub(in super::super) async fn a_closed_inbox_takes_its_memberships_along(subject: Subject) {
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
