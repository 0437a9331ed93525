//! Keeps which connections of a node are in which group. Redis only knows that the node has members.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::sync::{Notify, Semaphore, watch};

use super::{
    following::Following,
    present::NodePresence,
    reading::{Popping, Reading},
    sequence::Sequence,
    wire::Taken,
};
use crate::{
    layer::Respondent,
    message::{Gap, GroupName, InboxEntry, LocalName, NodeName},
};

/// Questions that a process answers at the same time. More have no answer.
const ANSWERING_MAX: usize = 8;

/// Answers questions about the connections of a node.
#[derive(Debug)]
pub(super) struct Answering {
    pub(super) respondent: Weak<dyn Respondent>,
    pub(super) room: Arc<Semaphore>,
}

impl Answering {
    pub(super) fn new(respondent: Weak<dyn Respondent>) -> Self {
        Self { respondent, room: Arc::new(Semaphore::new(ANSWERING_MAX)) }
    }
}

/// One node of this process.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: NodeName,
    per_connection: Option<usize>,
    /// Locked for single operations only.
    members: Mutex<Members>,
    /// The last probe that was sent, and the last that arrived.
    probes: AtomicU64,
    heard: watch::Sender<u64>,
    /// Bytes that were read of the inbox and not reported yet.
    untold: Mutex<Taken>,
    pub(super) reading: Reading,
    pub(super) presence: NodePresence,
    /// The pop that is under way.
    pub(super) popping: tokio::sync::Mutex<Option<Popping>>,
    /// Members that see positions. `members` may be locked under it.
    following: Mutex<Following>,
    /// Notified of entries that came from histories.
    pub(super) filled: Notify,
    /// Notified when a history may be due to be asked, and when the node is closed.
    pub(super) lacking: Notify,
    /// Gaps that the reader of the inbox has not seen yet.
    gaps: Mutex<Vec<InboxEntry>>,
    /// The partitions that know the node, and since which turn of theirs.
    known: Mutex<HashMap<usize, u64>>,
    /// Answers questions about its connections.
    pub(super) answering: OnceLock<Answering>,
    /// The open WebSockets.
    pub(super) sockets: OnceLock<Arc<AtomicUsize>>,
}

#[derive(Debug, Default)]
struct Members {
    groups: HashMap<GroupName, Group>,
    memberships: HashMap<LocalName, HashSet<GroupName>>,
    owed: Vec<Emptied>,
    /// Connections of users that are over, which Redis was not told of yet.
    over: Vec<Over>,
}

#[derive(Debug, Default)]
struct Group {
    locals: HashSet<LocalName>,
    /// The last count of the registration that was read.
    count: u64,
}

/// A group without members on this node, and the count up to which that is so.
pub(super) type Emptied = (GroupName, u64);

/// A connection that is not one of a user any more, and the group of the user.
pub(super) type Over = (GroupName, LocalName);

/// The outcome of a join.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// The connection is a member.
    Member,
    /// The connection is in as many groups as it may be. The group is empty if it is given.
    TooMany(Option<Emptied>),
}

