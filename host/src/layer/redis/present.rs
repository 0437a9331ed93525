//! Which connections of a node are present, and what Redis is to be told of that.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    message::{GroupName, LocalName, MEMBERS_PER_READ_MAX, Present},
    redis::partition_of,
};

/// Connections that one call tells of.
const CONNECTIONS_PER_CALL: usize = 100;

/// A connection, by the group that it is or was present in.
type Entry = (GroupName, LocalName);

/// Which connections of a node are present in which group, and what Redis has not been told of that.
#[derive(Debug, Default)]
pub(super) struct NodePresence {
    partitions: usize,
    /// Whether any connection ever was. Nodes without look no further.
    is_used: AtomicBool,
    /// Whether something was not told, or a connection is owed a list.
    pub(super) is_behind: AtomicBool,
    /// Locked for single operations only.
    state: Mutex<State>,
    /// The calls that were made in each partition. Held during a call, so that they are in order.
    pub(super) calls: Vec<tokio::sync::Mutex<u64>>,
}

#[derive(Debug, Default)]
struct State {
    present: HashMap<LocalName, HashMap<GroupName, Arc<Present>>>,
    /// By partition: what was not told, the latest of each connection. None: it is not present.
    untold: HashMap<usize, HashMap<Entry, Option<Arc<Present>>>>,
    /// Connections that have joined and of which no answer came yet.
    joining: HashSet<Entry>,
    /// Connections that get a list, with the most that it may have.
    owed: HashMap<GroupName, (usize, Vec<LocalName>)>,
}

impl NodePresence {
    pub(super) fn new(partitions: usize) -> Self {
        let calls = (0..partitions).map(|_| tokio::sync::Mutex::default()).collect();
        Self { partitions, calls, ..Self::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Acquire)
    }

    fn change(&self, state: &mut State, entry: Entry, present: Option<Arc<Present>>) {
        let partition = partition_of(entry.0.as_str(), self.partitions);
        state.untold.entry(partition).or_default().insert(entry, present);
        self.is_behind.store(true, Ordering::Release);
    }

    /// Notes that a connection is present in a group.
    pub(super) fn join(&self, local: &LocalName, group: &GroupName, present: Present) {
        self.is_used.store(true, Ordering::Release);
        let (present, mut state) = (Arc::new(present), self.state());
        let of = state.present.entry(local.clone()).or_default();
        let is_new = of.insert(group.clone(), Arc::clone(&present)).is_none();
        if is_new {
            state.joining.insert((group.clone(), local.clone()));
        }
        self.change(&mut state, (group.clone(), local.clone()), Some(present));
    }

    /// Notes that a connection has left a group.
    pub(super) fn leave(&self, local: &LocalName, group: &GroupName) {
        if !self.is_used() {
            return;
        }
        let mut state = self.state();
        let Some(groups) = state.present.get_mut(local) else { return };
        let was_present = groups.remove(group).is_some();
        if groups.is_empty() {
            state.present.remove(local);
        }
        if was_present {
            self.change(&mut state, (group.clone(), local.clone()), None);
        }
    }

    /// Notes that a connection has left all groups.
    pub(super) fn leave_all(&self, local: &LocalName) {
        if !self.is_used() {
            return;
        }
        let mut state = self.state();
        for group in state.present.remove(local).unwrap_or_default().into_keys() {
            self.change(&mut state, (group, local.clone()), None);
        }
    }

    /// Has all that is so in a partition told again, should the store have lost some of it.
    pub(super) fn tell_all_again(&self, partition: usize) {
        if !self.is_used() {
            return;
        }
        let mut state = self.state();
        let all = state.present.iter().flat_map(|(local, groups)| {
            groups
                .iter()
                .map(|(group, present)| ((group.clone(), local.clone()), Some(Arc::clone(present))))
        });
        let here = |(group, _): &Entry| partition_of(group.as_str(), self.partitions) == partition;
        let all: Vec<_> = all.filter(|(entry, _)| here(entry)).collect();
        for (entry, present) in all {
            // What is not told yet is newer.
            if !state.untold.get(&partition).is_some_and(|untold| untold.contains_key(&entry)) {
                self.change(&mut state, entry, present);
            }
        }
    }

