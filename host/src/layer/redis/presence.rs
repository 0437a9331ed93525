//! Presence over Redis. Each node tells of its own connections, in the partition of the group; any process announces
//! what is due there.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    Shared,
    node::Node,
    wire::{pack_rule, unpack_rule},
};
use crate::{
    layer::{
        LayerError,
        presence::{Change, Told, listing},
    },
    message::{
        CorrelationId, Facts, GroupName, InboxEntry, Member, MemberKey, MembersPage, Message,
    },
    redis::Link,
    telemetry::DropReason,
};

/// Groups of which one call takes announcements; a process that finds so many looks for more at once.
const GROUPS_PER_CALL: usize = 20;

/// Names and what stands with them, in turns.
type Pairs = Vec<Vec<u8>>;
/// An announcement that is due: group, version before, version, version of the list, rule, what clients are told,
/// members, joined, updated, left, all, came and left.
type Due =
    (String, u64, u64, u64, Vec<u8>, String, u64, Pairs, Pairs, Vec<String>, Pairs, Vec<String>);

impl Shared {
    /// Tells Redis who is present on a node, as far as it was not told. What cannot be told now is told when leases
    /// are renewed.
    pub(super) async fn tell_presence(&self, node: &Node) {
        if !node.presence.is_behind.load(Ordering::Acquire) {
            return;
        }
        let telling = node.presence.partitions_untold().into_iter();
        let telling = telling.map(|partition| self.tell_presence_in(node, partition));
        futures_util::future::join_all(telling).await;
    }

    /// The same in one partition.
    pub(super) async fn tell_presence_in(&self, node: &Node, partition: usize) {
        let presence = &node.presence;
        let (Some(link), Some(calls)) = (self.links.get(partition), presence.calls.get(partition))
        else {
            return;
        };
        if !link.is_up() || !presence.is_behind.load(Ordering::Acquire) {
            return;
        }
        let mut calls = calls.lock().await;
        loop {
            let untold = presence.untold(partition);
            if untold.is_empty() {
                return;
            }
            *calls += 1;
            let mut call = self.scripts.presence.key(&link.keys.base);
            call.arg("tell").arg(node.name.as_str()).arg(*calls).arg(self.config.presence_members);
            for ((group, local), present) in &untold {
                call.arg(group.as_str()).arg(local.as_str());
                match present {
                    Some(present) => {
                        let Member { key, facts } = &present.member;
                        call.arg(key.as_str()).arg(&facts.as_bytes()[..]);
                        call.arg(pack_rule(&present.rule));
                    }
                    None => drop(call.arg("").arg("").arg("")),
                }
            }
            match link.call::<Vec<String>>(&call).await {
                Ok(outcomes) if outcomes.len() == untold.len() => {
                    let full = outcomes.iter().filter(|outcome| *outcome == "full").count();
                    self.metrics.dropped_many(DropReason::PresenceFull, full as u64);
                    presence.told(partition, untold, &outcomes);
                }
                // It has not renewed its lease there, and does so soon.
                Ok(_) => return,
                Err(error) => return tracing::debug!(%error, "presence is told later"),
            }
            if let Some(announcing) = self.announcing.get(partition) {
                announcing.notify_one();
            }
        }
    }

    /// The lists for connections of a node that have joined.
    pub(super) async fn owed_lists(&self, node: &Node) -> Vec<InboxEntry> {
        if !node.presence.is_behind.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut lists = Vec::new();
        for (group, owed) in node.presence.take_owed() {
            match self.members(&group, None, owed.0).await {
                Ok(page) => {
                    let correlation = CorrelationId::random();
                    let entry = |content| InboxEntry::Message {
                        to: owed.1.clone(),
                        content,
                        from_group: true,
                        correlation,
                    };
                    lists.extend(listing(&group, &page).into_iter().map(entry));
                }
                Err(error) => {
                    tracing::debug!(%error, "members are listed later");
                    node.presence.owe_again(group, owed);
                }
            }
        }
        lists
    }

    pub(super) async fn members(
        &self,
        group: &GroupName,
        after: Option<&MemberKey>,
        limit: usize,
    ) -> Result<MembersPage, LayerError> {
        let link = self.link(group.as_str())?;
        let mut call = self.scripts.presence_members.key(&link.keys.base);
        call.arg(group.as_str()).arg(after.map_or("", MemberKey::as_str)).arg(limit);
        let (version, count, pairs): (u64, u64, Pairs) = link.call(&call).await?;
        let has_more = limit > 0 && pairs.len() >= 2 * limit;
        Ok(MembersPage { version, count, members: members_of(pairs), has_more })
    }

