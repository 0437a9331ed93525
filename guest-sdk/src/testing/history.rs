//! Groups that are remembered, by the rules of the host, and what members that see positions are sent.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use data_encoding::BASE64;
use serde::Serialize;

use crate::consumers::{Consumers, Remembering};
use crate::host::history::{Page, Remembered};
use crate::host::types::Frame;

use super::forms::{self, Reply};
use super::world::World;

/// The most messages of a page, and of what a join catches up with.
pub(super) const MESSAGES_MAX: u32 = 1_000;
/// The most bytes of them.
const PAGE_BYTES_MAX: usize = 256 * 1024;
/// What it takes to keep a message beside its content.
const MESSAGE_OVERHEAD_BYTES: usize = 64;

/// The histories of all groups, and who sees positions.
#[derive(Debug, Default)]
pub(super) struct Histories {
    logs: BTreeMap<String, Log>,
    /// Groups and channels.
    following: BTreeSet<(String, String)>,
}

#[derive(Debug)]
struct Log {
    epoch: u64,
    last: u64,
    messages: VecDeque<(Duration, Vec<u8>)>,
    bytes: usize,
}

fn cost(content: &[u8]) -> usize {
    content.len() + MESSAGE_OVERHEAD_BYTES
}

/// The rule for a group of a module, the most exact one; none if it is not remembered.
fn rule(consumers: Consumers, module: &str, group: &str) -> Option<Remembering> {
    let name = group.strip_prefix(module)?.strip_prefix('.')?;
    let all = consumers.entries().iter().flat_map(|entry| entry.histories);
    let exactness = |it: &&Remembering| match it.pattern.strip_suffix('*') {
        None => (it.pattern == name).then_some(usize::MAX),
        Some(prefix) => name.starts_with(prefix).then_some(prefix.len()),
    };
    let fits = all.filter(|it| exactness(it).is_some());
    fits.max_by_key(exactness).copied()
}

impl Log {
    fn trim(&mut self, rule: &Remembering, now: Duration) {
        let (age, bytes) = (Duration::from_secs(rule.age), rule.bytes);
        while let Some((since, content)) = self.messages.front() {
            let fits = self.messages.len() as u64 <= rule.messages && self.bytes as u64 <= bytes;
            if fits && now.saturating_sub(*since) < age {
                break;
            }
            self.bytes -= cost(content);
            self.messages.pop_front();
        }
    }

    fn position(&self, offset: u64) -> String {
        format!("{:016x}-{offset}", self.epoch)
    }

    fn floor(&self) -> u64 {
        self.last - self.messages.len() as u64
    }

    /// The offset of a position, if nothing is missing behind it.
    fn offset(&self, position: &str) -> Option<u64> {
        let offset = position.rsplit_once('-')?.1.parse().ok()?;
        let is_here = (self.floor()..=self.last).contains(&offset);
        (is_here && self.position(offset) == position).then_some(offset)
    }

    /// The offset before so many of the latest messages.
    fn latest(&self, count: u32) -> u64 {
        let mut bytes = 0;
        let latest = self.messages.iter().rev().take(count as usize);
        let fitting = latest.take_while(|(_, content)| {
            bytes += cost(content);
            bytes <= PAGE_BYTES_MAX
        });
        self.last - fitting.count() as u64
    }

    fn page(&self, after: Option<&str>, latest: u32, limit: u32) -> (String, Page) {
        let found = after.and_then(|after| self.offset(after));
        let complete = found.is_some() || after.is_none();
        let from = found.unwrap_or_else(|| self.latest(latest));
        let skipped = usize::try_from(from - self.floor()).unwrap_or(usize::MAX);
        let (mut messages, mut bytes) = (Vec::new(), 0);
        let behind = self.messages.iter().skip(skipped).take(limit as usize);
        for ((_, content), offset) in behind.zip(from + 1..) {
            bytes += cost(content);
            if bytes > PAGE_BYTES_MAX && !messages.is_empty() {
                break;
            }
            let position = self.position(offset);
            messages.push(Remembered { position, content: content.clone() });
        }
        let end = from + messages.len() as u64;
        let (position, more) = (self.position(end), end < self.last);
        (self.position(from), Page { messages, position, complete, more })
    }
}

impl World {
    pub(super) fn keeps_history(&self, group: &str) -> bool {
        rule(self.consumers, &self.module, group).is_some()
    }

