//! Messages in any order, and what each member gets of them.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::message::Remembered;

fn group() -> GroupName {
    GroupName::parse("m.g").unwrap()
}

fn epoch(number: u8) -> Epoch {
    format!("{number:016x}").parse().unwrap()
}

fn at(offset: u64) -> Position {
    Position { epoch: epoch(1), offset }
}

fn content(offset: u64) -> Content {
    let number = u8::try_from(offset).unwrap();
    Content::parse(Bytes::from(vec![0x81, 0xa1, b'n', 0xcc, number])).unwrap()
}

/// The history of a group, which a test writes; it keeps the latest.
struct History {
    epoch: Epoch,
    last: u64,
    kept: u64,
}

impl History {
    fn page(&self, after: Position, limit: u64) -> Page {
        let floor = self.last.saturating_sub(self.kept);
        let is_complete = after.epoch == self.epoch && (floor..=self.last).contains(&after.offset);
        let from = if is_complete { after.offset } else { self.last };
        let messages = (from + 1..=self.last.min(from + limit))
            .map(|offset| Remembered { offset, content: content(offset) })
            .collect();
        let from = Position { epoch: self.epoch, offset: from };
        Page { from, messages, is_complete, last: self.last }
    }
}

/// A sequence, and what its members have got.
struct Node {
    sequence: Sequence,
    now: Instant,
    out: Vec<InboxEntry>,
}

impl Node {
    fn new() -> Self {
        let sequence = Sequence::new(group(), at(0));
        Self { sequence, now: Instant::now(), out: Vec::new() }
    }

    fn with_member() -> (Self, LocalName) {
        let (mut node, local) = (Self::new(), LocalName::random());
        node.sequence.join(local.clone(), at(0), node.now);
        (node, local)
    }

    fn arrive(&mut self, position: Position) {
        let message = (content(position.offset), CorrelationId::random());
        self.sequence.arrive(position, message, self.now, &mut self.out);
    }

    /// Asks the history as long as it is due. Returns how often that was.
    fn settle(&mut self, history: &History, limit: u64) -> usize {
        let mut asked = 0;
        while let Some(after) = self.sequence.ask(self.now) {
            let page = history.page(after, limit);
            self.sequence.filled(page, self.now, &mut self.out);
            asked += 1;
            assert!(asked < 1_000, "it asks for ever");
        }
        asked
    }

    /// Returns the offsets that a member has got, and 0 for a gap.
    fn got(&self, local: &LocalName) -> Vec<u64> {
        let got = self.out.iter().filter_map(|entry| match entry {
            InboxEntry::Numbered { to, position, content, .. } if to.contains(local) => {
                assert_eq!(u64::from(*content.as_bytes().last().unwrap()), position.offset);
                Some(position.offset)
            }
            InboxEntry::From { to, is_complete: false, .. } if to.contains(local) => Some(0),
            _ => None,
        });
        got.collect()
    }
}

fn history(last: u64) -> History {
    History { epoch: epoch(1), last, kept: 100 }
}

#[tokio::test(start_paused = true)]
async fn what_is_early_waits_for_what_is_missing() {
    let (mut node, local) = Node::with_member();
    for offset in [1, 3, 4] {
        node.arrive(at(offset));
    }
    assert_eq!(node.got(&local), [1]);
    assert_eq!(node.sequence.due(node.now), Some(node.now + PATIENCE));
    node.arrive(at(2));
    assert_eq!(node.got(&local), [1, 2, 3, 4]);
    assert_eq!(node.sequence.due(node.now), None);
    for late in [1, 4, 2] {
        node.arrive(at(late));
    }
    assert_eq!(node.got(&local), [1, 2, 3, 4], "what is late is dropped");
}

