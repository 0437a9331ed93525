//! Runs consumers by the clock: puts a message on the channel of a schedule when its moment has come.
//!
//! Every worker does so. The message commits with a note of the moment, so that the first one's counts.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};

use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep_until, timeout};

use super::{Shared, relay::Relay};
use crate::{
    capability::{
        schedule::{Moments, Schedule},
        store::{Commit, CommitError, Note, Parcel, Quota, RunId, Store, commit_surely},
    },
    message::{ChannelName, Content, CorrelationId, ModuleName, seal_relayed},
    registry::Modules,
    telemetry::{ByModule, Metrics, WarnLimit},
};

/// Commits of moments that are made at the same time.
const AT_ONCE_MAX: usize = 64;
/// How long the commit of a moment may take. Then it is tried again, and the note keeps it from counting twice.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);
/// When what failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// The longest sleep: somebody may set the clock.
const LOOK_PAUSE_MAX: Duration = Duration::from_secs(30);
/// How much longer than until its next moment a schedule notes one. A process whose clock is behind may come late.
const NOTE_KEPT_AFTER: Duration = Duration::from_secs(24 * 3600);

/// A schedule is known by its module and the channel of its consumer.
type Name = (ModuleName, ChannelName);

/// A moment that has come.
struct Due {
    name: Name,
    moment: SystemTime,
    note: Note,
    quota: Quota,
}

/// A schedule of an active version.
struct Kept {
    moments: Moments,
    /// Of the data of its module.
    quota: Quota,
}

/// The schedules of all active versions.
#[derive(Default)]
struct Schedules(HashMap<Name, Kept>);

impl Schedules {
    /// Begins the schedules of versions that are active now, and forgets those that no active version has.
    fn follow(&mut self, modules: &Modules, now: SystemTime) {
        let mut before = std::mem::take(&mut self.0);
        for version in modules.versions() {
            let quota = version.grants.store.quota;
            for (channel, schedule) in version.schedules() {
                let name = (version.name.clone(), channel.clone());
                let same = before.remove(&name).map(|kept| kept.moments);
                let same = same.filter(|moments| moments.schedule() == schedule);
                let since = || Moments::since(schedule.clone(), version.active_since, now);
                let moments = same.unwrap_or_else(since);
                self.0.insert(name, Kept { moments, quota });
            }
        }
    }

    /// Takes the moments that have come, in their order. Those of modules that are withheld stay: a process with a
    /// later activation knows their schedules better.
    fn take_due(&mut self, withheld: &HashSet<ModuleName>, now: SystemTime) -> Vec<Due> {
        let mut due = Vec::new();
        for (name, Kept { moments, quota }) in &mut self.0 {
            while !withheld.contains(&name.0)
                && let Some(moment) = moments.take_due(now)
            {
                let note = note(name, moment, moments.schedule());
                due.push(Due { name: name.clone(), moment, note, quota: *quota });
            }
        }
        due.sort_by_key(|due| due.moment);
        due
    }

    /// Takes a moment back that came to nothing.
    fn put_back(&mut self, due: &Due) {
        if let Some(kept) = self.0.get_mut(&due.name) {
            kept.moments.put_back(due.moment);
        }
    }

    /// Returns the next moment of a module that is not withheld.
    fn next(&self, withheld: &HashSet<ModuleName>) -> Option<SystemTime> {
        let ours = self.0.iter().filter(|(name, _)| !withheld.contains(&name.0));
        ours.filter_map(|(_, kept)| kept.moments.next()).min()
    }
}

