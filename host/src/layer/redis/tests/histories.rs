//! Groups that are remembered, where a store forgets and messages do not arrive.

use std::time::Duration;

use bytes::Bytes;

use super::{layer, server::RedisServer};
use crate::{
    layer::{ChannelLayer, Histories, LayerConfig, RedisLayer},
    message::{
        After, ChannelName, Content, CorrelationId, Epoch, GroupName, HistoryBounds, HistoryRule,
        InboxEntry, LocalName, ModuleHistories, ModuleName, NodeName, Position, Start,
    },
};

fn group() -> GroupName {
    GroupName::parse("m.g").unwrap()
}

fn content(number: u8) -> Content {
    Content::parse(Bytes::from(vec![0x81, 0xa1, b'n', number])).unwrap()
}

/// A layer that has all groups of module `m` remembered.
async fn remembering(server: &RedisServer) -> RedisLayer {
    let layer = layer(&server.url(), "h", LayerConfig::default()).await;
    let rule = HistoryRule { messages: 5, age: Duration::from_secs(60), bytes: 1024 * 1024 };
    let of_module = ModuleHistories::new([("*".parse().unwrap(), rule)], HistoryBounds::default());
    let histories = Histories::default();
    histories.replace([(ModuleName::parse("m").unwrap(), of_module)]);
    layer.lend_histories(&histories);
    layer
}

async fn send(layer: &RedisLayer, number: u8) {
    layer.group_send(&group(), content(number), CorrelationId::random()).await.unwrap();
}

/// A node with a member of the group that joins after a position.
async fn member(layer: &RedisLayer, after: After) -> (NodeName, LocalName) {
    let (node, local) = (NodeName::random(), LocalName::random());
    layer.open_inbox(&node).await.unwrap();
    let channel = ChannelName::of_connection(&node, &local);
    layer.group_join(&group(), &channel, &Start { after, latest: 0 }).await.unwrap();
    (node, local)
}

/// The next offsets that the member of a node is told of, and whether each is a message.
async fn told(layer: &RedisLayer, node: &NodeName, most: usize) -> Vec<(u64, bool)> {
    let mut told = Vec::new();
    while told.len() < most {
        for entry in layer.read_inbox(node).await.unwrap() {
            match entry {
                InboxEntry::From { position, .. } => told.push((position.offset, false)),
                InboxEntry::Numbered { position, content, .. } => {
                    assert_eq!(
                        content.as_bytes().last().copied().map(u64::from),
                        Some(position.offset)
                    );
                    told.push((position.offset, true));
                }
                _ => {}
            }
        }
    }
    told
}

#[tokio::test]
async fn a_store_that_was_emptied_begins_another_epoch_and_old_positions_are_told_as_a_gap() {
    let server = RedisServer::start();
    let layer = remembering(&server).await;
    send(&layer, 1).await;
    let before = layer.history(&group(), After::Nothing, 5).await.unwrap().end();
    server.run(&["FLUSHALL"]);
    // As many as before, so that only the epoch tells.
    send(&layer, 1).await;
    let page = layer.history(&group(), After::Position(before), 5).await.unwrap();
    assert_eq!((page.is_complete, page.last), (false, 1));
    assert_ne!(page.from.epoch, before.epoch);
    let (node, local) = member(&layer, After::Position(before)).await;
    loop {
        for entry in layer.read_inbox(&node).await.unwrap() {
            if let InboxEntry::From { to, position, is_complete, .. } = entry {
                assert_eq!((to, is_complete), (vec![local], false));
                assert_ne!(position.epoch, before.epoch);
                return;
            }
        }
    }
}

#[tokio::test]
async fn a_message_that_never_arrives_is_read_from_the_history_and_keeps_its_place() {
    let server = RedisServer::start();
    let layer = remembering(&server).await;
    let (node, _) = member(&layer, After::Nothing).await;
    assert_eq!(told(&layer, &node, 1).await, [(0, false)]);
    // Stored and numbered by a process that ends before it has told any node.
    let kept = layer.shared.kept(&group()).unwrap();
    let ((nodes, _), position) = layer.shared.remember(&group(), &content(1), &kept).await.unwrap();
    assert_eq!((nodes, position.offset), (vec![node.to_string()], 1));
    for number in 2..=4 {
        send(&layer, number).await;
    }
    let expected: Vec<_> = (1..=4).map(|offset| (offset, true)).collect();
    assert_eq!(told(&layer, &node, 4).await, expected);
}

