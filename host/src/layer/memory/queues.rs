//! Named channels: first in, first out, bounded, with exact expiry; and messages to be sent later.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    layer::{Capacities, Demand, KEPT, LastingChannels, LayerConfig, LostAtStop, Received},
    message::{ChannelName, Lasting, Message, ModuleName, Receipt, Settled},
};

/// How soon a delayed message whose channel is full is tried again.
const POSTPONE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Entry {
    /// Counts all entries, so that one can be named.
    pub(super) number: u64,
    pub(super) message: Message,
    /// How often it was taken before.
    attempt: u32,
    pub(super) sent: Instant,
    pub(super) expires: Instant,
}

#[derive(Debug)]
struct Queue {
    entries: VecDeque<Entry>,
    capacity: usize,
}

/// A message whose time has come.
#[derive(Debug)]
pub(super) struct Delayed {
    pub(super) message: Message,
    due: Instant,
}

/// A message that a worker has.
#[derive(Debug)]
struct Leased {
    channel: ChannelName,
    message: Message,
    attempt: u32,
    retries: u32,
    until: Instant,
}

/// What came of leases that ran out, or of one that was settled.
#[derive(Debug, Default)]
pub(super) struct Returned {
    pub(super) again: usize,
    pub(super) dead: usize,
    /// Those that found no room in the channel for what cannot be done.
    pub(super) lost: usize,
}

/// What came of a push.
#[derive(Debug, Default)]
pub(super) struct Pushed {
    pub(super) full: bool,
    pub(super) expired: usize,
}

/// What came of pops besides messages.
#[derive(Debug, Default)]
pub(super) struct Popped {
    pub(super) received: u64,
    pub(super) expired: usize,
    pub(super) made_room: bool,
}

#[derive(Debug)]
pub(super) struct Queues {
    capacities: Capacities,
    expiry: Duration,
    delayed_limit: usize,
    bytes_limit: usize,
    /// Bytes of all messages that are kept here.
    bytes: usize,
    /// An empty channel has no entry.
    queues: HashMap<ChannelName, Queue>,
    /// The channels with messages, the one that was served last at the end.
    ready: VecDeque<ChannelName>,
    next_number: u64,
    delayed: BTreeMap<(Instant, u64), (ChannelName, Delayed)>,
    next_delayed: u64,
    /// Which channels keep messages until they are done, as whoever reads them says.
    lasting: Arc<LastingChannels>,
    leased: HashMap<u64, Leased>,
    next_receipt: u64,
    swept: Instant,
    /// When something is due at the earliest: a delayed message or a lease that runs out.
    earliest: Option<Instant>,
}

impl Queues {
    pub(super) fn new(config: &LayerConfig) -> Self {
        Self {
            capacities: config.capacities.clone(),
            expiry: config.expiry,
            delayed_limit: config.delayed_messages,
            bytes_limit: config.total_bytes,
            bytes: 0,
            queues: HashMap::new(),
            ready: VecDeque::new(),
            next_number: 0,
            delayed: BTreeMap::new(),
            next_delayed: 0,
            lasting: Arc::default(),
            leased: HashMap::new(),
            next_receipt: 0,
            swept: Instant::now(),
            earliest: None,
        }
    }

    pub(super) fn push(&mut self, channel: &ChannelName, message: Message, now: Instant) -> Pushed {
        let mut pushed = Pushed { expired: self.sweep_now_and_then(now), full: false };
        if !self.queues.contains_key(channel) {
            let capacity = self.capacities.of(channel);
            self.queues.insert(channel.clone(), Queue { entries: VecDeque::new(), capacity });
            self.ready.push_back(channel.clone());
        }
        let Some(queue) = self.queues.get_mut(channel) else { return pushed };
        if queue.entries.len() >= queue.capacity {
            let (expired, bytes) = queue.drop_expired(now);
            pushed.expired += expired;
            self.bytes -= bytes;
        }
        if queue.entries.len() >= queue.capacity || self.bytes + message.len() > self.bytes_limit {
            pushed.full = true;
            self.forget_if_empty(channel);
            return pushed;
        }
        let life = match self.lasting.contains_key(channel) {
            true => KEPT,
            false => message.expires_after.unwrap_or(self.expiry),
        };
        self.bytes += message.len();
        let (number, expires) = (self.next_number, now + life);
        self.next_number += 1;
        queue.entries.push_back(Entry { number, message, attempt: 0, sent: now, expires });
        pushed
    }

