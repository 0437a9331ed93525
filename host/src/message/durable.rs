//! Channels whose messages are delivered at least once.

use std::time::Duration;

use super::{ChannelName, NameError};

/// Behind the name of a channel it is the name of the one that takes what cannot be done.
const DEAD: &str = ".dead";

/// How a channel keeps its messages until they are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lasting {
    /// How often a message is run again.
    pub retries: u32,
    /// How long a worker has for a message. Then it counts as gone, and another gets the message.
    pub lease: Duration,
}

/// Says which taking of a message is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The layer's id of it.
    pub id: u64,
    /// How often the message was taken before.
    pub attempt: u32,
    /// How often it is run again at most.
    pub retries: u32,
}

/// What is to become of a message that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is done.
    Done,
    /// It comes again after a while.
    Again(Duration),
    /// It goes to the channel for what cannot be done.
    Dead,
}

impl ChannelName {
    /// The channel for messages of this one that cannot be done. Fails if its name is too long.
    pub fn dead(&self) -> Result<Self, NameError> {
        Self::parse(&format!("{self}{DEAD}"))
    }

    /// The channel whose dead letters this one takes; none if it takes none.
    pub fn living(&self) -> Option<Self> {
        Self::parse(self.as_str().strip_suffix(DEAD)?).ok()
    }
}
