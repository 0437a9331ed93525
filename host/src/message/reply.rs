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
const REPLY_OVERHEAD_BYTES: usize = 64;

impl Reply {
    /// Bytes that this adds to what waits for the client; never 0.
    pub fn cost(&self) -> usize {
        REPLY_OVERHEAD_BYTES + self.content_len()
    }

    /// Bytes that a WebSocket message adds to what waits for the client: the cost of [`Reply::Send`].
    pub fn cost_of_frame(frame: &Frame) -> usize {
        REPLY_OVERHEAD_BYTES + frame.len()
    }

    fn content_len(&self) -> usize {
        match self {
            Self::Respond(response) => response.cost(),
            Self::StreamChunk(chunk) => chunk.len(),
            Self::Send(frame) => frame.len(),
            Self::Hold { fallback, .. } => fallback.as_ref().map_or(0, Response::cost),
            Self::StreamStart(head) => headers_cost(&head.headers),
            Self::Accept(handshake) => headers_cost(&handshake.headers),
            Self::StreamEnd | Self::Deny | Self::Close(_) => 0,
        }
    }
}

impl Response {
    fn cost(&self) -> usize {
        self.body.len() + headers_cost(&self.head.headers)
    }
}

fn headers_cost(headers: &[Header]) -> usize {
    headers
        .iter()
        .map(|(name, value)| REPLY_OVERHEAD_BYTES + name.as_str().len() + value.len())
        .sum()
}

/// Which rule the header fields of a reply break.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The name is no token.
    #[error("{0:?} is not a valid header name")]
    Name(String),
    /// The value has a control character.
    #[error("the value of the header {0} has a control character")]
    Value(HeaderName),
    /// The field is the host's.
    #[error("the header {0} belongs to the connection; the host sets it")]
    OfTheConnection(HeaderName),
    /// There are too many fields.
    #[error("a reply has at most {MAX_HEADERS} header fields")]
    TooMany,
    /// The fields are too large together.
    #[error("the header fields of a reply have at most {MAX_HEADER_BYTES} bytes")]
    TooLarge,
}

/// Header fields of one reply.
const MAX_HEADERS: usize = 100;
/// Bytes of their names and values.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Checks the header fields of a reply. Fields of the connection are the host's.
pub fn check_headers<N: AsRef<[u8]>>(
    fields: impl IntoIterator<Item = (N, Bytes)>,
) -> Result<Vec<Header>, HeaderError> {
    let (mut headers, mut bytes) = (Vec::new(), 0);
    for (name, value) in fields {
        bytes += name.as_ref().len() + value.len();
        if bytes > MAX_HEADER_BYTES {
            return Err(HeaderError::TooLarge);
        }
        if headers.len() >= MAX_HEADERS {
            return Err(HeaderError::TooMany);
        }
        let name = HeaderName::from_bytes(name.as_ref())
            .map_err(|_| HeaderError::Name(String::from_utf8_lossy(name.as_ref()).into_owned()))?;
        if is_of_the_connection(&name) {
            return Err(HeaderError::OfTheConnection(name));
        }
        let value =
            HeaderValue::from_maybe_shared(value).map_err(|_| HeaderError::Value(name.clone()))?;
        headers.push((name, value));
    }
    Ok(headers)
}

fn is_of_the_connection(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("sec-websocket-")
        || matches!(
            name,
            "connection"
                | "transfer-encoding"
                | "upgrade"
                | "keep-alive"
                | "proxy-connection"
                | "te"
                | "trailer"
                | "content-length"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(count: usize, bytes: usize) -> Vec<(String, Bytes)> {
        (0..count).map(|at| (format!("x-{at:03}"), Bytes::from(vec![b'v'; bytes]))).collect()
    }

    #[test]
    fn header_fields_are_bounded_in_number_and_bytes_and_count_as_cost() {
        let headers = check_headers(fields(100, 100)).unwrap();
        let cost = Reply::Accept(Handshake { subprotocol: None, headers }).cost();
        assert!(cost >= 100 * 105, "{cost}");
        assert_eq!(check_headers(fields(101, 1)), Err(HeaderError::TooMany));
        assert_eq!(check_headers(fields(65, 1_024)), Err(HeaderError::TooLarge));
    }

    #[test]
    fn a_header_of_the_connection_or_with_a_line_break_is_refused() {
        for (name, value) in [
            ("Transfer-Encoding", "chunked"),
            ("content-length", "1"),
            ("Sec-WebSocket-Accept", "x"),
            ("x-a", "b\r\nx-c: d"),
            ("x a", "b"),
            ("", "b"),
        ] {
            let field = [(name, Bytes::from_static(value.as_bytes()))];
            assert!(check_headers(field).is_err(), "{name}: {value}");
        }
    }
}
