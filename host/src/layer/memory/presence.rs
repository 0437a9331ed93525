//! The members that are present in groups, with their connections.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::Bound,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

use crate::{
    layer::presence::{Change, Told},
    message::{
        CONNECTIONS_PER_MEMBER_MAX, ChannelName, Facts, GroupName, Member, MemberKey, MembersPage,
        NodeName, PresenceRule, Present,
    },
};

/// A member, with its connections; the one that gave facts last is the last.
#[derive(Debug)]
struct Held {
    connections: Vec<(ChannelName, Facts)>,
    facts: Facts,
    /// When it leaves, since it has no connections.
    leaves_at: Option<Instant>,
}

#[derive(Debug)]
struct Group {
    rule: PresenceRule,
    /// Counts changes. Begins with the time, so that a group that comes back goes on with a higher one.
    version: u64,
    announced: u64,
    members: BTreeMap<MemberKey, Held>,
    connections: HashMap<ChannelName, MemberKey>,
    leaving: BTreeSet<(Instant, MemberKey)>,
    /// Members that have changed since the last announcement, and whether they were there then.
    changed: BTreeMap<MemberKey, bool>,
    announce_at: Option<Instant>,
    announced_at: Option<Instant>,
    /// Whether clients were told a count last, and no list.
    is_counted: bool,
    /// Whether a client may have missed something.
    is_missed: bool,
}

/// The outcome of a join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// The connection is present; it was not before. It gets this list where clients are told.
    New(Option<MembersPage>),
    /// The connection was present before.
    Again,
    /// The group holds as many members as it may, or the member as many connections.
    Full,
}

#[derive(Debug)]
pub(super) struct Presences {
    members_max: usize,
    /// A group without members that has announced all has no entry.
    groups: HashMap<GroupName, Group>,
    of_connection: HashMap<ChannelName, HashSet<GroupName>>,
    /// When each group has something to do, if it has.
    due: BTreeSet<(Instant, GroupName)>,
    due_of: HashMap<GroupName, Instant>,
}

/// Microseconds: no group has changes as fast.
fn first_version() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or_default()
}

impl Group {
    fn new(rule: &PresenceRule) -> Self {
        let version = first_version();
        Self {
            rule: rule.clone(),
            version,
            announced: version,
            members: BTreeMap::new(),
            connections: HashMap::new(),
            leaving: BTreeSet::new(),
            changed: BTreeMap::new(),
            announce_at: None,
            announced_at: None,
            is_counted: false,
            is_missed: false,
        }
    }

    /// Notes a change of a member, and whether it was there before.
    fn touch(&mut self, key: &MemberKey, was_there: bool, now: Instant) {
        self.version += 1;
        if !self.rule.tells_anybody() {
            self.announced = self.version;
            return;
        }
        self.changed.entry(key.clone()).or_insert(was_there);
        self.announce_soon(now);
    }

    fn announce_soon(&mut self, now: Instant) {
        let next = self.announced_at.map_or(now, |at| now.max(at + self.rule.interval));
        self.announce_at.get_or_insert(next);
    }

    fn show(&mut self, key: &MemberKey, facts: Facts, now: Instant) {
        if let Some(held) = self.members.get_mut(key)
            && held.facts != facts
        {
            held.facts = facts;
            self.touch(key, true, now);
        }
    }

    fn join(
        &mut self,
        channel: &ChannelName,
        Present { member, rule }: &Present,
        members_max: usize,
        now: Instant,
    ) -> Entered {
        if !rule.is_stand_in {
            self.rule = rule.clone();
        }
        let Member { key, facts } = member;
        if self.connections.get(channel).is_some_and(|before| before != key) {
            self.leave(channel, self.rule.leave_after, now);
        }
        let was_present = self.connections.contains_key(channel);
        let entry = (channel.clone(), facts.clone());
        let is_full = self.members.len() >= members_max;
        match self.members.get_mut(key) {
            Some(held) => {
                held.connections.retain(|(other, _)| other != channel);
                if held.connections.len() >= CONNECTIONS_PER_MEMBER_MAX {
                    return Entered::Full;
                }
                held.connections.push(entry);
                if let Some(at) = held.leaves_at.take() {
                    self.leaving.remove(&(at, key.clone()));
                }
                self.show(key, facts.clone(), now);
            }
            None if is_full => return Entered::Full,
            None => {
                let held = Held { connections: vec![entry], facts: facts.clone(), leaves_at: None };
                self.members.insert(key.clone(), held);
                self.touch(key, false, now);
                // Whoever joins now gets a count, and a list once there may be one.
                self.is_counted |= self.rule.clients && self.members.len() > self.rule.listed_max;
            }
        }
        self.connections.insert(channel.clone(), key.clone());
        if was_present {
            return Entered::Again;
        }
        Entered::New(self.rule.clients.then(|| self.page(None, self.rule.listed_max)))
    }