/// Keeps the schedules of all active versions. Dropping the future leaves moments to other processes, and to
/// the next one.
pub(super) async fn keep(shared: &Shared) {
    let mut changes = shared.registry.changes();
    // What is active now is new to this process.
    changes.mark_changed();
    let mut schedules = Schedules::default();
    let sender = Sender {
        store: &*shared.store,
        relay: &shared.means.relay,
        metrics: &shared.metrics,
        warnings: WarnLimit::default(),
    };
    loop {
        let now = SystemTime::now();
        if changes.has_changed().unwrap_or(false) {
            changes.mark_unchanged();
            schedules.follow(&shared.registry.snapshot(), now);
        }
        let withheld = shared.registry.withheld();
        let due = schedules.take_due(&withheld, now);
        let mut sent =
            stream::iter(due.into_iter().map(|due| sender.send(due))).buffer_unordered(AT_ONCE_MAX);
        let mut has_failed = false;
        while let Some(done) = sent.next().await {
            if let Err(due) = done {
                has_failed = true;
                schedules.put_back(&due);
            }
        }
        drop(sent);
        let until = |next: SystemTime| next.duration_since(SystemTime::now()).unwrap_or_default();
        let pause = match has_failed {
            true => RETRY_PAUSE,
            false => schedules.next(&withheld).map_or(LOOK_PAUSE_MAX, until).min(LOOK_PAUSE_MAX),
        };
        tokio::select! {
            Ok(()) = changes.changed() => changes.mark_changed(),
            () = sleep_until(Instant::now() + pause) => {}
        }
    }
}

/// The note of a moment: the same in all processes.
fn note((module, channel): &Name, moment: SystemTime, schedule: &Schedule) -> Note {
    let text = format!("schedule {module} {channel} {}", millis(moment));
    let digest = Sha256::digest(text.as_bytes());
    let message = digest.first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes));
    let until_next = schedule.next_after(moment).and_then(|next| next.duration_since(moment).ok());
    Note { message, kept: until_next.unwrap_or_default() + NOTE_KEPT_AFTER }
}

/// Sends the messages of moments.
struct Sender<'a> {
    store: &'a dyn Store,
    relay: &'a Relay,
    metrics: &'a Metrics,
    warnings: WarnLimit,
}

impl Sender<'_> {
    /// Stores the message of a moment, unless another process has. Returns the moment if neither is known.
    async fn send(&self, due: Due) -> Result<(), Due> {
        let (module, channel) = &due.name;
        let mut commit = Commit::new(RunId::random(), due.quota);
        commit.note = Some(due.note);
        let (process, content) = (self.relay.process(), content(due.moment));
        let payload = seal_relayed(Some(process), CorrelationId::random(), &content);
        commit.relayed.push(Parcel { target: channel.to_string(), payload });
        let committed = timeout(COMMIT_TIMEOUT, commit_surely(self.store, module, commit)).await;
        let error = match committed {
            Ok(Ok(_)) => {
                let by = ByModule { module: module.as_str().to_owned() };
                self.metrics.schedule_messages.get_or_create(&by).inc();
                let lag = SystemTime::now().duration_since(due.moment).unwrap_or_default();
                self.metrics.schedule_lag.observe(lag.as_secs_f64());
                self.relay.stored(module, false);
                return Ok(());
            }
            Ok(Err(CommitError::AlreadyDone)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("the store did not answer within {COMMIT_TIMEOUT:?}"),
        };
        if let Some(held_back) = self.warnings.admit() {
            tracing::warn!(%module, %channel, error, held_back, "a schedule waits");
        }
        Err(due)
    }
}

/// `due`: the moment in milliseconds since 1970.
fn content(moment: SystemTime) -> Content {
    let object = serde_json::Map::from_iter([("due".to_owned(), millis(moment).into())]);
    Content::from_json(&object).expect("a map with a number is a content")
}

