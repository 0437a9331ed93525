//! What groups remember, in memory: the latest messages of each, bounded by its rule and by what its module may
//! have in all.

mod saved;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use tokio::time::Instant;

use crate::{
    layer::{
        Histories,
        histories::{Kept, PAGE_BYTES_MAX},
    },
    message::{After, Content, Epoch, GroupName, ModuleName, Page, Position, Remembered, Start},
};

/// What it takes to keep a message beside its content.
const MESSAGE_OVERHEAD_BYTES: usize = 64;

/// The history of a group.
#[derive(Debug)]
struct Log {
    epoch: Epoch,
    /// The offset of the last message.
    last: u64,
    /// The latest messages without a hole, each with the moment of sending.
    messages: VecDeque<(Instant, Content)>,
    bytes: usize,
    /// When it was sent to last, as a number that grows. None: nobody has, or the messages are gone.
    turn: Option<u64>,
}

/// The histories of a module.
#[derive(Debug, Default)]
struct OfModule {
    logs: HashMap<GroupName, Log>,
    bytes: usize,
    /// The last turn.
    turn: u64,
    /// The groups that have one.
    sent: BTreeMap<u64, GroupName>,
    /// The others.
    silent: BTreeSet<GroupName>,
}

/// All histories.
#[derive(Debug, Default)]
pub(super) struct Logs {
    modules: HashMap<ModuleName, OfModule>,
}

/// What it takes to keep a message.
pub(super) fn cost(content: &Content) -> usize {
    content.as_bytes().len() + MESSAGE_OVERHEAD_BYTES
}

impl Log {
    fn new() -> Self {
        let (messages, epoch) = (VecDeque::new(), Epoch::random());
        Self { epoch, last: 0, messages, bytes: 0, turn: None }
    }

    /// Forgets what is beyond the rule. Returns the bytes that this frees.
    fn trim(&mut self, kept: &Kept, now: Instant) -> usize {
        let before = self.bytes;
        while let Some((since, content)) = self.messages.front() {
            let is_old = now.duration_since(*since) >= kept.rule.age;
            if !is_old && self.messages.len() <= kept.rule.messages && self.bytes <= kept.rule.bytes
            {
                break;
            }
            self.bytes -= cost(content);
            self.messages.pop_front();
        }
        before - self.bytes
    }

    /// The offset before the first message that is kept.
    fn floor(&self) -> u64 {
        self.last - self.messages.len() as u64
    }

    fn page(&self, start: &Start, limit: usize) -> Page {
        let after = match start.after {
            After::Position(after)
                if after.epoch == self.epoch
                    && (self.floor()..=self.last).contains(&after.offset) =>
            {
                Some(after.offset)
            }
            After::Start => Some(self.floor()),
            _ => None,
        };
        let is_complete = after.is_some() || start.after == After::Nothing;
        let from = after.unwrap_or_else(|| self.latest(start.latest));
        let skipped = usize::try_from(from - self.floor()).unwrap_or(usize::MAX);
        let (mut messages, mut bytes) = (Vec::new(), 0);
        for ((_, content), offset) in self.messages.iter().skip(skipped).zip(from + 1..).take(limit)
        {
            bytes += cost(content);
            // One is there in any case: whoever asks goes on.
            if bytes > PAGE_BYTES_MAX && !messages.is_empty() {
                break;
            }
            messages.push(Remembered { offset, content: content.clone() });
        }
        let from = Position { epoch: self.epoch, offset: from };
        Page { from, messages, is_complete, last: self.last }
    }

    /// The offset before so many of the latest messages, fewer if they are large.
    fn latest(&self, count: usize) -> u64 {
        let mut bytes = 0;
        let fits = |(_, content): &&(Instant, Content)| {
            bytes += cost(content);
            bytes <= PAGE_BYTES_MAX
        };
        self.last - self.messages.iter().rev().take(count).take_while(fits).count() as u64
    }
}

impl OfModule {
    /// The history of a group; a new one if there is none.
    fn log(&mut self, group: &GroupName, kept: &Kept, now: Instant) -> &mut Log {
        if !self.logs.contains_key(group) {
            while self.logs.len() >= kept.bounds.groups && self.forget_oldest() {}
            self.silent.insert(group.clone());
        }
        let log = self.logs.entry(group.clone()).or_insert_with(Log::new);
        self.bytes -= log.trim(kept, now);
        log
    }