    /// Some of what a partition was not told. It stays until it was.
    pub(super) fn untold(&self, partition: usize) -> Vec<(Entry, Option<Arc<Present>>)> {
        let state = self.state();
        let untold = state.untold.get(&partition).into_iter().flatten();
        let copy =
            |(entry, present): (&Entry, &Option<Arc<Present>>)| (entry.clone(), present.clone());
        untold.take(CONNECTIONS_PER_CALL).map(copy).collect()
    }

    /// Notes what a partition was told, and owes a list to connections that are new.
    pub(super) fn told(
        &self,
        partition: usize,
        told: Vec<(Entry, Option<Arc<Present>>)>,
        outcomes: &[String],
    ) {
        let mut state = self.state();
        for ((entry, present), outcome) in told.into_iter().zip(outcomes) {
            if let Some(untold) = state.untold.get_mut(&partition) {
                let is_latest = match (untold.get(&entry), &present) {
                    (Some(Some(latest)), Some(present)) => Arc::ptr_eq(latest, present),
                    (Some(None), None) => true,
                    _ => false,
                };
                if is_latest {
                    untold.remove(&entry);
                }
            }
            // One that was told before may be owed a list all the same: the answer was lost.
            let was_joining = state.joining.remove(&entry);
            let (word, listed) = outcome.split_once(' ').unwrap_or((outcome, ""));
            let (group, local) = entry;
            if (word == "new" || was_joining && word == "again")
                && let Ok(listed) = listed.parse::<usize>()
            {
                let owed = state.owed.entry(group).or_default();
                owed.0 = owed.0.max(listed.min(MEMBERS_PER_READ_MAX));
                owed.1.push(local);
            }
        }
        state.untold.retain(|_, untold| !untold.is_empty());
        let is_behind = !state.untold.is_empty() || !state.owed.is_empty();
        self.is_behind.store(is_behind, Ordering::Release);
    }

    pub(super) fn partitions_untold(&self) -> Vec<usize> {
        self.state().untold.keys().copied().collect()
    }

    pub(super) fn take_owed(&self) -> HashMap<GroupName, (usize, Vec<LocalName>)> {
        let mut state = self.state();
        let owed = std::mem::take(&mut state.owed);
        self.is_behind.store(!state.untold.is_empty(), Ordering::Release);
        owed
    }

    pub(super) fn owe_again(&self, group: GroupName, (most, locals): (usize, Vec<LocalName>)) {
        let mut state = self.state();
        let owed = state.owed.entry(group).or_default();
        owed.0 = owed.0.max(most);
        owed.1.extend(locals);
        self.is_behind.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Facts, Member, MemberKey, PresenceRule};

    #[test]
    fn a_connection_is_owed_a_list_also_when_the_first_answer_was_lost() {
        let presence = NodePresence::new(1);
        let (local, group) = (LocalName::random(), GroupName::parse("m.g").unwrap());
        let key = MemberKey::parse("ada").unwrap();
        let facts = Facts::parse(vec![0x80].into()).unwrap();
        let present = Present { member: Member { key, facts }, rule: PresenceRule::default() };
        presence.join(&local, &group, present.clone());
        // Redis did what it was told, and the answer did not come.
        assert_eq!(presence.untold(0).len(), 1);
        let answered = |outcome: &str| {
            presence.told(0, presence.untold(0), &[outcome.to_owned()]);
            let mut owed = presence.take_owed();
            owed.remove(&group).map(|(most, locals)| (most, locals.len()))
        };
        assert_eq!(answered("again 10"), Some((10, 1)));
        presence.join(&local, &group, present.clone());
        assert_eq!(answered("again 10"), None, "it has one");
        presence.tell_all_again(0);
        assert_eq!(answered("new 10"), Some((10, 1)), "the store had lost it");
        presence.leave(&local, &group);
        assert_eq!(answered("left"), None);
        presence.join(&local, &group, present);
        assert_eq!(answered("new"), None, "clients are told nothing");
        assert!(presence.untold(0).is_empty());
    }
}