    /// Puts a message at the end of a channel, which leaves its place in another one for that.
    pub(super) fn push_in_place(
        &mut self,
        channel: &ChannelName,
        message: Message,
        now: Instant,
    ) -> Pushed {
        let bytes = message.len();
        self.bytes -= bytes;
        let pushed = self.push(channel, message, now);
        self.bytes += bytes;
        pushed
    }

    /// The messages of a channel, in the order of their numbers.
    pub(super) fn entries(&self, channel: &ChannelName) -> Option<&VecDeque<Entry>> {
        self.queues.get(channel).map(|queue| &queue.entries)
    }

    /// Takes a message away that waits.
    pub(super) fn take_away(&mut self, channel: &ChannelName, number: u64) {
        let Some(queue) = self.queues.get_mut(channel) else { return };
        let at = queue.entries.binary_search_by_key(&number, |entry| entry.number);
        if let Some(entry) = at.ok().and_then(|at| queue.entries.remove(at)) {
            self.bytes -= entry.message.len();
        }
        self.forget_if_empty(channel);
    }

    /// All messages that are kept here or that a worker has.
    pub(super) fn messages(&self) -> impl Iterator<Item = &Message> {
        let waiting = self.queues.values().flat_map(|queue| &queue.entries).map(|it| &it.message);
        let leased = self.leased.values().map(|leased| &leased.message);
        waiting.chain(leased).chain(self.delayed.values().map(|(_, delayed)| &delayed.message))
    }

    /// Puts a message back that was taken. It had room before.
    fn push_again(&mut self, channel: ChannelName, message: Message, attempt: u32, now: Instant) {
        self.bytes += message.len();
        let capacity = self.capacities.of(&channel);
        let queue = self.queues.entry(channel.clone()).or_insert_with(|| {
            self.ready.push_back(channel);
            Queue { entries: VecDeque::new(), capacity }
        });
        let (number, expires) = (self.next_number, now + KEPT);
        self.next_number += 1;
        queue.entries.push_back(Entry { number, message, attempt, sent: now, expires });
    }

    fn lease(
        &mut self,
        channel: &ChannelName,
        lasting: Lasting,
        entry: (&Message, u32),
        now: Instant,
    ) -> Receipt {
        self.next_receipt += 1;
        let (id, (message, attempt), Lasting { retries, lease }) =
            (self.next_receipt, entry, lasting);
        let (channel, message) = (channel.clone(), message.clone());
        let leased = Leased { channel, message, attempt, retries, until: now + lease };
        self.expects(leased.until);
        self.leased.insert(id, leased);
        Receipt { id, attempt, retries }
    }

    /// What becomes of a message that a worker has.
    pub(super) fn settle(&mut self, id: u64, settled: Settled, now: Instant) -> Returned {
        let Some(leased) = self.leased.remove(&id) else { return Returned::default() };
        match settled {
            Settled::Done => Returned::default(),
            Settled::Again(pause) if pause.is_zero() => {
                self.push_again(leased.channel, leased.message, leased.attempt + 1, now);
                Returned { again: 1, ..Returned::default() }
            }
            // It is leased to nobody meanwhile.
            Settled::Again(pause) => {
                self.expects(now + pause);
                self.leased.insert(id, Leased { until: now + pause, ..leased });
                Returned::default()
            }
            Settled::Dead => self.bury(leased, now),
        }
    }

    fn bury(&mut self, leased: Leased, now: Instant) -> Returned {
        let Ok(channel) = leased.channel.dead() else {
            return Returned { lost: 1, ..Returned::default() };
        };
        let mut message = leased.message;
        message.expires_after = Some(KEPT);
        match self.push(&channel, message, now).full {
            true => Returned { lost: 1, ..Returned::default() },
            false => Returned { dead: 1, ..Returned::default() },
        }
    }

