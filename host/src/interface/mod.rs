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
mod entry;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod inbox;
mod limits_log;
mod mailbox;
mod online;
mod pace;
mod positions;
mod proxies;
mod registration;
mod roster;
mod serve;
mod server;
mod spans;
mod strictness;
mod tokens;
mod transport;
mod unsent;
mod users;
mod websocket;

use std::{
    net::IpAddr,
    sync::{Arc, atomic::AtomicUsize},
};

use self::{
    admission::Admission,
    backlog::Lines,
    connections::Connections,
    limits_log::{LimitsLog, Reason},
    unsent::ResponseSizes,
    users::Users,
    websocket::Returns,
};
pub(crate) use self::{admission::network_of, transport::read_out};
pub use self::{
    config::{AbuseLimits, DrainConfig, InterfaceConfig, Liveness, Timeouts},
    proxies::{Forwarding, ProxyConfig},
    roster::{Answer, ClientClose, ConnectionFacts, QUESTIONS, Question, QuestionError, Selection},
    server::{InterfaceServer, Parts, Running},
    transport::{
        BindError, Endpoint, EndpointError, TlsConfig, TlsError, UnixAccess, UnixAccessError,
        UnixMode, UnixOwner,
    },
    websocket::{OriginError, OriginPolicy, OriginRule},
};
use crate::{
    layer::ChannelLayer,
    message::NodeName,
    routing::Routes,
    shutdown::Drain,
    telemetry::{Metrics, Traces},
};

/// The state that all connections share.
#[derive(Debug)]
struct Hub {
    config: InterfaceConfig,
    node: NodeName,
    layer: Arc<dyn ChannelLayer>,
    routes: Routes,
    users: Users,
    admission: Admission,
    connections: Connections,
    /// Connections whose clients may come back.
    returns: Returns,
    /// WebSockets whose consumers are owed a `disconnect`.
    open_sockets: Arc<AtomicUsize>,
    lines: Lines,
    metrics: Arc<Metrics>,
    traces: Traces,
    limits_log: LimitsLog,
    response_sizes: ResponseSizes,
    drain: Drain,
}

impl Hub {
    /// Counts a limit or rule that a client does not keep. Returns whether to refuse: a dry run lets limits
    /// pass.
    fn refuse(&self, reason: Reason, client: IpAddr) -> bool {
        let is_dry_run = self.config.limits.dry_run;
        self.limits_log.refuse(reason, client, is_dry_run, &self.metrics)
    }
}
