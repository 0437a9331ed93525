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

use super::{
    Shared,
    delivery::REDELIVERY_PAUSE_MAX,
    overlaps::{DUE, Name, Overlaps, Turn, millis},
    relay::Relay,
};
use crate::{
    capability::{
        schedule::{Moments, Overlap, Schedule},
        store::{Commit, CommitError, Note, Parcel, Quota, RunId, Store, commit_surely},
    },
    message::{Content, CorrelationId, Lasting, ModuleName, seal_relayed},
    registry::Modules,
    telemetry::{ByModule, Metrics, WarnLimit},
};

/// Commits of moments that are made at the same time.
const AT_ONCE_MAX: usize = 64;
/// How long the commit of a moment may take. Then it is tried again, and the note keeps it from counting twice.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);
/// Why a moment is tried again after that.
const SILENT: &str = "the store did not answer within 5 s";
/// When what failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// The longest sleep: somebody may set the clock.
const LOOK_PAUSE_MAX: Duration = Duration::from_secs(30);
/// How much longer than until its next moment a schedule notes one. A process whose clock is behind may come late.
const NOTE_KEPT_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How long the message of a moment may wait for its first run.
const WAITING: Duration = Duration::from_secs(600);

/// How long the runs of a channel may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Exclusive {
    overlap: Overlap,
    /// After so long the run of a message counts as over.
    life: Duration,
}

impl Exclusive {
    fn new(overlap: Overlap, lasting: &Lasting) -> Self {
        let runs = lasting.retries.saturating_add(1);
        Self {
            overlap,
            life: WAITING + (lasting.lease + REDELIVERY_PAUSE_MAX).saturating_mul(runs),
        }
    }
}

/// A moment that has come.
struct Due {
    name: Name,
    moment: SystemTime,
    note: Note,
    quota: Quota,
    exclusive: Option<Exclusive>,
}

/// A schedule of an active version.
struct Kept {
    moments: Moments,
    /// Of the data of its module.
    quota: Quota,
    /// None: its runs may overlap, or the host does not know when they are over.
    exclusive: Option<Exclusive>,
    /// Whether a moment waits until the run of another one is over.
    waits: bool,
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
                let lasting = schedule.overlap().zip(modules.lasting.get(channel));
                let exclusive = lasting.map(|(overlap, lasting)| Exclusive::new(overlap, lasting));
                self.0.insert(name, Kept { moments, quota, exclusive, waits: false });
            }
        }
    }

    /// Takes the moments that have come, in their order: one of each schedule whose runs do not overlap. Those of
    /// modules that are withheld stay: a process with a later activation knows their schedules better.
    fn take_due(&mut self, withheld: &HashSet<ModuleName>, now: SystemTime) -> Vec<Due> {
        let mut due = Vec::new();
        for (name, Kept { moments, quota, exclusive, waits }) in &mut self.0 {
            *waits = false;
            while !withheld.contains(&name.0)
                && let Some(moment) = moments.take_due(now)
            {
                let note = note(name, moment, moments.schedule());
                let (name, quota, exclusive) = (name.clone(), *quota, *exclusive);
                due.push(Due { name, moment, note, quota, exclusive });
                if exclusive.is_some() {
                    break;
                }
            }
        }
        due.sort_by_key(|due| due.moment);
        due
    }

    /// Takes a moment back that came to nothing, or waits.
    fn put_back(&mut self, due: &Due, waits: bool) {
        if let Some(kept) = self.0.get_mut(&due.name) {
            kept.moments.put_back(due.moment);
            kept.waits = waits;
        }
    }

    /// Returns how long nothing is due: up to the next moment of a module that is not withheld, and not for long
    /// where a moment waits.
    fn pause(&self, withheld: &HashSet<ModuleName>, now: SystemTime) -> Duration {
        let ours = self.0.iter().filter(|(name, _)| !withheld.contains(&name.0));
        let pause = |kept: &Kept| match kept.waits {
            true => Some(RETRY_PAUSE),
            false => Some(kept.moments.next()?.duration_since(now).unwrap_or_default()),
        };
        let pauses = ours.filter_map(|(_, kept)| pause(kept));
        pauses.min().unwrap_or(LOOK_PAUSE_MAX).min(LOOK_PAUSE_MAX)
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
        overlaps: &shared.means.overlaps,
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
            match done {
                Ok(Sent::Done) => {}
                Ok(Sent::Waits(due)) => schedules.put_back(&due, true),
                Err(due) => {
                    has_failed = true;
                    schedules.put_back(&due, false);
                }
            }
        }
        drop(sent);
        let pause = match has_failed {
            true => RETRY_PAUSE,
            false => schedules.pause(&withheld, SystemTime::now()),
        };
        tokio::select! {
            Ok(()) = changes.changed() => changes.mark_changed(),
            () = sender.overlaps.closed() => {}
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
    overlaps: &'a Overlaps,
    metrics: &'a Metrics,
    warnings: WarnLimit,
}

