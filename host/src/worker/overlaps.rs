//! Schedules whose runs do not overlap: the store has which moment of a schedule is open, from before its message is
//! sent until that is settled.
//!
//! A moment is opened and closed in a place of the host, apart from the data of the module. The message of a moment
//! counts once by its note, so that a process may open a moment again that another one has opened. A moment that is
//! opened is open for a short time, and longer once its message is stored, so that none stays open without one.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::{
    capability::{
        schedule::Overlap,
        store::{
            Commit, CommitError, Data, Found, InputError, Key, Quota, Reads, RunId, Store,
            StoreError, TimeToLive, Value, Write, commit_surely,
        },
    },
    message::{ChannelName, Content, ModuleName},
    telemetry::WarnLimit,
};

/// A schedule is known by its module and the channel of its consumer.
pub(super) type Name = (ModuleName, ChannelName);

/// The key of the moment in a message.
pub(super) const DUE: &str = "due";
/// How long a moment is open whose message is not stored.
const OPENED: Duration = Duration::from_secs(60);
/// How often a moment is read again that another process has changed meanwhile.
const TRIES: usize = 5;

/// The turn of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Its message may be sent.
    Open,
    /// The run of another moment is not over.
    Waits,
    /// Likewise, so it is left out for good.
    LeftOut,
    /// It, or a later one, had its turn before.
    Past,
}

/// Why nothing is known of a moment.
#[derive(Debug, thiserror::Error)]
pub(super) enum OverlapError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("other processes change it all the time")]
    Busy,
}

/// The turns of a schedule. All are in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    /// The last moment that was opened.
    moment: i64,
    /// Until when it is open; 0: it is closed.
    until: i64,
    /// The last moment that was left out.
    left_out: i64,
}

impl Noted {
    const fn is_open(self, now: i64) -> bool {
        self.until > now
    }
}

/// The turns of schedules whose runs do not overlap.
#[derive(Debug)]
pub(super) struct Overlaps {
    store: Arc<dyn Store>,
    place: ModuleName,
    /// Told when a moment is closed here.
    closed: Notify,
    ahead: WarnLimit,
}

