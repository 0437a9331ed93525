//! Runs consumers: slots take messages off channels, run them, and send what they answer.
//!
//! A slot is a thread with a runtime of its own, so that nothing a guest does can touch sockets or
//! their timers. Never imports the interface server: they meet at the channel layer alone.

mod access;
mod answer;
mod attempt;
mod breaker;
mod catch_up;
mod channels;
mod commit;
mod delivery;
mod fallback_reply;
mod fetches;
mod host_log;
mod instances;
mod overlaps;
mod priority;
mod records;
mod relay;
mod run;
mod schedules;
mod sessions;
mod slot;
mod spans;
#[cfg(test)]
mod tests;
mod turns;
mod unrouted;
mod unrun;
mod verdict;

use std::{io, sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

pub use breaker::BreakerConfig;
pub use channels::ChannelFilter;
pub use fetches::FetchConfig;
pub use records::{Filter, Record, RecordOutcome, Records};

use self::{
    attempt::Again,
    breaker::Breakers,
    channels::Filtered,
    delivery::{DeliveryWarnings, Means},
    fetches::Fetches,
    overlaps::Overlaps,
    relay::Relay,
    turns::Turns,
};
use crate::{
    capability::{outside::Clients, sessions::Sessions, store::Store},
    layer::{ChannelLayer, Dispatch},
    registry::Registry,
    shutdown::Drain,
    telemetry::{Metrics, Traces},
};

/// How many slots, and when to stop running a module.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Consumers that run at the same time.
    pub slots: usize,
    /// When a module's events are answered without running it.
    pub breaker: BreakerConfig,
    /// Which channels are read.
    pub channels: ChannelFilter,
    /// How requests to servers outside are made; none if other processes make them.
    pub fetches: Option<FetchConfig>,
    /// The pause before a message is redelivered after a fault; doubled each time, up to a minute.
    pub retry_pause: Duration,
}

/// Answers of each slot that are sent beside its next run. Beyond, the slot waits for its own answer.
const ANSWERS_PER_SLOT_MAX: usize = 8;

/// Commits of each slot that are made beside its next runs. Beyond, the slot waits for its own commit.
const COMMITS_PER_SLOT_MAX: usize = 128;

/// Half the slots, at least one: what a single module may hold.
fn ceiling(slots: usize) -> usize {
    (slots / 2).max(1)
}

/// The state that slots share.
#[derive(Debug)]
struct Shared {
    layer: Arc<dyn ChannelLayer>,
    store: Arc<dyn Store>,
    sessions: Option<Arc<Sessions>>,
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
    traces: Traces,
    records: Arc<Records>,
    means: Arc<Means>,
    /// The first pause before a message whose consumer failed is redelivered.
    retry_pause: Duration,
    breakers: Breakers,
    dispatch: Arc<Dispatch>,
    channels: Filtered,
    /// Answers that are on their way while their slot does something else.
    answering: Arc<Semaphore>,
    /// Commits on their way while their slots do something else.
    committing: Arc<Semaphore>,
    /// Attempts that wait for a slot.
    again: Again,
    turns: Turns,
    drain: Drain,
    /// Counts the threads: each holds a token.
    threads: TaskTracker,
}

/// The parts of the process that slots work with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The channel layer that messages are taken from and sent to.
    pub layer: Arc<dyn ChannelLayer>,
    /// The data of modules.
    pub store: Arc<dyn Store>,
    /// The sessions of the host; none if it keeps none.
    pub sessions: Option<Arc<Sessions>>,
    /// The active modules.
    pub registry: Arc<Registry>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Where records go.
    pub records: Arc<Records>,
    /// The clients of modules that reach servers outside.
    pub clients: Arc<Clients>,
    /// Takes spans, and lines of guests.
    pub traces: Traces,
}

/// The slots of a process.
#[derive(Debug)]
pub struct WorkerPool {
    shared: Arc<Shared>,
    fetches: Option<Arc<Fetches>>,
}

impl WorkerPool {
    /// Starts the slots.
    pub fn start(config: &WorkerConfig, parts: Parts, drain: Drain) -> io::Result<Self> {
        let Parts { layer, store, sessions, registry, metrics, records, clients, traces } = parts;
        let fetches = config.fetches.as_ref().map(|config| Fetches::new(config, clients));
        let fetches = fetches.map(Arc::new);
        metrics.slots.set(i64::try_from(config.slots).unwrap_or(i64::MAX));
        let modules = Arc::clone(&registry);
        let is_lasting = move |channel: &_| modules.snapshot().lasting.contains_key(channel);
        let (of, sends, counts) = (Arc::clone(&store), Arc::clone(&layer), Arc::clone(&metrics));
        let relay = Arc::new(Relay::new(of, sends, counts, Box::new(is_lasting)));
        let means = Arc::new(Means {
            layer: Arc::clone(&layer),
            metrics: Arc::clone(&metrics),
            warnings: DeliveryWarnings::default(),
            relay,
            overlaps: Overlaps::new(Arc::clone(&store)),
        });
        let shared = Arc::new(Shared {
            dispatch: Dispatch::new(config.slots, ceiling(config.slots)),
            channels: Filtered::new(config.channels.clone()),
            committing: Arc::new(Semaphore::new(COMMITS_PER_SLOT_MAX * config.slots)),
            again: Again::default(),
            turns: Turns::default(),
            answering: Arc::new(Semaphore::new(ANSWERS_PER_SLOT_MAX * config.slots)),
            breakers: Breakers::new(config.breaker.clone()),
            records,
            means,
            retry_pause: config.retry_pause,
            layer,
            store,
            sessions,
            registry,
            metrics,
            traces,
            drain,
            threads: TaskTracker::new(),
        });
        let changes = shared.registry.changes();
        channels::read(&shared);
        shared.layer.attach(&shared.dispatch);
        for number in 0..config.slots {
            slot::start(number, Arc::clone(&shared), shared.threads.token())?;
        }
        let relay = Arc::clone(&shared.means.relay);
        shared.drain.spawn_until_stopped("relay", async move { relay.run().await });
        let of = Arc::clone(&shared);
        shared.drain.spawn_until_stopped("schedules", async move { schedules::keep(&of).await });
        let follow = channels::follow(Arc::clone(&shared), changes);
        shared.drain.spawn_until_stopped("channels of the worker", follow);
        if let Some(fetches) = &fetches {
            shared.layer.attach(&fetches.dispatch);
            let run = fetches::run(Arc::clone(&shared), Arc::clone(fetches));
            drop(shared.drain.spawn("fetches", run));
        }
        Ok(Self { shared, fetches })
    }

    /// Stops taking messages, and waits until running invocations have finished and sent their answers.
    /// Returns how many messages that are not done the store has for the next process.
    pub async fn stop(self) -> usize {
        self.shared.drain.stop();
        self.shared.dispatch.close();
        if let Some(fetches) = &self.fetches {
            fetches.dispatch.close();
        }
        self.shared.threads.close();
        self.shared.threads.wait().await;
        self.shared.drain.finished().await;
        self.shared.means.relay.finish().await
    }
}
