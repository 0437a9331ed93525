//! What arrives at a node for its connections.

use bytes::Bytes;

use super::{Content, CorrelationId, GroupName, LocalName, Outcome, Position, Reply};

/// One entry of a node's inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboxEntry {
    /// A message that somebody sent to reply channels, or to a group they are members of.
    Message {
        /// The connections, by their local names.
        to: Vec<LocalName>,
        /// The message.
        content: Content,
        /// Whether it came through a group. Such a message never accepts a handshake.
        from_group: bool,
        /// The id of the event that led to it.
        correlation: CorrelationId,
    },
    /// A message to a group that is remembered, for members that see positions.
    Numbered {
        /// The connections, by their local names.
        to: Vec<LocalName>,
        /// The group.
        group: GroupName,
        /// The place behind the message.
        position: Position,
        /// The message.
        content: Content,
        /// The id of the event that led to it.
        correlation: CorrelationId,
    },
    /// Members that see positions get all messages of a group behind this one.
    From {
        /// The connections, by their local names.
        to: Vec<LocalName>,
        /// The group.
        group: GroupName,
        /// The place.
        position: Position,
        /// Whether nothing is missing that came before it and behind their last position.
        is_complete: bool,
    },
    /// What the worker says about the event that a connection has in flight.
    Answer(Answer),
    /// A connection was made a member of a group. If it is over by now, it has to leave again.
    Joined(LocalName),
    /// Messages to groups may be missing. Who was a member is none any more. A join that was on its way
    /// may be missing, too.
    Missed {
        /// The connections that were members.
        members: Vec<LocalName>,
        /// What happened.
        gap: Gap,
    },
}

/// Why messages to a group may not have arrived at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The lease of the node ran out: nobody sends to a node that counts as dead.
    LeaseEnded,
    /// The store was emptied, or is older than it was.
    StoreChanged,
    /// The store did not know any more that the node has members.
    RegistrationLost,
    /// Entries were taken from the inbox and did not arrive.
    EntriesLost,
}

impl Gap {
    /// The word that metrics have for it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::LeaseEnded => "lease_ended",
            Self::StoreChanged => "store_changed",
            Self::RegistrationLost => "registration_lost",
            Self::EntriesLost => "entries_lost",
        }
    }
}

/// Replies of an invocation to its own connection, and with the last of them the done mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The connection.
    pub to: LocalName,
    /// Which of its events this is for.
    pub order: u64,
    /// The replies, in order.
    pub replies: Vec<Reply>,
    /// Says that the event is over. Cannot be forged by a message: it is not part of any content.
    pub done: Option<Done>,
}

/// The end of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// How it ended.
    pub outcome: Outcome,
    /// The new state, if it changed.
    pub state: Option<Bytes>,
    /// The activation of the module that served it.
    pub activation: u64,
}

impl InboxEntry {
    /// Bytes of data for clients; done marks count nothing.
    pub fn len(&self) -> usize {
        match self {
            // A long list of members is data, too.
            Self::Message { content, to, .. } => {
                content.as_bytes().len() + to.len() * size_of::<LocalName>()
            }
            Self::Numbered { content, to, .. } => {
                content.as_bytes().len() + to.len() * size_of::<LocalName>() + size_of::<Position>()
            }
            Self::Joined(_) | Self::Missed { .. } | Self::From { .. } => size_of::<Self>(),
            Self::Answer(answer) => answer.replies.iter().map(Reply::cost).sum(),
        }
    }

    /// Whether the entry holds no data.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
