//! Replies, one map each, with the types that ASGI 3 gives them.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{Blob, WireError};
use crate::message::{
    Close, Frame, Handshake, Header, Reply, Response, ResponseHead, check_headers,
};

type WireHeaders = Vec<(Blob, Blob)>;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireResponse {
    status: u16,
    headers: WireHeaders,
    body: Blob,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type")]
pub(super) enum WireReply {
    /// A whole response.
    #[serde(rename = "http.response")]
    Response(WireResponse),
    #[serde(rename = "http.response.start")]
    Start { status: u16, headers: WireHeaders },
    #[serde(rename = "http.response.body")]
    Body { body: Blob, more_body: bool },
    #[serde(rename = "http.hold")]
    Hold { timeout_ms: u64, fallback: Option<WireResponse> },
    #[serde(rename = "websocket.accept")]
    Accept { subprotocol: Option<String>, headers: WireHeaders },
    #[serde(rename = "websocket.deny")]
    Deny {},
    #[serde(rename = "websocket.send")]
    Send { text: Option<String>, bytes: Option<Blob> },
    #[serde(rename = "websocket.close")]
    Close { code: u16, reason: String },
}

fn headers(headers: &[Header]) -> WireHeaders {
    let bytes = |bytes: &[u8]| Blob(Bytes::copy_from_slice(bytes));
    headers
        .iter()
        .map(|(name, value)| (bytes(name.as_str().as_bytes()), bytes(value.as_bytes())))
        .collect()
}

fn checked(headers: WireHeaders) -> Result<Vec<Header>, WireError> {
    let fields = headers.into_iter().map(|(name, value)| (name.0, value.0));
    check_headers(fields).map_err(|error| WireError::field("headers")(&error))
}

impl From<&Response> for WireResponse {
    fn from(response: &Response) -> Self {
        Self {
            status: response.head.status.as_u16(),
            headers: headers(&response.head.headers),
            body: Blob(response.body.clone()),
        }
    }
}

impl From<&Reply> for WireReply {
    fn from(reply: &Reply) -> Self {
        match reply {
            Reply::Respond(response) => Self::Response(response.into()),
            Reply::StreamStart(head) => {
                Self::Start { status: head.status.as_u16(), headers: headers(&head.headers) }
            }
            Reply::StreamChunk(chunk) => Self::Body { body: Blob(chunk.clone()), more_body: true },
            Reply::StreamEnd => Self::Body { body: Blob(Bytes::new()), more_body: false },
            Reply::Hold { timeout, fallback } => Self::Hold {
                timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
                fallback: fallback.as_ref().map(WireResponse::from),
            },
            Reply::Accept(handshake) => Self::Accept {
                subprotocol: handshake.subprotocol.clone(),
                headers: headers(&handshake.headers),
            },
            Reply::Deny => Self::Deny {},
            Reply::Send(Frame::Text(text)) => Self::Send { text: Some(text.clone()), bytes: None },
            Reply::Send(Frame::Binary(bytes)) => {
                Self::Send { text: None, bytes: Some(Blob(bytes.clone())) }
            }
            Reply::Close(close) => Self::Close { code: close.code, reason: close.reason.clone() },
        }
    }
}

fn head(status: u16, headers: WireHeaders) -> Result<ResponseHead, WireError> {
    let status =
        StatusCode::from_u16(status).map_err(|error| WireError::field("status")(&error))?;
    Ok(ResponseHead { status, headers: checked(headers)? })
}

impl WireResponse {
    fn into_response(self) -> Result<Response, WireError> {
        Ok(Response { head: head(self.status, self.headers)?, body: self.body.0 })
    }
}

impl WireReply {
    /// Most are one reply; the last part of a body that has some is two.
    pub(super) fn add_to(self, replies: &mut Vec<Reply>) -> Result<(), WireError> {
        let reply = match self {
            Self::Response(response) => Reply::Respond(response.into_response()?),
            Self::Start { status, headers } => Reply::StreamStart(head(status, headers)?),
            Self::Body { body, more_body: true } => Reply::StreamChunk(body.0),
            Self::Body { body, more_body: false } => {
                if !body.0.is_empty() {
                    replies.push(Reply::StreamChunk(body.0));
                }
                Reply::StreamEnd
            }
            Self::Hold { timeout_ms, fallback } => Reply::Hold {
                timeout: Duration::from_millis(timeout_ms),
                fallback: fallback.map(WireResponse::into_response).transpose()?,
            },
            Self::Accept { subprotocol, headers } => {
                Reply::Accept(Handshake { subprotocol, headers: checked(headers)? })
            }
            Self::Deny {} => Reply::Deny,
            Self::Send { text: Some(text), bytes: None } => Reply::Send(Frame::Text(text)),
            Self::Send { text: None, bytes: Some(bytes) } => Reply::Send(Frame::Binary(bytes.0)),
            Self::Send { .. } => {
                return Err(WireError::field("text")(&"there is either text or bytes"));
            }
            Self::Close { code, reason } => Reply::Close(Close { code, reason }),
        };
        replies.push(reply);
        Ok(())
    }
}
