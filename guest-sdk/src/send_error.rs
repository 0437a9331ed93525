//! Why the host refused something that a consumer wanted to send.

use std::fmt;

use crate::host::{connection, layer, reply};

/// Why a message, a membership or a delay was refused. Trying again gives the same answer.
///
/// ```
/// use std::collections::BTreeMap;
/// use tidegate_sdk::{Context, SendError, export, http, testing::TestHost};
///
/// #[http("POST /relay/{channel}")]
/// fn relay(cx: &mut Context, channel: &str) -> (u16, String) {
///     match cx.send(channel, &BTreeMap::from([("hello", "there")])) {
///         Ok(()) => (202, "sent\n".to_owned()),
///         Err(SendError::Forbidden(text)) => (403, text),
///         Err(error) => (400, error.to_string()),
///     }
/// }
///
/// export! { relay }
///
/// let host = TestHost::new(consumers());
/// assert_eq!(host.request("POST", "/relay/mail.out").send().status(), 403);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The name breaks a rule; the text says which.
    InvalidName(String),
    /// The channel or group belongs to somebody else; the text says to whom.
    Forbidden(String),
    /// The content is no MessagePack map with text keys; the text says why.
    InvalidContent(String),
    /// The content is larger than the layer takes.
    TooLarge {
        /// The size in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The event came from a channel of the application, so there is no own reply channel.
    NoConnection,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName(text) | Self::Forbidden(text) | Self::InvalidContent(text) => {
                f.write_str(text)
            }
            Self::TooLarge { bytes, limit } => {
                write!(f, "content of {bytes} bytes, and the limit is {limit}")
            }
            Self::NoConnection => f.write_str(
                "this event has no connection: name the channel with group_add_channel or \
                 group_discard_channel",
            ),
        }
    }
}

impl std::error::Error for SendError {}

impl From<layer::SendError> for SendError {
    fn from(error: layer::SendError) -> Self {
        match error {
            layer::SendError::InvalidName(text) => Self::InvalidName(text),
            layer::SendError::Forbidden(text) => Self::Forbidden(text),
            layer::SendError::InvalidContent(text) => Self::InvalidContent(text),
            layer::SendError::TooLarge(size) => {
                Self::TooLarge { bytes: size.bytes, limit: size.limit }
            }
        }
    }
}

/// Why an answer to the own connection was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyError {
    /// This event takes no such answer; the text says which it takes.
    WrongEvent(String),
    /// A status, header, subprotocol or close code that may not be sent.
    Invalid(String),
    /// The state is larger than the host keeps.
    StateTooLarge {
        /// The size in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongEvent(text) | Self::Invalid(text) => f.write_str(text),
            Self::StateTooLarge { bytes, limit } => {
                write!(f, "state of {bytes} bytes, and the limit is {limit}")
            }
        }
    }
}

impl std::error::Error for ReplyError {}

impl From<reply::ReplyError> for ReplyError {
    fn from(error: reply::ReplyError) -> Self {
        match error {
            reply::ReplyError::WrongEvent(text) => Self::WrongEvent(text),
            reply::ReplyError::Invalid(text) => Self::Invalid(text),
        }
    }
}

impl ReplyError {
    pub(crate) fn state(error: &connection::StateError, bytes: usize) -> Self {
        match error {
            connection::StateError::NoConnection => {
                Self::WrongEvent("only WebSocket events have a state".to_owned())
            }
            connection::StateError::TooLarge(limit) => {
                Self::StateTooLarge { bytes: bytes as u64, limit: *limit }
            }
        }
    }
}

/// Why [`flush`](crate::Context::flush) stopped. What stood before the failed entry is sent, the
/// failed one is removed, the rest stays in the outbox.
///
/// ```
/// use serde::Serialize;
/// use tidegate_sdk::{Context, FlushReason, Response, Result, channel, http};
///
/// #[derive(Serialize)]
/// struct Order {
///     cups: u32,
/// }
///
/// #[http("POST /coffee/{cups}")]
/// fn coffee(cx: &mut Context, cups: u32) -> Result<Response> {
///     cx.send("coffee.make", &Order { cups })?;
///     match cx.flush() {
///         Ok(()) => Ok(Response::text("soon\n").status(202)),
///         Err(error) if error.reason == FlushReason::ChannelFull => {
///             Ok(Response::text("too many orders\n").status(503))
///         }
///         Err(error) => Err(error.into()),
///     }
/// }
///
/// #[channel("coffee.make")]
/// fn make() {}
/// # tidegate_sdk::export! { coffee, make }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlushError {
    /// The position of the failed entry, counted from 0 since the last flush.
    pub index: u32,
    /// The channel or group of the failed entry.
    pub channel: String,
    /// What was wrong.
    pub reason: FlushReason,
}

/// What was wrong with an entry that could not be flushed. Unless it was refused, sending it again
/// later may work.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlushReason {
    /// The channel is full.
    ChannelFull,
    /// The layer cannot be reached.
    Unavailable(String),
    /// The layer does not take it: the connection is a member of as many groups as it may be.
    Refused(String),
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            FlushReason::ChannelFull => write!(f, "channel `{}` is full", self.channel),
            FlushReason::Unavailable(text) => {
                write!(f, "no layer to send to `{}`: {text}", self.channel)
            }
            FlushReason::Refused(text) => write!(f, "`{}`: {text}", self.channel),
        }
    }
}

impl std::error::Error for FlushError {}

impl From<layer::FlushError> for FlushError {
    fn from(error: layer::FlushError) -> Self {
        let reason = match error.reason {
            layer::FlushReason::ChannelFull => FlushReason::ChannelFull,
            layer::FlushReason::Unavailable(text) => FlushReason::Unavailable(text),
            layer::FlushReason::Refused(text) => FlushReason::Refused(text),
        };
        Self { index: error.index, channel: error.channel, reason }
    }
}
