//! Several streams over one WebSocket.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Close, Frame, FromFrame, Group, Handshake, Result, Socket, Websocket};

mod socket;
mod states;
mod stream;

pub use socket::StreamSocket;
pub use states::StreamStates;
use stream::Run;
pub use stream::StreamConsumer;

#[doc = include_str!("../docs/demultiplexer.md")]
pub trait Demultiplexer: Sized {
    /// The streams. They are made anew for each event, as the consumer itself is.
    fn streams(&self) -> Streams<'_>;

    /// A client asks for a connection. Accepts it unless overridden. After it, and only if it
    /// accepts, each stream's [`connect`](StreamConsumer::connect) is called.
    ///
    /// # Errors
    /// As in [`Websocket::connect`].
    fn connect(&self, socket: &mut Socket<StreamStates>) -> Result<Handshake> {
        let _ = socket;
        Ok(Handshake::accept())
    }
}

/// The streams of a [`Demultiplexer`], by name.
#[derive(Default)]
#[must_use = "`streams` returns it"]
pub struct Streams<'a>(Vec<(&'static str, Box<dyn Run + 'a>)>);

impl<'a> Streams<'a> {
    /// No streams yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a stream. The name is what stands in frames, and under which its state is kept.
    ///
    /// # Panics
    /// When another stream has the name.
    pub fn with(mut self, name: &'static str, consumer: impl StreamConsumer + 'a) -> Self {
        assert!(self.find(name).is_none(), "two streams are named {name:?}: rename one of them");
        self.0.push((name, Box::new(consumer)));
        self
    }

    fn find(&self, name: &str) -> Option<&(&'static str, Box<dyn Run + 'a>)> {
        self.0.iter().find(|(known, _)| *known == name)
    }
}

impl fmt::Debug for Streams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl<D: Demultiplexer> Websocket for D {
    type State = StreamStates;
    type Incoming = Frame;

    fn groups(&self) -> Vec<Group<'static>> {
        self.streams().0.iter().flat_map(|(_, stream)| stream.groups()).collect()
    }

    fn connect(&self, socket: &mut Socket<StreamStates>) -> Result<Handshake> {
        let handshake = Demultiplexer::connect(self, socket)?;
        if handshake.is_accepted() {
            for (name, stream) in self.streams().0 {
                stream.connect(socket, name)?;
            }
        }
        Ok(handshake)
    }

    fn receive(&self, socket: &mut Socket<StreamStates>, frame: Frame) -> Result<()> {
        let Incoming { stream, payload } = match Incoming::from_frame(frame) {
            Ok(incoming) => incoming,
            Err(reason) => return socket.refuse(4400, &reason),
        };
        match self.streams().find(&stream) {
            Some((name, consumer)) => consumer.receive(socket, name, payload.get()),
            None => socket.refuse(4404, &format!("there is no stream {stream:?}")),
        }
    }

    fn disconnect(&self, socket: &mut Socket<StreamStates>, close: Close) -> Result<()> {
        for (name, stream) in self.streams().0 {
            stream.disconnect(socket, name, close.clone())?;
        }
        Ok(())
    }
}

/// A frame from the client.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Incoming {
    stream: String,
    payload: Box<RawValue>,
}

impl FromFrame for Incoming {
    fn from_frame(frame: Frame) -> Result<Self, String> {
        let text = String::from_frame(frame)?;
        // serde would also take the list of the values.
        if !text.trim_start().starts_with('{') {
            return Err("expected a JSON object with `stream` and `payload`".to_owned());
        }
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }
}

/// A frame to the client.
#[derive(Serialize)]
struct Outgoing<'a, T> {
    stream: &'a str,
    payload: &'a T,
}

impl Frame {
    /// A text message for one stream of a [`Demultiplexer`]: `{"stream": NAME, "payload": ...}`. A
    /// stream sends it by itself; this is for other consumers, which send to a group or a reply
    /// channel.
    ///
    /// # Errors
    /// When JSON cannot hold the value.
    ///
    /// ```
    /// use tidegate_sdk::Frame;
    ///
    /// let frame = Frame::stream("prices", &[1, 2])?;
    /// assert_eq!(frame, Frame::text(r#"{"stream":"prices","payload":[1,2]}"#));
    /// # Ok::<_, tidegate_sdk::Error>(())
    /// ```
    pub fn stream(name: &str, payload: &impl Serialize) -> Result<Self> {
        Self::json(&Outgoing { stream: name, payload })
    }
}
