//! The members of a node that see positions, by group.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::sequence::Sequence;
use crate::message::{Content, CorrelationId, GroupName, InboxEntry, LocalName, Position};

/// How often a node asks how far the groups of its members are.
const COMPARE_INTERVAL: Duration = Duration::from_secs(5);
/// Groups whose histories are asked at the same time.
const ASKED_AT_ONCE: usize = 32;
/// Groups without members whose last message a node remembers.
const PASSED_BY_MAX: usize = 1_024;

/// The members of a node that see positions.
#[derive(Debug, Default)]
pub(super) struct Following {
    pub(super) sequences: HashMap<GroupName, Sequence>,
    /// The last messages of groups without such members: a join whose entry is behind them has missed them.
    passed_by: HashMap<GroupName, Position>,
    /// Entries in order that the reader of the inbox has not taken.
    pub(super) out: Vec<InboxEntry>,
    /// When the groups are compared next.
    pub(super) compare_at: Option<Instant>,
}

impl Following {
    /// Takes a message. Returns nothing, but entries are there to be taken.
    pub(super) fn arrive(
        &mut self,
        group: &GroupName,
        position: Position,
        message: (Content, CorrelationId),
        now: Instant,
    ) {
        if let Some(sequence) = self.sequences.get_mut(group) {
            return sequence.arrive(position, message, now, &mut self.out);
        }
        self.pass_by(group.clone(), position);
    }

    fn pass_by(&mut self, group: GroupName, position: Position) {
        if self.passed_by.len() >= PASSED_BY_MAX {
            // Who joins one of these learns of it when groups are compared.
            self.passed_by.clear();
        }
        let known = self.passed_by.entry(group).or_insert(position);
        if known.epoch != position.epoch || known.offset < position.offset {
            *known = position;
        }
    }

    pub(super) fn join(
        &mut self,
        local: LocalName,
        group: &GroupName,
        position: Position,
        now: Instant,
    ) {
        let passed_by = self.passed_by.remove(group);
        let sequence = self
            .sequences
            .entry(group.clone())
            .or_insert_with(|| Sequence::new(group.clone(), position));
        sequence.join(local, position, now);
        if let Some(passed_by) = passed_by {
            sequence.was_sent(passed_by, now);
        }
        self.compare_at.get_or_insert(now + COMPARE_INTERVAL);
    }

    pub(super) fn leave(&mut self, local: &LocalName, group: &GroupName) {
        let Some(sequence) = self.sequences.get_mut(group) else { return };
        sequence.leave(local);
        if sequence.is_empty() {
            let furthest = sequence.furthest();
            self.sequences.remove(group);
            self.pass_by(group.clone(), furthest);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    /// Takes the entries.
    pub(super) fn take(&mut self) -> Vec<InboxEntry> {
        std::mem::take(&mut self.out)
    }

    /// Whether a history is to be asked about a group.
    pub(super) fn is_lacking(&self, group: &GroupName, now: Instant) -> bool {
        self.sequences.get(group).is_some_and(|sequence| sequence.due(now).is_some())
    }

    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let due = self.sequences.values().filter_map(|sequence| sequence.due(now));
        due.chain(self.compare_at).min()
    }

    /// The histories that are to be asked now, and behind which position.
    pub(super) fn ask(&mut self, now: Instant) -> Vec<(GroupName, Position)> {
        let asking = self
            .sequences
            .iter_mut()
            .filter_map(|(group, sequence)| Some((group.clone(), sequence.ask(now)?)));
        asking.take(ASKED_AT_ONCE).collect()
    }

    /// The groups, if it is time to compare.
    pub(super) fn groups_to_compare(&mut self, now: Instant) -> Vec<GroupName> {
        if self.compare_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.compare_at = (!self.sequences.is_empty()).then(|| now + COMPARE_INTERVAL);
        self.sequences.keys().cloned().collect()
    }
}
