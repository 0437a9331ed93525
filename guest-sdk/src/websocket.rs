//! Consumers of WebSocket connections.

use std::ops::{Deref, DerefMut};

use serde::Serialize;

use crate::host::{reply, types};
use crate::{Close, Context, Frame, FromFrame, Group, ReplyError, Result, State, state};

/// A consumer of WebSocket connections; see [`websocket`](macro@crate::websocket).
///
/// The implementing struct holds what the path captured. Each call may come on a fresh instance of
/// the module: what a connection needs to remember belongs into its [`State`].
pub trait Websocket: Sized {
    /// What the host keeps with each connection. `()` for nothing.
    type State: State;

    /// How messages are read: [`Frame`], [`String`] or [`Json`](crate::Json). A message that does
    /// not read closes the connection with code 4400 and the reason; that is no fault. With
    /// `Result<Json<T>, String>` the consumer gets the reason instead.
    type Incoming: FromFrame;

    /// The groups that the connection is a member of from acceptance to end. None unless overridden.
    ///
    /// It joins them when [`connect`](Self::connect) has accepted, so a handshake that is denied joins
    /// nothing, and what `connect` itself sends to a group does not reach it. Whatever is sent to
    /// them once the client knows that it is let in does. The host takes it out when
    /// [`disconnect`](Self::disconnect) has returned, and when its process dies; what `disconnect`
    /// sends to the groups reaches the others only, since the connection is over.
    ///
    /// A new version of the module finds open connections in the groups that the version at their
    /// handshake named.
    fn groups(&self) -> Vec<Group<'static>> {
        Vec::new()
    }

    /// A client asks for a connection. Accepts it unless overridden.
    ///
    /// What is sent to the connection here follows the acceptance. It is dropped when the handshake
    /// is denied.
    ///
    /// # Errors
    /// An error is a fault and denies the handshake; [`Error::response`](crate::Error::response) and
    /// its kin deny it without a fault.
    fn connect(&self, socket: &mut Socket<Self::State>) -> Result<Handshake> {
        let _ = socket;
        Ok(Handshake::accept())
    }

    /// A message from the client. The next one comes when this has returned.
    ///
    /// # Errors
    /// An error is a fault: nothing is sent, and the connection closes with code 1011.
    fn receive(&self, socket: &mut Socket<Self::State>, incoming: Self::Incoming) -> Result<()>;

    /// The connection is over, from either side. Called once for each that was accepted.
    ///
    /// # Errors
    /// An error is a fault.
    fn disconnect(&self, socket: &mut Socket<Self::State>, close: Close) -> Result<()> {
        let _ = (socket, close);
        Ok(())
    }
}

/// A WebSocket connection. Derefs to [`Context`].
///
/// ```
/// use tidegate_sdk::{Json, Result, Socket, Websocket, export, testing::TestHost, websocket};
///
/// struct Sum;
///
/// #[websocket("/sum")]
/// impl Websocket for Sum {
///     type State = ();
///     type Incoming = Json<Vec<i64>>;
///
///     fn receive(&self, socket: &mut Socket<()>, Json(numbers): Json<Vec<i64>>) -> Result<()> {
///         if numbers.is_empty() {
///             return Ok(socket.close(1000, "nothing to add")?);
///         }
///         socket.info(format!("{} numbers", numbers.len())); // a method of `Context`
///         socket.send_json(&numbers.iter().sum::<i64>())
///     }
/// }
///
/// export! { Sum }
///
/// let host = TestHost::new(consumers());
/// let socket = host.websocket("/sum").connect().unwrap();
/// socket.send("[1, 2, 3]");
/// socket.expect_text("6");
/// socket.send("[]");
/// assert_eq!(socket.expect_close(1000).reason, "nothing to add");
/// ```
#[derive(Debug)]
pub struct Socket<S> {
    context: Context,
    state: Option<S>,
    /// What was sent before the handshake is accepted.
    pending: Option<Vec<Outgoing>>,
}

#[derive(Debug)]
enum Outgoing {
    Frame(types::Frame),
    Close(u16, String),
}

impl Outgoing {
    fn send(&self) -> Result<(), ReplyError> {
        match self {
            Self::Frame(frame) => reply::send(frame)?,
            Self::Close(code, reason) => reply::close(*code, reason)?,
        }
        Ok(())
    }
}

impl<S: State> Socket<S> {
    pub(crate) fn connecting(context: Context) -> Self {
        Self { context, state: None, pending: Some(Vec::new()) }
    }