    /// The history of a group; none if it is not remembered.
    fn log(&mut self, group: &str) -> Option<(&mut Log, Remembering)> {
        let rule = rule(self.consumers, &self.module, group)?;
        let (count, now) = (self.histories.logs.len() as u64, self.now);
        let log = self.histories.logs.entry(group.to_owned()).or_insert_with(|| Log {
            epoch: count + 1,
            last: 0,
            messages: VecDeque::new(),
            bytes: 0,
        });
        log.trim(&rule, now);
        Some((log, rule))
    }

    /// Adds a message to the history of its group. Returns the place behind it.
    pub(super) fn remember(&mut self, group: &str, content: &[u8]) -> Option<String> {
        let now = self.now;
        let (log, rule) = self.log(group)?;
        log.last += 1;
        log.bytes += cost(content);
        log.messages.push_back((now, content.to_owned()));
        log.trim(&rule, now);
        Some(log.position(log.last))
    }

    pub(super) fn page(&mut self, group: &str, after: Option<&str>, limit: u32) -> Option<Page> {
        let latest = if after.is_none() { limit } else { 0 };
        Some(self.log(group)?.0.page(after, latest, limit).1)
    }

    /// Makes a connection a member that sees positions, and sends it what it has missed.
    pub(super) fn group_join(
        &mut self,
        group: &str,
        channel: &str,
        (after, latest): (Option<&str>, u32),
    ) {
        if self.follows(group, channel) || !self.group_add(group.to_owned(), channel.to_owned()) {
            return;
        }
        let Some((log, _)) = self.log(group) else { return };
        let (mut from, mut page) = log.page(after, latest, MESSAGES_MAX);
        if page.more {
            // What is too much to catch up with counts as gone.
            (from, page) = log.page(Some(""), latest, MESSAGES_MAX);
        }
        self.histories.following.insert((group.to_owned(), channel.to_owned()));
        self.stand(channel, group, from, page.complete);
        for Remembered { position, content } in page.messages {
            self.deliver_numbered(channel, group, &position, &content);
        }
    }

    pub(super) fn follows(&self, group: &str, channel: &str) -> bool {
        self.histories.following.contains(&(group.to_owned(), channel.to_owned()))
    }

    pub(super) fn unfollow(&mut self, channel: &str, group: Option<&str>) {
        let is_meant = |of: &str, it: &str| it == channel && group.is_none_or(|group| group == of);
        self.histories.following.retain(|(of, it)| !is_meant(of, it));
    }

    /// Says from where on a connection gets all messages of a group.
    fn stand(&mut self, channel: &str, group: &str, position: String, complete: bool) {
        let Some(connection) = self.connections.get_mut(channel) else { return };
        if let Some(http) = connection.http() {
            return http.stand(group, position, complete);
        }
        let frame = Envelope::From { group, position: &position, complete }.frame();
        self.reply(channel, Reply::Send(frame), true);
    }

    /// Sends a message with its position to a member that sees them.
    pub(super) fn deliver_numbered(
        &mut self,
        channel: &str,
        group: &str,
        position: &str,
        content: &[u8],
    ) {
        let replies = match forms::replies(content) {
            Ok(replies) => replies,
            Err(reason) => return self.drops.push(format!("{channel}: {reason}")),
        };
        for reply in replies {
            let http =
                self.connections.get_mut(channel).and_then(super::connection::Connection::http);
            let reply = match (http, reply) {
                (Some(http), reply) => match http.numbered(reply, position) {
                    Some(reply) => reply,
                    None => continue,
                },
                (None, Reply::Send(frame)) => {
                    let content = match &frame {
                        Frame::Text(text) => Content::Text(text),
                        Frame::Binary(bytes) => Content::Base64(BASE64.encode(bytes)),
                    };
                    Reply::Send(Envelope::Message { group, position, content }.frame())
                }
                (None, reply) => reply,
            };
            self.reply(channel, reply, true);
        }
    }
}

/// What a WebSocket is sent.
#[derive(Serialize)]
#[serde(rename_all = "lowercase", tag = "tidegate")]
enum Envelope<'a> {
    From {
        group: &'a str,
        position: &'a str,
        complete: bool,
    },
    Message {
        group: &'a str,
        position: &'a str,
        #[serde(flatten)]
        content: Content<'a>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Content<'a> {
    Text(&'a str),
    Base64(String),
}

impl Envelope<'_> {
    fn frame(&self) -> Frame {
        Frame::Text(serde_json::to_string(self).expect("texts and a bool can be JSON"))
    }
}
