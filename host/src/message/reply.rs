//! What goes back to a connection.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};

use super::{Close, Frame};

/// One header field, checked when it was made.
pub type Header = (HeaderName, HeaderValue);

/// A whole HTTP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status and header fields.
    pub head: ResponseHead,
    /// The body.
    pub body: Bytes,
}

/// Status and header fields of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status.
    pub status: StatusCode,
    /// The header fields, in order.
    pub headers: Vec<Header>,
}

/// How a WebSocket handshake is accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handshake {
    /// The subprotocol chosen.
    pub subprotocol: Option<String>,
    /// Header fields of the handshake's response.
    pub headers: Vec<Header>,
}

/// One step of an answer. A connection ignores and counts what does not fit its protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A whole HTTP response.
    Respond(Response),
    /// The start of a streamed response.
    StreamStart(ResponseHead),
    /// A part of its body.
    StreamChunk(Bytes),
    /// The end of its body.
    StreamEnd,
    /// Keep the request open after the consumer has returned.
    Hold {
        /// For how long.
        timeout: Duration,
        /// What to answer then; status 504 if none.
        fallback: Option<Response>,
    },
    /// Accept the handshake. Ignored on an open WebSocket.
    Accept(Handshake),
    /// Deny the handshake. Ignored on an open WebSocket.
    Deny,
    /// A WebSocket message.
    Send(Frame),
    /// Close the WebSocket, or deny the handshake.
    Close(Close),
}

/// What it takes to keep a reply beside its content: empty frames must not wait without bound.
const OVERHEAD: usize = 64;

impl Reply {
    /// Bytes that this adds to what waits for the client; never 0.
    pub fn cost(&self) -> usize {
        OVERHEAD + self.content_len()
    }

    fn content_len(&self) -> usize {
        match self {
            Self::Respond(response) => response.body.len(),
            Self::StreamChunk(chunk) => chunk.len(),
            Self::Send(frame) => frame.len(),
            Self::Hold { fallback, .. } => fallback.as_ref().map_or(0, |r| r.body.len()),
            Self::StreamStart(_)
            | Self::StreamEnd
            | Self::Accept(_)
            | Self::Deny
            | Self::Close(_) => 0,
        }
    }
}
