//! Groups that are remembered: a message is numbered and put into inboxes under one lock, so that each node
//! gets all of a group in order.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::{
    MemoryLayer,
    groups::{Joined, TooMany},
    lock,
    logs::cost,
};
use crate::{
    layer::{
        GroupSent, LayerError, SendError,
        histories::{Kept, PAGE_BYTES_MAX, PAGE_MESSAGES_MAX, entries_of_join, outcome_of_join},
    },
    message::{
        After, ChannelName, Content, CorrelationId, GroupName, InboxEntry, Page, Position, Start,
    },
    telemetry::ByReason,
};

/// Whether a page is one message that is larger than pages are: a reader takes it, a client that joins does not.
fn is_too_large(page: &Page) -> bool {
    page.messages.iter().map(|message| cost(&message.content)).sum::<usize>() > PAGE_BYTES_MAX
}

impl MemoryLayer {
    pub(super) fn kept(&self, group: &GroupName) -> Option<Kept> {
        let histories = self.histories.get()?;
        let changes = histories.changes();
        if self.known_changes.load(Ordering::Relaxed) != changes {
            self.known_changes.store(changes, Ordering::Relaxed);
            lock(&self.logs).forget_others(histories);
        }
        histories.of(group)
    }

    /// Sends a message to a group that is remembered. Returns the named channels that are left to send to.
    pub(super) fn send_remembered(
        &self,
        group: &GroupName,
        content: &Content,
        correlation: CorrelationId,
        kept: &Kept,
    ) -> (GroupSent, Vec<ChannelName>) {
        let (now, mut sent) = (Instant::now(), GroupSent::default());
        let mut groups = lock(&self.groups);
        let members = groups.members(group, now);
        let position = lock(&self.logs).append(group, content, kept, now);
        let mut inboxes = lock(&self.inboxes);
        for (node, to) in members.connections {
            let content = content.clone();
            let entry = InboxEntry::Message { to, content, from_group: true, correlation };
            sent.count(inboxes.put(&node, entry, &self.metrics));
        }
        for (node, to) in members.following {
            let gap = |offset| InboxEntry::From {
                to: to.clone(),
                group: group.clone(),
                position: Position { offset, ..position },
                is_complete: false,
            };
            let (had_gap, content) = (groups.has_gap(group, &node), content.clone());
            let (group, of) = (group.clone(), to.clone());
            let message = InboxEntry::Numbered {
                to: of,
                group: group.clone(),
                position,
                content,
                correlation,
            };
            let before = had_gap.then(|| gap(position.offset - 1));
            let entries = before.into_iter().chain([message]).collect();
            let fits = inboxes.put_all(&node, entries, &self.metrics);
            if !fits && !had_gap && inboxes.is_open(&node) {
                // Once, until a message fits again: it has room in any case.
                inboxes.put(&node, gap(position.offset), &self.metrics);
            }
            groups.note_gap(&group, &node, !fits);
            sent.count(fits);
        }
        (sent, members.named)
    }

    /// Makes a connection a member that sees positions, and sends it what it has missed.
    pub(super) fn join_remembered(
        &self,
        group: &GroupName,
        channel: &ChannelName,
        start: &Start,
        kept: &Kept,
    ) -> Result<(), SendError> {
        let Some((node, local)) = channel.connection() else {
            return Err(LayerError::Refused(format!("{channel} is no connection")).into());
        };
        let now = Instant::now();
        let mut groups = lock(&self.groups);
        let joined = groups
            .follow(group, channel, now)
            .map_err(|TooMany { limit }| SendError::TooManyGroups { limit })?;
        if joined == Joined::Following {
            return Ok(());
        }
        let page = lock(&self.logs).page(group, start, PAGE_MESSAGES_MAX, (kept, now));
        let page = if page.has_more() || is_too_large(&page) {
            // All or nothing: what is too much to catch up with counts as gone.
            let start = Start { after: After::Unknown, ..*start };
            lock(&self.logs).page(group, &start, PAGE_MESSAGES_MAX, (kept, now))
        } else {
            page
        };
        let Page { from, messages, is_complete, .. } = page;
        let messages = messages.into_iter().map(|message| message.content).collect();
        let mut entries: Vec<_> =
            entries_of_join(&local, group, (from, is_complete), messages).collect();
        if joined == Joined::New {
            // The node ends it at once if the connection is over.
            entries.insert(0, InboxEntry::Joined(local));
        }
        let mut inboxes = lock(&self.inboxes);
        if inboxes.put_all(&node, entries, &self.metrics) {
            let reason = outcome_of_join(start.after, is_complete);
            self.metrics.history_joins.get_or_create(&ByReason { reason }).inc();
            return Ok(());
        }
        let is_full = inboxes.is_open(&node);
        drop(inboxes);
        groups.discard(group, channel);
        if is_full { Err(LayerError::InboxFull(node).into()) } else { Ok(()) }
    }

    /// Reads the history of a group.
    pub(super) fn read_history(
        &self,
        group: &GroupName,
        after: After,
        limit: usize,
        kept: &Kept,
    ) -> Page {
        let latest = if after == After::Nothing { limit } else { 0 };
        let (start, now) = (Start { after, latest }, Instant::now());
        lock(&self.logs).page(group, &start, limit.min(PAGE_MESSAGES_MAX), (kept, now))
    }
}