impl Overlaps {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        let place = ModuleName::of_schedules();
        Self { store, place, closed: Notify::new(), ahead: WarnLimit::default() }
    }

    /// For tests that are not about schedules.
    #[cfg(test)]
    pub(super) fn idle() -> Self {
        let store = crate::capability::store::EmbeddedStore::in_memory();
        Self::new(Arc::new(store.expect("a store in memory needs nothing")))
    }

    /// Opens a moment, unless the run of one before is not over. The turns of the schedule are kept for so long.
    pub(super) async fn open(
        &self,
        name: &Name,
        moment: SystemTime,
        overlap: Overlap,
        (now, kept): (SystemTime, Duration),
    ) -> Result<Turn, OverlapError> {
        let (moment, now) = (millis(moment), millis(now));
        for _ in 0..TRIES {
            let (reads, noted) = self.read(name).await?;
            if noted.moment == moment {
                return Ok(if noted.is_open(now) { Turn::Open } else { Turn::Past });
            }
            if noted.moment.max(noted.left_out) >= moment {
                self.warn_of_clock(name, noted.moment.max(noted.left_out), now);
                return Ok(Turn::Past);
            }
            let (next, turn) = match (noted.is_open(now), overlap) {
                (true, Overlap::Queue) => return Ok(Turn::Waits),
                (true, Overlap::Skip) => (Noted { left_out: moment, ..noted }, Turn::LeftOut),
                (false, _) => (Noted { moment, until: after(now, OPENED), ..noted }, Turn::Open),
            };
            if self.write(name, reads, next, kept).await? {
                return Ok(turn);
            }
        }
        Err(OverlapError::Busy)
    }

    /// Keeps a moment open whose message is stored, unless its run is over already.
    pub(super) async fn keep_open(
        &self,
        name: &Name,
        moment: SystemTime,
        life: Duration,
        (now, kept): (SystemTime, Duration),
    ) -> Result<(), OverlapError> {
        let (moment, now) = (millis(moment), millis(now));
        self.change(name, kept, |noted| {
            let is_open = noted.moment == moment && noted.is_open(now);
            is_open.then(|| Noted { until: after(now, life), ..noted })
        })
        .await
        .map(drop)
    }

    /// Closes the moment of a message that is settled, if it is that of such a schedule.
    pub(super) async fn close(
        &self,
        module: &ModuleName,
        channel: &ChannelName,
        content: &Content,
    ) -> Result<(), OverlapError> {
        let Some(moment) = moment_of(content) else { return Ok(()) };
        let name = (module.clone(), channel.clone());
        let close = |noted: Noted| {
            let is_open = noted.moment == moment && noted.until > 0;
            is_open.then_some(Noted { until: 0, ..noted })
        };
        if self.change(&name, CLOSED_KEPT, close).await? {
            self.closed.notify_one();
        }
        Ok(())
    }

    /// Resolves when a moment was closed in this process since the last call: another one may wait for that.
    pub(super) async fn closed(&self) {
        self.closed.notified().await;
    }

    /// Changes the turns of a schedule. False: there is nothing to change.
    async fn change(
        &self,
        name: &Name,
        kept: Duration,
        next: impl Fn(Noted) -> Option<Noted>,
    ) -> Result<bool, OverlapError> {
        for _ in 0..TRIES {
            let (reads, noted) = self.read(name).await?;
            let Some(next) = next(noted) else { return Ok(false) };
            if self.write(name, reads, next, kept).await? {
                return Ok(true);
            }
        }
        Err(OverlapError::Busy)
    }

    async fn read(&self, name: &Name) -> Result<(Reads, Noted), OverlapError> {
        let key = key(name)?;
        let read = self.store.read(&self.place, std::slice::from_ref(&key), None).await?;
        let found = read.found.into_iter().next().unwrap_or(Found::Absent);
        let keys = BTreeMap::from([(key, found.seen())]);
        let reads = Reads { clock: Some(read.clock), keys, ranges: Vec::new() };
        let noted = match &found {
            Found::Live(entry) => match &entry.value.data {
                // What another release has written begins anew.
                Data::Bytes(bytes) => rmp_serde::from_slice(bytes).unwrap_or_default(),
                Data::Integer(_) => Noted::default(),
            },
            Found::Absent | Found::Expired(_) => Noted::default(),
        };
        Ok((reads, noted))
    }

    /// Writes in place of what was read. False: another process was faster.
    async fn write(
        &self,
        name: &Name,
        reads: Reads,
        noted: Noted,
        kept: Duration,
    ) -> Result<bool, OverlapError> {
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        let time_to_live = Some(TimeToLive::from_millis(kept)?);
        let bytes = rmp_serde::to_vec(&noted).expect("three numbers can be written");
        let value = Value::of_bytes(Bytes::from(bytes), 0)?;
        let writes = BTreeMap::from([(key(name)?, Write::Set { value, time_to_live })]);
        let commit = Commit { reads, writes, ..Commit::new(RunId::random(), Quota::NONE) };
        match commit_surely(&*self.store, &self.place, commit).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Says that moments are left out since another process had a clock that was ahead.
    fn warn_of_clock(&self, (module, channel): &Name, last: i64, now: i64) {
        if last > after(now, OPENED)
            && let Some(held_back) = self.ahead.admit()
        {
            tracing::warn!(
                %module, %channel, held_back,
                "moments of a schedule are left out: a process whose clock was ahead has had later ones"
            );
        }
    }
}

/// How long the turns of a schedule are kept after a run: longer than a process may come late with its moment.
const CLOSED_KEPT: Duration = Duration::from_hours(400 * 24);

fn key((module, channel): &Name) -> Result<Key, InputError> {
    Key::parse(&format!("{module} {channel}"))
}

fn after(now: i64, span: Duration) -> i64 {
    now.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}

/// The moment in a message of a schedule, which has nothing else.
fn moment_of(content: &Content) -> Option<i64> {
    let mut entries = content.entries();
    let (key, value) = entries.next()?;
    let moment = rmp_serde::from_slice(value).ok();
    moment.filter(|_| key == DUE && entries.next().is_none())
}

