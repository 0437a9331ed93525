//! Connections of users.

use std::{collections::HashSet, num::NonZeroU32};

use super::{Subject, connection, content, group, id};
use crate::{
    layer::{ChannelLayer, GroupSent},
    message::{
        Beyond, ChannelName, Entered, GroupName, InboxEntry, LocalName, ModuleName, NodeName,
        UserLimit,
    },
};

fn user(id: &str) -> GroupName {
    GroupName::of_user(&ModuleName::parse("chat").unwrap(), id)
}

fn limit(connections: u32, beyond: Beyond) -> Option<UserLimit> {
    Some(UserLimit { connections: NonZeroU32::new(connections).unwrap(), beyond })
}

async fn node(layer: &dyn ChannelLayer) -> NodeName {
    let node = NodeName::random();
    layer.open_inbox(&node).await.unwrap();
    node
}

/// The connections that a message to a user reaches on a node.
async fn reached(layer: &dyn ChannelLayer, id_of: &str, node: &NodeName) -> HashSet<LocalName> {
    layer.group_send(&user(id_of), content(1), id()).await.unwrap();
    let entries = layer.read_inbox(node).await.unwrap();
    let [InboxEntry::Message { to, from_group: true, .. }] = &entries[..] else {
        panic!("{entries:?}")
    };
    to.iter().cloned().collect()
}

async fn count(layer: &dyn ChannelLayer, id: &str) -> usize {
    layer.connections_of(&user(id), 0).await.unwrap().count
}

pub(in super::super) async fn a_message_to_a_user_reaches_each_connection_and_no_other(
    subject: Subject,
) {
    let layer = &*subject.layer;
    let (one, two) = (node(layer).await, node(layer).await);
    let mut locals = Vec::new();
    for (node, name) in [(&one, "ada"), (&one, "ada"), (&two, "ada"), (&two, "bob")] {
        let (channel, local) = connection(node);
        let entered = layer.enter(&user(name), &channel, None).await.unwrap();
        assert!(matches!(entered, Entered::In { displaced, .. } if displaced.is_empty()));
        locals.push((channel, local));
    }
    assert_eq!((count(layer, "ada").await, count(layer, "bob").await), (3, 1));
    assert_eq!(count(layer, "eve").await, 0);
    let some = layer.connections_of(&user("ada"), 2).await.unwrap().some;
    let hers: HashSet<_> = locals[..3].iter().map(|(channel, _)| channel.clone()).collect();
    assert!(some.len() == 2 && some.iter().all(|channel| hers.contains(channel)), "{some:?}");
    let expected = locals[..2].iter().map(|(_, local)| local.clone()).collect();
    assert_eq!(reached(layer, "ada", &one).await, expected);
    // One that leaves is none of hers any more, and those of others stay.
    layer.leave_all(&locals[0].0).await.unwrap();
    assert_eq!((count(layer, "ada").await, count(layer, "bob").await), (2, 1));
    assert_eq!(reached(layer, "ada", &one).await, HashSet::from([locals[1].1.clone()]));
    for (channel, _) in &locals {
        layer.leave_all(channel).await.unwrap();
    }
    assert_eq!(count(layer, "ada").await, 0);
    let sent = layer.group_send(&user("ada"), content(1), id()).await.unwrap();
    assert_eq!((sent, layer.statistics().await.unwrap().groups), (GroupSent::default(), 0));
}

pub(in super::super) async fn a_user_has_so_many_connections_and_the_newest_is_refused(
    subject: Subject,
) {
    let layer = &*subject.layer;
    let node = node(layer).await;
    let most = limit(2, Beyond::Refuse);
    let channels: Vec<ChannelName> = (0..3).map(|_| connection(&node).0).collect();
    for (channel, connections) in channels.iter().zip([1, 2]) {
        let entered = layer.enter(&user("ada"), channel, most).await.unwrap();
        assert_eq!(entered, Entered::In { connections, displaced: Vec::new() });
    }
    let ada = user("ada");
    let third = |most| layer.enter(&ada, &channels[2], most);
    assert_eq!(third(most).await.unwrap(), Entered::Full);
    assert_eq!(count(layer, "ada").await, 2);
    // Others are not in the way, nor is one that left.
    let (other, _) = connection(&node);
    assert!(matches!(layer.enter(&user("bob"), &other, most).await, Ok(Entered::In { .. })));
    // Whoever was refused leaves like the others.
    layer.leave_all(&channels[2]).await.unwrap();
    assert_eq!(count(layer, "ada").await, 2);
    layer.leave_all(&channels[0]).await.unwrap();
    let entered = third(most).await.unwrap();
    assert_eq!(entered, Entered::In { connections: 2, displaced: Vec::new() });
}

pub(in super::super) async fn the_oldest_connections_of_a_user_make_room_for_a_new_one(
    subject: Subject,
) {
    let layer = &*subject.layer;
    let (one, two) = (node(layer).await, node(layer).await);
    let channels: Vec<_> = [&one, &two, &one, &two].iter().map(|node| connection(node).0).collect();
    for channel in &channels[..3] {
        layer.enter(&user("ada"), channel, None).await.unwrap();
    }
    // The setting was lowered meanwhile.
    let entered = layer.enter(&user("ada"), &channels[3], limit(2, Beyond::CloseOldest)).await;
    let displaced = channels[..2].to_vec();
    assert_eq!(entered.unwrap(), Entered::In { connections: 2, displaced });
    assert_eq!(count(layer, "ada").await, 2);
    for channel in &channels {
        layer.leave_all(channel).await.unwrap();
    }
    assert_eq!(count(layer, "ada").await, 0);
}

pub(in super::super) async fn the_group_of_a_user_does_not_count_among_those_of_a_connection(
    subject: Subject,
) {
    let layer = &*subject.layer;
    let node = node(layer).await;
    let (channel, _) = connection(&node);
    layer.enter(&user("ada"), &channel, None).await.unwrap();
    for name in ["one", "two", "three"] {
        layer.group_add(&group(name), &channel).await.unwrap();
    }
    layer.read_inbox(&node).await.unwrap();
    for name in ["one", "two", "three"] {
        let sent = layer.group_send(&group(name), content(1), id()).await.unwrap();
        assert_eq!(sent, GroupSent { reached: 1, missed: 0 }, "{name}");
    }
    // And the other way round: one that is in as many groups as it may be.
    let (full, local) = connection(&node);
    for name in ["one", "two", "three"] {
        layer.group_add(&group(name), &full).await.unwrap();
    }
    layer.read_inbox(&node).await.unwrap();
    layer.enter(&user("bob"), &full, None).await.unwrap();
    assert_eq!(reached(layer, "bob", &node).await, HashSet::from([local]));
}

pub(in super::super) async fn connections_of_users_end_with_their_node(subject: Subject) {
    let layer = &*subject.layer;
    let (one, two) = (node(layer).await, node(layer).await);
    for node in [&one, &two] {
        layer.enter(&user("ada"), &connection(node).0, None).await.unwrap();
    }
    layer.close_inbox(&one).await;
    assert_eq!(count(layer, "ada").await, 1);
    let entered = layer.enter(&user("ada"), &connection(&one).0, None).await;
    assert!(entered.is_err(), "no node, no connection: {entered:?}");
    layer.close_inbox(&two).await;
    assert_eq!(count(layer, "ada").await, 0);
}
