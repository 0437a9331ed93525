//! Messages that wait in a channel: looked at, moved and dropped by operators.

use std::{collections::HashSet, time::SystemTime};

use tokio::time::Instant;

use super::queues::{Entry, Queues};
use crate::{
    layer::{LayerError, Moved, Waiting, WaitingId, WaitingPage},
    message::{ChannelName, MessageId},
};

/// Bytes of messages in a page. One that is larger is a page of its own.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

fn number_of(id: &WaitingId) -> Option<u64> {
    id.as_str().parse().ok()
}

/// Both clocks at a moment: entries have the times of one, operators read those of the other.
struct Clocks(Instant, SystemTime);

impl Clocks {
    fn now() -> Self {
        Self(Instant::now(), SystemTime::now())
    }

    fn shown(&self, entry: &Entry) -> Waiting {
        let Self(now, today) = *self;
        let at = |moment: Instant| match moment.checked_duration_since(now) {
            Some(ahead) => today + ahead,
            None => today.checked_sub(now - moment).unwrap_or(SystemTime::UNIX_EPOCH),
        };
        Waiting {
            id: WaitingId::new(entry.number.to_string()),
            message: entry.message.clone(),
            sent: at(entry.sent),
            expires: at(entry.expires),
        }
    }
}

impl Queues {
    pub(super) fn waiting(
        &self,
        channel: &ChannelName,
        after: Option<&WaitingId>,
        limit: usize,
    ) -> Result<WaitingPage, LayerError> {
        let read =
            |id: &WaitingId| number_of(id).ok_or_else(|| LayerError::NotAnId(id.to_string()));
        let after = after.map(read).transpose()?;
        let Some(entries) = self.entries(channel) else { return Ok(WaitingPage::default()) };
        // They are in the order of their numbers.
        let start = after.map_or(0, |after| entries.partition_point(|it| it.number <= after));
        let (clocks, mut page, mut bytes) = (Clocks::now(), WaitingPage::default(), 0);
        page.total = entries.len();
        for entry in entries.iter().skip(start) {
            if page.messages.len() == limit || bytes >= PAGE_BYTES {
                page.next = page.messages.last().map(|it| it.id.clone());
                break;
            }
            if entry.expires > clocks.0 {
                bytes += entry.message.len();
                page.messages.push(clocks.shown(entry));
            }
        }
        Ok(page)
    }

    pub(super) fn find_waiting(&self, channel: &ChannelName, id: &WaitingId) -> Option<Waiting> {
        let entries = self.entries(channel)?;
        let at = entries.binary_search_by_key(&number_of(id)?, |it| it.number).ok()?;
        entries.get(at).map(|entry| Clocks::now().shown(entry))
    }

    /// Moves or drops a message. Also returns how many had expired in the other channel.
    pub(super) fn move_waiting(
        &mut self,
        channel: &ChannelName,
        id: &WaitingId,
        to: Option<&ChannelName>,
        now: Instant,
    ) -> (Moved, usize) {
        let found = self.find_waiting(channel, id).zip(number_of(id));
        let Some((waiting, number)) = found else { return (Moved::Gone, 0) };
        let mut expired = 0;
        if let Some(to) = to {
            let mut message = waiting.message;
            message.expires_after = None;
            let pushed = self.push_in_place(to, message, now);
            expired = pushed.expired;
            if pushed.full {
                return (Moved::Full, expired);
            }
        }
        self.take_away(channel, number);
        (Moved::Yes, expired)
    }

    pub(super) fn retain_forgotten(&self, ids: &mut HashSet<MessageId>) {
        for message in self.messages() {
            if let Some(id) = message.id {
                ids.remove(&id);
            }
        }
    }
}
