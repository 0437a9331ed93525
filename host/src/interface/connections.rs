//! The connections of this node, by their local names.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    Hub,
    admission::Share,
    mailbox::{Mail, Mailbox},
    unsent::Unsent,
};
use crate::{
    message::{ChannelName, LocalName, Protocol},
    telemetry::ByProtocol,
};

/// All connections. Locked for single operations only.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<HashMap<LocalName, (Protocol, Arc<Mailbox>)>>,
}

impl Connections {
    fn open(&self) -> MutexGuard<'_, HashMap<LocalName, (Protocol, Arc<Mailbox>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
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

/// A connection that can be reached; dropping it ends that.
#[derive(Debug)]
pub(super) struct Registration {
    hub: Arc<Hub>,
    protocol: Protocol,
    local: LocalName,
    pub(super) channel: ChannelName,
    pub(super) mailbox: Arc<Mailbox>,
    _share: Option<Share>,
}

impl Registration {
    /// Makes a request reachable. `unsent` is what it shares with others of its connection.
    pub(super) fn of_request(
        hub: &Arc<Hub>,
        unsent: Option<Arc<Unsent>>,
        share: Option<Share>,
    ) -> Self {
        let mailbox = Mailbox::of_request(hub.config.http_unsent, unsent);
        Self::new(hub, Protocol::Http, mailbox, share)
    }

    /// Makes a WebSocket reachable.
    pub(super) fn of_socket(hub: &Arc<Hub>, share: Option<Share>) -> Self {
        let mailbox = Mailbox::of_socket(hub.config.websocket_unsent);
        Self::new(hub, Protocol::Websocket, mailbox, share)
    }

    fn new(hub: &Arc<Hub>, protocol: Protocol, mailbox: Mailbox, share: Option<Share>) -> Self {
        let local = LocalName::random();
        let mailbox = Arc::new(mailbox);
        let entry = (protocol, Arc::clone(&mailbox));
        hub.connections.open().insert(local.clone(), entry);
        // One that comes while the others are told to go is told at once.
        if hub.drain.is_stopping() {
            mailbox.put(Mail::Drain);
        }
        gauge(hub, protocol).inc();
        let channel = ChannelName::of_connection(&hub.node, &local);
        Self { hub: Arc::clone(hub), protocol, local, channel, mailbox, _share: share }
    }

    pub(super) fn hub(&self) -> Arc<Hub> {
        Arc::clone(&self.hub)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.hub.connections.open().remove(&self.local);
        gauge(&self.hub, self.protocol).dec();
    }
}

fn gauge(hub: &Hub, protocol: Protocol) -> prometheus_client::metrics::gauge::Gauge {
    let protocol = match protocol {
        Protocol::Http => "http",
        Protocol::Websocket => "websocket",
    };
    hub.metrics.connections.get_or_create(&ByProtocol { protocol }).clone()
}
