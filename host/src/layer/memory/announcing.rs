//! Presence in the layer of one process: joins, lists for those who join, and announcements.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::{
    MemoryLayer, lock,
    presence::{Entered, Presences},
};
use crate::{
    layer::{ChannelLayer, SendError, presence::listing},
    message::{ChannelName, CorrelationId, GroupName, InboxEntry, MembersPage, Message, Present},
    telemetry::DropReason,
};

impl MemoryLayer {
    /// Changes who is present, and tells the clock if something is due earlier by that.
    fn of_presence<T>(&self, change: impl FnOnce(&mut Presences, Instant) -> T) -> T {
        let mut presence = lock(&self.presence);
        let before = presence.earliest();
        let outcome = change(&mut presence, Instant::now());
        let earliest = presence.earliest();
        drop(presence);
        if earliest.is_some_and(|earliest| before.is_none_or(|before| earliest < before)) {
            self.earlier.notify_waiters();
        }
        outcome
    }

    /// Ends presence. Where nobody ever was present no lock is taken: groups without members cost nothing more.
    pub(super) fn end_presence(&self, end: impl FnOnce(&mut Presences, Instant)) {
        if self.has_presence.load(Ordering::Acquire) {
            self.of_presence(end);
        }
    }

    pub(super) fn join_as_member(
        &self,
        group: &GroupName,
        connection: &ChannelName,
        present: &Present,
    ) -> Result<(), SendError> {
        self.has_presence.store(true, Ordering::Release);
        // As one: nothing is announced in between, so that the list comes before what changes it.
        let (entered, added) = self.of_presence(|presence, now| {
            let entered = presence.join(group, connection, present, now);
            let added = self.add(group, connection);
            if !matches!(added, Ok(true)) {
                presence.retract(group, connection, now);
            } else if let Entered::New(Some(page)) = &entered {
                self.send_list(page, group, connection);
            }
            (entered, added)
        });
        if entered == Entered::Full {
            self.metrics.dropped(DropReason::PresenceFull);
        }
        added.map(drop)
    }

    /// Sends the list of members to a connection that has joined.
    fn send_list(&self, page: &MembersPage, group: &GroupName, connection: &ChannelName) {
        let Some((node, local)) = connection.connection() else { return };
        let correlation = CorrelationId::random();
        let mut inboxes = lock(&self.inboxes);
        for content in listing(group, page) {
            let to = vec![local.clone()];
            let entry = InboxEntry::Message { to, content, from_group: true, correlation };
            inboxes.put(&node, entry, &self.metrics);
        }
    }

    /// Announces who came and went.
    pub(super) async fn announce(&self) {
        let now = Instant::now();
        let changes = lock(&self.presence).announce(now);
        for change in changes {
            let correlation = CorrelationId::random();
            let mut is_missed = false;
            for content in change.client_messages() {
                let sent = self.tell(&change.group, &content, correlation);
                is_missed |= sent.is_ok_and(|sent| sent.missed > 0);
            }
            for channel in &change.rule.channels {
                for content in change.channel_messages() {
                    let message = Message::custom(content, correlation);
                    if let Err(error) = self.send(channel, message).await {
                        self.metrics.dropped(error.drop_reason());
                    }
                }
            }
            if is_missed {
                lock(&self.presence).missed(&change.group, now);
            }
        }
    }
}