    /// Announces what is due in a partition, and lets members go whose time is over.
    async fn announce(&self, partition: usize) -> Result<(), LayerError> {
        let Some(link) = self.links.get(partition) else { return Ok(()) };
        loop {
            let mut call = self.scripts.presence.key(&link.keys.base);
            call.arg("due");
            let (_, due): (i64, Vec<Due>) = link.call(&call).await?;
            let is_all = due.len() < GROUPS_PER_CALL;
            let told = due.into_iter().map(|due| self.announce_one(link, due));
            futures_util::future::join_all(told).await;
            if is_all {
                // What is due later is known from the next look at it.
                self.due.notify_waiters();
                return Ok(());
            }
        }
    }

    /// Lets the members of a node that was closed go now, so that nobody has to notice it.
    pub(super) async fn let_members_go(&self) {
        for partition in 0..self.links.len() {
            if let Err(error) = self.announce(partition).await {
                tracing::debug!(%error, "members leave later");
            }
        }
    }

    async fn announce_one(&self, link: &Link, due: Due) {
        let (group, from, version, listed, rule, told, count, joined, updated, left, all, passed) =
            due;
        let (Ok(name), Some(rule)) = (GroupName::parse(&group), unpack_rule(&rule)) else {
            self.metrics.dropped(DropReason::Unreadable);
            return;
        };
        let change = Change {
            group: name,
            from,
            version,
            count,
            rule,
            joined: members_of(joined),
            updated: members_of(updated),
            left: keys_of(&left),
            passed: keys_of(&passed),
            told: match told.as_str() {
                "difference" => Told::Difference,
                "count" => Told::Count,
                "list" => Told::List(listed, members_of(all)),
                _ => Told::Nothing,
            },
        };
        let is_missed = self.tell(&change).await;
        let mut call = self.scripts.presence.key(&link.keys.base);
        call.arg("done").arg(&group).arg(version).arg(u8::from(is_missed));
        if let Err(error) = link.call::<u8>(&call).await {
            // It is announced once more, with all that is so then.
            tracing::debug!(%error, "an announcement is not noted");
        }
    }

    /// Returns whether a client may have missed it.
    async fn tell(&self, change: &Change) -> bool {
        let (correlation, mut is_missed) = (CorrelationId::random(), false);
        for content in change.client_messages() {
            // The history of a group is of messages that were sent to it.
            let sent = self.send_to_members(&change.group, content, correlation, false).await;
            is_missed |= sent.map_or(true, |sent| sent.missed > 0);
        }
        for channel in &change.rule.channels {
            for content in change.channel_messages() {
                if let Err(error) = self.send(channel, Message::custom(content, correlation)).await
                {
                    self.metrics.dropped(error.drop_reason());
                }
            }
        }
        is_missed
    }
}

/// Announces in one partition when something is due there, until it is cancelled.
pub(super) async fn announce(shared: Arc<Shared>, partition: usize) {
    let Some(due) = shared.announcing.get(partition) else { return };
    loop {
        due.notified().await;
        if let Err(error) = shared.announce(partition).await {
            tracing::debug!(%error, "presence is announced later");
        }
    }
}

/// When `presence` has something to do, as scripts tell it.
pub(super) fn span(micros: i64) -> Option<Duration> {
    u64::try_from(micros).ok().map(Duration::from_micros)
}

fn keys_of(keys: &[String]) -> Vec<MemberKey> {
    keys.iter().filter_map(|key| MemberKey::parse(key).ok()).collect()
}

fn members_of(pairs: Pairs) -> Vec<Member> {
    let mut pairs = pairs.into_iter();
    let mut members = Vec::with_capacity(pairs.len() / 2);
    while let (Some(key), Some(facts)) = (pairs.next(), pairs.next()) {
        let key = std::str::from_utf8(&key).ok().and_then(|key| MemberKey::parse(key).ok());
        // What another program wrote there is no member.
        if let (Some(key), Ok(facts)) = (key, Facts::parse(facts.into())) {
            members.push(Member { key, facts });
        }
    }
    members
}
