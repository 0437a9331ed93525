//! Groups: who is a member of what. Connections are kept by node, as they are reached.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    layer::LayerConfig,
    message::{Beyond, ChannelName, Entered, GroupName, LocalName, NodeName, Online, UserLimit},
};

#[derive(Debug, Default)]
struct Group {
    connections: HashMap<NodeName, HashSet<LocalName>>,
    /// Those that see positions; none of them is above.
    following: HashMap<NodeName, HashSet<LocalName>>,
    /// The nodes whose followers missed a message since the last that they got.
    gaps: HashSet<NodeName>,
    /// Named channels, with the moment their membership ends.
    named: HashMap<ChannelName, Instant>,
    /// Of the group of a user: its connections, by the order in which they came.
    came: HashMap<ChannelName, u64>,
}

/// So many of the connections that came first.
fn oldest(came: &HashMap<ChannelName, u64>, count: usize) -> Vec<ChannelName> {
    let mut all: Vec<_> = came.iter().map(|(channel, at)| (*at, channel)).collect();
    all.sort_unstable();
    all.into_iter().take(count).map(|(_, channel)| channel.clone()).collect()
}

/// Where a message to a group goes.
#[derive(Debug, Default)]
pub(super) struct Members {
    pub(super) connections: Vec<(NodeName, Vec<LocalName>)>,
    /// Connections that see positions.
    pub(super) following: Vec<(NodeName, Vec<LocalName>)>,
    pub(super) named: Vec<ChannelName>,
}

/// A connection that is a member of as many groups as it may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooMany {
    pub(super) limit: usize,
}

/// What a connection that is to see positions was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// No member.
    New,
    /// A member without positions.
    Plain,
    /// One that sees them.
    Following,
}

#[derive(Debug)]
pub(super) struct Groups {
    expiry: Duration,
    per_connection: Option<usize>,
    /// A group without members has no entry.
    groups: HashMap<GroupName, Group>,
    /// The same the other way round, so that a connection can leave everything at once.
    memberships: HashMap<ChannelName, HashSet<GroupName>>,
    swept: Instant,
    /// Counts the connections of users that came.
    entries: u64,
}

impl Groups {
    pub(super) fn new(config: &LayerConfig) -> Self {
        Self {
            expiry: config.group_expiry,
            per_connection: config.groups_per_connection,
            groups: HashMap::new(),
            memberships: HashMap::new(),
            swept: Instant::now(),
            entries: 0,
        }
    }

    /// Returns whether the channel was no member before.
    pub(super) fn add(
        &mut self,
        name: &GroupName,
        channel: &ChannelName,
        now: Instant,
    ) -> Result<bool, TooMany> {
        self.check_room(name, channel, now)?;
        let group = self.groups.entry(name.clone()).or_default();
        match channel.connection() {
            Some((node, local)) => {
                // Who sees positions goes on to.
                if !group.following.get(&node).is_some_and(|locals| locals.contains(&local)) {
                    group.connections.entry(node).or_default().insert(local);
                }
            }
            None => {
                group.named.insert(channel.clone(), now + self.expiry);
            }
        }
        Ok(self.memberships.entry(channel.clone()).or_default().insert(name.clone()))
    }

    /// Makes a connection one of a user, as far as the limit goes.
    pub(super) fn enter(
        &mut self,
        user: &GroupName,
        connection: &ChannelName,
        limit: Option<UserLimit>,
    ) -> Entered {
        let came = &mut self.groups.entry(user.clone()).or_default().came;
        let mut displaced = Vec::new();
        if let Some(UserLimit { connections, beyond }) = limit
            && !came.contains_key(connection)
        {
            let beyond_by = (came.len() + 1).saturating_sub(connections.get() as usize);
            match beyond {
                Beyond::Refuse if beyond_by > 0 => return Entered::Full,
                Beyond::Refuse => {}
                Beyond::CloseOldest => displaced = oldest(came, beyond_by),
            }
        }
        for one in &displaced {
            came.remove(one);
        }
        self.entries += 1;
        came.entry(connection.clone()).or_insert(self.entries);
        let connections = came.len();
        if let Some((node, local)) = connection.connection() {
            let group = self.groups.entry(user.clone()).or_default();
            group.connections.entry(node).or_default().insert(local);
        }
        self.memberships.entry(connection.clone()).or_default().insert(user.clone());
        Entered::In { connections, displaced }
    }

    pub(super) fn connections_of(&self, user: &GroupName, most: usize) -> Online {
        let Some(Group { came, .. }) = self.groups.get(user) else { return Online::default() };
        Online { count: came.len(), some: came.keys().take(most).cloned().collect() }
    }

    /// Makes a connection a member that sees positions.
    pub(super) fn follow(
        &mut self,
        name: &GroupName,
        channel: &ChannelName,
        now: Instant,
    ) -> Result<Joined, TooMany> {
        self.check_room(name, channel, now)?;
        let group = self.groups.entry(name.clone()).or_default();
        if let Some((node, local)) = channel.connection() {
            take_out(&mut group.connections, &node, &local);
            if !group.following.entry(node).or_default().insert(local) {
                return Ok(Joined::Following);
            }
        }
        let is_new = self.memberships.entry(channel.clone()).or_default().insert(name.clone());
        Ok(if is_new { Joined::New } else { Joined::Plain })
    }

