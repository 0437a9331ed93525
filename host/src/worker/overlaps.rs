//! Schedules whose runs do not overlap: the store has which moment of a schedule is open, from before its message is
//! sent until that is settled.
//!
//! A moment is opened and closed in a place of the host, apart from the data of the module. The message of a moment
//! counts once by its note, so that a process may open a moment again that another one has opened.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::{
    capability::store::{
        Commit, CommitError, Data, Found, InputError, Key, Quota, Reads, RunId, Store, StoreError,
        TimeToLive, Value, Write, commit_surely,
    },
    message::{ChannelName, Content, ModuleName},
};

/// A schedule is known by its module and the channel of its consumer.
pub(super) type Name = (ModuleName, ChannelName);

/// The key of the moment in a message.
pub(super) const DUE: &str = "due";
/// After so long an open moment counts as closed: its message may be gone with a layer that forgets.
const OPEN_MAX: Duration = Duration::from_hours(6);
/// How often a moment is read again that another process has changed meanwhile.
const TRIES: usize = 5;

/// The turn of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Its message may be sent.
    Open,
    /// It, or a later one, was opened and closed before.
    Past,
    /// The run of another moment is not over.
    Waits,
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

/// A moment, and whether its run is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Noted {
    /// In milliseconds since 1970.
    moment: i64,
    is_open: bool,
}

impl Noted {
    fn of(value: &Value) -> Option<Self> {
        let Data::Integer(packed) = value.data else { return None };
        Some(Self { moment: packed >> 1, is_open: packed & 1 == 1 })
    }

    fn value(self) -> Value {
        Value::of_integer(self.moment.saturating_mul(2) | i64::from(self.is_open))
    }
}

/// The schedules whose runs do not overlap.
#[derive(Debug)]
pub(super) struct Overlaps {
    store: Arc<dyn Store>,
    place: ModuleName,
    of: ArcSwap<HashSet<Name>>,
    /// Told when a moment is closed here.
    closed: Notify,
}

