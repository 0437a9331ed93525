//! Messages that wait in a channel: looked at, moved and dropped by operators.
//!
//! Dead letters are in the partition of the channel that they come from, since a script puts them there. Messages that
//! somebody sends to `NAME.dead` are in the partition of that name. Both are one channel here.

use std::time::{Duration, SystemTime};

use super::{Shared, no_partition, wire};
use crate::{
    layer::{LayerError, Moved, Waiting, WaitingId, WaitingPage},
    message::ChannelName,
    redis::micros,
    telemetry::DropReason,
};

/// Bytes of entries in a page. One that is larger is a page of its own.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// The parts of an id: partition, when the entry was sent in microseconds of the server, SHA-1 of the entry.
struct Place<'a> {
    partition: usize,
    sent: u64,
    digest: &'a str,
}

impl<'a> Place<'a> {
    fn read(id: &'a WaitingId) -> Option<Self> {
        let mut parts = id.as_str().splitn(3, '-');
        let (partition, sent, digest) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { partition: partition.parse().ok()?, sent: sent.parse().ok()?, digest })
    }
}

impl Shared {
    /// The partitions in which messages of a channel may wait.
    fn partitions_of(&self, channel: &ChannelName) -> Vec<usize> {
        let living = channel.living().map(|living| self.partition_of(living.as_str()));
        let mut partitions: Vec<_> = living.into_iter().collect();
        partitions.push(self.partition_of(channel.as_str()));
        partitions.dedup();
        partitions
    }

    pub(super) async fn waiting(
        &self,
        channel: &ChannelName,
        after: Option<&WaitingId>,
        limit: usize,
    ) -> Result<WaitingPage, LayerError> {
        let partitions = self.partitions_of(channel);
        let mut from = match after {
            None => None,
            Some(id) => Some(Place::read(id).ok_or_else(|| LayerError::NotAnId(id.to_string()))?),
        };
        let mut page = WaitingPage::default();
        for partition in partitions {
            // The pages before have ended behind all of it, but it counts.
            let is_over = from.as_ref().is_some_and(|place| place.partition != partition);
            let place = from.take_if(|place| place.partition == partition);
            let room = if is_over { 0 } else { limit.saturating_sub(page.messages.len()) };
            let more =
                self.read_waiting(channel, partition, place.as_ref(), room, &mut page).await?;
            if more && !is_over {
                page.next =
                    page.next.take().or_else(|| page.messages.last().map(|it| it.id.clone()));
            }
        }
        Ok(page)
    }

    /// Adds some of what waits in a partition to a page. Returns whether there is more.
    async fn read_waiting(
        &self,
        channel: &ChannelName,
        partition: usize,
        after: Option<&Place<'_>>,
        room: usize,
        page: &mut WaitingPage,
    ) -> Result<bool, LayerError> {
        let link = self.links.get(partition).ok_or_else(no_partition)?;
        let mut call = self.scripts.waiting.key(&link.keys.base);
        call.arg(channel.as_str());
        match after {
            None => call.arg("-1").arg(""),
            Some(place) => call.arg(place.sent).arg(place.digest),
        };
        call.arg(room).arg(PAGE_BYTES);
        let (total, more, entries): (usize, u8, Vec<Vec<u8>>) = link.call(&call).await?;
        page.total += total;
        for pair in entries.chunks_exact(2) {
            let [entry, digest] = pair else { continue };
            let Some((sent, _)) = wire::times(entry) else { continue };
            let id = format!("{partition}-{sent}-{}", String::from_utf8_lossy(digest));
            page.messages.extend(shown(channel, entry, WaitingId::new(id)));
        }
        Ok(more == 1)
    }

    pub(super) async fn find_waiting(
        &self,
        channel: &ChannelName,
        wanted: &WaitingId,
    ) -> Result<Option<Waiting>, LayerError> {
        let Some(Place { partition, sent, digest }) = Place::read(wanted) else { return Ok(None) };
        if !self.partitions_of(channel).contains(&partition) {
            return Ok(None);
        }
        let link = self.links.get(partition).ok_or_else(no_partition)?;
        let mut call = self.scripts.find_waiting.key(&link.keys.base);
        call.arg(channel.as_str()).arg(sent).arg(digest);
        let entry: Option<Vec<u8>> = link.call(&call).await?;
        Ok(entry.and_then(|entry| shown(channel, &entry, wanted.clone())))
    }

    pub(super) async fn move_waiting(
        &self,
        channel: &ChannelName,
        id: &WaitingId,
        to: Option<&ChannelName>,
    ) -> Result<Moved, LayerError> {
        let Some(Place { partition, sent, digest }) = Place::read(id) else {
            return Ok(Moved::Gone);
        };
        if !self.partitions_of(channel).contains(&partition) {
            return Ok(Moved::Gone);
        }
        let link = self.links.get(partition).ok_or_else(no_partition)?;
        let mut call = self.scripts.move_waiting.key(&link.keys.base);
        call.arg(channel.as_str()).arg(sent).arg(digest);
        match to {
            None => call.arg("").arg(0).arg(0),
            Some(to) => {
                let capacity = self.config.capacities.of(to);
                call.arg(to.as_str()).arg(capacity).arg(micros(self.config.expiry))
            }
        };
        let outcome: String = link.call(&call).await?;
        Ok(match outcome.as_str() {
            "ok" => {
                if to.is_none() {
                    self.metrics.dropped(DropReason::ByOperator);
                }
                Moved::Yes
            }
            "full" => Moved::Full,
            _ => Moved::Gone,
        })
    }
}

/// Reads an entry. None, with a line in the log, if it cannot be read.
fn shown(channel: &ChannelName, entry: &[u8], id: WaitingId) -> Option<Waiting> {
    let (sent, expires) = wire::times(entry)?;
    let read = wire::open(entry, sent);
    let read = read.inspect_err(|error| tracing::debug!(%error, %channel, "an entry is not shown"));
    let message = read.ok()?.message;
    Some(Waiting { id, message, sent: moment(sent), expires: moment(expires) })
}

/// A moment of the server's clock.
fn moment(micros: u64) -> SystemTime {
    let since = Duration::from_micros(micros);
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}
