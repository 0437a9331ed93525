//! Groups that are remembered.

use std::{collections::HashSet, time::Duration};

use futures_util::future::join_all;
use tokio::time::timeout;

use super::{Subject, connection, content, content_of, group, id};
use crate::{
    layer::{ChannelLayer, Histories, LayerError},
    message::{
        After, Close, GroupName, HistoryBounds, HistoryRule, InboxEntry, LocalName,
        ModuleHistories, ModuleName, NodeName, Page, Position, Start,
    },
};

/// What a member that sees positions was told.
#[derive(Debug, PartialEq)]
enum Told {
    /// All behind this place follow; whether nothing is missing before it.
    From(Position, bool),
    /// A message, by its last byte.
    Message(Position, u8),
}

fn remember_so(subject: &Subject, messages: usize) {
    remember_within(subject, messages, HistoryBounds::default());
}

fn remember_within(subject: &Subject, messages: usize, bounds: HistoryBounds) {
    let rule = HistoryRule { messages, age: Duration::from_secs(60), bytes: 16 * 1024 * 1024 };
    let histories = Histories::default();
    let module = ModuleHistories::new([("*".parse().unwrap(), rule)], bounds);
    histories.replace([(ModuleName::parse("m").unwrap(), module)]);
    subject.layer.lend_histories(&histories);
}

/// Has the groups of module `m` remembered: five messages for a minute.
fn remember(subject: &Subject) {
    remember_so(subject, 5);
}

async fn open_node(layer: &dyn ChannelLayer) -> NodeName {
    let node = NodeName::random();
    layer.open_inbox(&node).await.unwrap();
    node
}

async fn send(layer: &dyn ChannelLayer, group: &GroupName, numbers: impl IntoIterator<Item = u8>) {
    for number in numbers {
        layer.group_send(group, content(number), id()).await.unwrap();
    }
}

/// What a node is told for a connection, until there is so much.
async fn told(
    layer: &dyn ChannelLayer,
    node: &NodeName,
    local: &LocalName,
    most: usize,
) -> Vec<Told> {
    let mut told = Vec::new();
    while told.len() < most {
        let read = timeout(Duration::from_secs(20), layer.read_inbox(node)).await;
        for entry in read.expect("there is more to come").unwrap() {
            match entry {
                InboxEntry::From { to, position, is_complete, .. } if to.contains(local) => {
                    told.push(Told::From(position, is_complete));
                }
                InboxEntry::Numbered { to, position, content, .. } if to.contains(local) => {
                    told.push(Told::Message(position, *content.as_bytes().last().unwrap()));
                }
                _ => {}
            }
        }
    }
    told
}

async fn history(layer: &dyn ChannelLayer, group: &GroupName, after: After, limit: usize) -> Page {
    layer.history(group, after, limit).await.unwrap()
}

fn numbers(page: &Page) -> Vec<u8> {
    page.messages.iter().map(|message| *message.content.as_bytes().last().unwrap()).collect()
}

const fn latest(latest: usize) -> Start {
    Start { after: After::Nothing, latest }
}

const fn after(position: Position) -> Start {
    Start { after: After::Position(position), latest: 0 }
}

const fn at(position: Position, offset: u64) -> Position {
    Position { epoch: position.epoch, offset }
}

pub(in super::super) async fn who_joins_from_a_position_gets_all_behind_it_in_order_and_once(
    subject: Subject,
) {
    remember(&subject);
    let (layer, group) = (&*subject.layer, group("m.g"));
    let node = open_node(layer).await;
    let (first, one) = connection(&node);
    layer.group_join(&group, &first, &latest(0)).await.unwrap();
    send(layer, &group, 1..=2).await;
    let told_one = told(layer, &node, &one, 3).await;
    let [Told::From(start, true), Told::Message(_, 1), Told::Message(second, 2)] = told_one[..]
    else {
        panic!("{told_one:?}")
    };
    assert_eq!((second, start.offset), (at(start, 2), 0));
    layer.leave_all(&first).await.unwrap();
    send(layer, &group, 3..=5).await;
    let (again, two) = connection(&node);
    layer.group_join(&group, &again, &after(second)).await.unwrap();
    send(layer, &group, 6..=7).await;
    let expected = (3..=7).map(|number| Told::Message(at(start, number.into()), number));
    let expected: Vec<_> = [Told::From(second, true)].into_iter().chain(expected).collect();
    assert_eq!(told(layer, &node, &two, 6).await, expected);
    // One that is up to date has missed nothing.
    let (last, three) = connection(&node);
    layer.group_join(&group, &last, &after(at(start, 7))).await.unwrap();
    send(layer, &group, [8]).await;
    let expected = [Told::From(at(start, 7), true), Told::Message(at(start, 8), 8)];
    assert_eq!(told(layer, &node, &three, 2).await, expected);
}