fn millis(moment: SystemTime) -> i64 {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        capability::{schedule::Missed, store::EmbeddedStore},
        layer::{ChannelLayer, LayerConfig, MemoryLayer},
        message::{Payload, Relayed},
    };

    fn due(seconds: u64, quota: Quota) -> Due {
        let schedule = Schedule::parse("*/10 * * * * *", "UTC", Missed::Once).unwrap();
        let name = (ModuleName::parse("shop").unwrap(), ChannelName::parse("shop.report").unwrap());
        let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let note = note(&name, moment, &schedule);
        Due { name, moment, note, quota }
    }

    #[tokio::test]
    async fn of_processes_that_send_the_same_moment_one_does() {
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().unwrap());
        let metrics = Arc::new(Metrics::new());
        let layer: Arc<dyn ChannelLayer> =
            Arc::new(MemoryLayer::new(LayerConfig::default(), Arc::clone(&metrics)));
        let relay = || {
            let (store, layer) = (Arc::clone(&store), Arc::clone(&layer));
            Relay::new(store, layer, Arc::clone(&metrics), Box::new(|_| true))
        };
        let (one, other) = (relay(), relay());
        let sender = |relay| {
            let warnings = WarnLimit::default();
            Sender { store: &*store, relay, metrics: &metrics, warnings }
        };
        for seconds in [10, 20] {
            for relay in [&one, &other, &one] {
                assert!(sender(relay).send(due(seconds, Quota::NONE)).await.is_ok());
            }
        }
        let module = ModuleName::parse("shop").unwrap();
        let waiting = store.waiting(&module, None, 10).await.unwrap();
        let contents = waiting.into_iter().map(|(_, parcel)| {
            let message = Relayed::open(&parcel.payload).unwrap().message;
            assert_eq!(parcel.target, "shop.report");
            message.payload
        });
        let expected = [10, 20].map(|seconds| {
            Payload::Custom(content(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)))
        });
        assert_eq!(contents.collect::<Vec<_>>(), expected);
        let by = ByModule { module: "shop".to_owned() };
        assert_eq!(metrics.schedule_messages.get_or_create(&by).get(), 2);
    }

    #[test]
    fn a_withheld_module_keeps_its_moments_and_nobody_awake() {
        let schedule = Schedule::parse("*/10 * * * * *", "UTC", Missed::Once).unwrap();
        let beginning = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let now = beginning + Duration::from_secs(20);
        let module = |name| ModuleName::parse(name).unwrap();
        let mut schedules = Schedules::default();
        for name in ["shop", "late"] {
            let moments = Moments::since(schedule.clone(), beginning, beginning);
            let channel = ChannelName::parse(&format!("{name}.report")).unwrap();
            schedules.0.insert((module(name), channel), Kept { moments, quota: Quota::NONE });
        }
        let withheld = HashSet::from([module("late")]);
        let due = schedules.take_due(&withheld, now);
        let of = |due: &[Due]| {
            let since = |moment: SystemTime| moment.duration_since(beginning).unwrap().as_secs();
            due.iter().map(|due| (due.name.0.to_string(), since(due.moment))).collect::<Vec<_>>()
        };
        assert_eq!(of(&due), [("shop".to_owned(), 10), ("shop".to_owned(), 20)]);
        assert_eq!(schedules.next(&withheld), Some(beginning + Duration::from_secs(30)));
        for due in due {
            schedules.put_back(&due);
        }
        assert_eq!(schedules.next(&withheld), Some(beginning + Duration::from_secs(10)));
        assert_eq!(schedules.take_due(&HashSet::new(), now).len(), 4);
    }

    #[tokio::test]
    async fn a_moment_without_room_is_given_back() {
        let store = Arc::new(EmbeddedStore::in_memory().unwrap());
        let layer: Arc<dyn ChannelLayer> =
            Arc::new(MemoryLayer::new(LayerConfig::default(), Arc::new(Metrics::new())));
        let (relay, metrics) = (Relay::idle(&layer), Metrics::new());
        let sender = Sender {
            store: &*store,
            relay: &relay,
            metrics: &metrics,
            warnings: WarnLimit::default(),
        };
        let none = Quota { relayed: 0, ..Quota::NONE };
        let Err(given_back) = sender.send(due(10, none)).await else { panic!("it had room") };
        assert!(sender.send(Due { quota: Quota::NONE, ..given_back }).await.is_ok());
    }
}