    /// Notes that a group is sent to in this turn, and that it had another one before.
    fn is_sent_to(&mut self, group: &GroupName, before: Option<u64>) {
        match before {
            Some(before) => drop(self.sent.remove(&before)),
            None => drop(self.silent.remove(group)),
        }
        self.sent.insert(self.turn, group.clone());
    }

    /// Forgets the history that was sent to longest ago. False if there is none.
    fn forget_oldest(&mut self) -> bool {
        let silent = self.silent.pop_first();
        let Some(oldest) = silent.or_else(|| self.sent.pop_first().map(|(_, group)| group)) else {
            return false;
        };
        self.bytes -= self.logs.remove(&oldest).map_or(0, |log| log.bytes);
        true
    }

    /// Forgets the messages of the group that was sent to longest ago, but for one, and keeps its place: who is up to
    /// date misses nothing. False if there is none.
    fn empty_oldest(&mut self, but: &GroupName) -> bool {
        let oldest = self.sent.iter().find(|(_, group)| *group != but);
        let Some((turn, group)) = oldest.map(|(turn, group)| (*turn, group.clone())) else {
            return false;
        };
        self.sent.remove(&turn);
        if let Some(log) = self.logs.get_mut(&group) {
            log.turn = None;
            log.messages.clear();
            self.bytes -= std::mem::take(&mut log.bytes);
        }
        self.silent.insert(group);
        true
    }
}

impl Logs {
    /// Adds a message to the history of a group. Returns the place behind it.
    pub(super) fn append(
        &mut self,
        group: &GroupName,
        content: &Content,
        kept: &Kept,
        now: Instant,
    ) -> Position {
        let module = self.modules.entry(kept.module.clone()).or_default();
        module.turn += 1;
        let turn = module.turn;
        let log = module.log(group, kept, now);
        log.last += 1;
        let (turn_before, before) = (log.turn.replace(turn), log.bytes);
        let position = Position { epoch: log.epoch, offset: log.last };
        log.messages.push_back((now, content.clone()));
        log.bytes += cost(content);
        log.trim(kept, now);
        let after = log.bytes;
        module.bytes = module.bytes + after - before;
        module.is_sent_to(group, turn_before);
        while module.bytes > kept.bounds.bytes && module.empty_oldest(group) {}
        position
    }

    /// Forgets the histories of groups that are not remembered any more.
    pub(super) fn forget_others(&mut self, histories: &Histories) {
        self.modules.retain(|_, module| {
            let gone = module.logs.extract_if(|group, _| !histories.keeps(group));
            module.bytes -= gone.map(|(_, log)| log.bytes).sum::<usize>();
            module.sent.retain(|_, group| module.logs.contains_key(group));
            module.silent.retain(|group| module.logs.contains_key(group));
            !module.logs.is_empty()
        });
    }