#[tokio::test(start_paused = true)]
async fn a_hole_is_filled_from_the_history_after_100_ms() {
    let (mut node, local) = Node::with_member();
    node.arrive(at(3));
    node.now += Duration::from_millis(99);
    assert_eq!(node.settle(&history(3), 100), 0);
    node.now += Duration::from_millis(1);
    assert_eq!(node.settle(&history(3), 100), 1);
    assert_eq!(node.got(&local), [1, 2, 3]);
    node.arrive(at(2));
    assert_eq!(node.got(&local), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_hole_that_the_history_does_not_have_is_told_as_a_gap() {
    let (mut node, local) = Node::with_member();
    node.arrive(at(1));
    node.arrive(at(9));
    node.now += PATIENCE;
    node.settle(&History { kept: 2, ..history(9) }, 100);
    assert_eq!(node.got(&local), [1, 0], "a gap up to the end, and never a part");
    node.arrive(at(10));
    assert_eq!(node.got(&local), [1, 0, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_join_of_an_epoch_that_is_over_is_told_as_a_gap_and_gets_what_follows() {
    let other = |offset| Position { epoch: epoch(2), offset };
    let mut node = Node::new();
    let (one, late) = (LocalName::random(), LocalName::random());
    node.sequence.join(one.clone(), other(3), node.now);
    node.sequence.join(late.clone(), at(7), node.now);
    assert_eq!(node.settle(&History { epoch: epoch(2), last: 3, kept: 100 }, 100), 1);
    node.arrive(other(4));
    assert_eq!((node.got(&one), node.got(&late)), (vec![4], vec![0, 4]));
}

#[tokio::test(start_paused = true)]
async fn another_epoch_is_told_as_a_gap_and_old_messages_are_dropped() {
    let (mut node, local) = Node::with_member();
    node.arrive(at(1));
    let other = |offset| Position { epoch: epoch(2), offset };
    node.arrive(other(1));
    node.arrive(other(2));
    assert_eq!(node.settle(&History { epoch: epoch(2), last: 2, kept: 100 }, 100), 1);
    assert_eq!(node.got(&local), [1, 0]);
    // A message of the old epoch that is late asks once more, and nobody is told anything.
    node.arrive(at(2));
    node.settle(&History { epoch: epoch(2), last: 2, kept: 100 }, 100);
    node.arrive(other(3));
    assert_eq!(node.got(&local), [1, 0, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_never_arrives_is_noticed_by_comparing() {
    let (mut node, local) = Node::with_member();
    node.arrive(at(1));
    node.sequence.compare(at(1), node.now);
    assert_eq!(node.sequence.due(node.now), None);
    node.sequence.compare(at(2), node.now);
    assert_eq!(node.sequence.due(node.now), Some(node.now + PATIENCE), "it may be on its way");
    node.now += PATIENCE;
    node.settle(&history(2), 100);
    assert_eq!(node.got(&local), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_join_that_is_behind_the_others_or_ahead_of_them_gets_each_message_once() {
    let (mut node, first) = Node::with_member();
    for offset in 1..=5 {
        node.arrive(at(offset));
    }
    let (behind, ahead) = (LocalName::random(), LocalName::random());
    node.sequence.join(behind.clone(), at(2), node.now);
    node.sequence.join(ahead.clone(), at(7), node.now);
    node.settle(&history(7), 100);
    for offset in 6..=9 {
        node.arrive(at(offset));
    }
    assert_eq!(node.got(&first), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(node.got(&behind), [3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(node.got(&ahead), [8, 9]);
    assert!(node.sequence.apart.is_empty(), "all are together again");
}

#[tokio::test(start_paused = true)]
async fn a_history_that_has_nothing_new_for_those_who_are_left_is_read_on_at_once() {
    let (mut node, first) = Node::with_member();
    let ahead = LocalName::random();
    node.sequence.join(ahead.clone(), at(3), node.now);
    node.sequence.leave(&first);
    node.arrive(at(5));
    node.now += PATIENCE;
    // Message by message: the first three are for nobody.
    assert_eq!(node.settle(&history(5), 1), 4);
    assert_eq!(node.got(&ahead), [4, 5]);
    assert_eq!(node.sequence.due(node.now), None);
}

#[tokio::test(start_paused = true)]
async fn what_passed_by_before_there_was_a_member_is_asked_for_at_once() {
    let mut node = Node::new();
    let local = LocalName::random();
    node.sequence.join(local.clone(), at(3), node.now);
    node.sequence.was_sent(at(5), node.now);
    assert_eq!(node.sequence.due(node.now), Some(node.now));
    node.settle(&history(5), 100);
    assert_eq!(node.got(&local), [4, 5]);
    // The last one leaves, messages pass by, and another one joins.
    node.sequence.leave(&local);
    for offset in 6..=8 {
        node.arrive(at(offset));
    }
    let other = LocalName::random();
    node.sequence.join(other.clone(), at(7), node.now);
    node.settle(&history(8), 100);
    assert_eq!(node.got(&other), [8]);
    assert_eq!(node.sequence.due(node.now), None);
}

#[tokio::test(start_paused = true)]
async fn a_history_that_cannot_be_read_is_asked_again_after_a_pause() {
    let (mut node, local) = Node::with_member();
    node.arrive(at(2));
    node.now += PATIENCE;
    assert_eq!(node.sequence.ask(node.now), Some(at(0)));
    assert_eq!(node.sequence.ask(node.now), None, "it is being asked");
    node.sequence.failed(node.now);
    assert_eq!(node.sequence.due(node.now), Some(node.now + RETRY));
    node.now += RETRY;
    node.settle(&history(2), 100);
    assert_eq!(node.got(&local), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_went_back_is_not_asked_without_a_pause() {
    let (mut node, _) = Node::with_member();
    for offset in 1..=5 {
        node.arrive(at(offset));
    }
    let behind = LocalName::random();
    node.sequence.join(behind.clone(), at(3), node.now);
    assert_eq!(node.settle(&history(2), 100), 1);
    assert_eq!(node.sequence.due(node.now), Some(node.now + RETRY));
    // Then it begins another epoch.
    node.now += RETRY;
    node.settle(&History { epoch: epoch(2), last: 3, kept: 100 }, 100);
    assert_eq!(node.got(&behind), [0]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_bounded_and_nothing_of_it_is_lost() {
    let (mut node, local) = Node::with_member();
    for offset in 2..=255 {
        node.arrive(at(offset));
    }
    assert!(node.sequence.early.len() <= EARLY_MESSAGES_MAX);
    let (large, id) = (Content::parse(large_map().into()).unwrap(), CorrelationId::random());
    for offset in 1_000..1_010 {
        let message = (large.clone(), id);
        node.sequence.arrive(at(offset), message, node.now, &mut node.out);
    }
    assert!(node.sequence.early_bytes <= EARLY_BYTES_MAX, "{}", node.sequence.early_bytes);
    node.sequence.early.retain(|offset, _| *offset < 1_000);
    node.now += PATIENCE;
    node.settle(&History { kept: 1_000, ..history(255) }, 10);
    assert_eq!(node.got(&local), (1..=255).collect::<Vec<_>>());
}

/// A message of 200 KiB.
fn large_map() -> Vec<u8> {
    let mut map = vec![0x81, 0xa1, b'b', 0xc6];
    map.extend(204_800_u32.to_be_bytes());
    map.resize(204_808, 0);
    map
}

/// A step of what may happen on a node.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody sends a message.
    Send,
    /// The message with this place among those on their way arrives.
    Arrive(usize),
    /// It never does.
    Lose(usize),
    /// A connection joins that has all but some of the latest messages: its entry was on its way meanwhile.
    Join(u64),
    /// A connection leaves.
    Leave(usize),
    /// So many milliseconds pass.
    Wait(u64),
}

fn some_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Send),
        4 => any::<usize>().prop_map(Step::Arrive),
        1 => any::<usize>().prop_map(Step::Lose),
        2 => any::<u64>().prop_map(Step::Join),
        1 => any::<usize>().prop_map(Step::Leave),
        2 => (0..150_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever the order of arrival, and whatever is lost: each member gets all behind its position in order and
    /// once, until it leaves.
    #[test]
    fn every_member_gets_all_in_order_and_once(steps in vec(some_step(), 0..120), limit in 1..5_u64) {
        // For its clock.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let mut node = Node::new();
        let mut history = History { epoch: epoch(1), last: 0, kept: 1_000 };
        let (mut on_their_way, mut members) = (Vec::new(), Vec::new());
        let mut left = Vec::new();
        for step in steps {
            match step {
                Step::Send if history.last < 250 => {
                    history.last += 1;
                    on_their_way.push(history.last);
                }
                Step::Send => {}
                Step::Arrive(which) if !on_their_way.is_empty() => {
                    let offset = on_their_way.remove(which % on_their_way.len());
                    node.arrive(at(offset));
                }
                Step::Lose(which) if !on_their_way.is_empty() => {
                    on_their_way.remove(which % on_their_way.len());
                }
                Step::Arrive(_) | Step::Lose(_) => {}
                Step::Join(from) => {
                    // The script hands over all that was sent so far.
                    let local = LocalName::random();
                    let end = history.last - from.min(history.last) % 3;
                    node.sequence.join(local.clone(), at(end), node.now);
                    members.push((local, end));
                }
                Step::Leave(which) if !members.is_empty() => {
                    let member: (LocalName, u64) = members.remove(which % members.len());
                    node.sequence.leave(&member.0);
                    left.push(member);
                }
                Step::Leave(_) => {}
                Step::Wait(millis) => node.now += Duration::from_millis(millis),
            }
            node.settle(&history, limit);
        }
        for offset in std::mem::take(&mut on_their_way) {
            node.arrive(at(offset));
        }
        node.sequence.compare(at(history.last), node.now);
        node.now += PATIENCE;
        node.settle(&history, limit);
        for (local, joined) in &members {
            prop_assert_eq!(node.got(local), (joined + 1..=history.last).collect::<Vec<_>>());
        }
        for (local, joined) in &left {
            let got = node.got(local);
            let last = got.last().copied().unwrap_or(*joined);
            prop_assert_eq!(got, (joined + 1..=last).collect::<Vec<_>>());
        }
        prop_assert!(node.sequence.due(node.now).is_none());
    }
}
