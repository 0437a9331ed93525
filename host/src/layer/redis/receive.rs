//! Takes messages for workers: a script takes them off, a blocking pop tells when there may be some.

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, future::join_all, stream::FuturesUnordered};
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

use super::{
    scripts::Scripts,
    wire::{self, Envelope},
};
use crate::{
    layer::{Capacities, Demand, Dispatch, LastingChannels, LayerError, Owners, Received},
    message::{ChannelName, Lasting, ModuleName, Receipt},
    outage::Outage,
    redis::{Link, Value, micros},
    telemetry::{DropReason, Metrics},
};

/// How long to wait before a server is asked again that could not answer.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// How long a call may take until the slots that it asked for are asked for elsewhere.
const OVERDUE_AFTER: Duration = Duration::from_millis(50);
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

/// The workers of this process that read from Redis.
#[derive(Debug, Default)]
pub(super) struct Receivers(Mutex<Vec<Arc<Receiver>>>);

impl Receivers {
    fn all(&self) -> MutexGuard<'_, Vec<Arc<Receiver>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, receiver: Arc<Receiver>) {
        self.all().push(receiver);
    }

    pub(super) fn remove(&self, receiver: &Arc<Receiver>) {
        self.all().retain(|it| !Arc::ptr_eq(it, receiver));
    }

    /// The channels that workers read at present.
    pub(super) fn reading(&self) -> Vec<Arc<ReaderSet>> {
        self.all().iter().filter_map(|receiver| receiver.reading()).collect()
    }

    /// The latest failure to take messages, if it was the last attempt of its partition.
    pub(super) fn trouble(&self) -> Option<LayerError> {
        self.all().iter().find_map(|receiver| receiver.trouble())
    }
}

/// The parts of the layer that a receiver works with.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) links: Arc<[Arc<Link>]>,
    pub(super) scripts: Arc<Scripts>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) lease: Duration,
    pub(super) capacities: Capacities,
}

/// Takes messages for a worker, as far as its demand goes.
#[derive(Debug)]
pub(super) struct Receiver {
    source: Source,
    dispatch: Arc<Dispatch>,
    partitions: Vec<Partition>,
    /// Where to look first: each partition has its turn.
    turn: AtomicUsize,
    arrived: Notify,
    /// The channels that are read at present.
    reading: Mutex<Option<Arc<ReaderSet>>>,
    /// Whether the worker takes messages and none are there.
    waits: watch::Sender<bool>,
}

/// The messages of a partition, as far as they are known.
#[derive(Debug)]
struct Partition {
    /// There may be messages.
    hinted: AtomicBool,
    /// The modules that hold as many slots as they may, if all that is there belongs to such.
    skipped: Mutex<Option<Vec<ModuleName>>>,
    /// Why no messages could be taken the last time.
    trouble: Mutex<Option<LayerError>>,
}

impl Partition {
    fn hint(&self) {
        self.hinted.store(true, Ordering::Release);
    }

    fn skipped(&self) -> MutexGuard<'_, Option<Vec<ModuleName>>> {
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trouble(&self) -> MutexGuard<'_, Option<LayerError>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receiver {
    pub(super) fn new(source: Source, dispatch: &Arc<Dispatch>) -> Arc<Self> {
        let partition = |_: &Arc<Link>| Partition {
            hinted: AtomicBool::new(true),
            skipped: Mutex::default(),
            trouble: Mutex::default(),
        };
        Arc::new(Self {
            partitions: source.links.iter().map(partition).collect(),
            source,
            dispatch: Arc::clone(dispatch),
            turn: AtomicUsize::new(0),
            arrived: Notify::new(),
            reading: Mutex::default(),
            waits: watch::Sender::new(false),
        })
    }

    fn reading(&self) -> Option<Arc<ReaderSet>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn trouble(&self) -> Option<LayerError> {
        self.partitions.iter().find_map(|partition| partition.trouble().clone())
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
        set.digest = digest(set.lines(&self.source.capacities));
        let set = Arc::new(set);
        *reading = Some(Arc::clone(&set));
        // Other channels may have messages than those that were read before.
        self.partitions.iter().for_each(Partition::hint);
        set
    }

    /// A module may hold less than when its messages were left where they are.
    fn hint_again(&self, demand: &Demand<'_>) {
        let may = |module: &ModuleName| {
            demand.held.get(module).is_none_or(|slots| *slots < demand.ceiling)
        };
        for partition in &self.partitions {
            let regained = |modules: &mut Vec<ModuleName>| modules.iter().any(may);
            if partition.skipped().take_if(regained).is_some() {
                partition.hint();
            }
        }
    }

