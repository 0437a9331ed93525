//! The facts of a connection.

use std::{net::SocketAddr, sync::Arc};

use super::{ChannelName, CorrelationId, Header, SessionLookup, User};

/// Which protocol a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP, one request and its response.
    Http,
    /// WebSocket, from handshake to end.
    Websocket,
}

/// The text that one `{name}` of a route's path stood for, percent-decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathParam {
    /// The name between the braces.
    pub name: String,
    /// The text.
    pub value: String,
}

/// The facts of a connection; they do not change while it is open. Names follow ASGI 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The connection's own channel.
    pub reply_channel: ChannelName,
    /// Follows the connection's events through logs and records.
    pub correlation: CorrelationId,
    /// The protocol.
    pub protocol: Protocol,
    /// Whether the client speaks TLS.
    pub secure: bool,
    /// The method in upper case.
    pub method: String,
    /// `1.0`, `1.1` or `2`.
    pub http_version: &'static str,
    /// The path, percent-decoded, with the root path.
    pub path: String,
    /// The path as the client wrote it.
    pub raw_path: String,
    /// What stood after the question mark, undecoded.
    pub query_string: String,
    /// What the route's path captured.
    pub path_params: Vec<PathParam>,
    /// The request's header fields.
    pub headers: Vec<Header>,
    /// The far end.
    pub client: SocketAddr,
    /// The near end.
    pub server: SocketAddr,
    /// Where the application is mounted: a part of the path that routes do not know.
    pub root_path: String,
    /// The subprotocols that a WebSocket client offers.
    pub subprotocols: Vec<String>,
    /// The user, where the route asks for one and the interface server has found out.
    pub user: Option<Arc<User>>,
    /// The session, where the interface server has looked for one.
    pub session: Option<SessionLookup>,
}

impl Scope {
    /// `http`, `https`, `ws` or `wss`.
    pub const fn scheme(&self) -> &'static str {
        match (self.protocol, self.secure) {
            (Protocol::Http, false) => "http",
            (Protocol::Http, true) => "https",
            (Protocol::Websocket, false) => "ws",
            (Protocol::Websocket, true) => "wss",
        }
    }
}
