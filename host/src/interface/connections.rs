//! The connections of this node, by their local names.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::mailbox::Mailbox;
use crate::message::{LocalName, Protocol};

/// All connections. Locked for single operations only.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<HashMap<LocalName, (Protocol, Arc<Mailbox>)>>,
}

impl Connections {
    fn open(&self) -> MutexGuard<'_, HashMap<LocalName, (Protocol, Arc<Mailbox>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, local: LocalName, protocol: Protocol, mailbox: Arc<Mailbox>) {
        self.open().insert(local, (protocol, mailbox));
    }

    pub(super) fn remove(&self, local: &LocalName) {
        self.open().remove(local);
    }

    pub(super) fn mailbox(&self, local: &LocalName) -> Option<Arc<Mailbox>> {
        self.open().get(local).map(|(_, mailbox)| Arc::clone(mailbox))
    }

    /// The mailboxes of connections with these names, and the names that none has.
    pub(super) fn mailboxes(&self, names: Vec<LocalName>) -> (Vec<Arc<Mailbox>>, Vec<LocalName>) {
        let open = self.open();
        let (mut found, mut gone) = (Vec::with_capacity(names.len()), Vec::new());
        for local in names {
            match open.get(&local) {
                Some((_, mailbox)) => found.push(Arc::clone(mailbox)),
                None => gone.push(local),
            }
        }
        (found, gone)
    }

    /// The mailboxes of all connections: first those with these names.
    pub(super) fn split_by(&self, names: &[LocalName]) -> (Vec<Arc<Mailbox>>, Vec<Arc<Mailbox>>) {
        let names: HashSet<_> = names.iter().collect();
        let (mut named, mut others) = (Vec::with_capacity(names.len()), Vec::new());
        for (local, (_, mailbox)) in &*self.open() {
            let part = if names.contains(local) { &mut named } else { &mut others };
            part.push(Arc::clone(mailbox));
        }
        (named, others)
    }

    /// The mailboxes of all connections of a protocol.
    pub(super) fn of(&self, protocol: Protocol) -> Vec<Arc<Mailbox>> {
        let open = self.open();
        let wanted = open.values().filter(|(its, _)| *its == protocol);
        wanted.map(|(_, mailbox)| Arc::clone(mailbox)).collect()
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
