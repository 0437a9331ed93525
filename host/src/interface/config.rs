//! What connections may use, and how they are treated.

use std::{num::NonZeroU32, time::Duration};

use super::{proxies::ProxyConfig, transport::UnixAccess, websocket::OriginPolicy};

/// Settings of the interface server.
#[derive(Clone, Debug)]
pub struct InterfaceConfig {
    /// Where the application is mounted: begins with `/` and does not end with one, or is empty.
    pub root_path: String,
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
    /// Who may connect to Unix sockets.
    pub unix: UnixAccess,
    /// Which proxies are believed.
    pub proxies: ProxyConfig,
    /// Which pages may open a WebSocket.
    pub origins: OriginPolicy,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How long an open WebSocket lives.
    pub liveness: Liveness,
    /// What strangers may use at most.
    pub limits: AbuseLimits,
    /// How connections end when the process stops.
    pub drain: DrainConfig,
}

/// How long a client may take for each thing.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// What comes before HTTP: PROXY protocol, TLS, the first bytes.
    pub handshake: Duration,
    /// A request's head; and a new connection may wait so long for its first.
    pub header: Duration,
    /// A connection without a request may wait so long for the next.
    pub keep_alive: Duration,
    /// A request's body.
    pub body: Duration,
    /// A write that makes no progress.
    pub write: Duration,
    /// The answer to a close frame.
    pub close: Duration,
}

/// How long an open WebSocket lives.
#[derive(Clone, Debug)]
pub struct Liveness {
    /// After so long without a sign of the client it is pinged. HTTP/2 connections, too.
    pub ping_interval: Duration,
    /// A ping must be answered within this time.
    pub ping_timeout: Duration,
    /// After so long without a message in either direction it is closed.
    pub idle: Option<Duration>,
    /// After so long it is closed, whatever happens on it.
    pub age: Option<Duration>,
}

/// What strangers may use at most. `None` is no limit.
#[derive(Clone, Debug)]
pub struct AbuseLimits {
    /// Open connections.
    pub connections: Option<usize>,
    /// Open connections of one address; of IPv6, of one /64 network.
    pub per_address: Option<usize>,
    /// New connections in a second.
    pub per_second: Option<NonZeroU32>,
    /// Frames of one WebSocket in a second: parts of messages, pings and pongs.
    pub frames_per_second: Option<NonZeroU32>,
    /// Requests that wait without a slot.
    pub holds: Option<usize>,
    /// Bytes of the target of a request.
    pub uri_bytes: usize,
    /// Header fields of a request.
    pub header_count: usize,
    /// Bytes of their names and values.
    pub header_bytes: usize,
    /// Requests of one HTTP/2 connection at the same time.
    pub streams: u32,
    /// WebSockets of one HTTP/2 connection at the same time, besides.
    pub sockets: u32,
    /// Counts what is beyond a limit of this list, and lets it pass.
    pub dry_run: bool,
}

/// How connections end when the process stops.
#[derive(Clone, Debug)]
pub struct DrainConfig {
    /// How long all goes on after readiness turned red, so that load balancers notice.
    pub delay: Duration,
    /// How long connections have to end.
    pub grace: Duration,
    /// WebSockets closed in a second; spread over the grace period if none.
    pub rate: Option<NonZeroU32>,
}

impl Default for InterfaceConfig {
    fn default() -> Self {
        Self {
            root_path: String::new(),
            body_bytes: 1024 * 1024,
            frame_bytes: 1024 * 1024,
            inbound_frames: 32,
            inbound_bytes: 64 * 1024,
            websocket_unsent: 1024 * 1024,
            http_unsent: 16 * 1024 * 1024,
            unix: UnixAccess::default(),
            proxies: ProxyConfig::default(),
            origins: OriginPolicy::default(),
            timeouts: Timeouts::default(),
            liveness: Liveness::default(),
            limits: AbuseLimits::default(),
            drain: DrainConfig::default(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            header: Duration::from_secs(10),
            // Balancers such as nginx and those of AWS keep theirs for 60 s, and must be the first to
            // close: a request on its way to a connection that ends is lost.
            keep_alive: Duration::from_secs(75),
            body: Duration::from_secs(30),
            write: Duration::from_secs(30),
            close: Duration::from_secs(5),
        }
    }
}

impl Default for Liveness {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(10),
            idle: None,
            age: None,
        }
    }
}

impl Default for AbuseLimits {
    fn default() -> Self {
        Self {
            connections: Some(50_000),
            per_address: Some(1_000),
            per_second: NonZeroU32::new(5_000),
            frames_per_second: NonZeroU32::new(10_000),
            holds: Some(10_000),
            uri_bytes: 8 * 1024,
            header_count: 100,
            header_bytes: 64 * 1024,
            streams: 100,
            // Browsers open at most 255.
            sockets: 256,
            dry_run: false,
        }
    }
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self { delay: Duration::from_secs(5), grace: Duration::from_secs(30), rate: None }
    }
}
