//! How a WebSocket ends, and who ended it.

use tokio_tungstenite::tungstenite::{self, error::CapacityError};

use super::metered::TooFast;
use crate::{layer::SendError, message::Close};

/// How a socket ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) close: Close,
    pub(super) by: By,
    /// Whether the line was lost, and the client may come back.
    pub(super) is_loss: bool,
}

/// Clients that come back close with these codes: ours when nothing has come for too long, libraries that ping when
/// nothing answers.
const HEARD_NOTHING: [u16; 2] = [4408, 1011];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Client,
    Application,
    Host,
}

impl End {
    pub(super) fn host(code: u16, reason: impl Into<String>) -> Self {
        Self::by_host(Close::new(code, reason))
    }

    pub(super) const fn by_host(close: Close) -> Self {
        Self { close, by: By::Host, is_loss: false }
    }

    /// The consumer closes it.
    pub(super) const fn by_application(close: Close) -> Self {
        Self { close, by: By::Application, is_loss: false }
    }

    /// The client closes it.
    pub(super) fn by_client(close: Close) -> Self {
        let is_loss = HEARD_NOTHING.contains(&close.code);
        Self { close, by: By::Client, is_loss }
    }

    /// The host closes the line, and the client may come back.
    pub(super) fn lost(self) -> Self {
        Self { is_loss: true, ..self }
    }

    /// The connection ended without a close frame.
    pub(super) fn broken() -> Self {
        Self { close: Close::new(1006, ""), by: By::Client, is_loss: true }
    }

    /// The client broke a rule of RFC 6455, or the connection broke.
    pub(super) fn of(error: &tungstenite::Error) -> Self {
        use tungstenite::Error;
        match error {
            Error::Capacity(CapacityError::MessageTooLong { .. }) => {
                Self::host(1009, "the message is too large")
            }
            Error::Utf8(_) => Self::host(1007, "a text message is not UTF-8"),
            Error::Io(error) if error.get_ref().is_some_and(|it| it.is::<TooFast>()) => {
                Self::host(1008, "too many frames in a second")
            }
            Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)
            | Error::Io(_)
            | Error::ConnectionClosed
            | Error::AlreadyClosed => Self::broken(),
            _ => Self::host(1002, "a frame breaks the protocol"),
        }
    }

    /// Whether the client broke a rule, so that its frames cannot be read any more.
    pub(super) fn is_violation(&self) -> bool {
        self.by == By::Host && matches!(self.close.code, 1002 | 1007 | 1008 | 1009)
    }

    pub(super) fn unsendable(error: &SendError) -> Self {
        match error {
            SendError::TooLarge { .. } => Self::host(1009, "the message is too large"),
            SendError::ChannelFull(_)
            | SendError::TooManyDelayed { .. }
            | SendError::TooManyGroups { .. }
            | SendError::Layer(_) => Self::host(1013, "the message cannot be served now"),
        }
    }
}
