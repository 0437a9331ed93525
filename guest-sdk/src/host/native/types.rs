//! As `interface types` of the contract; documented there.

/// One header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub name: String,
    pub value: Vec<u8>,
}

/// One end of a TCP connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

/// The text that one `{name}` of the route's path stood for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathParam {
    pub name: String,
    pub value: String,
}

/// The facts of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    pub reply_channel: String,
    pub scheme: String,
    pub method: String,
    pub http_version: String,
    pub path: String,
    pub raw_path: String,
    pub query_string: String,
    pub path_params: Vec<PathParam>,
    pub headers: Vec<Header>,
    pub client: Address,
    pub server: Address,
    pub root_path: String,
    pub subprotocols: Vec<String>,
}

/// A whole HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    pub scope: Scope,
    pub body: Vec<u8>,
}

/// The client left early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpDisconnect {
    pub reply_channel: String,
    pub path: String,
    pub path_params: Vec<PathParam>,
}

/// A client asks for a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebsocketConnect {
    pub scope: Scope,
}

/// The content of one WebSocket message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Binary(Vec<u8>),
}

/// A message from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebsocketReceive {
    pub reply_channel: String,
    pub path: String,
    pub path_params: Vec<PathParam>,
    pub order: u64,
    pub frame: Frame,
}

/// The connection is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebsocketDisconnect {
    pub reply_channel: String,
    pub path: String,
    pub path_params: Vec<PathParam>,
    pub order: u64,
    pub code: u16,
    pub reason: String,
}

/// A message on a channel of the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelMessage {
    pub channel: String,
    pub content: Vec<u8>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    HttpRequest(HttpRequest),
    HttpDisconnect(HttpDisconnect),
    WebsocketConnect(WebsocketConnect),
    WebsocketReceive(WebsocketReceive),
    WebsocketDisconnect(WebsocketDisconnect),
    ChannelMessage(ChannelMessage),
}

/// The facts of one run of one consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    pub module: String,
    pub consumer: String,
    pub correlation_id: String,
}

/// A whole HTTP response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<Header>,
    pub body: Vec<u8>,
}

/// The start of a streamed response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    pub status: u16,
    pub headers: Vec<Header>,
}

/// One step of a streamed response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamPart {
    Start(ResponseHead),
    Chunk(Vec<u8>),
    End,
}

/// How a WebSocket handshake is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    pub subprotocol: Option<String>,
    pub headers: Vec<Header>,
}