    fn next_hinted(&self, under_way: &UnderWay) -> Option<usize> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.partitions.len();
        let turns = (0..count).map(|offset| (first + offset) % count);
        let mut turns = turns.filter(|at| !under_way.has(*at));
        turns.find(|&at| {
            self.partitions.get(at).is_some_and(|it| it.hinted.swap(false, Ordering::AcqRel))
        })
    }

    /// Hands messages over until the worker demands no more. What is being taken then is handed over, too.
    pub(super) async fn run(&self) {
        let listening = (0..self.partitions.len()).map(|partition| self.listen(partition));
        tokio::select! {
            () = self.feed() => {}
            _ = join_all(listening) => {}
        }
        self.give_back_hints().await;
    }

    /// Wakes other processes where messages are: this one may have taken their hints, and looks no more.
    async fn give_back_hints(&self) {
        let Some(set) = self.reading() else { return };
        let up = self.source.links.iter().filter(|link| link.is_up());
        let given = join_all(up.map(|link| async {
            let mut call = self.source.scripts.receive.key(&link.keys.base);
            call.arg(&set.digest).arg(0).arg(usize::MAX);
            link.call::<Value>(&call).await
        }));
        for error in given.await.into_iter().filter_map(Result::err) {
            tracing::debug!(%error, "other workers look for messages later");
        }
    }

    async fn feed(&self) {
        let (mut popping, mut under_way) = (FuturesUnordered::new(), UnderWay::default());
        let mut outage = Outage::default();
        loop {
            let (changed, arrived) = (self.dispatch.changed(), self.arrived.notified());
            tokio::pin!(changed, arrived);
            // From here on what changes is noticed, also between the look and the wait.
            changed.as_mut().enable();
            arrived.as_mut().enable();
            if self.dispatch.is_closed() && popping.is_empty() {
                return;
            }
            let reserved = under_way.reserved();
            let want = self.dispatch.with_demand(|demand| {
                let max = demand.max.saturating_sub(reserved);
                (max > 0).then(|| self.want(&Demand { max, ..*demand }))
            });
            if let Some((set, want)) = want {
                match self.next_hinted(&under_way) {
                    Some(partition) => {
                        under_way.begin(partition, want.max);
                        popping.push(self.pop(partition, set, want).map(move |it| (partition, it)));
                    }
                    None => self.set_waits(reserved == 0),
                }
            }
            tokio::select! {
                Some((partition, popped)) = popping.next() => {
                    under_way.end(partition);
                    tell(&mut outage, popped.err());
                }
                () = arrived => {}
                () = changed => {}
                // A server that does not answer must not keep slots from the messages of others.
                () = under_way.overdue() => {}
            }
            self.set_waits(false);
        }
    }

    /// Tells the listeners, unless they know.
    fn set_waits(&self, waits: bool) {
        self.waits.send_if_modified(|before| std::mem::replace(before, waits) != waits);
    }

    fn want(&self, demand: &Demand<'_>) -> (Arc<ReaderSet>, Want) {
        let set = self.set_of(demand);
        self.hint_again(demand);
        let &Demand { max, ceiling, held, .. } = demand;
        (set, Want { max, ceiling, held: held.clone() })
    }

    /// Takes messages of a partition. After a failure it holds the partition back for a while.
    async fn pop(&self, at: usize, set: Arc<ReaderSet>, want: Want) -> Result<(), LayerError> {
        let (Some(link), Some(partition)) = (self.source.links.get(at), self.partitions.get(at))
        else {
            return Ok(());
        };
        // Where nothing is read, there is nothing to take. While one partition is away, the others go on;
        // the listener tells when it is back.
        if set.owners.is_empty() || !link.is_up() {
            return Ok(());
        }
        let popped = self.pop_from(link, partition, &set, want).await;
        *partition.trouble() = popped.as_ref().err().cloned();
        if popped.is_err() {
            sleep_until(Instant::now() + RETRY_PAUSE).await;
        }
        popped
    }

    async fn pop_from(
        &self,
        link: &Link,
        partition: &Partition,
        set: &ReaderSet,
        want: Want,
    ) -> Result<(), LayerError> {
        loop {
            let mut call = self.source.scripts.receive.key(&link.keys.base);
            call.arg(&set.digest).arg(want.max).arg(want.ceiling);
            for (module, slots) in &want.held {
                call.arg(module.as_str()).arg(*slots);
            }
            let answer = link.call(&call).await.inspect_err(|_| partition.hint())?;
            let (known, now, more, skipped, expired, entries): (u8, u64, u8, u8, u64, Vec<Value>) =
                answer;
            if known == 0 {
                self.source.announce(link, set).await?;
                continue;
            }
            self.source.metrics.dropped_many(DropReason::Expired, expired);
            let (received, held) = self.unpack(set, now, entries, want.held);
            let at_ceiling = held.into_iter().filter(|(_, slots)| *slots >= want.ceiling);
            let all = skipped == 1 && more == 0;
            *partition.skipped() = all.then(|| at_ceiling.map(|(module, _)| module).collect());
            if more == 1 {
                partition.hint();
            }
            self.dispatch.hand_over(received);
            return Ok(());
        }
    }

    /// Reads what was taken. Returns also how many slots each module holds with it.
    fn unpack(
        &self,
        set: &ReaderSet,
        now: u64,
        entries: Vec<Value>,
        mut held: Held,
    ) -> (Vec<Received>, Held) {
        let (mut entries, mut all) = (entries.into_iter(), Vec::new());
        while let (
            Some(Value::BulkString(channel)),
            Some(Value::BulkString(entry)),
            Some(Value::Int(receipt)),
        ) = (entries.next(), entries.next(), entries.next())
        {
            match received(set, &channel, &entry, now, receipt) {
                Ok(received) => {
                    *held.entry(received.module.clone()).or_default() += 1;
                    self.source.metrics.messages_received.inc();
                    all.push(received);
                }
                Err(reason) => {
                    let channel = String::from_utf8_lossy(&channel);
                    tracing::warn!(%channel, reason, "an entry of a channel is dropped");
                    self.source.metrics.dropped(DropReason::Unreadable);
                }
            }
        }
        (all, held)
    }

    /// Waits for hints while the worker waits for messages. A hint taken for nobody would be missed by
    /// another process.
    async fn listen(&self, at: usize) {
        let (Some(link), Some(partition)) = (self.source.links.get(at), self.partitions.get(at))
        else {
            return;
        };
        let mut waits = self.waits.subscribe();
        loop {
            // The sender is here, so it is not gone.
            drop(waits.wait_for(|waits| *waits).await);
            let Some(set) = self.reading() else {
                drop(waits.changed().await);
                continue;
            };
            if partition.skipped().is_some() {
                sleep_until(Instant::now() + SKIPPED).await;
            }
            if let Err(error) = link.pop(&link.keys.wake(&set.digest), 1, POLL).await {
                tracing::debug!(%error, "wake-ups are not heard");
                sleep_until(Instant::now() + POLL / 4).await;
            }
            // The next hint is waited for only when there was nothing to take.
            self.set_waits(false);
            // Also without a hint: it is not more than that.
            partition.hint();
            self.arrived.notify_waiters();
        }
    }
}

