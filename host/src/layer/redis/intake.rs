//! Takes messages for workers: a script takes them off, a blocking pop tells when there may be some.

use std::{
    collections::{HashMap, VecDeque},
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{Mutex as TurnMutex, Notify, watch},
    time::{Instant, sleep_until},
};

use super::{
    scripts::Scripts,
    wire::{self, Envelope},
};
use crate::{
    layer::{Capacities, Demand, LastingChannels, LayerError, Owners, Received},
    message::{ChannelName, Lasting, ModuleName, Receipt},
    redis::{Link, Value, micros},
    shutdown::Drain,
    telemetry::{DropReason, Metrics},
};

/// How often channels are looked at without a hint.
const POLL: Duration = Duration::from_secs(1);
/// How soon a hint for others is taken back if nobody took it: all messages there are belong to modules
/// that hold as many slots as they may here.
pub(super) const SKIPPED: Duration = Duration::from_millis(5);
/// Channels that one command names.
const CHUNK: usize = 500;

/// Channels and the modules that they belong to, known to Redis by a digest.
#[derive(Debug)]
pub(super) struct ReaderSet {
    pub(super) digest: String,
    pub(super) owners: Arc<Owners>,
    pub(super) lasting: Arc<LastingChannels>,
}

#[derive(Debug)]
pub(super) struct Intake {
    links: Arc<[Arc<Link>]>,
    scripts: Arc<Scripts>,
    metrics: Arc<Metrics>,
    lease: Duration,
    capacities: Capacities,
    drain: Drain,
    /// For each partition, whether there may be messages.
    hinted: Vec<AtomicBool>,
    /// For each partition, the modules that hold as many slots as they may, if all that is there belongs
    /// to such.
    skipped: Vec<Mutex<Option<Vec<ModuleName>>>>,
    /// Where to look first: each partition has its turn.
    turn: AtomicUsize,
    arrived: Notify,
    /// Taken for a receive that is gone; the next one has them.
    taken: Mutex<VecDeque<Received>>,
    /// What is read at present.
    reading: Mutex<Option<Arc<ReaderSet>>>,
    /// Receives that wait.
    waiting: AtomicUsize,
    wanted: Notify,
    /// Calls that take messages now.
    popping: watch::Sender<usize>,
    /// For each partition, held while messages are taken: what comes first must be first in the queue.
    turns: Vec<TurnMutex<()>>,
    /// For each partition, why no messages could be taken the last time.
    trouble: Mutex<HashMap<usize, LayerError>>,
}

impl Intake {
    pub(super) fn new(
        links: Arc<[Arc<Link>]>,
        scripts: Arc<Scripts>,
        metrics: Arc<Metrics>,
        lease: Duration,
        capacities: Capacities,
        drain: &Drain,
    ) -> Arc<Self> {
        let intake = Arc::new(Self {
            hinted: links.iter().map(|_| AtomicBool::new(true)).collect(),
            skipped: links.iter().map(|_| Mutex::default()).collect(),
            turns: links.iter().map(|_| TurnMutex::default()).collect(),
            popping: watch::Sender::new(0),
            trouble: Mutex::default(),
            links,
            scripts,
            metrics,
            lease,
            capacities,
            drain: drain.clone(),
            turn: AtomicUsize::new(0),
            arrived: Notify::new(),
            taken: Mutex::default(),
            reading: Mutex::default(),
            waiting: AtomicUsize::new(0),
            wanted: Notify::new(),
        });
        for partition in 0..intake.links.len() {
            let listening = Arc::clone(&intake);
            let listening = async move { listening.listen(partition).await };
            drain.spawn_until_stopped("redis wake-ups", listening);
        }
        intake
    }

    pub(super) fn reading(&self) -> Option<Arc<ReaderSet>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_of(&self, demand: &Demand<'_>) -> Arc<ReaderSet> {
        let Demand { owners, lasting, .. } = demand;
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = &*reading
            && Arc::ptr_eq(&set.owners, owners)
            && Arc::ptr_eq(&set.lasting, lasting)
        {
            return Arc::clone(set);
        }
        let (owners, lasting) = (Arc::clone(owners), Arc::clone(lasting));
        let mut set = ReaderSet { digest: String::new(), owners, lasting };
        set.digest = digest(set.lines(&self.capacities));
        let set = Arc::new(set);
        *reading = Some(Arc::clone(&set));
        // Other channels may have messages than those that were read before.
        for hint in &self.hinted {
            hint.store(true, Ordering::Release);
        }
        set
    }