impl Node {
    pub(super) fn new(name: NodeName, per_connection: Option<usize>, partitions: usize) -> Self {
        Self {
            name,
            per_connection,
            members: Mutex::default(),
            probes: AtomicU64::new(0),
            heard: watch::Sender::new(0),
            untold: Mutex::default(),
            reading: Reading::default(),
            presence: NodePresence::new(partitions),
            popping: tokio::sync::Mutex::default(),
            following: Mutex::default(),
            filled: Notify::new(),
            lacking: Notify::new(),
            gaps: Mutex::default(),
            known: Mutex::default(),
            answering: OnceLock::new(),
            sockets: OnceLock::new(),
        }
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn following(&self) -> MutexGuard<'_, Following> {
        self.following.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts bytes that were read of the inbox. Returns those to report, once they are enough.
    pub(super) fn took(&self, taken: &Taken, enough: usize) -> Option<Taken> {
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        untold.messages += taken.messages;
        untold.answers += taken.answers;
        let is_enough = untold.messages.max(untold.answers) > enough;
        is_enough.then(|| std::mem::take(&mut *untold))
    }

    /// Notes since which turn a partition knows the node. Returns the turn that was noted before.
    pub(super) fn known_since(&self, partition: usize, turn: u64) -> Option<u64> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, turn)
    }

    /// Takes the members of the groups in question out of all their groups, since messages may be missing.
    /// Returns the groups that have no members any more.
    pub(super) fn miss(&self, gap: Gap, is_meant: impl Fn(&GroupName) -> bool) -> Vec<Emptied> {
        let mut following = self.following();
        let mut members = self.members();
        let memberships = members.memberships.iter();
        let meant = memberships.filter(|(_, groups)| groups.iter().any(&is_meant));
        let locals: Vec<_> = meant.map(|(local, _)| local.clone()).collect();
        let groups_of =
            |local: &LocalName| (local.clone(), members.memberships.get(local).cloned());
        let left: Vec<_> = locals.iter().map(groups_of).collect();
        let emptied = locals.iter().flat_map(|local| members.leave_all(local)).collect();
        drop(members);
        for (local, groups) in left {
            groups.into_iter().flatten().for_each(|group| following.leave(&local, &group));
        }
        drop(following);
        for local in &locals {
            self.presence.leave_all(local);
        }
        let missed = InboxEntry::Missed { members: locals, gap };
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner).push(missed);
        emptied
    }

    /// Takes the gaps that the reader of the inbox has not seen yet.
    pub(super) fn take_gaps(&self) -> Vec<InboxEntry> {
        std::mem::take(&mut *self.gaps.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the number of a new probe.
    pub(super) fn probe(&self) -> u64 {
        self.probes.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Notes a probe that arrived from the inbox.
    pub(super) fn heard(&self, number: u64) {
        self.heard.send_replace(number);
    }

    /// Resolves when a probe or a later one has arrived.
    pub(super) async fn hears(&self, number: u64) {
        // The sender is here, so it is not gone.
        drop(self.heard.subscribe().wait_for(|heard| *heard >= number).await);
    }

    pub(super) fn join(&self, local: LocalName, group: GroupName, count: u64) -> Joined {
        let mut members = self.members();
        let Members { groups, memberships, .. } = &mut *members;
        let of_local = memberships.entry(local.clone()).or_default();
        let entry = groups.entry(group.clone()).or_default();
        entry.count = entry.count.max(count);
        if !of_local.contains(&group)
            && !group.is_reserved()
            && self.per_connection.is_some_and(|most| is_full(of_local, most))
        {
            let emptied = entry.locals.is_empty().then(|| (group.clone(), entry.count));
            if emptied.is_some() {
                groups.remove(&group);
            }
            return Joined::TooMany(emptied);
        }
        entry.locals.insert(local);
        of_local.insert(group);
        Joined::Member
    }

    /// Notes that a connection is about to become one of a user, so that it leaves the group again however that ends.
    pub(super) fn enters(&self, local: &LocalName, user: &GroupName) {
        self.members().memberships.entry(local.clone()).or_default().insert(user.clone());
    }

    pub(super) fn leave(&self, local: &LocalName, group: &GroupName) -> Option<Emptied> {
        self.presence.leave(local, group);
        let mut following = self.following();
        following.leave(local, group);
        let mut members = self.members();
        if let Some(of_local) = members.memberships.get_mut(local) {
            of_local.remove(group);
            if of_local.is_empty() {
                members.memberships.remove(local);
            }
        }
        members.remove(local, group)
    }

    pub(super) fn leave_all(&self, local: &LocalName) -> Vec<Emptied> {
        self.presence.leave_all(local);
        // Held over all of it, as over a join: nobody sees positions of a group that it is not in.
        let mut following = self.following();
        let mut members = self.members();
        if !following.is_empty() {
            for group in members.memberships.get(local).into_iter().flatten() {
                following.leave(local, group);
            }
        }
        members.leave_all(local)
    }

    /// The members of a group that do not see positions.
    pub(super) fn members_beside(
        &self,
        group: &GroupName,
        sequence: Option<&Sequence>,
    ) -> Vec<LocalName> {
        let members = self.members();
        let Some(Group { locals, .. }) = members.groups.get(group) else { return Vec::new() };
        match sequence {
            Some(sequence) if sequence.len() >= locals.len() => Vec::new(),
            Some(sequence) => locals.iter().filter(|local| !sequence.has(local)).cloned().collect(),
            None => locals.iter().cloned().collect(),
        }
    }

    pub(super) fn members_of(&self, group: &GroupName) -> Vec<LocalName> {
        let members = self.members();
        let locals = members.groups.get(group).map(|group| group.locals.iter().cloned().collect());
        locals.unwrap_or_default()
    }

    /// The groups of a connection, by name.
    pub(super) fn groups_of(&self, local: &LocalName) -> Vec<GroupName> {
        let members = self.members();
        let groups = members.memberships.get(local).into_iter().flatten();
        let mut groups: Vec<_> = groups.cloned().collect();
        groups.sort();
        groups
    }

    /// The groups that have members here.
    pub(super) fn groups(&self) -> Vec<GroupName> {
        self.members().groups.keys().cloned().collect()
    }

    /// Prepares a registration to be made again: joins that were read before do not count any more. Returns the
    /// count so far.
    pub(super) fn forget_count(&self, group: &GroupName) -> u64 {
        let mut members = self.members();
        members.groups.get_mut(group).map_or(0, |group| std::mem::take(&mut group.count))
    }

    /// Notes that a registration was made again. Returns the group if it has no members any more.
    pub(super) fn registered(&self, group: &GroupName, count: u64) -> Option<Emptied> {
        match self.members().groups.get_mut(group) {
            Some(group) => {
                group.count = group.count.max(count);
                None
            }
            None => Some((group.clone(), count)),
        }
    }

    /// Takes the connections of users that are over, of those groups that are wanted.
    pub(super) fn take_over(&self, wanted: impl Fn(&GroupName) -> bool) -> Vec<Over> {
        self.members().over.extract_if(.., |(group, _)| wanted(group)).collect()
    }

    /// Notes connections of users that Redis could not be told of.
    pub(super) fn owe_over(&self, over: Vec<Over>) {
        self.members().over.extend(over);
    }

    /// Notes groups whose deregistration failed.
    pub(super) fn owe(&self, emptied: Vec<Emptied>) {
        self.members().owed.extend(emptied);
    }

    /// Takes those of them that are wanted, to deregister them now.
    pub(super) fn take_owed(&self, wanted: impl Fn(&GroupName) -> bool) -> Vec<Emptied> {
        self.members().owed.extract_if(.., |(group, _)| wanted(group)).collect()
    }
}

impl Members {
    fn leave_all(&mut self, local: &LocalName) -> Vec<Emptied> {
        let groups = self.memberships.remove(local).unwrap_or_default();
        let users = groups.iter().filter(|group| group.is_of_user());
        self.over.extend(users.map(|user| (user.clone(), local.clone())));
        groups.iter().filter_map(|group| self.remove(local, group)).collect()
    }

    fn remove(&mut self, local: &LocalName, group: &GroupName) -> Option<Emptied> {
        let entry = self.groups.get_mut(group)?;
        entry.locals.remove(local);
        if !entry.locals.is_empty() {
            return None;
        }
        self.groups.remove(group).map(|entry| (group.clone(), entry.count))
    }
}

/// Whether a connection is in as many groups as it may be. Those of the host do not count.
fn is_full(groups: &HashSet<GroupName>, most: usize) -> bool {
    groups.len() >= most && groups.iter().filter(|group| !group.is_reserved()).count() >= most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_to_leave_empties_a_group_up_to_the_count_that_was_read() {
        let node = Node::new(NodeName::random(), Some(1), 1);
        let (one, two) = (LocalName::random(), LocalName::random());
        let group = |name: &str| GroupName::parse(name).unwrap();
        assert_eq!(node.join(one.clone(), group("g"), 1), Joined::Member);
        assert_eq!(node.join(two.clone(), group("g"), 3), Joined::Member);
        assert_eq!(node.join(two.clone(), group("g"), 2), Joined::Member);
        assert_eq!(node.join(one.clone(), group("h"), 9), Joined::TooMany(Some((group("h"), 9))));
        assert_eq!(node.leave(&one, &group("g")), None);
        assert_eq!(node.leave(&one, &group("g")), None);
        assert_eq!(node.leave_all(&two), [(group("g"), 3)]);
        assert!(node.groups().is_empty() && node.members_of(&group("g")).is_empty());
    }

    #[test]
    fn who_may_have_missed_something_is_no_member_any_more() {
        let node = Node::new(NodeName::random(), None, 1);
        let (one, two) = (LocalName::random(), LocalName::random());
        let group = |name: &str| GroupName::parse(name).unwrap();
        for (local, name) in [(&one, "g"), (&one, "h"), (&two, "h")] {
            assert_eq!(node.join(local.clone(), group(name), 1), Joined::Member);
        }
        assert_eq!(node.miss(Gap::LeaseEnded, |it| *it == group("g")), [(group("g"), 1)]);
        let missed = InboxEntry::Missed { members: vec![one], gap: Gap::LeaseEnded };
        assert_eq!(node.take_gaps(), [missed]);
        assert_eq!(node.members_of(&group("h")), [two]);
        assert!(node.take_gaps().is_empty());
    }
}
