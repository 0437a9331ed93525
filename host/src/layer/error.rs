//! Why a layer does not do what it is asked to.

use crate::{
    message::{ChannelName, GroupName, NodeName},
    telemetry::DropReason,
};

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The channel holds as many messages as it may.
    #[error("channel {0} is full")]
    ChannelFull(ChannelName),
    /// As many messages wait to be sent later as may. Waiting for room in a channel does not help.
    #[error("{limit} messages wait to be sent later already")]
    TooManyDelayed {
        /// The limit.
        limit: usize,
    },
    /// The message is too large.
    #[error("the message has {bytes} bytes; the layer takes {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The connection is a member of as many groups as it may be.
    #[error("a connection is a member of at most {limit} groups (layer.groups_per_connection)")]
    TooManyGroups {
        /// The limit.
        limit: usize,
    },
    /// The layer failed.
    #[error(transparent)]
    Layer(#[from] LayerError),
}

impl SendError {
    /// The reason that is counted if nobody tries again.
    pub const fn drop_reason(&self) -> DropReason {
        match self {
            Self::ChannelFull(_) | Self::TooManyDelayed { .. } => DropReason::ChannelFull,
            Self::TooLarge { .. } => DropReason::TooLarge,
            Self::TooManyGroups { .. } => DropReason::TooManyGroups,
            Self::Layer(_) => DropReason::LayerUnavailable,
        }
    }
}

/// Why a layer failed. Texts name the server and its answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The store is not reached. An operation that was under way may have been done.
    #[error("the channel layer is not available: {0}")]
    Unavailable(String),
    /// The store did not answer in time. The operation may have been done.
    #[error("the channel layer is not available: {0}")]
    TimedOut(String),
    /// The store has no memory left. Nothing was done.
    #[error("the channel layer has no memory left: {0}")]
    OutOfMemory(String),
    /// The store refuses the operation, and will again.
    #[error("the channel layer refuses it: {0}")]
    Refused(String),
    /// The store's data is laid out for other settings.
    #[error(
        "the data in Redis has layout {found} (version/partitions) and this host has {own}; set \
         layer.partitions alike, or use another layer.prefix or database"
    )]
    LayoutMismatch {
        /// The layout of the data.
        found: String,
        /// The layout of this host.
        own: String,
    },
    /// The node has no inbox here: it was not opened, or is closed.
    #[error("node {0} has no inbox")]
    NoInbox(NodeName),
    /// The inbox has no room for an entry that has to arrive.
    #[error("the inbox of node {0} is full")]
    InboxFull(NodeName),
    /// The store does not know a node, or not all of its groups, until it is registered again.
    #[error("the channel layer is not available: {0}")]
    NotRegistered(String),
    /// A group is not remembered.
    #[error(
        "group {0} is not remembered; its module declares that it is, as #[history(\"room.*\")] does in Rust"
    )]
    NotRemembered(GroupName),
    /// An event was sent to a connection. Connections take messages only.
    #[error("an event was sent to reply channel {0}; send a message")]
    EventToConnection(ChannelName),
    /// A text is not the id of a message that waits.
    #[error("{0:?} is not the id of a message that waits")]
    NotAnId(String),
    /// The store's answer is not one that there is, or a task ended early.
    #[error("the channel layer failed: {0}")]
    Defect(String),
    /// The process stops.
    #[error("the channel layer is not available: the process stops")]
    Stopped,
}

impl LayerError {
    /// Whether the same operation may succeed a little later.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable(_)
            | Self::TimedOut(_)
            | Self::OutOfMemory(_)
            | Self::InboxFull(_)
            | Self::NotRegistered(_)
            | Self::Defect(_) => true,
            Self::Refused(_)
            | Self::LayoutMismatch { .. }
            | Self::NoInbox(_)
            | Self::EventToConnection(_)
            | Self::NotAnId(_)
            | Self::NotRemembered(_)
            | Self::Stopped => false,
        }
    }
}
