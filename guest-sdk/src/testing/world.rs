//! The in-memory layer of the test host: channels, groups, connections and the clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::Close;
use crate::consumers::{Consumers, Entry, Trigger};
use crate::host::outgoing::{Answered, Failed};
use crate::host::outside::Request;
use crate::host::types::{ChannelMessage, Event, Frame, HttpDisconnect, WebsocketDisconnect};

use super::connection::{Connection, Kind, Phase};
use super::data::{Changes, Data, TimerWrite};
use super::delivery::Delivery;
use super::forms::{self, Reply};
use super::history::Histories;
use super::outside::Waiting;
use super::presence::{Announcement, Presences, Rule};
use super::sessions;
use super::{Fault, LogLine, Sent};

/// A place that no machine has: a file below a device.
const NOT_GRANTED: &str = "/dev/null/not-granted";

/// An event that waits for its consumer.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) entry: &'static Entry,
    pub(super) event: Event,
    /// The connection that the event came from.
    pub(super) connection: Option<String>,
    pub(super) correlation: String,
    /// None for an event of a connection.
    pub(super) delivery: Option<Delivery>,
}

impl Job {
    /// An event of a connection.
    pub(super) fn of_connection(
        entry: &'static Entry,
        event: Event,
        channel: &str,
        correlation: String,
    ) -> Self {
        Self { entry, event, connection: Some(channel.to_owned()), correlation, delivery: None }
    }
}

/// A message that waits for its moment.
#[derive(Debug)]
pub(super) struct Later {
    /// The key of its timer, if it has one.
    pub(super) timer: Option<String>,
    pub(super) channel: String,
    pub(super) content: Vec<u8>,
    pub(super) correlation: String,
    /// Of a message that was delivered before.
    pub(super) again: Option<Delivery>,
}

/// Something in an outbox.
#[derive(Debug)]
pub(super) enum Item {
    Send { channel: String, content: Vec<u8> },
    SendLater { channel: String, content: Vec<u8>, delay: u64 },
    GroupAdd { group: String, channel: String },
    GroupJoin { group: String, channel: String, after: Option<String>, latest: u32 },
    GroupDiscard { group: String, channel: String },
    GroupSend { group: String, content: Vec<u8> },
    UserSend { user: String, content: Vec<u8> },
    Present { group: String, channel: String, key: String, facts: Vec<u8> },
    Reply(Reply),
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) consumers: Consumers,
    pub(super) module: String,
    pub(super) granted: BTreeSet<String>,
    /// Whether it may sign users in and out.
    pub(super) signs_in: bool,
    pub(super) sessions: sessions::Table,
    /// Modules whose data it may read.
    pub(super) granted_data: BTreeSet<String>,
    pub(super) data: Data,
    /// Changes of data that wait for a run's commit.
    pub(super) changes: Changes,
    /// Variables, secrets among them.
    pub(super) environment: BTreeMap<String, String>,
    /// Directories of this machine, by what the module calls them.
    pub(super) directories: BTreeMap<PathBuf, PathBuf>,
    /// The time when the clock stands at zero.
    pub(super) epoch: SystemTime,
    pub(super) connections: BTreeMap<String, Connection>,
    pub(super) groups: BTreeMap<String, BTreeSet<String>>,
    pub(super) presence: Presences,
    /// What groups remember.
    pub(super) histories: Histories,
    pub(super) queue: VecDeque<Job>,
    pub(super) now: Duration,
    /// By the time and the order of sending.
    later: BTreeMap<(Duration, u64), Later>,
    /// Requests to servers outside that wait for an answer.
    pub(super) fetches: VecDeque<Waiting>,
    /// Answers to requests that runs wait for, by method and URL.
    pub(super) prepared: Vec<(String, Result<Answered, Failed>)>,
    /// The servers that the module may reach.
    pub(super) reachable: Vec<String>,
    /// The keys of timers that wait.
    pub(super) timers: BTreeMap<String, (Duration, u64)>,
    pub(super) sent: Vec<(String, Sent)>,
    pub(super) group_sent: Vec<(String, Sent)>,
    pub(super) logs: Vec<LogLine>,
    pub(super) faults: Vec<Fault>,
    /// Messages that reached nobody, with the reason.
    pub(super) drops: Vec<String>,
    counter: u64,
}