/// Milliseconds since 1970.
pub(super) fn millis(moment: SystemTime) -> i64 {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::store::EmbeddedStore;

    const DAY: Duration = Duration::from_hours(24);

    fn name() -> Name {
        (ModuleName::parse("shop").unwrap(), ChannelName::parse("shop.report").unwrap())
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn tick(value: &serde_json::Value) -> Content {
        Content::from_json(value.as_object().unwrap()).unwrap()
    }

    async fn open(of: &Overlaps, moment: u64, overlap: Overlap, now: u64) -> Turn {
        of.open(&name(), at(moment), overlap, (at(now), DAY)).await.unwrap()
    }

    async fn close(of: &Overlaps, content: &serde_json::Value) {
        let (module, channel) = name();
        of.close(&module, &channel, &tick(content)).await.unwrap();
    }

    #[tokio::test]
    async fn a_moment_waits_until_the_one_before_is_closed_and_none_has_two_turns() {
        use Overlap::Queue;
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().unwrap());
        let [one, other] = [(); 2].map(|()| Overlaps::new(Arc::clone(&store)));
        assert_eq!(open(&one, 10, Queue, 10).await, Turn::Open);
        assert_eq!(open(&other, 10, Queue, 10).await, Turn::Open, "its message counts once");
        assert_eq!(open(&other, 20, Queue, 20).await, Turn::Waits);
        for wrong in [
            serde_json::json!({ "due": 20_000 }),
            serde_json::json!({ "due": "10000" }),
            serde_json::json!({ "due": 10_000, "more": 1 }),
            serde_json::json!({}),
        ] {
            close(&one, &wrong).await;
            assert_eq!(open(&other, 20, Queue, 20).await, Turn::Waits, "not its message: {wrong}");
        }
        close(&one, &serde_json::json!({ "due": 10_000 })).await;
        assert_eq!(open(&other, 10, Queue, 21).await, Turn::Past, "its run is over");
        assert_eq!(open(&other, 20, Queue, 21).await, Turn::Open);
        assert_eq!(open(&one, 10, Queue, 21).await, Turn::Past);
        let theirs = (name().0, ChannelName::parse("shop.other").unwrap());
        let turn = one.open(&theirs, at(20), Queue, (at(21), DAY)).await.unwrap();
        assert_eq!(turn, Turn::Open, "another schedule");
    }

    #[tokio::test]
    async fn a_moment_that_is_left_out_is_so_for_all_processes_and_for_good() {
        use Overlap::Skip;
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().unwrap());
        let [one, other] = [(); 2].map(|()| Overlaps::new(Arc::clone(&store)));
        assert_eq!(open(&one, 10, Skip, 10).await, Turn::Open);
        assert_eq!(open(&one, 20, Skip, 20).await, Turn::LeftOut);
        assert_eq!(open(&other, 20, Skip, 20).await, Turn::Past, "counted once");
        close(&one, &serde_json::json!({ "due": 10_000 })).await;
        assert_eq!(open(&other, 20, Skip, 21).await, Turn::Past, "it comes late");
        assert_eq!(open(&other, 30, Skip, 30).await, Turn::Open);
    }

    #[tokio::test]
    async fn a_moment_without_a_message_is_open_for_a_minute_and_one_with_it_for_its_life() {
        use Overlap::Queue;
        let overlaps = Overlaps::idle();
        assert_eq!(open(&overlaps, 10, Queue, 10).await, Turn::Open);
        assert_eq!(open(&overlaps, 60, Queue, 69).await, Turn::Waits);
        assert_eq!(open(&overlaps, 60, Queue, 70).await, Turn::Open, "nobody has stored it");
        let life = Duration::from_secs(500);
        overlaps.keep_open(&name(), at(60), life, (at(71), DAY)).await.unwrap();
        assert_eq!(open(&overlaps, 570, Queue, 570).await, Turn::Waits);
        assert_eq!(open(&overlaps, 570, Queue, 571).await, Turn::Open);
        close(&overlaps, &serde_json::json!({ "due": 570_000 })).await;
        overlaps.keep_open(&name(), at(570), life, (at(572), DAY)).await.unwrap();
        assert_eq!(open(&overlaps, 580, Queue, 580).await, Turn::Open, "a run may be over at once");
    }
}
