//! Puts what a node gets of a group in order: what is early waits for what is missing, what is late is dropped, and
//! members that stand elsewhere catch up. Knows no server: it says what it needs of the group's history.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use crate::message::{
    Content, CorrelationId, Epoch, GroupName, InboxEntry, LocalName, Page, Position,
};

/// How long what is early waits for what is missing before the history is asked.
const PATIENCE: Duration = Duration::from_millis(100);
/// The pause after a history could not be read.
const RETRY: Duration = Duration::from_secs(1);
/// Messages of a group that wait for one that is missing. More are read from the history again.
const EARLY_MESSAGES_MAX: usize = 256;
/// Bytes of them.
const EARLY_BYTES_MAX: usize = 1024 * 1024;

/// The members of a group on a node that see positions, and what they have got.
#[derive(Debug)]
pub(super) struct Sequence {
    group: GroupName,
    epoch: Epoch,
    /// The offset of the last message that those in `current` have got.
    last: u64,
    current: HashSet<LocalName>,
    /// Members that stand elsewhere: they have missed messages, or have got later ones with their join.
    apart: HashMap<LocalName, Position>,
    /// Messages that are early.
    early: BTreeMap<u64, (Content, CorrelationId)>,
    early_bytes: usize,
    /// When the history is asked for what is missing, unless it comes before.
    ask_at: Option<Instant>,
    /// Whether a message of another epoch came.
    is_doubtful: bool,
    /// No earlier the history is asked again.
    retry: Option<Instant>,
    /// Whether it is being asked.
    is_asking: bool,
}

impl Sequence {
    /// A sequence without members, behind a position.
    pub(super) fn new(group: GroupName, position: Position) -> Self {
        Self {
            group,
            epoch: position.epoch,
            last: position.offset,
            current: HashSet::new(),
            apart: HashMap::new(),
            early: BTreeMap::new(),
            early_bytes: 0,
            ask_at: None,
            is_doubtful: false,
            retry: None,
            is_asking: false,
        }
    }

    pub(super) fn has(&self, local: &LocalName) -> bool {
        self.current.contains(local) || self.apart.contains_key(local)
    }

    pub(super) fn len(&self) -> usize {
        self.current.len() + self.apart.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.current.is_empty() && self.apart.is_empty()
    }

    /// Adds a member that has got all up to a position.
    pub(super) fn join(&mut self, local: LocalName, position: Position, now: Instant) {
        self.leave(&local);
        if self.is_empty() {
            // Nobody was given what came so far.
            let before = self.furthest();
            (self.epoch, self.last) = (position.epoch, position.offset);
            self.forget_early();
            self.was_sent(before, now);
        }
        if position == self.position() {
            self.current.insert(local);
            return;
        }
        // Of two epochs nobody here knows which is the later one.
        self.is_doubtful |= position.epoch != self.epoch;
        self.apart.insert(local, position);
    }

    pub(super) fn leave(&mut self, local: &LocalName) {
        self.current.remove(local);
        self.apart.remove(local);
    }

    const fn position(&self) -> Position {
        Position { epoch: self.epoch, offset: self.last }
    }

    /// The last message that came.
    pub(super) fn furthest(&self) -> Position {
        let early = self.early.keys().next_back().copied().unwrap_or(0);
        Position { epoch: self.epoch, offset: self.last.max(early) }
    }

    /// Takes a message that came from the inbox.
    pub(super) fn arrive(
        &mut self,
        position: Position,
        (content, correlation): (Content, CorrelationId),
        now: Instant,
        out: &mut Vec<InboxEntry>,
    ) {
        if position.epoch != self.epoch {
            self.is_doubtful = true;
            return;
        }
        if position.offset <= self.last + 1 {
            self.deliver(position.offset, content, correlation, out);
            self.deliver_early(out);
            return;
        }
        self.ask_at.get_or_insert(now + PATIENCE);
        let bytes = content.as_bytes().len();
        let has_room =
            self.early.len() < EARLY_MESSAGES_MAX && self.early_bytes + bytes <= EARLY_BYTES_MAX;
        if has_room && self.early.insert(position.offset, (content, correlation)).is_none() {
            self.early_bytes += bytes;
        }
    }

    /// Notes where the group is by now. What is on its way comes before the history is asked.
    pub(super) fn compare(&mut self, position: Position, now: Instant) {
        if position.epoch != self.epoch {
            self.is_doubtful = true;
        } else if position.offset > self.last {
            self.ask_at.get_or_insert(now + PATIENCE);
        }
    }

    /// Notes that the group has no history any more. The one that begins now is another; where nobody has sent
    /// anything there is nothing to tell of.
    pub(super) const fn is_forgotten(&mut self) {
        self.is_doubtful |= self.last > 0;
    }

    /// Notes that a message passed by before there was a member: it does not come again.
    pub(super) fn was_sent(&mut self, position: Position, now: Instant) {
        if position.epoch == self.epoch && position.offset > self.last {
            self.ask_at = Some(now);
        }
    }

