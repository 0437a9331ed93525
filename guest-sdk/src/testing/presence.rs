//! The members of the groups of a test host.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::consumers::{Consumers, Presence, Trigger};
use crate::host::presence::{Member, Page};
use crate::payload;

const LEAVE_AFTER: u64 = 10_000;
const INTERVAL: u64 = 1_000;
const LIST: u64 = 100;

/// How a group tells who comes and goes. Times are in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rule {
    leave_after: u64,
    interval: u64,
    list: u64,
    pub(super) clients: bool,
    channels: Vec<String>,
}

impl Rule {
    /// The declarations of consumers about a group, whose name has no module's part. There are none about a group of
    /// another module.
    pub(super) fn of(consumers: Consumers, group: Option<&str>) -> Self {
        let is_meant = |name: &&str| {
            group.is_some_and(|group| match name.strip_suffix('*') {
                Some(start) => group.starts_with(start),
                None => *name == group,
            })
        };
        let names = |it: &Presence| it.groups.iter().any(is_meant);
        let entries = consumers.entries().iter();
        let declared = entries.filter_map(|it| Some((it, it.presence.filter(names)?)));
        let mut rule = Self::default();
        for (entry, Presence { leave_after, interval, list, .. }) in declared {
            rule.leave_after = rule.leave_after.max(leave_after.unwrap_or(LEAVE_AFTER));
            rule.interval = rule.interval.max(interval.unwrap_or(INTERVAL));
            rule.list = rule.list.max(list.unwrap_or(LIST));
            match entry.trigger {
                Trigger::Channel { name, .. } => rule.channels.push(name.to_owned()),
                Trigger::Http { .. } | Trigger::Websocket { .. } => rule.clients = true,
            }
        }
        match rule == Self::default() {
            true => Self { leave_after: LEAVE_AFTER, interval: INTERVAL, list: LIST, ..rule },
            false => rule,
        }
    }
}

#[derive(Debug)]
struct Held {
    /// The one that gave facts last is the last.
    connections: Vec<(String, Vec<u8>)>,
    facts: Vec<u8>,
    leaves_at: Option<Duration>,
}

#[derive(Debug, Default)]
struct Group {
    rule: Rule,
    version: u64,
    announced: u64,
    members: BTreeMap<String, Held>,
    /// Members that have changed, and whether they were there before.
    changed: BTreeMap<String, bool>,
    announce_at: Option<Duration>,
    announced_at: Option<Duration>,
    is_counted: bool,
}

/// An announcement of a group.
#[derive(Debug, Default)]
pub(super) struct Announcement {
    pub(super) group: String,
    /// JSON for its clients.
    pub(super) for_clients: Option<String>,
    /// A message, and the channels that it goes to.
    pub(super) for_channels: Option<(Vec<u8>, Vec<String>)>,
}

/// The message to a channel.
#[derive(Serialize)]
struct ChangeMessage<'a> {
    group: &'a str,
    from: u64,
    version: u64,
    count: u64,
    joined: &'a Map<String, Value>,
    updated: &'a Map<String, Value>,
    left: &'a [String],
}

/// The value of JSON that facts are.
fn json_of(facts: &[u8]) -> Option<Value> {
    rmp_serde::from_slice(facts).ok()
}

/// The text of an object of JSON.
fn object<'a>(entries: impl Iterator<Item = (&'a str, Value)>) -> String {
    Value::Object(entries.map(|(key, value)| (key.to_owned(), value)).collect()).to_string()
}

impl Group {
    fn touch(&mut self, key: &str, was_there: bool, now: Duration) {
        self.version += 1;
        if !self.rule.clients && self.rule.channels.is_empty() {
            self.announced = self.version;
            return;
        }
        self.changed.entry(key.to_owned()).or_insert(was_there);
        let interval = Duration::from_millis(self.rule.interval);
        let next = self.announced_at.map_or(now, |at| now.max(at + interval));
        self.announce_at.get_or_insert(next);
    }

    fn show(&mut self, key: &str, facts: Vec<u8>, now: Duration) {
        if let Some(held) = self.members.get_mut(key)
            && held.facts != facts
        {
            held.facts = facts;
            self.touch(key, true, now);
        }
    }

    fn leave(&mut self, channel: &str, now: Duration) {
        let of = |held: &Held| held.connections.iter().any(|(other, _)| other == channel);
        let found = self.members.iter().find(|(_, held)| of(held));
        let Some(key) = found.map(|(key, _)| key.clone()) else { return };
        let Some(held) = self.members.get_mut(&key) else { return };
        held.connections.retain(|(other, _)| other != channel);
        match held.connections.last() {
            Some((_, facts)) => {
                let facts = facts.clone();
                self.show(&key, facts, now);
            }
            None => held.leaves_at = Some(now + Duration::from_millis(self.rule.leave_after)),
        }
    }

    fn join(&mut self, channel: &str, key: &str, facts: &[u8], now: Duration) -> bool {
        let of = |held: &Held| held.connections.iter().any(|(other, _)| other == channel);
        let was_present = self.members.get(key).is_some_and(of);
        if !was_present {
            // It may be another member so far.
            self.leave(channel, now);
        }
        let entry = (channel.to_owned(), facts.to_owned());
        match self.members.get_mut(key) {
            Some(held) => {
                held.connections.retain(|(other, _)| other != channel);
                held.connections.push(entry);
                held.leaves_at = None;
                self.show(key, facts.to_owned(), now);
            }
            None => {
                let facts = facts.to_owned();
                let held = Held { connections: vec![entry], facts, leaves_at: None };
                self.members.insert(key.to_owned(), held);
                self.touch(key, false, now);
                self.is_counted |= self.rule.clients && !self.is_listed();
            }
        }
        !was_present
    }