    fn leave(&mut self, channel: &ChannelName, after: Duration, now: Instant) {
        let Some(key) = self.connections.remove(channel) else { return };
        let Some(held) = self.members.get_mut(&key) else { return };
        held.connections.retain(|(other, _)| other != channel);
        match held.connections.last() {
            Some((_, facts)) => {
                let facts = facts.clone();
                self.show(&key, facts, now);
            }
            None if after.is_zero() => self.remove(&key, now),
            None => {
                held.leaves_at = Some(now + after);
                self.leaving.insert((now + after, key));
            }
        }
    }

    fn remove(&mut self, key: &MemberKey, now: Instant) {
        if let Some(Held { leaves_at: Some(at), .. }) = self.members.remove(key) {
            self.leaving.remove(&(at, key.clone()));
        }
        self.touch(key, true, now);
    }

    fn due(&self) -> Option<Instant> {
        let leaving = self.leaving.first().map(|(at, _)| *at);
        [leaving, self.announce_at].into_iter().flatten().min()
    }

    fn member(&self, key: &MemberKey) -> Option<Member> {
        let held = self.members.get(key)?;
        Some(Member { key: key.clone(), facts: held.facts.clone() })
    }

    fn all(&self) -> Vec<Member> {
        self.members.keys().filter_map(|key| self.member(key)).collect()
    }

    fn count(&self) -> u64 {
        self.members.len() as u64
    }

    fn page(&self, after: Option<&MemberKey>, limit: usize) -> MembersPage {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.members.range::<MemberKey, _>((from, Bound::Unbounded));
        let member = |(key, held): (&MemberKey, &Held)| Member {
            key: key.clone(),
            facts: held.facts.clone(),
        };
        let members = rest.by_ref().take(limit).map(member).collect();
        let has_more = rest.next().is_some();
        MembersPage { version: self.version, count: self.count(), members, has_more }
    }

    /// Takes the changes that are due, if there are any.
    fn announce(&mut self, name: &GroupName, now: Instant) -> Option<Change> {
        while let Some((at, key)) = self.leaving.first()
            && *at <= now
        {
            let key = key.clone();
            self.remove(&key, now);
        }
        self.announce_at.take_if(|at| *at <= now)?;
        let (mut joined, mut updated) = (Vec::new(), Vec::new());
        let (mut left, mut passed) = (Vec::new(), Vec::new());
        for (key, was_there) in std::mem::take(&mut self.changed) {
            match (self.member(&key), was_there) {
                (Some(member), false) => joined.push(member),
                (Some(member), true) => updated.push(member),
                (None, true) => left.push(key),
                (None, false) => passed.push(key),
            }
        }
        let comes_or_goes = !joined.is_empty() || !left.is_empty();
        let has_changes = comes_or_goes || !updated.is_empty();
        let has_passed = !passed.is_empty() && self.rule.clients;
        let is_missed = std::mem::take(&mut self.is_missed);
        let told = if !self.rule.clients {
            Told::Nothing
        } else if self.members.len() > self.rule.listed_max {
            let was_counted = std::mem::replace(&mut self.is_counted, true);
            if comes_or_goes || is_missed || !was_counted { Told::Count } else { Told::Nothing }
        } else if std::mem::take(&mut self.is_counted) || is_missed {
            Told::List(self.version, self.all())
        } else if has_changes || has_passed {
            Told::Difference
        } else {
            Told::Nothing
        };
        if told == Told::Nothing && !has_changes {
            return None;
        }
        let from = std::mem::replace(&mut self.announced, self.version);
        self.announced_at = Some(now);
        Some(Change {
            group: name.clone(),
            from,
            version: self.version,
            count: self.count(),
            rule: self.rule.clone(),
            joined,
            updated,
            left,
            passed,
            told,
        })
    }
}