impl World {
    pub(super) fn new(consumers: Consumers) -> Self {
        Self {
            consumers,
            module: "test".to_owned(),
            granted: BTreeSet::new(),
            signs_in: false,
            sessions: sessions::Table::new(),
            granted_data: BTreeSet::new(),
            data: Data::default(),
            changes: Changes::default(),
            environment: BTreeMap::new(),
            directories: BTreeMap::new(),
            epoch: SystemTime::now(),
            connections: BTreeMap::new(),
            groups: BTreeMap::new(),
            presence: Presences::default(),
            histories: Histories::default(),
            queue: VecDeque::new(),
            now: Duration::ZERO,
            later: BTreeMap::new(),
            fetches: VecDeque::new(),
            prepared: Vec::new(),
            reachable: Vec::new(),
            timers: BTreeMap::new(),
            sent: Vec::new(),
            group_sent: Vec::new(),
            logs: Vec::new(),
            faults: Vec::new(),
            drops: Vec::new(),
            counter: 0,
        }
    }

    /// What consumers see as the time.
    pub(super) fn clock(&self) -> SystemTime {
        self.epoch + self.now
    }

    /// Where a path of the module is on this machine.
    pub(super) fn path(&self, path: &Path) -> PathBuf {
        let is_outside = path.components().any(|part| part == Component::ParentDir);
        // The innermost one, as in a module.
        let granted =
            self.directories.iter().rev().find_map(|(guest, host)| {
                path.strip_prefix(guest).ok().map(|rest| host.join(rest))
            });
        granted.filter(|_| !is_outside).unwrap_or_else(|| NOT_GRANTED.into())
    }

    /// Swaps the consumers. A connection whose consumer is gone closes with code 1012.
    pub(super) fn replace(&mut self, consumers: Consumers) {
        self.consumers = consumers;
        let mut gone = Vec::new();
        for (channel, connection) in &mut self.connections {
            let Some(old) = connection.entry else { continue };
            connection.entry = consumers.entries().iter().find(|entry| entry.name == old.name);
            if connection.entry.is_none() {
                gone.push(channel.clone());
            }
        }
        for channel in gone {
            self.close(&channel, Close::new(1012, ""));
        }
    }

    pub(super) fn next_id(&mut self) -> String {
        self.counter += 1;
        format!("{:032x}", self.counter)
    }

