//! The interface server: holds the connections, turns what happens on them into events, and writes
//! what is answered. Never imports the worker: they meet at the channel layer alone.

mod access;
mod connections;
mod conversation;
mod http;
mod inbox;
mod line;
mod mailbox;
mod rules;
mod server;
mod websocket;

use std::{sync::Arc, time::Duration};

pub use server::{BindError, InterfaceServer, Running};

use self::{connections::Connections, line::Lines};
use crate::{
    layer::ChannelLayer, message::NodeName, routing::Routes, shutdown::Drain, telemetry::Metrics,
};

/// What connections may use.
#[derive(Clone, Debug)]
pub struct InterfaceConfig {
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Bytes of a WebSocket message from a client.
    pub frame_bytes: usize,
    /// WebSocket messages of one connection that wait for their turn before the socket is no longer
    /// read.
    pub inbound_frames: usize,
    /// Bytes that wait for their turn before the socket is no longer read.
    pub inbound_bytes: usize,
    /// Bytes that wait for a WebSocket client; beyond, it is closed with 1013.
    pub websocket_unsent: usize,
    /// Bytes that wait for an HTTP client; beyond, the response is aborted.
    pub http_unsent: usize,
    /// How long a request's head may take.
    pub header_timeout: Duration,
    /// How long a request's body may take.
    pub body_timeout: Duration,
    /// How long a WebSocket client has to answer a close frame.
    pub close_timeout: Duration,
    /// How long shutdown waits for connections.
    pub grace: Duration,
}

impl Default for InterfaceConfig {
    fn default() -> Self {
        Self {
            body_bytes: 1024 * 1024,
            frame_bytes: 1024 * 1024,
            inbound_frames: 32,
            inbound_bytes: 64 * 1024,
            websocket_unsent: 1024 * 1024,
            http_unsent: 16 * 1024 * 1024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            grace: Duration::from_secs(30),
        }
    }
}

/// What all connections share.
#[derive(Debug)]
struct Hub {
    config: InterfaceConfig,
    node: NodeName,
    layer: Arc<dyn ChannelLayer>,
    routes: Routes,
    connections: Connections,
    lines: Lines,
    metrics: Arc<Metrics>,
    drain: Drain,
}