    fn take(&self, most: usize) -> Vec<Received> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let most = most.min(taken.len());
        taken.drain(..most).collect()
    }

    /// A module may hold less than when its messages were left where they are.
    fn hint_again(&self, demand: &Demand<'_>) {
        let may = |module: &ModuleName| {
            demand.held.get(module).is_none_or(|slots| *slots < demand.ceiling)
        };
        for (hinted, skipped) in self.hinted.iter().zip(&self.skipped) {
            let mut skipped = skipped.lock().unwrap_or_else(PoisonError::into_inner);
            if skipped.take_if(|modules| modules.iter().any(may)).is_some() {
                hinted.store(true, Ordering::Release);
            }
        }
    }

    fn next_hinted(&self) -> Option<usize> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.hinted.len();
        let turns = (0..count).map(|offset| (first + offset) % count);
        turns.into_iter().find(|&partition| {
            self.hinted.get(partition).is_some_and(|hint| hint.swap(false, Ordering::AcqRel))
        })
    }

    /// Dropping the future loses nothing: what was taken waits for the next one.
    pub(super) async fn receive(
        self: &Arc<Self>,
        demand: &Demand<'_>,
    ) -> Result<Vec<Received>, LayerError> {
        let set = self.set_of(demand);
        loop {
            let arrived = self.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            let ready = self.take(demand.max);
            if !ready.is_empty() {
                return Ok(ready);
            }
            self.hint_again(demand);
            match self.next_hinted() {
                Some(partition) => {
                    let (intake, set) = (Arc::clone(self), Arc::clone(&set));
                    let &Demand { max, ceiling, ref held, .. } = demand;
                    let want = Want { max, ceiling, held: held.clone() };
                    self.popping.send_modify(|count| *count += 1);
                    let popping = self.drain.spawn("redis receive", async move {
                        let popped = intake.pop(partition, &set, want).await;
                        intake.popping.send_modify(|count| *count -= 1);
                        popped
                    });
                    popping.await.map_err(|error| LayerError::Defect(error.to_string()))??;
                }
                None => {
                    let _waits = Waits::new(self);
                    arrived.await;
                }
            }
        }
    }

    /// Waits for what is being taken.
    pub(super) async fn leftover(&self) -> Vec<Received> {
        // The sender is here, so it is not gone.
        drop(self.popping.subscribe().wait_for(|count| *count == 0).await);
        self.take(usize::MAX)
    }

    /// Why messages could not be taken the last time.
    pub(super) fn trouble(&self) -> Option<LayerError> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.values().next().cloned()
    }

    async fn pop(&self, partition: usize, set: &ReaderSet, want: Want) -> Result<(), LayerError> {
        let (Some(link), Some(turn)) = (self.links.get(partition), self.turns.get(partition))
        else {
            return Ok(());
        };
        // Where nothing is read, there is nothing to take. While one partition is away, the others go on;
        // the listener tells when it is back.
        if set.owners.is_empty() || !link.is_up() {
            return Ok(());
        }
        let _turn = turn.lock().await;
        let popped = self.pop_from(link, partition, set, want).await;
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match &popped {
            Ok(()) => drop(trouble.remove(&partition)),
            Err(error) => drop(trouble.insert(partition, error.clone())),
        }
        popped
    }

    async fn pop_from(
        &self,
        link: &Link,
        partition: usize,
        set: &ReaderSet,
        want: Want,
    ) -> Result<(), LayerError> {
        loop {
            let mut call = self.scripts.receive.key(&link.keys.base);
            call.arg(&set.digest).arg(want.max).arg(want.ceiling);
            for (module, slots) in &want.held {
                call.arg(module.as_str()).arg(*slots);
            }
            let answer = link.call(&call).await.inspect_err(|_| self.hint(partition))?;
            let (known, now, more, skipped, expired, entries): (u8, u64, u8, u8, u64, Vec<Value>) =
                answer;
            if known == 0 {
                self.announce(link, set).await?;
                continue;
            }
            self.metrics.dropped_many(DropReason::Expired, expired);
            let held = self.unpack(set, now, entries, want.held);
            if let Some(modules) = self.skipped.get(partition) {
                let at_ceiling = held.into_iter().filter(|(_, slots)| *slots >= want.ceiling);
                let all = skipped == 1 && more == 0;
                *modules.lock().unwrap_or_else(PoisonError::into_inner) =
                    all.then(|| at_ceiling.map(|(module, _)| module).collect());
            }
            // The receive that asked may be gone.
            self.arrived.notify_waiters();
            if more == 1 {
                self.hint(partition);
            }
            return Ok(());
        }
    }

    /// Keeps what was taken. Returns how many slots each module holds with it.
    fn unpack(&self, set: &ReaderSet, now: u64, entries: Vec<Value>, mut held: Held) -> Held {
        let mut entries = entries.into_iter();
        while let (
            Some(Value::BulkString(channel)),
            Some(Value::BulkString(entry)),
            Some(Value::Int(receipt)),
        ) = (entries.next(), entries.next(), entries.next())
        {
            match received(set, &channel, &entry, now, receipt) {
                Ok(received) => {
                    *held.entry(received.module.clone()).or_default() += 1;
                    self.metrics.messages_received.inc();
                    self.taken.lock().unwrap_or_else(PoisonError::into_inner).push_back(received);
                }
                Err(reason) => {
                    let channel = String::from_utf8_lossy(&channel);
                    tracing::warn!(%channel, reason, "an entry of a channel is dropped");
                    self.metrics.dropped(DropReason::Unreadable);
                }
            }
        }
        held
    }

    /// Says which channels are read, for so long as the lease is.
    pub(super) async fn announce(&self, link: &Link, set: &ReaderSet) -> Result<(), LayerError> {
        let lease = micros(self.lease);
        let lines = set.lines(&self.capacities);
        for chunk in lines.chunks(CHUNK) {
            let mut call = self.scripts.read_by.key(&link.keys.base);
            call.arg(&set.digest).arg(lease);
            for (channel, how) in chunk {
                call.arg(channel).arg(how);
            }
            let _: u8 = link.call(&call).await?;
        }
        Ok(())
    }

    fn is_skipped(&self, partition: usize) -> bool {
        self.skipped
            .get(partition)
            .is_some_and(|modules| modules.lock().unwrap_or_else(PoisonError::into_inner).is_some())
    }

    fn hint(&self, partition: usize) {
        if let Some(hint) = self.hinted.get(partition) {
            hint.store(true, Ordering::Release);
            self.arrived.notify_waiters();
        }
    }

    /// Waits for hints while somebody waits for messages. A hint taken for nobody would be missed by
    /// another process.
    async fn listen(&self, partition: usize) {
        let Some(link) = self.links.get(partition) else { return };
        loop {
            let wanted = self.wanted.notified();
            tokio::pin!(wanted);
            wanted.as_mut().enable();
            let reading = self.reading();
            let (Some(set), true) = (reading, self.waiting.load(Ordering::Acquire) > 0) else {
                wanted.await;
                continue;
            };
            if self.is_skipped(partition) {
                sleep_until(Instant::now() + SKIPPED).await;
            }
            if let Err(error) = link.pop(&link.keys.wake(&set.digest), 1, POLL).await {
                tracing::debug!(%error, "wake-ups are not heard");
                sleep_until(Instant::now() + POLL / 4).await;
            }
            // Also without a hint: it is not more than that.
            self.hint(partition);
        }
    }
}