    /// The consumer that declares a channel.
    pub(super) fn owner(&self, channel: &str) -> Option<&'static Entry> {
        self.consumers.entries().iter().find(|entry| match entry.trigger {
            Trigger::Channel { name, .. } => name == channel,
            Trigger::Http { .. } | Trigger::Websocket { .. } => false,
        })
    }

    pub(super) fn commit(&mut self, items: Vec<Item>, job: &JobFacts) {
        for item in items {
            match item {
                Item::Send { channel, content } => self.send(channel, content, &job.correlation),
                Item::SendLater { channel, content, delay } => {
                    let due = self.now + Duration::from_millis(delay);
                    let correlation = job.correlation.clone();
                    let later = Later { timer: None, channel, content, correlation, again: None };
                    self.wait(due, later);
                }
                Item::GroupAdd { group, channel } => {
                    self.group_add(group, channel);
                }
                Item::GroupJoin { group, channel, after, latest } => {
                    self.group_join(&group, &channel, (after.as_deref(), latest));
                }
                Item::GroupDiscard { group, channel } => {
                    self.unfollow(&channel, Some(&group));
                    if let Some(members) = self.groups.get_mut(&group) {
                        members.remove(&channel);
                    }
                    self.presence.leave(&group, &channel, self.now);
                }
                Item::Present { group, channel, key, facts } => {
                    self.present(&group, &channel, (&key, &facts));
                }
                Item::GroupSend { group, content } => {
                    self.group_send(group, &content, &job.correlation);
                }
                Item::UserSend { user, content } => {
                    for connection in self.connections_of(&user) {
                        let first = Delivery::first(self.next_id());
                        self.deliver(&connection, &content, &job.correlation, first, true);
                    }
                }
                Item::Reply(reply) => {
                    if let Some(connection) = &job.connection {
                        self.reply(connection, reply, false);
                    }
                }
            }
        }
    }

    /// Has requests wait for a test to answer them.
    pub(super) fn write_fetches(&mut self, requests: Vec<Request>, job: &JobFacts) {
        let waiting = |request| Waiting::new(request, job.correlation.clone());
        self.fetches.extend(requests.into_iter().map(waiting));
    }

    /// Sets and cancels timers.
    pub(super) fn write_timers(&mut self, writes: Vec<TimerWrite>, job: &JobFacts) {
        for write in writes {
            match write {
                TimerWrite::Set { key, channel, content, due } => {
                    self.cancel_timer(key.as_deref());
                    let correlation = job.correlation.clone();
                    let later = Later { timer: key, channel, content, correlation, again: None };
                    self.wait(due, later);
                }
                TimerWrite::Cancel { key } => self.cancel_timer(Some(&key)),
            }
        }
    }

    fn cancel_timer(&mut self, key: Option<&str>) {
        if let Some(at) = key.and_then(|key| self.timers.remove(key)) {
            self.later.remove(&at);
        }
    }

    pub(super) fn wait(&mut self, due: Duration, later: Later) {
        self.counter += 1;
        if let Some(key) = &later.timer {
            self.timers.insert(key.clone(), (due, self.counter));
        }
        self.later.insert((due, self.counter), later);
    }

    pub(super) fn send(&mut self, channel: String, content: Vec<u8>, correlation: &str) {
        let first = Delivery::first(self.next_id());
        self.send_as(channel, content, correlation, first);
    }

    pub(super) fn send_as(
        &mut self,
        channel: String,
        content: Vec<u8>,
        correlation: &str,
        delivery: Delivery,
    ) {
        self.deliver(&channel, &content, correlation, delivery, false);
        self.sent.push((channel, Sent(content)));
    }

    fn deliver(
        &mut self,
        channel: &str,
        content: &[u8],
        correlation: &str,
        delivery: Delivery,
        from_group: bool,
    ) {
        if channel.contains('!') {
            match forms::replies(content) {
                Ok(replies) => {
                    for reply in replies {
                        self.reply(channel, reply, from_group);
                    }
                }
                Err(reason) => self.drops.push(format!("{channel}: {reason}")),
            }
        } else if let Some(entry) = self.owner(channel) {
            let message =
                ChannelMessage { channel: channel.to_owned(), content: content.to_owned() };
            self.queue.push_back(Job {
                entry,
                event: Event::ChannelMessage(message),
                connection: None,
                correlation: correlation.to_owned(),
                delivery: Some(delivery),
            });
        }
    }

    /// Returns whether the channel is a member now.
    pub(super) fn group_add(&mut self, group: String, channel: String) -> bool {
        let is_gone = channel.contains('!') && !self.is_alive(&channel);
        if is_gone {
            self.drops.push(format!("{group}: {channel} is gone"));
        } else {
            self.groups.entry(group).or_default().insert(channel);
        }
        !is_gone
    }

    fn present(&mut self, group: &str, channel: &str, member: (&str, &[u8])) {
        self.group_add(group.to_owned(), channel.to_owned());
        if !self.is_alive(channel) {
            return;
        }
        let name = group.strip_prefix(&*self.module).and_then(|it| it.strip_prefix('.'));
        let rule = Rule::of(self.consumers, name);
        let list = self.presence.join((group, rule), channel, member, self.now);
        if let Some(list) = list {
            self.tell_client(channel, &list);
        }
    }

    /// Tells a client who is in a group, as JSON.
    fn tell_client(&mut self, channel: &str, json: &str) {
        let is_http = |it: &Connection| matches!(it.kind, Kind::Http(_));
        let reply = match self.connections.get(channel).is_some_and(is_http) {
            true => Reply::Chunk(format!("event: presence\ndata: {json}\n\n").into()),
            false => Reply::Send(Frame::Text(format!("{{\"presence\":{json}}}"))),
        };
        self.reply(channel, reply, true);
    }

    /// Announces who came to groups and left them. Returns whether there was anything to announce.
    pub(super) fn announce(&mut self) -> bool {
        let announced = self.presence.announce(self.now);
        let has_some = !announced.is_empty();
        for Announcement { group, for_clients, for_channels } in announced {
            if let Some(json) = for_clients {
                let members = self.groups.get(&group).cloned().unwrap_or_default();
                for member in members.iter().filter(|member| member.contains('!')) {
                    self.tell_client(member, &json);
                }
            }
            if let Some((message, channels)) = for_channels {
                let correlation = self.next_id();
                for channel in channels {
                    self.send(channel, message.clone(), &correlation);
                }
            }
        }
        has_some
    }

    fn is_alive(&self, channel: &str) -> bool {
        self.connections.get(channel).is_some_and(|connection| match &connection.kind {
            Kind::Http(http) => !http.is_complete && !http.has_left,
            Kind::Websocket(websocket) => {
                matches!(websocket.phase, Phase::Handshake | Phase::Open(_))
            }
        })
    }

    /// The connections of a user: WebSockets, and requests on hold.
    pub(super) fn connections_of(&self, user: &str) -> Vec<String> {
        let theirs = self.connections.iter().filter(|(channel, connection)| {
            let is_held = match &connection.kind {
                Kind::Http(http) => http.hold.is_some(),
                Kind::Websocket(_) => true,
            };
            let is_theirs = connection.user.as_ref().is_some_and(|it| it.id == user);
            is_held && is_theirs && self.is_alive(channel)
        });
        theirs.map(|(channel, _)| channel.clone()).collect()
    }

    pub(super) fn group_send(&mut self, group: String, content: &[u8], correlation: &str) {
        let members = self.groups.get(&group).cloned().unwrap_or_default();
        let position = match forms::is_for_those_present(content) {
            true => None,
            false => self.remember(&group, content),
        };
        for member in members {
            match &position {
                Some(position) if self.follows(&group, &member) => {
                    self.deliver_numbered(&member, &group, position, content);
                }
                _ => {
                    let first = Delivery::first(self.next_id());
                    self.deliver(&member, content, correlation, first, true);
                }
            }
        }
        self.group_sent.push((group, Sent(content.to_owned())));
    }

    /// Does something to a connection.
    pub(super) fn reply(&mut self, channel: &str, reply: Reply, from_group: bool) {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(channel) else {
            self.drops.push(format!("{channel}: no such connection"));
            return;
        };
        let was_closed = connection.is_closed_websocket();
        if let Err(reason) = connection.apply(reply, from_group, now) {
            self.drops.push(format!("{channel}: {reason}"));
        }
        if !was_closed && connection.is_closed_websocket() {
            self.websocket_ended(channel);
        } else if !self.is_alive(channel) {
            self.leave_groups(channel);
        }
    }

    /// Closes a WebSocket that is open, from either side.
    pub(super) fn close(&mut self, channel: &str, close: Close) {
        let websocket = self.connections.get_mut(channel).and_then(Connection::websocket);
        if let Some(websocket) = websocket
            && matches!(websocket.phase, Phase::Open(_))
        {
            websocket.phase = Phase::Closed(close);
            self.websocket_ended(channel);
        }
    }

    fn websocket_ended(&mut self, channel: &str) {
        self.leave_groups(channel);
        let correlation = self.next_id();
        let Some(connection) = self.connections.get_mut(channel) else { return };
        let (Some(entry), scope) = (connection.entry, connection.scope.clone()) else { return };
        let Some(websocket) = connection.websocket() else { return };
        let Phase::Closed(close) = websocket.phase.clone() else { return };
        let event = WebsocketDisconnect {
            reply_channel: scope.reply_channel,
            path: scope.path,
            path_params: scope.path_params,
            order: websocket.order + 1,
            code: close.code,
            reason: close.reason,
        };
        let event = Event::WebsocketDisconnect(event);
        self.queue.push_back(Job::of_connection(entry, event, channel, correlation));
    }

    pub(super) fn leave_groups(&mut self, channel: &str) {
        self.presence.leave_all(channel, self.now);
        self.unfollow(channel, None);
        for members in self.groups.values_mut() {
            members.remove(channel);
        }
    }

    /// The client of an HTTP request goes away.
    pub(super) fn http_left(&mut self, channel: &str) {
        let correlation = self.next_id();
        let Some(connection) = self.connections.get_mut(channel) else { return };
        let (entry, scope) = (connection.entry, connection.scope.clone());
        match connection.http() {
            Some(http) if !http.is_complete && !http.has_left => http.has_left = true,
            _ => return,
        }
        self.leave_groups(channel);
        let Some(entry) = entry else { return };
        if let Trigger::Http { disconnect: true, .. } = entry.trigger {
            let event = Event::HttpDisconnect(HttpDisconnect {
                reply_channel: scope.reply_channel,
                path: scope.path,
                path_params: scope.path_params,
            });
            self.queue.push_back(Job::of_connection(entry, event, channel, correlation));
        }
    }

    /// Moves the clock to the next thing that is due until `end`, and does it.
    pub(super) fn next_due(&mut self, end: Duration) -> bool {
        let message = self.later.keys().next().copied();
        let hold = self
            .connections
            .iter_mut()
            .filter_map(|(channel, connection)| {
                let http = connection.http().filter(|http| !http.is_complete && !http.has_left)?;
                Some((http.hold.as_ref()?.until, channel.clone()))
            })
            .min();
        let held = hold.as_ref().map(|(due, _)| *due);
        let others = message.map(|(due, _)| due).into_iter().chain(held);
        if let Some(due) = self.presence.due()
            && due <= end
            && others.min().is_none_or(|other| due < other)
        {
            self.now = due;
            return true;
        }
        match (message, hold) {
            (Some((due, number)), hold)
                if due <= end && hold.as_ref().is_none_or(|(until, _)| due <= *until) =>
            {
                self.now = due;
                if let Some(later) = self.later.remove(&(due, number)) {
                    if let Some(key) = &later.timer {
                        self.timers.remove(key);
                    }
                    let Later { channel, content, correlation, again, .. } = later;
                    match again {
                        Some(again) => {
                            self.deliver(&channel, &content, &correlation, again, false);
                        }
                        None => self.send(channel, content, &correlation),
                    }
                }
                true
            }
            (_, Some((until, channel))) if until <= end => {
                self.now = until;
                if let Some(http) = self.connections.get_mut(&channel).and_then(Connection::http) {
                    http.expire();
                }
                self.leave_groups(&channel);
                true
            }
            _ => {
                self.now = end;
                false
            }
        }
    }
}

/// What outlives the event of a job.
#[derive(Debug, Clone)]
pub(super) struct JobFacts {
    pub(super) connection: Option<String>,
    pub(super) correlation: String,
    pub(super) delivery: Option<Delivery>,
}