impl Overlaps {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            place: ModuleName::of_schedules(),
            of: ArcSwap::default(),
            closed: Notify::new(),
        }
    }

    /// For tests that are not about schedules.
    #[cfg(test)]
    pub(super) fn idle() -> Self {
        let store = crate::capability::store::EmbeddedStore::in_memory();
        Self::new(Arc::new(store.expect("a store in memory needs nothing")))
    }

    /// Says which schedules of active versions there are.
    pub(super) fn follow(&self, of: HashSet<Name>) {
        self.of.store(Arc::new(of));
    }

    /// Opens a moment, unless the run of one before is not over.
    pub(super) async fn open(&self, name: &Name, moment: SystemTime) -> Result<Turn, OverlapError> {
        let moment = millis(moment);
        for _ in 0..TRIES {
            let (reads, noted) = self.read(name).await?;
            match noted {
                Some(noted) if noted.moment == moment && noted.is_open => return Ok(Turn::Open),
                Some(noted) if noted.moment >= moment => return Ok(Turn::Past),
                Some(Noted { is_open: true, .. }) => return Ok(Turn::Waits),
                _ => {}
            }
            if self.write(name, reads, Noted { moment, is_open: true }).await? {
                return Ok(Turn::Open);
            }
        }
        Err(OverlapError::Busy)
    }

    /// Closes the moment of a message that is settled, if it is that of such a schedule.
    pub(super) async fn close(
        &self,
        module: &ModuleName,
        channel: &ChannelName,
        content: &Content,
    ) -> Result<(), OverlapError> {
        let name = (module.clone(), channel.clone());
        if !self.of.load().contains(&name) {
            return Ok(());
        }
        let due = content.entries().find(|(key, _)| *key == DUE);
        let due = due.and_then(|(_, value)| rmp_serde::from_slice::<i64>(value).ok());
        let Some(moment) = due else { return Ok(()) };
        self.close_moment(&name, moment).await
    }

    /// Resolves when a moment was closed in this process since the last call: another one may wait for that.
    pub(super) async fn closed(&self) {
        self.closed.notified().await;
    }

    async fn close_moment(&self, name: &Name, moment: i64) -> Result<(), OverlapError> {
        for _ in 0..TRIES {
            let (reads, noted) = self.read(name).await?;
            if noted != Some(Noted { moment, is_open: true }) {
                return Ok(());
            }
            if self.write(name, reads, Noted { moment, is_open: false }).await? {
                self.closed.notify_one();
                return Ok(());
            }
        }
        Err(OverlapError::Busy)
    }

    async fn read(&self, name: &Name) -> Result<(Reads, Option<Noted>), OverlapError> {
        let key = key(name)?;
        let read = self.store.read(&self.place, std::slice::from_ref(&key), None).await?;
        let found = read.found.into_iter().next().unwrap_or(Found::Absent);
        let keys = BTreeMap::from([(key, found.seen())]);
        let reads = Reads { clock: Some(read.clock), keys, ranges: Vec::new() };
        let noted = match &found {
            Found::Live(entry) => Noted::of(&entry.value),
            Found::Absent | Found::Expired(_) => None,
        };
        Ok((reads, noted))
    }

    /// Writes what was read before. False: another process was faster.
    async fn write(&self, name: &Name, reads: Reads, noted: Noted) -> Result<bool, OverlapError> {
        let kept = i64::try_from(OPEN_MAX.as_millis()).unwrap_or(i64::MAX);
        let time_to_live = Some(TimeToLive::from_millis(kept)?);
        let set = Write::Set { value: noted.value(), time_to_live };
        let writes = BTreeMap::from([(key(name)?, set)]);
        let commit = Commit { reads, writes, ..Commit::new(RunId::random(), Quota::NONE) };
        match commit_surely(&*self.store, &self.place, commit).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Milliseconds since 1970.
pub(super) fn millis(moment: SystemTime) -> i64 {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn key((module, channel): &Name) -> Result<Key, InputError> {
    Key::parse(&format!("{module} {channel}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::store::EmbeddedStore;

    fn name() -> Name {
        (ModuleName::parse("shop").unwrap(), ChannelName::parse("shop.report").unwrap())
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn tick(millis: serde_json::Value) -> Content {
        let object = serde_json::Map::from_iter([("due".to_owned(), millis)]);
        Content::from_json(&object).unwrap()
    }

    #[tokio::test]
    async fn a_moment_waits_until_the_one_before_is_closed_and_none_is_opened_twice() {
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().unwrap());
        let [one, other] = [(); 2].map(|()| Overlaps::new(Arc::clone(&store)));
        for overlaps in [&one, &other] {
            overlaps.follow(HashSet::from([name()]));
        }
        let open = async |of: &Overlaps, seconds| of.open(&name(), at(seconds)).await.unwrap();
        let (module, channel) = name();
        assert_eq!(open(&one, 10).await, Turn::Open);
        assert_eq!(open(&other, 10).await, Turn::Open, "its message counts once");
        assert_eq!(open(&other, 20).await, Turn::Waits);
        let empty = Content::from_json(&serde_json::Map::new()).unwrap();
        for wrong in [tick(20_000.into()), tick("10000".into()), empty] {
            one.close(&module, &channel, &wrong).await.unwrap();
            assert_eq!(open(&other, 20).await, Turn::Waits, "another message: {wrong:?}");
        }
        one.close(&module, &channel, &tick(10_000.into())).await.unwrap();
        assert_eq!(open(&other, 10).await, Turn::Past, "its run is over");
        assert_eq!(open(&other, 20).await, Turn::Open);
        assert_eq!(open(&one, 10).await, Turn::Past);
        let (theirs, here) = ((module.clone(), ChannelName::parse("shop.other").unwrap()), at(20));
        assert_eq!(one.open(&theirs, here).await.unwrap(), Turn::Open, "another schedule");
    }

    #[tokio::test]
    async fn messages_of_other_channels_ask_no_store() {
        let store = Arc::new(EmbeddedStore::in_memory().unwrap());
        let overlaps = Overlaps::new(Arc::clone(&store) as Arc<dyn Store>);
        let (module, channel) = name();
        overlaps.open(&name(), at(10)).await.unwrap();
        // No version that is active has the schedule.
        overlaps.close(&module, &channel, &tick(10_000.into())).await.unwrap();
        assert_eq!(overlaps.open(&name(), at(20)).await.unwrap(), Turn::Waits);
    }
}