    /// Messages whose worker is gone, or whose pause is over, come again.
    pub(super) fn reclaim(&mut self, now: Instant) -> Returned {
        let over = |(id, leased): (&u64, &Leased)| (leased.until <= now).then_some(*id);
        let mut ids: Vec<_> = self.leased.iter().filter_map(over).collect();
        ids.sort_unstable();
        let mut returned = Returned::default();
        for id in ids {
            let Some(leased) = self.leased.remove(&id) else { continue };
            if leased.attempt < leased.retries {
                self.push_again(leased.channel, leased.message, leased.attempt + 1, now);
                returned.again += 1;
            } else {
                let Returned { dead, lost, .. } = self.bury(leased, now);
                returned.dead += dead;
                returned.lost += lost;
            }
        }
        returned
    }

    fn forget_if_empty(&mut self, channel: &ChannelName) {
        if self.queues.get(channel).is_some_and(|queue| queue.entries.is_empty()) {
            self.queues.remove(channel);
            self.ready.retain(|ready| ready != channel);
        }
    }

    /// Takes a message: of the module that holds fewest slots, and among its channels from the one that was
    /// served longest ago.
    pub(super) fn pop(
        &mut self,
        demand: &Demand<'_>,
        now: Instant,
        popped: &mut Popped,
    ) -> Option<Received> {
        if !Arc::ptr_eq(&self.lasting, demand.lasting) {
            self.lasting = Arc::clone(demand.lasting);
        }
        loop {
            let (at, module) = self.choose(demand)?;
            let channel = self.ready.remove(at)?;
            let Some(queue) = self.queues.get_mut(&channel) else { continue };
            popped.made_room |= queue.entries.len() >= queue.capacity;
            let fresh = loop {
                let entry = queue.entries.pop_front();
                self.bytes -= entry.as_ref().map_or(0, |entry| entry.message.len());
                match entry {
                    Some(entry) if entry.expires <= now => popped.expired += 1,
                    other => break other,
                }
            };
            if queue.entries.is_empty() {
                self.queues.remove(&channel);
            } else {
                self.ready.push_back(channel.clone());
            }
            let Some(Entry { message, attempt, sent, .. }) = fresh else { continue };
            popped.received += 1;
            let lasting = demand.lasting.get(&channel).copied();
            let receipt = lasting.map(|it| self.lease(&channel, it, (&message, attempt), now));
            return Some(Received { channel, module, message, waited: now - sent, receipt });
        }
    }

    fn choose(&self, demand: &Demand<'_>) -> Option<(usize, ModuleName)> {
        let mut best: Option<(usize, &ModuleName, usize)> = None;
        for (at, channel) in self.ready.iter().enumerate() {
            let Some(module) = demand.owners.get(channel) else { continue };
            let holds = demand.held.get(module).copied().unwrap_or(0);
            if holds < demand.ceiling && best.is_none_or(|(_, _, fewest)| holds < fewest) {
                best = Some((at, module, holds));
                if holds == 0 {
                    break;
                }
            }
        }
        best.map(|(at, module, _)| (at, module.clone()))
    }

    /// When a channel may have room: now if none, or when its first message expires.
    pub(super) fn room_at(&self, channel: &ChannelName) -> Option<Instant> {
        let queue = self.queues.get(channel).filter(|q| q.entries.len() >= q.capacity)?;
        queue.entries.iter().map(|entry| entry.expires).min()
    }

    /// Keeps a message until it is due. False if too many wait already.
    pub(super) fn delay(&mut self, channel: &ChannelName, message: Message, due: Instant) -> bool {
        let bytes = self.bytes + message.len();
        if self.delayed.len() >= self.delayed_limit || bytes > self.bytes_limit {
            return false;
        }
        self.keep(due, channel.clone(), Delayed { message, due });
        true
    }