/// The result for a moment.
enum Sent {
    /// Its message is stored, or it is left out.
    Done,
    /// It waits until the run of another one is over.
    Waits(Due),
}

impl Sender<'_> {
    /// Stores the message of a moment, unless another process has. Returns the moment if neither is known.
    async fn send(&self, due: Due) -> Result<Sent, Due> {
        let by = ByModule { module: due.name.0.as_str().to_owned() };
        let times = (SystemTime::now(), due.note.kept);
        let turn = match due.exclusive {
            None => Turn::Open,
            Some(Exclusive { overlap, .. }) => {
                let open = self.overlaps.open(&due.name, due.moment, overlap, times);
                match timeout(COMMIT_TIMEOUT, open).await {
                    Ok(Ok(turn)) => turn,
                    Ok(Err(error)) => return Err(self.failed(due, &error.to_string())),
                    Err(_) => return Err(self.failed(due, SILENT)),
                }
            }
        };
        match turn {
            Turn::Open => {}
            Turn::Waits => return Ok(Sent::Waits(due)),
            Turn::LeftOut => {
                self.metrics.schedule_moments_skipped.get_or_create(&by).inc();
                return Ok(Sent::Done);
            }
            Turn::Past => return Ok(Sent::Done),
        }
        let (module, channel) = &due.name;
        let mut commit = Commit::new(RunId::random(), due.quota);
        commit.note = Some(due.note);
        let (process, content) = (self.relay.process(), content(due.moment));
        let payload = seal_relayed(Some(process), CorrelationId::random(), &content);
        commit.relayed.push(Parcel { target: channel.to_string(), payload });
        let committed = timeout(COMMIT_TIMEOUT, commit_surely(self.store, module, commit)).await;
        let error = match committed {
            Ok(Ok(_)) => {
                self.metrics.schedule_messages.get_or_create(&by).inc();
                let lag = SystemTime::now().duration_since(due.moment).unwrap_or_default();
                self.metrics.schedule_lag.observe(lag.as_secs_f64());
                self.relay.stored(module, false);
                self.keep_open(&due).await;
                return Ok(Sent::Done);
            }
            Ok(Err(CommitError::AlreadyDone)) => return Ok(Sent::Done),
            Ok(Err(error)) => error.to_string(),
            Err(_) => SILENT.to_owned(),
        };
        Err(self.failed(due, &error))
    }

    /// Has the next moments wait for the run of a message that is stored.
    async fn keep_open(&self, due: &Due) {
        let Some(Exclusive { life, .. }) = due.exclusive else { return };
        let times = (SystemTime::now(), due.note.kept);
        let kept = self.overlaps.keep_open(&due.name, due.moment, life, times);
        if let Ok(Err(error)) = timeout(COMMIT_TIMEOUT, kept).await
            && let Some(held_back) = self.warnings.admit()
        {
            let (module, channel) = &due.name;
            tracing::warn!(%module, %channel, %error, held_back, "runs of a schedule may overlap");
        }
    }

    fn failed(&self, due: Due, error: &str) -> Due {
        if let Some(held_back) = self.warnings.admit() {
            let (module, channel) = &due.name;
            tracing::warn!(%module, %channel, error, held_back, "a schedule waits");
        }
        due
    }
}

