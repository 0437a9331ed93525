//! The connections of this node, by their local names.

use std::{
    array,
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{mailbox::Mailbox, roster::About};
use crate::message::{LocalName, Protocol, Scope};

/// Parts of the connections, each with a lock of its own: a look at all of them holds one at a time.
const SHARDS: usize = 64;

/// A connection.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) protocol: Protocol,
    pub(super) mailbox: Arc<Mailbox>,
    /// None until its route and scope are known.
    pub(super) about: Option<About>,
}

type Shard = HashMap<LocalName, Entry>;

/// All connections. Each shard is locked for single operations only.
#[derive(Debug)]
pub(super) struct Connections([Mutex<Shard>; SHARDS]);

impl Default for Connections {
    fn default() -> Self {
        Self(array::from_fn(|_| Mutex::default()))
    }
}

impl Connections {
    /// How many shards there are. Names of a shard are before those of the next one.
    pub(super) const fn shards(&self) -> usize {
        self.0.len()
    }

    /// The shard of a local name: a name begins with hexadecimal digits. One that does not is that of no connection.
    pub(super) fn shard_of(&self, name: &str) -> usize {
        let digits = name.get(..2).and_then(|digits| usize::from_str_radix(digits, 16).ok());
        digits.unwrap_or(0) * SHARDS / 256
    }

    fn shard(&self, name: &LocalName) -> MutexGuard<'_, Shard> {
        self.lock(self.shard_of(name.as_str()))
    }

    fn lock(&self, at: usize) -> MutexGuard<'_, Shard> {
        let shard = self.0.get(at % SHARDS).expect("the remainder is below the number of shards");
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, local: LocalName, protocol: Protocol, mailbox: Arc<Mailbox>) {
        self.shard(&local).insert(local, Entry { protocol, mailbox, about: None });
    }

    /// Notes what is known of a connection now.
    pub(super) fn describe(&self, local: &LocalName, about: About) {
        if let Some(entry) = self.shard(local).get_mut(local) {
            entry.about = Some(about);
        }
    }

    /// Notes another scope of a connection that is known.
    pub(super) fn moved(&self, local: &LocalName, scope: &Arc<Scope>) {
        if let Some(Entry { about: Some(about), .. }) = self.shard(local).get_mut(local) {
            about.scope = Arc::clone(scope);
        }
    }

    pub(super) fn remove(&self, local: &LocalName) {
        self.shard(local).remove(local);
    }

    pub(super) fn entry(&self, local: &LocalName) -> Option<Entry> {
        self.shard(local).get(local).cloned()
    }

    pub(super) fn mailbox(&self, local: &LocalName) -> Option<Arc<Mailbox>> {
        self.shard(local).get(local).map(|entry| Arc::clone(&entry.mailbox))
    }

    /// Shows each connection of a shard, which is locked meanwhile.
    pub(super) fn for_each(&self, shard: usize, mut shows: impl FnMut(&LocalName, &Entry)) {
        for (local, entry) in &*self.lock(shard) {
            shows(local, entry);
        }
    }

    /// The mailboxes of connections with these names, and the names that none has.
    pub(super) fn mailboxes(&self, names: Vec<LocalName>) -> (Vec<Arc<Mailbox>>, Vec<LocalName>) {
        let (mut found, mut gone) = (Vec::with_capacity(names.len()), Vec::new());
        for local in names {
            match self.mailbox(&local) {
                Some(mailbox) => found.push(mailbox),
                None => gone.push(local),
            }
        }
        (found, gone)
    }

    /// The mailboxes of all connections: first those with these names.
    pub(super) fn split_by(&self, names: &[LocalName]) -> (Vec<Arc<Mailbox>>, Vec<Arc<Mailbox>>) {
        let names: HashSet<_> = names.iter().collect();
        let (mut named, mut others) = (Vec::with_capacity(names.len()), Vec::new());
        for shard in 0..SHARDS {
            self.for_each(shard, |local, entry| {
                let part = if names.contains(local) { &mut named } else { &mut others };
                part.push(Arc::clone(&entry.mailbox));
            });
        }
        (named, others)
    }

    /// The mailboxes of all connections of a protocol.
    pub(super) fn of(&self, protocol: Protocol) -> Vec<Arc<Mailbox>> {
        let mut wanted = Vec::new();
        for shard in 0..SHARDS {
            self.for_each(shard, |_, entry| {
                if entry.protocol == protocol {
                    wanted.push(Arc::clone(&entry.mailbox));
                }
            });
        }
        wanted
    }
}

/// An open WebSocket whose consumer was not told of its end yet.
#[derive(Debug)]
pub(super) struct CountedSocket(Arc<AtomicUsize>);

impl CountedSocket {
    pub(super) fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for CountedSocket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