pub(in super::super) async fn a_position_that_the_history_does_not_have_is_told_as_a_gap(
    subject: Subject,
) {
    remember(&subject);
    let (layer, group) = (&*subject.layer, group("m.g"));
    let node = open_node(layer).await;
    send(layer, &group, 1..=7).await;
    let end = history(layer, &group, After::Nothing, 1).await.end();
    assert_eq!(end.offset, 7);
    let other = GroupName::parse("m.other").unwrap();
    send(layer, &other, [1]).await;
    let of_another_group = history(layer, &other, After::Nothing, 1).await.end();
    for unknown in [
        After::Position(at(end, 1)),
        After::Position(at(end, 8)),
        After::Position(of_another_group),
        After::Unknown,
    ] {
        let (channel, local) = connection(&node);
        layer.group_join(&group, &channel, &Start { after: unknown, latest: 2 }).await.unwrap();
        let expected = [
            Told::From(at(end, 5), false),
            Told::Message(at(end, 6), 6),
            Told::Message(at(end, 7), 7),
        ];
        assert_eq!(told(layer, &node, &local, 3).await, expected, "{unknown:?}");
        let page = history(layer, &group, unknown, 5).await;
        assert_eq!((page.is_complete, numbers(&page), page.end()), (false, vec![], end));
        layer.leave_all(&channel).await.unwrap();
    }
    // The oldest that is kept is the third.
    let page = history(layer, &group, After::Position(at(end, 2)), 9).await;
    assert_eq!((page.is_complete, numbers(&page)), (true, vec![3, 4, 5, 6, 7]));
}

pub(in super::super) async fn a_history_keeps_so_many_messages_for_so_long(subject: Subject) {
    remember(&subject);
    let (layer, group) = (&*subject.layer, group("m.g"));
    send(layer, &group, 1..=7).await;
    let page = history(layer, &group, After::Nothing, 100).await;
    assert_eq!(numbers(&page), [3, 4, 5, 6, 7]);
    subject.clock.advance(Duration::from_secs(40)).await;
    send(layer, &group, [8]).await;
    subject.clock.advance(Duration::from_secs(40)).await;
    assert_eq!(numbers(&history(layer, &group, After::Nothing, 100).await), [8]);
    subject.clock.advance(Duration::from_secs(40)).await;
    // Nothing was missed by who had all of it.
    let page = history(layer, &group, After::Position(at(page.from, 8)), 100).await;
    assert_eq!((page.is_complete, numbers(&page)), (true, vec![]));
    let page = history(layer, &group, After::Position(at(page.from, 7)), 100).await;
    assert!(!page.is_complete);
}

pub(in super::super) async fn a_history_is_read_page_by_page(subject: Subject) {
    remember(&subject);
    let (layer, group) = (&*subject.layer, group("m.g"));
    send(layer, &group, 1..=5).await;
    let latest = history(layer, &group, After::Nothing, 2).await;
    assert_eq!((numbers(&latest), latest.has_more()), (vec![4, 5], false));
    let mut after = at(latest.from, 0);
    for (expected, more) in [(vec![1, 2], true), (vec![3, 4], true), (vec![5], false)] {
        let page = history(layer, &group, After::Position(after), 2).await;
        assert_eq!((numbers(&page), page.has_more(), page.from), (expected, more, after));
        after = page.end();
    }
    let first = history(layer, &group, After::Start, 2).await;
    assert!(first.is_complete && first.has_more());
    assert_eq!(first.from.offset + 2, first.end().offset);
    let rest = history(layer, &group, After::Position(first.end()), 1_000).await;
    let whole = history(layer, &group, After::Start, 1_000).await;
    assert_eq!(numbers(&whole), [numbers(&first), numbers(&rest)].concat());
    assert_eq!(numbers(&whole), numbers(&history(layer, &group, After::Nothing, 1_000).await));
    let nothing = GroupName::parse("m.nothing").unwrap();
    let page = history(layer, &nothing, After::Start, 5).await;
    assert!(page.is_complete && page.messages.is_empty() && !page.has_more());
    let page = history(layer, &nothing, After::Nothing, 5).await;
    assert!(page.is_complete && page.messages.is_empty() && !page.has_more());
    send(layer, &nothing, [1]).await;
    let page = history(layer, &nothing, After::Position(page.end()), 5).await;
    assert_eq!((page.is_complete, numbers(&page)), (true, vec![1]));
}