    fn check_room(
        &mut self,
        name: &GroupName,
        channel: &ChannelName,
        now: Instant,
    ) -> Result<(), TooMany> {
        self.sweep_now_and_then(now);
        if let (Some(limit), Some(joined)) = (self.per_connection, self.memberships.get(channel))
            && channel.connection().is_some()
            && !name.is_reserved()
            && joined.len() >= limit
            && joined.iter().filter(|name| !name.is_reserved()).count() >= limit
            && !joined.contains(name)
        {
            return Err(TooMany { limit });
        }
        Ok(())
    }

    /// Whether followers of a group missed a message on a node since the last that they got.
    pub(super) fn has_gap(&self, name: &GroupName, node: &NodeName) -> bool {
        self.groups.get(name).is_some_and(|group| group.gaps.contains(node))
    }

    /// Notes whether they missed one now.
    pub(super) fn note_gap(&mut self, name: &GroupName, node: &NodeName, has_gap: bool) {
        let Some(group) = self.groups.get_mut(name) else { return };
        if has_gap {
            group.gaps.insert(node.clone());
        } else {
            group.gaps.remove(node);
        }
    }

    pub(super) fn discard(&mut self, name: &GroupName, channel: &ChannelName) {
        if let Some(groups) = self.memberships.get_mut(channel) {
            groups.remove(name);
            if groups.is_empty() {
                self.memberships.remove(channel);
            }
        }
        self.remove_member(name, channel);
    }

    pub(super) fn leave_all(&mut self, channel: &ChannelName) {
        for name in self.memberships.remove(channel).unwrap_or_default() {
            self.remove_member(&name, channel);
        }
    }

    fn remove_member(&mut self, name: &GroupName, channel: &ChannelName) {
        let Some(group) = self.groups.get_mut(name) else { return };
        group.named.remove(channel);
        group.came.remove(channel);
        if let Some((node, local)) = channel.connection() {
            take_out(&mut group.connections, &node, &local);
            if take_out(&mut group.following, &node, &local) {
                group.gaps.remove(&node);
            }
        }
        if group.connections.is_empty() && group.following.is_empty() && group.named.is_empty() {
            self.groups.remove(name);
        }
    }

    pub(super) fn members(&mut self, name: &GroupName, now: Instant) -> Members {
        let Some(group) = self.groups.get(name) else { return Members::default() };
        let over = |&(_, end): &(&ChannelName, &Instant)| *end <= now;
        let gone: Vec<_> =
            group.named.iter().filter(over).map(|(channel, _)| channel.clone()).collect();
        for channel in gone {
            self.discard(name, &channel);
        }
        let Some(group) = self.groups.get(name) else { return Members::default() };
        let by_node = |nodes: &HashMap<NodeName, HashSet<LocalName>>| {
            let locals = |locals: &HashSet<LocalName>| locals.iter().cloned().collect();
            nodes.iter().map(|(node, set)| (node.clone(), locals(set))).collect()
        };
        Members {
            connections: by_node(&group.connections),
            following: by_node(&group.following),
            named: group.named.keys().cloned().collect(),
        }
    }

    pub(super) fn members_on(&self, node: &NodeName, name: &GroupName) -> Vec<LocalName> {
        let Some(group) = self.groups.get(name) else { return Vec::new() };
        let of_either_kind = [&group.connections, &group.following];
        of_either_kind.into_iter().filter_map(|nodes| nodes.get(node)).flatten().cloned().collect()
    }

    /// The groups of a channel, by name.
    pub(super) fn groups_of(&self, channel: &ChannelName) -> Vec<GroupName> {
        let groups = self.memberships.get(channel).into_iter().flatten();
        let mut groups: Vec<_> = groups.cloned().collect();
        groups.sort();
        groups
    }

    /// Groups that nobody sends to must not keep memberships that are over.
    fn sweep_now_and_then(&mut self, now: Instant) {
        if now - self.swept < self.expiry / 10 {
            return;
        }
        self.swept = now;
        let names: Vec<_> = self.groups.keys().cloned().collect();
        for name in names {
            // Looking at the members ends what is over.
            drop(self.members(&name, now));
        }
    }

    pub(super) fn forget_node(&mut self, node: &NodeName) {
        let on_node = |channel: &&ChannelName| {
            channel.connection().is_some_and(|(its_node, _)| its_node == *node)
        };
        let channels: Vec<_> = self.memberships.keys().filter(on_node).cloned().collect();
        for channel in channels {
            self.leave_all(&channel);
        }
    }

    pub(super) fn count(&self) -> usize {
        self.groups.len()
    }
}

/// Takes a connection out. Returns whether it was the last of its node.
fn take_out(
    nodes: &mut HashMap<NodeName, HashSet<LocalName>>,
    node: &NodeName,
    local: &LocalName,
) -> bool {
    let Some(locals) = nodes.get_mut(node) else { return false };
    locals.remove(local);
    let is_last = locals.is_empty();
    if is_last {
        nodes.remove(node);
    }
    is_last
}