    /// Reads the history of a group.
    pub(super) fn page(
        &mut self,
        group: &GroupName,
        start: &Start,
        limit: usize,
        (kept, now): (&Kept, Instant),
    ) -> Page {
        let module = self.modules.entry(kept.module.clone()).or_default();
        module.log(group, kept, now).page(start, limit)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::message::{HistoryBounds, HistoryRule, ModuleHistories};

    fn kept(messages: usize, bytes: usize, bounds: HistoryBounds) -> Kept {
        let rule = HistoryRule { messages, age: Duration::from_secs(60), bytes };
        Kept { module: ModuleName::parse("m").unwrap(), rule, bounds }
    }

    fn group(name: &str) -> GroupName {
        GroupName::parse(name).unwrap()
    }

    fn content() -> Content {
        Content::parse(Bytes::from_static(b"\x81\xa1n\x01")).unwrap()
    }

    fn offsets(page: &Page) -> Vec<u64> {
        page.messages.iter().map(|message| message.offset).collect()
    }

    const EACH: usize = 4 + MESSAGE_OVERHEAD_BYTES;

    #[tokio::test(start_paused = true)]
    async fn messages_bytes_and_age_bound_what_is_kept() {
        let (mut logs, start) = (Logs::default(), Instant::now());
        let latest = Start { after: After::Nothing, latest: 100 };
        let few = kept(3, usize::MAX, HistoryBounds::default());
        for _ in 0..5 {
            logs.append(&group("m.few"), &content(), &few, start);
        }
        assert_eq!(offsets(&logs.page(&group("m.few"), &latest, 100, (&few, start))), [3, 4, 5]);
        let small = kept(100, 2 * EACH, HistoryBounds::default());
        for _ in 0..5 {
            logs.append(&group("m.small"), &content(), &small, start);
        }
        assert_eq!(offsets(&logs.page(&group("m.small"), &latest, 100, (&small, start))), [4, 5]);
        let later = start + Duration::from_secs(59);
        logs.append(&group("m.few"), &content(), &few, later);
        let end = start + Duration::from_secs(60);
        assert_eq!(offsets(&logs.page(&group("m.few"), &latest, 100, (&few, end))), [6]);
        let module = &logs.modules[&few.module];
        assert_eq!(module.bytes, 3 * EACH, "what is forgotten does not count");
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_the_bounds_of_the_module_the_quietest_group_is_forgotten() {
        let now = Instant::now();
        let bounds = HistoryBounds { groups: 2, bytes: 5 * EACH };
        let (mut logs, kept) = (Logs::default(), kept(10, usize::MAX, bounds));
        let first = logs.append(&group("m.a"), &content(), &kept, now);
        logs.append(&group("m.b"), &content(), &kept, now);
        logs.append(&group("m.a"), &content(), &kept, now);
        logs.append(&group("m.c"), &content(), &kept, now);
        let after = |position| Start { after: After::Position(position), latest: 0 };
        let page = logs.page(&group("m.a"), &after(first), 10, (&kept, now));
        assert!(page.is_complete && offsets(&page) == [2], "{page:?}");
        for _ in 0..4 {
            logs.append(&group("m.c"), &content(), &kept, now);
        }
        let module = &logs.modules[&kept.module];
        assert_eq!((module.logs.len(), module.bytes), (2, 5 * EACH));
        let page = logs.page(&group("m.a"), &after(first), 10, (&kept, now));
        assert!(!page.is_complete && page.messages.is_empty(), "{page:?}");
        let page = logs.page(&group("m.a"), &after(page.end()), 10, (&kept, now));
        assert!(page.is_complete, "its place is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_module_has_remembered_any_more_is_forgotten() {
        let now = Instant::now();
        let (mut logs, kept) = (Logs::default(), kept(10, usize::MAX, HistoryBounds::default()));
        for name in ["m.room.a", "m.news", "m.news"] {
            logs.append(&group(name), &content(), &kept, now);
        }
        let histories = Histories::default();
        let rules = [("room.*".parse().unwrap(), kept.rule)];
        histories.replace([(kept.module.clone(), ModuleHistories::new(rules, kept.bounds))]);
        logs.forget_others(&histories);
        let module = &logs.modules[&kept.module];
        assert_eq!((module.logs.len(), module.bytes), (1, EACH));
        histories.replace([]);
        logs.forget_others(&histories);
        assert!(logs.modules.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_ends_where_it_is_large_and_the_latest_are_as_many_as_fit() {
        let now = Instant::now();
        let mut bytes = vec![0x81, 0xa1, b'b', 0xc6];
        bytes.extend(100_000_u32.to_be_bytes());
        bytes.extend(vec![0; 100_000]);
        let large = Content::parse(bytes.into()).unwrap();
        let (mut logs, kept) = (Logs::default(), kept(10, usize::MAX, HistoryBounds::default()));
        let first = logs.append(&group("m.a"), &large, &kept, now);
        for _ in 0..4 {
            logs.append(&group("m.a"), &large, &kept, now);
        }
        let after = Start { after: After::Position(first), latest: 0 };
        let page = logs.page(&group("m.a"), &after, 10, (&kept, now));
        assert!(offsets(&page) == [2, 3] && page.has_more() && page.is_complete);
        let latest = Start { after: After::Nothing, latest: 10 };
        let page = logs.page(&group("m.a"), &latest, 10, (&kept, now));
        assert!(offsets(&page) == [4, 5] && !page.has_more());
    }
}