#[tokio::test]
async fn one_message_that_is_too_large_to_catch_up_with_is_told_as_a_gap() {
    let server = RedisServer::start();
    let layer = remembering(&server).await;
    send(&layer, 1).await;
    let before = layer.history(&group(), After::Nothing, 5).await.unwrap().end();
    let mut bytes = vec![0x81, 0xa1, b'b', 0xc6];
    bytes.extend(300_000_u32.to_be_bytes());
    bytes.extend(vec![0; 300_000]);
    let large = Content::parse(bytes.into()).unwrap();
    layer.group_send(&group(), large, CorrelationId::random()).await.unwrap();
    let (node, _) = member(&layer, After::Position(before)).await;
    let entries = layer.read_inbox(&node).await.unwrap();
    let places = entries.into_iter().filter_map(|entry| match entry {
        InboxEntry::From { position, is_complete, .. } => Some((position.offset, is_complete)),
        InboxEntry::Numbered { .. } => panic!("it is too large"),
        _ => None,
    });
    assert_eq!(places.collect::<Vec<_>>(), [(2, false)]);
    // Whoever reads has room for one.
    let page = layer.history(&group(), After::Position(before), 5).await.unwrap();
    assert_eq!((page.messages.len(), page.is_complete), (1, true));
}

#[tokio::test]
async fn what_was_sent_while_a_group_was_not_remembered_is_told_as_a_gap() {
    let server = RedisServer::start();
    let layer = remembering(&server).await;
    send(&layer, 1).await;
    let before = layer.history(&group(), After::Nothing, 5).await.unwrap().end();
    // A version without the declaration, in another process.
    let other = self::layer(&server.url(), "h", LayerConfig::default()).await;
    other.group_send(&group(), content(2), CorrelationId::random()).await.unwrap();
    // A program that knows nothing of modules changes nothing.
    assert!(layer.history(&group(), After::Position(before), 5).await.unwrap().is_complete);
    other.lend_histories(&Histories::default());
    other.group_send(&group(), content(2), CorrelationId::random()).await.unwrap();
    let page = layer.history(&group(), After::Position(before), 5).await.unwrap();
    assert!(!page.is_complete && page.from.epoch != before.epoch, "{page:?}");
}

#[tokio::test]
async fn what_came_between_a_join_and_its_entry_is_not_missed() {
    let server = RedisServer::start();
    let layer = remembering(&server).await;
    send(&layer, 1).await;
    let (node, _) = member(&layer, After::Nothing).await;
    assert_eq!(told(&layer, &node, 1).await, [(1, false)]);
    let other = LocalName::random();
    let channel = ChannelName::of_connection(&node, &other);
    let start = Start { after: After::Nothing, latest: 0 };
    let group = group();
    let (joined, ()) = tokio::join!(layer.group_join(&group, &channel, &start), send(&layer, 2));
    joined.unwrap();
    send(&layer, 3).await;
    let mut seen = Vec::new();
    let mut begins = None;
    while seen.last() != Some(&3) {
        for entry in layer.read_inbox(&node).await.unwrap() {
            match entry {
                InboxEntry::From { to, position, .. } if to.contains(&other) => {
                    begins = Some(position.offset);
                }
                InboxEntry::Numbered { to, position, .. } if to.contains(&other) => {
                    seen.push(position.offset);
                }
                _ => {}
            }
        }
    }
    assert_eq!(seen, (begins.unwrap() + 1..=3).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_quiet_group_with_members_is_not_forgotten() {
    let server = RedisServer::start();
    let layer = remembering(&server).await;
    send(&layer, 1).await;
    let end = layer.history(&group(), After::Nothing, 1).await.unwrap().end();
    let place = "h:{0}:position:m.g";
    server.run(&["PEXPIRE", place, "60000"]);
    let link = layer.shared.link(group().as_str()).unwrap();
    let mut call = layer.shared.scripts.positions.key(&link.keys.base);
    call.arg("m.g").arg("m.unknown");
    let positions: Vec<(String, u64)> = link.call(&call).await.unwrap();
    assert_eq!(positions, [(end.epoch.to_string(), 1), (String::new(), 0)]);
    let left: u64 = server.run(&["PTTL", place]).parse().unwrap();
    assert!(left > 60_000, "{left} ms are left");
}

#[tokio::test]
async fn positions_that_none_gave_are_told_as_a_gap() {
    let server = RedisServer::start();
    let layer = remembering(&server).await;
    send(&layer, 1).await;
    let end = layer.history(&group(), After::Nothing, 1).await.unwrap().end();
    let highest = Position { offset: (1 << 53) - 1, ..end };
    for after in [
        After::Unknown,
        After::Position(highest),
        After::Position(Position { epoch: Epoch::random(), offset: 1 }),
    ] {
        let page = layer.history(&group(), after, 5).await.unwrap();
        assert_eq!((page.is_complete, page.messages.len(), page.end()), (false, 0, end));
    }
}