struct Want {
    max: usize,
    ceiling: usize,
    held: Held,
}

/// Slots that each module holds.
type Held = HashMap<ModuleName, usize>;

struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn new(intake: &'a Intake) -> Self {
        intake.waiting.fetch_add(1, Ordering::AcqRel);
        intake.wanted.notify_waiters();
        Self(&intake.waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn received(
    set: &ReaderSet,
    channel: &[u8],
    entry: &[u8],
    now: u64,
    receipt: i64,
) -> Result<Received, String> {
    let channel = std::str::from_utf8(channel).map_err(|error| error.to_string())?;
    let channel = ChannelName::parse(channel).map_err(|error| error.to_string())?;
    let module = set.owners.get(&channel).ok_or("nobody here reads that channel")?.clone();
    let opened = wire::open(entry, now).map_err(|error| error.to_string())?;
    let Envelope { message, waited, attempt } = opened;
    let receipt = u64::try_from(receipt).ok().filter(|id| *id > 0);
    let receipt = receipt.zip(set.lasting.get(&channel)).map(|(id, lasting)| {
        let retries = lasting.retries;
        Receipt { id, attempt, retries }
    });
    Ok(Received { channel, module, message, waited, receipt })
}

impl ReaderSet {
    /// Each channel with its module, and how it keeps messages if it does; in order.
    fn lines(&self, capacities: &Capacities) -> Vec<(String, String)> {
        let how = |channel: &ChannelName, module: &ModuleName| {
            let lasting = self.lasting.get(channel).zip(channel.dead().ok());
            let Some((Lasting { retries, lease }, dead)) = lasting else {
                return module.to_string();
            };
            format!("{module} {retries} {} {}", micros(*lease), capacities.of(&dead))
        };
        let lines = self.owners.iter();
        let mut lines: Vec<_> =
            lines.map(|(channel, module)| (channel.to_string(), how(channel, module))).collect();
        lines.sort();
        lines
    }
}

/// The same for the same channels and modules, whatever process it is.
fn digest(lines: Vec<(String, String)>) -> String {
    let mut hash = Sha256::new();
    for (channel, how) in lines {
        hash.update(format!("{channel} {how}\n"));
    }
    hash.finalize().iter().take(16).fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}
