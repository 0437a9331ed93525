//! The connections of a user.

use std::fmt;

use serde::Serialize;

use crate::host::online;
use crate::payload;

/// The connections of a user to this module, over all processes: open WebSockets, from their handshake on, and
/// requests on hold. [`Context::connections_of`](crate::Context::connections_of) makes one.
///
/// The host notes whose a connection is where [`#[user]`](macro@crate::user) or [`#[claims]`](macro@crate::claims)
/// stands before its consumer.
///
/// ```
/// use tidegate_sdk::testing::TestHost;
/// use tidegate_sdk::{Context, Frame, Handshake, Result, Socket, User, Websocket, export, http, websocket};
///
/// struct News;
///
/// #[websocket("/news")]
/// impl Websocket for News {
///     type State = ();
///     type Incoming = Frame;
///
///     fn connect(&self, _: &mut Socket<()>) -> Result<Handshake> {
///         Ok(Handshake::accept())
///     }
///
///     fn receive(&self, _: &mut Socket<()>, _: Frame) -> Result<()> {
///         Ok(())
///     }
/// }
///
/// #[http("POST /tell/{whom}")]
/// fn tell(cx: &mut Context, whom: &str) -> Result<String> {
///     let mut theirs = cx.connections_of(whom);
///     theirs.send(&Frame::text("a parcel has come"))?;
///     Ok(format!("told {} tabs\n", theirs.count()?))
/// }
///
/// #[http("POST /sign-out")]
/// fn sign_out(cx: &mut Context, user: User) -> Result<&'static str> {
///     cx.connections_of(user.id()).close(4000, "signed out")?;
///     Ok("signed out\n")
/// }
///
/// export! { #[user] News, tell, #[user] sign_out }
///
/// let host = TestHost::new(consumers());
/// let ada = host.websocket("/news").signed_in("ada").connect().unwrap();
/// let bob = host.websocket("/news").signed_in("bob").connect().unwrap();
/// assert_eq!(host.request("POST", "/tell/ada").send().text(), "told 1 tabs\n");
/// ada.expect_text("a parcel has come");
/// bob.expect_nothing();
/// assert_eq!(host.request("POST", "/sign-out").signed_in("ada").send().status(), 200);
/// ada.expect_close(4000);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserConnections<'a> {
    user: &'a str,
}

impl<'a> UserConnections<'a> {
    pub(crate) const fn new(user: &'a str) -> Self {
        Self { user }
    }

    /// Sends a message to all of them: a [`Frame`](crate::Frame), [`Response`](crate::Response) or
    /// [`Close`](crate::Close), or what [`Context::group_send`](crate::Context::group_send) takes besides. It waits
    /// in the outbox, in order with all that the consumer sends. Nobody gets it where there is no connection.
    ///
    /// # Errors
    /// When the host refuses the id of the user or the content, or serde cannot write the payload.
    pub fn send(&mut self, payload: &impl Serialize) -> Result<(), OnlineError> {
        let content =
            payload::encode(payload).map_err(|error| OnlineError::Invalid(error.to_string()))?;
        Ok(online::user_send(self.user, &content)?)
    }

    /// Closes all of them, in order with all that the consumer sends. WebSockets get the code, 1000 or 3000 to 4999,
    /// and the reason, at most 123 bytes. Requests on hold end as if their time were over.
    ///
    /// # Errors
    /// When the host refuses the id of the user, the code or the reason.
    pub fn close(&mut self, code: u16, reason: &str) -> Result<(), OnlineError> {
        Ok(online::user_close(self.user, code, reason)?)
    }

    /// Counts them. What this run sends or closes has not been sent yet. The call asks the layer, and waits for it.
    ///
    /// # Errors
    /// When the host refuses the id of the user, or the layer does not answer.
    pub fn count(&self) -> Result<u64, OnlineError> {
        Ok(online::user_connections(self.user)?)
    }
}

/// Why nothing was done with the connections of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnlineError {
    /// The call breaks a rule; the text says which. Trying again gives the same answer.
    Invalid(String),
    /// The layer does not answer. Trying again later may work.
    Unavailable(String),
}

impl fmt::Display for OnlineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Invalid(text) | Self::Unavailable(text)) = self;
        f.write_str(text)
    }
}

impl std::error::Error for OnlineError {}

impl From<online::OnlineError> for OnlineError {
    fn from(error: online::OnlineError) -> Self {
        match error {
            online::OnlineError::Invalid(text) => Self::Invalid(text),
            online::OnlineError::Unavailable(text) => Self::Unavailable(text),
        }
    }
}
