//! Messages that wait in a channel, for operators to look at, move and drop.

use std::{fmt, time::SystemTime};

use crate::message::Message;

/// Names a message that waits in a channel, as long as it does. Only the layer that made it reads it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WaitingId(String);

/// The longest id, in bytes.
const ID_BYTES_MAX: usize = 100;

impl WaitingId {
    /// An id of a layer.
    pub(super) const fn new(text: String) -> Self {
        Self(text)
    }

    /// Reads an id that somebody repeats. None: no layer makes such a one.
    pub fn parse(text: &str) -> Option<Self> {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_id = (1..=ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_part);
        is_id.then(|| Self(text.to_owned()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WaitingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A message that waits in a channel.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its id.
    pub id: WaitingId,
    /// The message.
    pub message: Message,
    /// When it was put into the channel.
    pub sent: SystemTime,
    /// When it expires there.
    pub expires: SystemTime,
}

/// Some of the messages that wait in a channel, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct WaitingPage {
    /// The messages. Those that cannot be read are left out.
    pub messages: Vec<Waiting>,
    /// Where the next page begins. None: this is the end.
    pub next: Option<WaitingId>,
    /// How many wait in all.
    pub total: usize,
}

/// The outcome of moving or dropping a message that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It is done.
    Yes,
    /// The message does not wait there any more.
    Gone,
    /// The channel that it was to go to has no room. The message stays where it is.
    Full,
}