impl Source {
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
}

/// The calls that take messages now: at most one for each partition.
#[derive(Debug, Default)]
struct UnderWay(HashMap<usize, (Instant, usize)>);

impl UnderWay {
    fn begin(&mut self, partition: usize, max: usize) {
        self.0.insert(partition, (Instant::now() + OVERDUE_AFTER, max));
    }

    fn end(&mut self, partition: usize) {
        self.0.remove(&partition);
    }

    fn has(&self, partition: usize) -> bool {
        self.0.contains_key(&partition)
    }

    /// The messages that may come of them. An overdue call is not expected to bring any.
    fn reserved(&self) -> usize {
        let now = Instant::now();
        self.0.values().filter(|(overdue, _)| now < *overdue).map(|(_, max)| max).sum()
    }

    /// Resolves when the next call is overdue; never where none will be.
    async fn overdue(&self) {
        let now = Instant::now();
        match self.0.values().map(|(overdue, _)| *overdue).filter(|it| now < *it).min() {
            Some(overdue) => sleep_until(overdue).await,
            None => std::future::pending().await,
        }
    }
}

/// Says when messages cannot be taken, and when they can again.
fn tell(outage: &mut Outage, error: Option<LayerError>) {
    match error {
        None if outage.ends() => tracing::info!("messages are received again"),
        None => {}
        Some(error) => {
            if let Some(failures) = outage.fails() {
                tracing::warn!(%error, failures, "no messages are received; trying again");
            }
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