pub(in super::super) async fn who_reads_groups_without_messages_pushes_out_none_that_has_some(
    subject: Subject,
) {
    remember_within(&subject, 5, HistoryBounds { groups: 16, ..HistoryBounds::default() });
    let (layer, kept) = (&*subject.layer, group("m.g"));
    send(layer, &kept, 1..=2).await;
    let start = at(history(layer, &kept, After::Nothing, 1).await.end(), 0);
    for number in 0..40 {
        let empty = GroupName::parse(&format!("m.empty.{number}")).unwrap();
        assert!(history(layer, &empty, After::Nothing, 1).await.messages.is_empty());
    }
    let page = history(layer, &kept, After::Position(start), 5).await;
    assert_eq!((page.is_complete, numbers(&page)), (true, vec![1, 2]));
    // Those that are sent to do: the one that nobody has sent to for longest is forgotten.
    for number in 0..40 {
        send(layer, &GroupName::parse(&format!("m.busy.{number}")).unwrap(), [1]).await;
    }
    let page = history(layer, &kept, After::Position(start), 5).await;
    assert_eq!((page.is_complete, numbers(&page)), (false, vec![]));
}

pub(in super::super) async fn what_is_too_much_to_catch_up_with_is_told_as_a_gap(subject: Subject) {
    remember_so(&subject, 2_000);
    let (layer, group) = (&*subject.layer, group("m.g"));
    let node = open_node(layer).await;
    let start = history(layer, &group, After::Nothing, 1).await.end();
    for _ in 0..300 {
        layer.group_send(&group, content_of(1_000), id()).await.unwrap();
    }
    let (channel, local) = connection(&node);
    layer.group_join(&group, &channel, &after(start)).await.unwrap();
    assert_eq!(told(layer, &node, &local, 1).await, [Told::From(at(start, 300), false)]);
    let page = history(layer, &group, After::Position(start), 1_000).await;
    assert!(page.is_complete && page.has_more() && page.messages.len() > 200, "{page:?}");
}

pub(in super::super) async fn a_module_that_is_full_takes_nothing_from_who_is_up_to_date(
    subject: Subject,
) {
    let bounds = HistoryBounds { bytes: 16 * 1024, ..HistoryBounds::default() };
    let rule = HistoryRule { messages: 100, age: Duration::from_secs(60), bytes: 8 * 1024 };
    let histories = Histories::default();
    let module = ModuleHistories::new([("*".parse().unwrap(), rule)], bounds);
    histories.replace([(ModuleName::parse("m").unwrap(), module)]);
    subject.layer.lend_histories(&histories);
    let (layer, silent, spoken) = (&*subject.layer, group("m.silent"), group("m.spoken"));
    let node = open_node(layer).await;
    let (one, of_silent) = connection(&node);
    let (other, of_spoken) = connection(&node);
    layer.group_join(&silent, &one, &latest(0)).await.unwrap();
    layer.group_join(&spoken, &other, &latest(0)).await.unwrap();
    send(layer, &spoken, [1]).await;
    let first = history(layer, &spoken, After::Nothing, 1).await.end();
    // Some in each partition.
    for number in 0..60 {
        let busy = GroupName::parse(&format!("m.busy.{number}")).unwrap();
        for _ in 0..8 {
            layer.group_send(&busy, content_of(1_000), id()).await.unwrap();
        }
    }
    // The messages are gone, and the place is not.
    let page = history(layer, &spoken, After::Position(at(first, 0)), 5).await;
    assert_eq!((page.is_complete, numbers(&page)), (false, vec![]));
    let page = history(layer, &spoken, After::Position(first), 5).await;
    assert_eq!((page.is_complete, numbers(&page)), (true, vec![]));
    send(layer, &silent, [1]).await;
    send(layer, &spoken, [2]).await;
    let (mut of_one, mut of_other) = (Vec::new(), Vec::new());
    while of_one.len() < 2 || of_other.len() < 3 {
        for entry in layer.read_inbox(&node).await.unwrap() {
            let (to, what) = match &entry {
                InboxEntry::From { to, is_complete, .. } => (to, u8::from(!is_complete)),
                InboxEntry::Numbered { to, content, .. } => {
                    (to, 10 + content.as_bytes().last().unwrap())
                }
                _ => continue,
            };
            of_one.extend(to.contains(&of_silent).then_some(what));
            of_other.extend(to.contains(&of_spoken).then_some(what));
        }
    }
    assert_eq!((of_one, of_other), (vec![0, 11], vec![0, 11, 12]), "and nobody is told of a gap");
}

pub(in super::super) async fn an_end_is_for_those_who_are_there(subject: Subject) {
    remember(&subject);
    let (layer, group) = (&*subject.layer, group("m.g"));
    let node = open_node(layer).await;
    let (channel, local) = connection(&node);
    layer.group_join(&group, &channel, &latest(0)).await.unwrap();
    let end = Close::new(4000, "it is over").content();
    layer.group_send(&group, end.clone(), id()).await.unwrap();
    let told = loop {
        let read = layer.read_inbox(&node).await.unwrap().into_iter();
        let mut messages = read.filter_map(|entry| match entry {
            InboxEntry::Message { to, content, .. } => Some((to, content)),
            InboxEntry::Numbered { .. } => panic!("{entry:?}"),
            _ => None,
        });
        if let Some(told) = messages.next() {
            break told;
        }
    };
    assert_eq!(told, (vec![local], end));
    assert_eq!(numbers(&history(layer, &group, After::Nothing, 5).await), [0_u8; 0]);
}

