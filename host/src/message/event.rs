//! What happens on connections, and the messages that say so.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Cause, Content, CorrelationId, MessageId, Protocol, Scope, TraceContext};

/// The content of one WebSocket message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Bytes),
}

impl Frame {
    /// The size of the content in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether there is no content.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How a WebSocket ends: code and reason of RFC 6455, section 7.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The close code.
    pub code: u16,
    /// The reason, possibly empty.
    pub reason: String,
}

impl Close {
    /// A close code with a reason.
    pub fn new(code: u16, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

/// What happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A request with its whole body.
    HttpRequest(Bytes),
    /// The client left before the response was complete.
    HttpDisconnect,
    /// A client asks for a WebSocket.
    WebsocketConnect,
    /// A message from the client.
    WebsocketReceive(Frame),
    /// The WebSocket is over.
    WebsocketDisconnect(Close),
}

impl EventKind {
    /// The channel of the kind, which a dot and the module's name follow.
    pub const fn channel(&self) -> &'static str {
        match self {
            Self::HttpRequest(_) => "http.request",
            Self::HttpDisconnect => "http.disconnect",
            Self::WebsocketConnect => "websocket.connect",
            Self::WebsocketReceive(_) => "websocket.receive",
            Self::WebsocketDisconnect(_) => "websocket.disconnect",
        }
    }

    /// The protocol of connections where this happens.
    pub const fn protocol(&self) -> Protocol {
        match self {
            Self::HttpRequest(_) | Self::HttpDisconnect => Protocol::Http,
            Self::WebsocketConnect | Self::WebsocketReceive(_) | Self::WebsocketDisconnect(_) => {
                Protocol::Websocket
            }
        }
    }

    /// Bytes that came from the client.
    fn len(&self) -> usize {
        match self {
            Self::HttpRequest(body) => body.len(),
            Self::WebsocketReceive(frame) => frame.len(),
            Self::WebsocketDisconnect(close) => close.reason.len(),
            Self::HttpDisconnect | Self::WebsocketConnect => 0,
        }
    }
}

/// Something that happened on a connection, for one consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The facts of the connection.
    pub scope: Arc<Scope>,
    /// The consumer, by the name its module gave it.
    pub consumer: Arc<str>,
    /// Counts the connection's events from 0: the event's id. A connection has one in flight.
    pub order: u64,
    /// What happened.
    pub kind: EventKind,
    /// The connection's state.
    pub state: Option<Bytes>,
    /// The highest activation of the module that served this connection so far: versions may go back,
    /// activations do not. With the first event the one that the route is of.
    pub activation: u64,
    /// Whether the node is told when the event is over, and of the new state. A node that does not
    /// ask gets an answer in words where the consumer has none.
    pub wants_done: bool,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Something happened on a connection.
    Event(Box<Event>),
    /// What a consumer or another program sent.
    Custom(Content),
}

/// A message on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it says.
    pub payload: Payload,
    /// Follows the message through logs and records.
    pub correlation: CorrelationId,
    /// Its own, however often it is delivered. None: its sender gave none.
    pub id: Option<MessageId>,
    /// The span that caused it; none if there are no spans.
    pub trace: Option<TraceContext>,
    /// How long it may wait unread; the layer's own span if none.
    pub expires_after: Option<Duration>,
}

impl Message {
    /// A message for the application's own channels.
    pub fn custom(content: Content, cause: impl Into<Cause>) -> Self {
        let id = Some(MessageId::random());
        let Cause { correlation, trace } = cause.into();
        Self { payload: Payload::Custom(content), correlation, id, trace, expires_after: None }
    }

    /// The size that the layer's limit is compared with, in bytes.
    pub fn len(&self) -> usize {
        match &self.payload {
            Payload::Custom(content) => content.as_bytes().len(),
            Payload::Event(event) => {
                let headers = event.scope.headers.iter();
                event.kind.len()
                    + event.state.as_ref().map_or(0, Bytes::len)
                    + event.scope.raw_path.len()
                    + event.scope.query_string.len()
                    + event.scope.user.as_ref().map_or(0, |user| user.len())
                    + headers.map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
            }
        }
    }

    /// Whether it has no size.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