    fn due(&self) -> Option<Duration> {
        let leaving = self.members.values().filter_map(|held| held.leaves_at);
        leaving.chain(self.announce_at).min()
    }

    fn is_listed(&self) -> bool {
        self.members.len() as u64 <= self.rule.list
    }

    fn listing(&self, group: &str) -> String {
        let head = [
            ("group", json!(group)),
            ("version", json!(self.version)),
            ("count", json!(self.members.len())),
        ];
        let member =
            |(key, held): (&String, &Held)| (key.clone(), json_of(&held.facts).unwrap_or_default());
        let members = || Value::Object(self.members.iter().map(member).collect());
        let members = self.is_listed().then(|| ("members", members()));
        object(head.into_iter().chain(members))
    }

    fn announce(&mut self, group: &str, now: Duration) -> Option<Announcement> {
        let is_over = |held: &Held| held.leaves_at.is_some_and(|at| at <= now);
        let over = self.members.iter().filter(|(_, held)| is_over(held));
        let over: Vec<_> = over.map(|(key, _)| key.clone()).collect();
        for key in over {
            self.members.remove(&key);
            self.touch(&key, true, now);
        }
        self.announce_at.take_if(|at| *at <= now)?;
        let (mut joined, mut updated) = (Map::new(), Map::new());
        // Who came and left is told to clients, which may have got a list meanwhile.
        let (mut left, mut passed) = (Vec::new(), Vec::new());
        for (key, was_there) in std::mem::take(&mut self.changed) {
            let facts = self.members.get(&key).map(|held| json_of(&held.facts).unwrap_or_default());
            match (facts, was_there) {
                (Some(facts), false) => drop(joined.insert(key, facts)),
                (Some(facts), true) => drop(updated.insert(key, facts)),
                (None, true) => left.push(key),
                (None, false) => passed.push(key),
            }
        }
        let comes_or_goes = !joined.is_empty() || !left.is_empty();
        let has_changes = comes_or_goes || !updated.is_empty();
        let (from, version, count) = (self.announced, self.version, self.members.len() as u64);
        let for_clients = if !self.rule.clients {
            None
        } else if !self.is_listed() {
            let was_counted = std::mem::replace(&mut self.is_counted, true);
            (comes_or_goes || !was_counted).then(|| self.listing(group))
        } else if std::mem::take(&mut self.is_counted) {
            Some(self.listing(group))
        } else if has_changes || !passed.is_empty() {
            let head = [
                ("group", json!(group)),
                ("from", json!(from)),
                ("version", json!(version)),
                ("count", json!(count)),
            ];
            let members = [("joined", &joined), ("updated", &updated)];
            let members = members.into_iter().filter(|(_, members)| !members.is_empty());
            let members = members.map(|(word, members)| (word, Value::Object(members.clone())));
            let gone: Vec<_> = left.iter().chain(&passed).collect();
            let gone = (!gone.is_empty()).then(|| ("left", json!(gone)));
            Some(object(head.into_iter().chain(members).chain(gone)))
        } else {
            None
        };
        if for_clients.is_none() && !has_changes {
            return None;
        }
        (self.announced, self.announced_at) = (version, Some(now));
        let message = ChangeMessage {
            group,
            from,
            version,
            count,
            joined: &joined,
            updated: &updated,
            left: &left,
        };
        let message = payload::encode(&message).ok().filter(|_| has_changes);
        let for_channels = message.map(|message| (message, self.rule.channels.clone()));
        Some(Announcement { group: group.to_owned(), for_clients, for_channels })
    }
}

/// All groups with members, by their full names.
#[derive(Debug, Default)]
pub(super) struct Presences(BTreeMap<String, Group>);

impl Presences {
    /// Makes a connection present. Returns the list for it, if it is new and clients are told.
    pub(super) fn join(
        &mut self,
        (name, rule): (&str, Rule),
        channel: &str,
        (key, facts): (&str, &[u8]),
        now: Duration,
    ) -> Option<String> {
        let group = self.0.entry(name.to_owned()).or_default();
        group.rule = rule;
        let is_new = group.join(channel, key, facts, now);
        (is_new && group.rule.clients).then(|| group.listing(name))
    }

    pub(super) fn leave(&mut self, name: &str, channel: &str, now: Duration) {
        if let Some(group) = self.0.get_mut(name) {
            group.leave(channel, now);
        }
    }

    pub(super) fn leave_all(&mut self, channel: &str, now: Duration) {
        for group in self.0.values_mut() {
            group.leave(channel, now);
        }
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.0.values().filter_map(Group::due).min()
    }

    pub(super) fn announce(&mut self, now: Duration) -> Vec<Announcement> {
        self.0.iter_mut().filter_map(|(name, group)| group.announce(name, now)).collect()
    }

    pub(super) fn page(&self, name: &str, cursor: Option<&str>, limit: usize) -> Page {
        let Some(group) = self.0.get(name) else {
            return Page { members: Vec::new(), count: 0, cursor: None };
        };
        let is_after = |key: &str| cursor.is_none_or(|cursor| key > cursor);
        let mut rest = group.members.iter().filter(|(key, _)| is_after(key));
        let member =
            |(key, held): (&String, &Held)| Member { key: key.clone(), facts: held.facts.clone() };
        let members: Vec<_> = rest.by_ref().take(limit).map(member).collect();
        let has_more = rest.next().is_some();
        let cursor = members.last().filter(|_| has_more).map(|member| member.key.clone());
        Page { members, count: group.members.len() as u64, cursor }
    }
}