pub(in super::super) async fn members_of_either_kind_get_each_message_once(subject: Subject) {
    remember(&subject);
    let (layer, group) = (&*subject.layer, group("m.g"));
    let node = open_node(layer).await;
    let (plain, one) = connection(&node);
    let (seeing, two) = connection(&node);
    layer.group_add(&group, &plain).await.unwrap();
    layer.group_join(&group, &seeing, &latest(0)).await.unwrap();
    // It sees positions on.
    layer.group_add(&group, &seeing).await.unwrap();
    layer.group_add(&group, &super::channel("a")).await.unwrap();
    let sent = layer.group_send(&group, content(1), id()).await.unwrap();
    assert_eq!(sent.missed, 0);
    let (mut plainly, mut numbered) = (0, 0);
    while plainly + numbered < 2 {
        for entry in layer.read_inbox(&node).await.unwrap() {
            match entry {
                InboxEntry::Message { to, from_group: true, .. } => {
                    assert_eq!(to, std::slice::from_ref(&one));
                    plainly += 1;
                }
                InboxEntry::Numbered { to, .. } => {
                    assert_eq!(to, std::slice::from_ref(&two));
                    numbered += 1;
                }
                _ => {}
            }
        }
    }
    assert_eq!((plainly, numbered), (1, 1));
    let members: HashSet<_> = layer.members_on(&node, &group).into_iter().collect();
    assert_eq!(members, HashSet::from([one, two]), "an operator sees both");
    assert_eq!(super::numbers(&super::Reader::of(&["a"]), &subject).await, [1]);
}

pub(in super::super) async fn concurrent_senders_leave_no_hole_and_nothing_out_of_order(
    subject: Subject,
) {
    remember(&subject);
    let (layer, group) = (&*subject.layer, group("m.g"));
    let node = open_node(layer).await;
    let (channel, local) = connection(&node);
    layer.group_join(&group, &channel, &latest(0)).await.unwrap();
    let sending = (0..3).map(|sender: u8| send(layer, &group, sender * 3..sender * 3 + 3));
    let (told, _) = tokio::join!(told(layer, &node, &local, 10), join_all(sending));
    let [Told::From(start, true), messages @ ..] = &told[..] else { panic!("{told:?}") };
    let mut seen = HashSet::new();
    for (message, offset) in messages.iter().zip(1..) {
        let Told::Message(position, number) = message else { panic!("{told:?}") };
        assert_eq!(*position, at(*start, offset), "{told:?}");
        assert!(seen.insert(*number));
    }
    assert_eq!(seen.len(), 9);
}

pub(in super::super) async fn a_member_that_leaves_gets_nothing_more(subject: Subject) {
    remember(&subject);
    let (layer, group) = (&*subject.layer, group("m.g"));
    let node = open_node(layer).await;
    let (leaving, one) = connection(&node);
    let (staying, two) = connection(&node);
    for channel in [&leaving, &staying] {
        layer.group_join(&group, channel, &latest(0)).await.unwrap();
    }
    send(layer, &group, [1]).await;
    assert_eq!(told(layer, &node, &two, 2).await.len(), 2);
    layer.group_discard(&group, &leaving).await.unwrap();
    send(layer, &group, [2]).await;
    loop {
        for entry in layer.read_inbox(&node).await.unwrap() {
            if let InboxEntry::Numbered { to, .. } = entry {
                assert!(!to.contains(&one) && to.contains(&two));
                return;
            }
        }
    }
}

pub(in super::super) async fn a_group_that_is_not_remembered_has_no_history(subject: Subject) {
    remember(&subject);
    let (layer, group) = (&*subject.layer, group("other.g"));
    assert!(!layer.keeps_history(&group));
    let refused = layer.history(&group, After::Nothing, 1).await;
    assert_eq!(refused, Err(LayerError::NotRemembered(group.clone())));
    let node = open_node(layer).await;
    let (channel, local) = connection(&node);
    // It is a member like others.
    layer.group_join(&group, &channel, &latest(5)).await.unwrap();
    layer.group_send(&group, content(1), id()).await.unwrap();
    loop {
        for entry in layer.read_inbox(&node).await.unwrap() {
            match entry {
                InboxEntry::Message { to, .. } => return assert_eq!(to, [local]),
                InboxEntry::Numbered { .. } | InboxEntry::From { .. } => panic!("{entry:?}"),
                _ => {}
            }
        }
    }
}
