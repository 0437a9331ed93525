//! One stream of a connection.

use std::ops::{Deref, DerefMut};

use serde::Serialize;

use super::StreamStates;
use crate::{Context, Frame, Group, ReplyError, Result, Socket, State};

/// One stream of a WebSocket connection. Derefs to [`Context`].
#[derive(Debug)]
pub struct StreamSocket<'a, S> {
    socket: &'a mut Socket<StreamStates>,
    name: &'static str,
    state: Option<S>,
}

impl<'a, S: State> StreamSocket<'a, S> {
    pub(super) fn new(socket: &'a mut Socket<StreamStates>, name: &'static str) -> Result<Self> {
        let state = socket.state().map(|states| states.get(name)).transpose()?.flatten();
        Ok(Self { socket, name, state })
    }

    /// The stream's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Sends a payload to the client, in this stream.
    ///
    /// # Errors
    /// As [`Socket::send_json`].
    pub fn send_json(&mut self, payload: &impl Serialize) -> Result<()> {
        Ok(self.socket.send(Frame::stream(self.name, payload)?)?)
    }

    /// Sends a payload to every member of a group, in this stream.
    ///
    /// # Errors
    /// As [`Socket::group_send_json`].
    pub fn group_send_json<'g>(
        &mut self,
        group: impl Into<Group<'g>>,
        payload: &impl Serialize,
    ) -> Result<()> {
        Ok(self.socket.group_send(group, &Frame::stream(self.name, payload)?)?)
    }

    /// Closes the whole connection; see [`Socket::close`].
    ///
    /// # Errors
    /// When the code or the reason may not be sent.
    pub fn close(&mut self, code: u16, reason: impl Into<String>) -> Result<(), ReplyError> {
        self.socket.close(code, reason)
    }

    /// The stream's state. None until it is set.
    #[must_use]
    pub fn state(&self) -> Option<&S> {
        self.state.as_ref()
    }

    /// Sets the stream's state. Those of all streams of the connection are at most 16 KiB together.
    ///
    /// # Errors
    /// When they are too large.
    pub fn set_state(&mut self, state: S) -> Result<()> {
        let mut states = self.socket.state().cloned().unwrap_or_default();
        if states.set(self.name, &state)? {
            self.socket.set_state(states)?;
        }
        self.state = Some(state);
        Ok(())
    }
}

impl<S> Deref for StreamSocket<'_, S> {
    type Target = Context;

    fn deref(&self) -> &Context {
        self.socket
    }
}

impl<S> DerefMut for StreamSocket<'_, S> {
    fn deref_mut(&mut self) -> &mut Context {
        self.socket
    }
}