    /// Gives a message to those who have got all before it.
    fn deliver(
        &mut self,
        offset: u64,
        content: Content,
        correlation: CorrelationId,
        out: &mut Vec<InboxEntry>,
    ) {
        let mut to = Vec::new();
        if offset == self.last + 1 {
            to.extend(self.current.iter().cloned());
            self.last = offset;
        }
        let position = Position { epoch: self.epoch, offset };
        if !self.apart.is_empty() {
            for (local, stands) in &mut self.apart {
                if stands.epoch == self.epoch && stands.offset + 1 == offset {
                    stands.offset = offset;
                    to.push(local.clone());
                }
            }
            self.bring_together();
        }
        if !to.is_empty() {
            let group = self.group.clone();
            out.push(InboxEntry::Numbered { to, group, position, content, correlation });
        }
    }

    /// Takes those who have got the same as the others to them.
    fn bring_together(&mut self) {
        let position = self.position();
        let arrived = self.apart.extract_if(|_, stands| *stands == position);
        self.current.extend(arrived.map(|(local, _)| local));
    }

    fn deliver_early(&mut self, out: &mut Vec<InboxEntry>) {
        while let Some(first) = self.early.first_entry() {
            if *first.key() > self.last + 1 {
                break;
            }
            let (offset, (content, correlation)) = first.remove_entry();
            self.early_bytes -= content.as_bytes().len();
            self.deliver(offset, content, correlation, out);
        }
        if self.early.is_empty() {
            self.ask_at = None;
        }
    }

    fn forget_early(&mut self) {
        self.early.clear();
        self.early_bytes = 0;
        self.ask_at = None;
    }

    /// When the history is to be asked; none while nothing is missing.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        if self.is_asking || self.is_empty() {
            return None;
        }
        let is_behind = |stands: &Position| stands.epoch == self.epoch && stands.offset < self.last;
        let due = match self.is_doubtful || self.apart.values().any(is_behind) {
            // There is nothing to wait for.
            true => Some(now),
            false => self.ask_at,
        }?;
        Some(self.retry.map_or(due, |retry| due.max(retry)))
    }

    /// Asks the history if it is time. Returns the position behind which it is read.
    pub(super) fn ask(&mut self, now: Instant) -> Option<Position> {
        if self.due(now).is_none_or(|due| due > now) {
            return None;
        }
        self.is_asking = true;
        let here = self.apart.values().filter(|stands| stands.epoch == self.epoch);
        let offset = here.map(|stands| stands.offset).chain([self.last]).min();
        Some(Position { epoch: self.epoch, offset: offset.unwrap_or(self.last) })
    }

    /// The history could not be read.
    pub(super) fn failed(&mut self, now: Instant) {
        self.is_asking = false;
        self.retry = Some(now + RETRY);
    }

    /// Takes what the history has behind the position that was asked for.
    pub(super) fn filled(&mut self, page: Page, now: Instant, out: &mut Vec<InboxEntry>) {
        (self.is_asking, self.is_doubtful, self.retry) = (false, false, None);
        let before = (out.len(), self.position());
        let end = Position { epoch: page.from.epoch, offset: page.last };
        if end.epoch != self.epoch || !page.is_complete {
            // What the store does not have is gone for all who have not got it.
            self.miss(end, out);
        } else {
            for message in page.messages {
                let correlation = CorrelationId::random();
                self.deliver(message.offset, message.content, correlation, out);
            }
            self.leave_other_epochs(out);
        }
        self.deliver_early(out);
        // What is still early came after the history was read.
        self.ask_at = (!self.early.is_empty()).then(|| now + PATIENCE);
        if self.last < end.offset {
            // There is more to read.
            self.ask_at = Some(now);
        }
        if before == (out.len(), self.position()) && self.due(now).is_some_and(|due| due <= now) {
            // The store is older than it was, which all are about to notice.
            self.retry = Some(now + RETRY);
        }
    }

    /// Tells members that stand in an epoch that is over that messages are gone. They stand with the others then.
    fn leave_other_epochs(&mut self, out: &mut Vec<InboxEntry>) {
        let (epoch, end) = (self.epoch, self.position());
        let of_others = self.apart.extract_if(|_, stands| stands.epoch != epoch);
        let to: Vec<_> = of_others.map(|(local, _)| local).collect();
        if !to.is_empty() {
            self.current.extend(to.iter().cloned());
            let group = self.group.clone();
            out.push(InboxEntry::From { to, group, position: end, is_complete: false });
        }
    }

    /// Tells who has not got all up to a position that messages are gone. All stand there then, or behind it.
    fn miss(&mut self, end: Position, out: &mut Vec<InboxEntry>) {
        if end.epoch != self.epoch {
            self.forget_early();
        }
        let mut to = Vec::new();
        if end.epoch != self.epoch || self.last < end.offset {
            to.extend(self.current.iter().cloned());
            (self.epoch, self.last) = (end.epoch, end.offset);
        }
        for (local, stands) in &mut self.apart {
            if stands.epoch != end.epoch || stands.offset < end.offset {
                *stands = end;
                to.push(local.clone());
            }
        }
        self.bring_together();
        if !to.is_empty() {
            let group = self.group.clone();
            out.push(InboxEntry::From { to, group, position: end, is_complete: false });
        }
    }
}

#[cfg(test)]
mod tests;