    /// Puts a due message off, unless it has waited for room as long as it may. False if it has.
    pub(super) fn postpone(&mut self, channel: ChannelName, late: Delayed, now: Instant) -> bool {
        if now >= late.due + late.message.expires_after.unwrap_or(self.expiry) {
            return false;
        }
        self.keep(now + POSTPONE, channel, late);
        true
    }

    fn keep(&mut self, at: Instant, channel: ChannelName, delayed: Delayed) {
        self.bytes += delayed.message.len();
        self.expects(at);
        self.delayed.insert((at, self.next_delayed), (channel, delayed));
        self.next_delayed += 1;
    }

    /// The messages that are due, in order.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(ChannelName, Delayed)> {
        let mut due = Vec::new();
        while let Some(first) = self.delayed.first_entry()
            && first.key().0 <= now
        {
            due.push(first.remove());
        }
        self.bytes -= due.iter().map(|(_, delayed)| delayed.message.len()).sum::<usize>();
        due
    }

    fn expects(&mut self, at: Instant) {
        self.earliest = Some(self.earliest.map_or(at, |earliest| earliest.min(at)));
    }

    /// Whether something may be due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.earliest.is_some_and(|earliest| earliest <= now)
    }

    /// When something may be due at the earliest.
    pub(super) const fn earliest(&self) -> Option<Instant> {
        self.earliest
    }

    /// Finds out when the next delayed message or lease is due.
    pub(super) fn look_ahead(&mut self) {
        let delayed = self.delayed.first_key_value().map(|((due, _), _)| *due);
        let leased = self.leased.values().map(|leased| leased.until).min();
        self.earliest = delayed.into_iter().chain(leased).min();
    }

    /// Channels that nobody reads must not keep what has expired.
    fn sweep_now_and_then(&mut self, now: Instant) -> usize {
        if now - self.swept < self.expiry {
            return 0;
        }
        self.swept = now;
        let mut expired = 0;
        for queue in self.queues.values_mut() {
            let (count, bytes) = queue.drop_expired(now);
            expired += count;
            self.bytes -= bytes;
        }
        self.queues.retain(|_, queue| !queue.entries.is_empty());
        self.ready.retain(|channel| self.queues.contains_key(channel));
        expired
    }

    /// Forgets every message: how many were lost by kind, and how many had expired.
    pub(super) fn forget_all(&mut self, now: Instant) -> (LostAtStop, usize) {
        let (mut lost, mut expired) = (LostAtStop::default(), 0);
        lost.delayed = std::mem::take(&mut self.delayed).len();
        lost.at_least_once = std::mem::take(&mut self.leased).len();
        for (channel, mut queue) in std::mem::take(&mut self.queues) {
            expired += queue.drop_expired(now).0;
            for entry in queue.entries {
                // A dead letter has its long life from the channel that it was in.
                let is_kept =
                    entry.message.expires_after == Some(KEPT) || channel.living().is_some();
                match is_kept || self.lasting.contains_key(&channel) {
                    true => lost.at_least_once += 1,
                    false => lost.at_most_once += 1,
                }
            }
        }
        self.ready.clear();
        self.bytes = 0;
        (lost, expired)
    }

    pub(super) fn statistics(
        &self,
        now: Instant,
    ) -> (HashMap<ChannelName, (usize, Duration)>, usize) {
        let depth = |queue: &Queue| {
            let oldest = queue.entries.front().map_or(Duration::ZERO, |entry| now - entry.sent);
            (queue.entries.len(), oldest)
        };
        let channels = self.queues.iter().map(|(name, queue)| (name.clone(), depth(queue)));
        (channels.collect(), self.delayed.len())
    }
}

impl Queue {
    /// Returns how many messages and bytes were dropped.
    fn drop_expired(&mut self, now: Instant) -> (usize, usize) {
        let (before, mut bytes) = (self.entries.len(), 0);
        self.entries.retain(|entry| {
            let keep = entry.expires > now;
            bytes += if keep { 0 } else { entry.message.len() };
            keep
        });
        (before - self.entries.len(), bytes)
    }
}
