//! The interface server: holds the connections, turns what happens on them into events, and writes
//! what is answered. Never imports the worker: they meet at the channel layer alone.

mod access_log;
mod admission;
mod backlog;
mod config;
mod connection;
mod connections;
mod conversation;
mod drain;
mod encoded;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod inbox;
mod limits_log;
mod mailbox;
mod pace;
mod proxies;
mod server;
mod strictness;
mod transport;
mod unsent;
mod websocket;

use std::sync::{Arc, atomic::AtomicUsize};

pub(crate) use self::transport::read_out;
use self::{
    admission::Admission, backlog::Lines, connections::Connections, limits_log::Told,
    unsent::ResponseSizes,
};
pub use self::{
    config::{AbuseLimits, DrainConfig, InterfaceConfig, Liveness, Timeouts},
    proxies::{Forwarding, ProxyConfig},
    server::{InterfaceServer, Parts, Running},
    transport::{
        BindError, Endpoint, EndpointError, TlsConfig, TlsError, UnixAccess, UnixAccessError,
        UnixMode, UnixOwner,
    },
    websocket::{OriginError, OriginPolicy, OriginRule},
};
use crate::{
    layer::ChannelLayer, message::NodeName, routing::Routes, shutdown::Drain, telemetry::Metrics,
};

/// What all connections share.
#[derive(Debug)]
struct Hub {
    config: InterfaceConfig,
    node: NodeName,
    layer: Arc<dyn ChannelLayer>,
    routes: Routes,
    admission: Admission,
    connections: Connections,
    /// WebSockets whose consumers are owed a `disconnect`.
    open_sockets: Arc<AtomicUsize>,
    lines: Lines,
    metrics: Arc<Metrics>,
    told: Told,
    response_sizes: ResponseSizes,
    drain: Drain,
}