/// `due`: the moment in milliseconds since 1970.
fn content(moment: SystemTime) -> Content {
    let object = serde_json::Map::from_iter([(DUE.to_owned(), millis(moment).into())]);
    Content::from_json(&object).expect("a map with a number is a content")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        capability::{schedule::Missed, store::EmbeddedStore},
        layer::{ChannelLayer, LayerConfig, MemoryLayer},
        message::{ChannelName, Payload, Relayed},
    };

    fn due(seconds: u64, quota: Quota) -> Due {
        let schedule = Schedule::parse("*/10 * * * * *", "UTC", Missed::Once).unwrap();
        let name = (ModuleName::parse("shop").unwrap(), ChannelName::parse("shop.report").unwrap());
        let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let note = note(&name, moment, &schedule);
        Due { name, moment, note, quota, exclusive: None }
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
        let overlaps = Overlaps::new(Arc::clone(&store));
        let sender = |relay| {
            let warnings = WarnLimit::default();
            Sender { store: &*store, relay, overlaps: &overlaps, metrics: &metrics, warnings }
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
            schedules.0.insert(
                (module(name), channel),
                Kept { moments, quota: Quota::NONE, exclusive: None, waits: false },
            );
        }
        let withheld = HashSet::from([module("late")]);
        let due = schedules.take_due(&withheld, now);
        let of = |due: &[Due]| {
            let since = |moment: SystemTime| moment.duration_since(beginning).unwrap().as_secs();
            due.iter().map(|due| (due.name.0.to_string(), since(due.moment))).collect::<Vec<_>>()
        };
        assert_eq!(of(&due), [("shop".to_owned(), 10), ("shop".to_owned(), 20)]);
        assert_eq!(schedules.pause(&withheld, now), Duration::from_secs(10));
        for due in due {
            schedules.put_back(&due, false);
        }
        assert_eq!(schedules.pause(&withheld, now), Duration::ZERO);
        assert_eq!(schedules.take_due(&HashSet::new(), now).len(), 4);
    }

    #[tokio::test]
    async fn a_moment_without_room_is_given_back() {
        let store = Arc::new(EmbeddedStore::in_memory().unwrap());
        let layer: Arc<dyn ChannelLayer> =
            Arc::new(MemoryLayer::new(LayerConfig::default(), Arc::new(Metrics::new())));
        let (relay, metrics) = (Relay::idle(&layer), Metrics::new());
        let overlaps = Overlaps::idle();
        let warnings = WarnLimit::default();
        let sender = Sender {
            store: &*store,
            relay: &relay,
            overlaps: &overlaps,
            metrics: &metrics,
            warnings,
        };
        let none = Quota { relayed: 0, ..Quota::NONE };
        let Err(given_back) = sender.send(due(10, none)).await else { panic!("it had room") };
        assert!(sender.send(Due { quota: Quota::NONE, ..given_back }).await.is_ok());
    }

    #[tokio::test]
    async fn a_moment_is_left_out_or_waits_while_the_run_before_is_not_over() {
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().unwrap());
        let layer: Arc<dyn ChannelLayer> =
            Arc::new(MemoryLayer::new(LayerConfig::default(), Arc::new(Metrics::new())));
        let (relay, metrics) = (Relay::idle(&layer), Metrics::new());
        let overlaps = Overlaps::new(Arc::clone(&store));
        let sender = Sender {
            store: &*store,
            relay: &relay,
            overlaps: &overlaps,
            metrics: &metrics,
            warnings: WarnLimit::default(),
        };
        let life = Duration::from_secs(500);
        let exclusive = |overlap| Some(Exclusive { overlap, life });
        let at = |seconds, of| Due { exclusive: exclusive(of), ..due(seconds, Quota::NONE) };
        let (module, channel) = due(10, Quota::NONE).name;
        let close = async |seconds| {
            let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            overlaps.close(&module, &channel, &content(moment)).await.unwrap();
        };
        assert!(matches!(sender.send(at(10, Overlap::Skip)).await, Ok(Sent::Done)));
        assert!(matches!(sender.send(at(20, Overlap::Skip)).await, Ok(Sent::Done)));
        let by = ByModule { module: "shop".to_owned() };
        assert_eq!(metrics.schedule_moments_skipped.get_or_create(&by).get(), 1);
        assert!(matches!(sender.send(at(30, Overlap::Queue)).await, Ok(Sent::Waits(_))));
        close(10).await;
        // Another process comes late with what was left out, and with what has run.
        for late in [20, 10] {
            assert!(matches!(sender.send(at(late, Overlap::Skip)).await, Ok(Sent::Done)));
        }
        assert!(matches!(sender.send(at(30, Overlap::Queue)).await, Ok(Sent::Done)));
        assert_eq!(metrics.schedule_messages.get_or_create(&by).get(), 2, "10 and 30");
    }

    #[test]
    fn one_moment_at_a_time_is_taken_where_runs_do_not_overlap_and_others_do_not_wait_for_it() {
        let schedule = Schedule::parse("*/10 * * * * *", "UTC", Missed::Once).unwrap();
        let beginning = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let mut schedules = Schedules::default();
        for (name, overlap) in [("shop", Some(Overlap::Queue)), ("other", None)] {
            let exclusive = overlap.map(|overlap| Exclusive { overlap, life: Duration::ZERO });
            let moments = Moments::since(schedule.clone(), beginning, beginning);
            let channel = ChannelName::parse(&format!("{name}.report")).unwrap();
            let name = (ModuleName::parse(name).unwrap(), channel);
            schedules.0.insert(name, Kept { moments, quota: Quota::NONE, exclusive, waits: false });
        }
        let (all, now) = (HashSet::new(), beginning + Duration::from_secs(25));
        let due = schedules.take_due(&all, now);
        let of = |name: &str| due.iter().filter(|due| due.name.0.as_str() == name).count();
        assert_eq!((of("shop"), of("other")), (1, 2));
        assert_eq!(schedules.pause(&all, now), Duration::ZERO, "there is another one at once");
        let waiting = due.iter().find(|due| due.exclusive.is_some()).unwrap();
        schedules.put_back(waiting, true);
        assert_eq!(schedules.pause(&all, now), RETRY_PAUSE);
        let soon = beginning + Duration::from_millis(29_900);
        assert_eq!(schedules.pause(&all, soon), Duration::from_millis(100), "the other one");
    }

    #[test]
    fn the_life_of_a_run_grows_with_its_retries() {
        let lasting = Lasting { retries: 5, lease: Duration::from_secs(4) };
        let life = Exclusive::new(Overlap::Skip, &lasting).life;
        assert_eq!(life, WAITING + Duration::from_secs(6 * 64));
    }
}
