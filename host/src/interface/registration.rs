//! Makes a connection reachable: gives it a name and a mailbox, and counts it.

use std::{sync::Arc, time::SystemTime};

use super::{
    Hub,
    admission::Share,
    mailbox::{Mail, Mailbox},
    roster::About,
    unsent::Unsent,
};
use crate::{
    message::{ChannelName, LocalName, Protocol, Scope},
    routing::Route,
    telemetry::ByProtocol,
};

/// Keeps a connection reachable by its name until it is dropped.
#[derive(Debug)]
pub(super) struct Registration {
    hub: Arc<Hub>,
    protocol: Protocol,
    local: LocalName,
    pub(super) channel: ChannelName,
    pub(super) mailbox: Arc<Mailbox>,
    share: Option<Share>,
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
        hub.connections.add(local.clone(), protocol, Arc::clone(&mailbox));
        // One that comes while the others are told to go is told at once.
        if hub.drain.is_stopping() {
            mailbox.put(Mail::Drain);
        }
        gauge(hub, protocol).inc();
        let channel = ChannelName::of_connection(&hub.node, &local);
        Self { hub: Arc::clone(hub), protocol, local, channel, mailbox, share }
    }

    /// Notes what operators may know of the connection.
    pub(super) fn describe(&self, route: &Arc<Route>, scope: &Arc<Scope>) {
        let (route, scope, since) = (Arc::clone(route), Arc::clone(scope), SystemTime::now());
        self.hub.connections.describe(&self.local, About { route, scope, since });
    }

    /// Notes that its client has come back from elsewhere.
    pub(super) fn moved(&mut self, scope: &Arc<Scope>, share: Option<Share>) {
        self.hub.connections.moved(&self.local, scope);
        self.share = share;
    }

    /// Gives up its share of what one address may have.
    pub(super) fn take_share(&mut self) -> Option<Share> {
        self.share.take()
    }

    /// The name in the channel of the connection.
    pub(super) const fn local(&self) -> &LocalName {
        &self.local
    }

    pub(super) fn hub(&self) -> Arc<Hub> {
        Arc::clone(&self.hub)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.hub.connections.remove(&self.local);
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