    pub(crate) fn open(context: Context) -> Result<Self> {
        Ok(Self { context, state: state::load()?, pending: None })
    }

    /// Sends a message to the client. Nobody gets it once the connection is over.
    ///
    /// # Errors
    /// When the host refuses it.
    pub fn send(&mut self, frame: impl Into<Frame>) -> Result<(), ReplyError> {
        self.put(Outgoing::Frame(frame.into().into_wire()))
    }

    /// Sends a text message that holds `value` as JSON.
    ///
    /// # Errors
    /// As [`Socket::send`], or when JSON cannot hold the value.
    pub fn send_json(&mut self, value: &impl Serialize) -> Result<()> {
        Ok(self.send(Frame::json(value)?)?)
    }

    /// Sends a text message that holds `value` as JSON to every member of a group.
    ///
    /// # Errors
    /// As [`Context::group_send`], or when JSON cannot hold the value.
    pub fn group_send_json<'a>(
        &mut self,
        group: impl Into<Group<'a>>,
        value: &impl Serialize,
    ) -> Result<()> {
        Ok(self.group_send(group, &Frame::json(value)?)?)
    }

    /// Closes the connection. `code` is 1000 or from 3000 to 4999; `reason` is at most 123 bytes.
    ///
    /// # Errors
    /// When the code or the reason may not be sent.
    pub fn close(&mut self, code: u16, reason: impl Into<String>) -> Result<(), ReplyError> {
        self.put(Outgoing::Close(code, reason.into()))
    }

    /// Closes the connection for what the client sent, with as much of the reason as a close frame
    /// takes.
    pub(crate) fn refuse(&mut self, code: u16, reason: &str) -> Result<()> {
        Ok(self.close(code, short(reason))?)
    }

    /// The connection's state. None until it is set.
    #[must_use]
    pub fn state(&self) -> Option<&S> {
        self.state.as_ref()
    }

    /// Sets the connection's state, at most 16 KiB.
    ///
    /// # Errors
    /// When it is too large.
    pub fn set_state(&mut self, state: S) -> Result<()> {
        state::store(&state)?;
        self.state = Some(state);
        Ok(())
    }

    fn put(&mut self, outgoing: Outgoing) -> Result<(), ReplyError> {
        match &mut self.pending {
            Some(pending) => pending.push(outgoing),
            None => outgoing.send()?,
        }
        Ok(())
    }

    /// Answers the handshake. Whoever is let in is in the groups before the client knows of it.
    pub(crate) fn answer(mut self, handshake: Handshake, groups: Vec<Group<'_>>) -> Result<()> {
        let Some(accepted) = handshake.0 else {
            return deny();
        };
        for group in groups {
            self.group_add(group)?;
        }
        reply::accept(&accepted).map_err(ReplyError::from)?;
        self.pending.take().unwrap_or_default().iter().try_for_each(Outgoing::send)?;
        Ok(())
    }
}

/// The part of a close reason that fits into a close frame.
fn short(reason: &str) -> &str {
    let end = (0..=reason.len().min(123)).rev().find(|&end| reason.is_char_boundary(end));
    reason.get(..end.unwrap_or(0)).unwrap_or_default()
}

pub(crate) fn deny() -> Result<()> {
    Ok(reply::close(1000, "").map_err(ReplyError::from)?)
}

impl<S> Deref for Socket<S> {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.context
    }
}

impl<S> DerefMut for Socket<S> {
    fn deref_mut(&mut self) -> &mut Context {
        &mut self.context
    }
}

/// The answer to a WebSocket handshake.
///
/// ```
/// use tidegate_sdk::Handshake;
///
/// let answer = Handshake::accept().subprotocol("chat.v2").header("x-served-by", "tidegate");
/// # let _ = answer;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "`connect` returns it"]
pub struct Handshake(Option<types::Handshake>);

impl Handshake {
    /// The client is let in.
    pub fn accept() -> Self {
        Self(Some(types::Handshake { subprotocol: None, headers: Vec::new() }))
    }

    /// The client is turned away with status 403.
    pub fn deny() -> Self {
        Self(None)
    }

    pub(crate) fn is_accepted(&self) -> bool {
        self.0.is_some()
    }

    /// Chooses one of the subprotocols that the client offered.
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        if let Some(handshake) = &mut self.0 {
            handshake.subprotocol = Some(name.into());
        }
        self
    }

    /// Adds a header field to the handshake's response.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        if let Some(handshake) = &mut self.0 {
            handshake.headers.push(types::Header { name: name.into(), value: value.into() });
        }
        self
    }
}
