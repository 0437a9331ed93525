//! The consumer of one stream.

use super::{StreamSocket, StreamStates};
use crate::{Close, Frame, FromFrame, Group, Result, Socket, State};

/// A consumer of one stream of a [`Demultiplexer`](super::Demultiplexer). It is to its stream what a
/// [`Websocket`](crate::Websocket) is to its connection.
pub trait StreamConsumer {
    /// What the host keeps for this stream of each connection. `()` for nothing. All streams of a
    /// connection share the 16 KiB of its state.
    type State: State;

    /// How payloads are read: [`Json`](crate::Json) and, with the text of the payload,
    /// [`String`] or [`Frame`]. A payload that does not read closes the connection with code 4400
    /// and the reason; with `Result<Json<T>, String>` the consumer gets the reason instead.
    type Incoming: FromFrame;

    /// The groups that the connection is a member of on account of this stream; see
    /// [`Websocket::groups`](crate::Websocket::groups).
    fn groups(&self) -> Vec<Group<'static>> {
        Vec::new()
    }

    /// A client connects, and the demultiplexer has let it in.
    ///
    /// # Errors
    /// As in [`Websocket::connect`](crate::Websocket::connect).
    fn connect(&self, socket: &mut StreamSocket<'_, Self::State>) -> Result<()> {
        let _ = socket;
        Ok(())
    }

    /// A payload from the client.
    ///
    /// # Errors
    /// An error is a fault: nothing is sent, and the connection closes with code 1011.
    fn receive(
        &self,
        socket: &mut StreamSocket<'_, Self::State>,
        incoming: Self::Incoming,
    ) -> Result<()>;

    /// The connection is over.
    ///
    /// # Errors
    /// An error is a fault: what the other streams sent is not sent either.
    fn disconnect(&self, socket: &mut StreamSocket<'_, Self::State>, close: Close) -> Result<()> {
        let _ = (socket, close);
        Ok(())
    }
}

/// A [`StreamConsumer`] without its types.
pub(super) trait Run {
    fn groups(&self) -> Vec<Group<'static>>;

    fn connect(&self, socket: &mut Socket<StreamStates>, name: &'static str) -> Result<()>;

    fn receive(
        &self,
        socket: &mut Socket<StreamStates>,
        name: &'static str,
        payload: &str,
    ) -> Result<()>;

    fn disconnect(
        &self,
        socket: &mut Socket<StreamStates>,
        name: &'static str,
        close: Close,
    ) -> Result<()>;
}

impl<S: StreamConsumer> Run for S {
    fn groups(&self) -> Vec<Group<'static>> {
        StreamConsumer::groups(self)
    }

    fn connect(&self, socket: &mut Socket<StreamStates>, name: &'static str) -> Result<()> {
        StreamConsumer::connect(self, &mut StreamSocket::new(socket, name)?)
    }

    fn receive(
        &self,
        socket: &mut Socket<StreamStates>,
        name: &'static str,
        payload: &str,
    ) -> Result<()> {
        match S::Incoming::from_frame(Frame::text(payload)) {
            Ok(incoming) => {
                StreamConsumer::receive(self, &mut StreamSocket::new(socket, name)?, incoming)
            }
            Err(reason) => socket.refuse(4400, &format!("stream {name:?}: {reason}")),
        }
    }

    fn disconnect(
        &self,
        socket: &mut Socket<StreamStates>,
        name: &'static str,
        close: Close,
    ) -> Result<()> {
        StreamConsumer::disconnect(self, &mut StreamSocket::new(socket, name)?, close)
    }
}