impl Presences {
    pub(super) fn new(members_max: usize) -> Self {
        Self {
            members_max,
            groups: HashMap::new(),
            of_connection: HashMap::new(),
            due: BTreeSet::new(),
            due_of: HashMap::new(),
        }
    }

    /// Makes a connection present in a group.
    pub(super) fn join(
        &mut self,
        name: &GroupName,
        channel: &ChannelName,
        present: &Present,
        now: Instant,
    ) -> Entered {
        let group = self.groups.entry(name.clone()).or_insert_with(|| Group::new(&present.rule));
        let entered = group.join(channel, present, self.members_max, now);
        match entered {
            Entered::Full => self.forget_connection(name, channel),
            Entered::New(_) | Entered::Again => {
                self.of_connection.entry(channel.clone()).or_default().insert(name.clone());
            }
        }
        self.settle(name);
        entered
    }

    /// Ends the presence of a connection in a group.
    pub(super) fn leave(&mut self, name: &GroupName, channel: &ChannelName, now: Instant) {
        let after = self.groups.get(name).map_or(Duration::ZERO, |group| group.rule.leave_after);
        self.leave_after(name, channel, after, now);
    }

    /// Takes back a presence of which nobody has a use.
    pub(super) fn retract(&mut self, name: &GroupName, channel: &ChannelName, now: Instant) {
        self.leave_after(name, channel, Duration::ZERO, now);
    }

    fn leave_after(
        &mut self,
        name: &GroupName,
        channel: &ChannelName,
        after: Duration,
        now: Instant,
    ) {
        let Some(group) = self.groups.get_mut(name) else { return };
        group.leave(channel, after, now);
        self.forget_connection(name, channel);
        self.settle(name);
    }

    /// Ends the presence of a connection in all groups.
    pub(super) fn leave_all(&mut self, channel: &ChannelName, now: Instant) {
        for name in self.of_connection.remove(channel).unwrap_or_default() {
            self.leave(&name, channel, now);
        }
    }

    /// Ends the presence of all connections of a node.
    pub(super) fn forget_node(&mut self, node: &NodeName, now: Instant) {
        let is_on =
            |channel: &&ChannelName| channel.connection().is_some_and(|(of, _)| of == *node);
        let channels: Vec<_> = self.of_connection.keys().filter(is_on).cloned().collect();
        for channel in channels {
            self.leave_all(&channel, now);
        }
    }

    fn forget_connection(&mut self, name: &GroupName, channel: &ChannelName) {
        if let Some(groups) = self.of_connection.get_mut(channel) {
            groups.remove(name);
            if groups.is_empty() {
                self.of_connection.remove(channel);
            }
        }
    }

    /// Notes when a group has something to do next, and forgets one that is over.
    fn settle(&mut self, name: &GroupName) {
        let group = self.groups.get(name);
        let is_over = group.is_some_and(|it| it.members.is_empty() && it.changed.is_empty());
        let next = group.filter(|_| !is_over).and_then(Group::due);
        if is_over {
            self.groups.remove(name);
        }
        let before = match next {
            Some(at) => self.due_of.insert(name.clone(), at),
            None => self.due_of.remove(name),
        };
        if let Some(before) = before {
            self.due.remove(&(before, name.clone()));
        }
        if let Some(at) = next {
            self.due.insert((at, name.clone()));
        }
    }

    /// When something is to be announced, or a member to leave, next.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes what is to be announced now.
    pub(super) fn announce(&mut self, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        while let Some((at, name)) = self.due.first().cloned()
            && at <= now
        {
            if let Some(group) = self.groups.get_mut(&name) {
                changes.extend(group.announce(&name, now));
            }
            self.settle(&name);
        }
        changes
    }

    /// Notes that clients of a group may have missed something: they get a list.
    pub(super) fn missed(&mut self, name: &GroupName, now: Instant) {
        if let Some(group) = self.groups.get_mut(name) {
            group.is_missed = true;
            group.announce_soon(now);
        }
        self.settle(name);
    }

    /// A part of the members of a group, in the order of their keys.
    pub(super) fn page(
        &self,
        name: &GroupName,
        after: Option<&MemberKey>,
        limit: usize,
    ) -> MembersPage {
        self.groups.get(name).map(|group| group.page(after, limit)).unwrap_or_default()
    }
}
