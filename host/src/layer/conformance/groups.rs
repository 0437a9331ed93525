//! Groups and their members.

use std::{collections::HashSet, time::Duration};

use tokio::time::timeout;

use super::{
    Reader, Subject, channel, connection, content, content_of, group, id, message, numbers,
};
use crate::{
    layer::{GroupSent, SendError},
    message::{ChannelName, GroupName, InboxEntry, LocalName, Message, NodeName},
    telemetry::DropReason,
};

pub(in super::super) async fn a_group_message_reaches_members_once_each(subject: Subject) {
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

pub(in super::super) async fn leaving_a_group_ends_it_and_is_idempotent(subject: Subject) {
    let Subject { layer, .. } = &subject;
    layer.group_add(&group("g"), &channel("a")).await.unwrap();
    layer.group_discard(&group("g"), &channel("a")).await.unwrap();
    layer.group_discard(&group("g"), &channel("a")).await.unwrap();
    layer.group_discard(&group("never"), &channel("a")).await.unwrap();
    let sent = layer.group_send(&group("g"), content(1), id()).await.unwrap();
    assert_eq!((sent.reached, layer.statistics().await.unwrap().groups), (0, 0));
}

pub(in super::super) async fn a_membership_expires_unless_renewed(subject: Subject) {
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

pub(in super::super) async fn a_full_member_misses_a_group_message_and_the_sender_is_told(
    subject: Subject,
) {
    let Subject { layer, metrics, .. } = &subject;
    layer.group_add(&group("g"), &channel("small.a")).await.unwrap();
    layer.group_add(&group("g"), &channel("b")).await.unwrap();
    layer.send(&channel("small.a"), message(0)).await.unwrap();
    let sent = layer.group_send(&group("g"), content(1), id()).await.unwrap();
    assert_eq!(sent, GroupSent { reached: 1, missed: 1 });
    assert_eq!(metrics.dropped_count(DropReason::GroupChannelFull), 1);
}

pub(in super::super) async fn group_messages_to_connections_come_as_one_entry_for_a_node(
    subject: Subject,
) {
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

pub(in super::super) async fn leaving_all_groups_at_once(subject: Subject) {
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

pub(in super::super) async fn a_join_that_finds_no_room_fails_and_leaves_the_other_members(
    subject: Subject,
) {
    let Subject { layer, metrics, .. } = &subject;
    let node = NodeName::random();
    layer.open_inbox(&node).await.unwrap();
    let one = connection(&node);
    layer.group_add(&group("g"), &one.0).await.unwrap();
    assert_eq!(layer.read_inbox(&node).await.unwrap().len(), 1);
    while metrics.dropped_count(DropReason::InboxFull) == 0 {
        layer.send(&one.0, Message::custom(content_of(800), id())).await.unwrap();
    }
    // Small entries still find room.
    while layer.group_add(&group("g"), &connection(&node).0).await.is_ok() {}
    layer.read_inbox(&node).await.unwrap();
    // Room that was read comes back a little later.
    let reached = async {
        loop {
            let sent = layer.group_send(&group("g"), content(1), id()).await.unwrap();
            assert_eq!(sent.reached + sent.missed, 1, "the first is still a member");
            if sent.reached == 1 {
                break;
            }
        }
    };
    timeout(Duration::from_secs(9), reached).await.unwrap();
    let entries = layer.read_inbox(&node).await.unwrap();
    let [InboxEntry::Message { to, .. }] = &entries[..] else { panic!("{entries:?}") };
    assert!(to.contains(&one.1), "{to:?}");
}

pub(in super::super) async fn a_connection_is_a_member_of_so_many_groups_and_a_named_channel_of_any_number(
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
            assert_eq!(metrics.dropped_count(DropReason::TooManyGroups), 1);
        }
    }
    let sent = layer.group_send(&group(3), content(1), id()).await.unwrap();
    assert_eq!(sent.reached, 1, "only the named channel");
    layer.group_discard(&group(1), &connection).await.unwrap();
    layer.group_add(&group(3), &connection).await.unwrap();
    let sent = layer.group_send(&group(3), content(1), id()).await.unwrap();
    assert_eq!(sent.reached, 2);
}
