//! What an invocation sends, kept until it has returned without fault or flushes.

use std::time::Duration;

use async_trait::async_trait;

use super::{Fault, Limits};
use crate::{
    capability::{
        Lent,
        store::{DueTime, Parcel, Transaction},
    },
    message::{
        After, ChannelName, Content, CorrelationId, GroupName, Member, MemberKey, MembersPage,
        Page, Present, Reply, Start, seal_relayed,
    },
};

/// One thing to do when the consumer has returned.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Send a message to a channel.
    Send {
        /// The channel.
        channel: ChannelName,
        /// The message.
        content: Content,
    },
    /// Send a message to a channel later.
    SendLater {
        /// The channel.
        channel: ChannelName,
        /// The message.
        content: Content,
        /// Not before this has passed.
        delay: Duration,
    },
    /// Make a channel a member of a group.
    GroupAdd {
        /// The group.
        group: GroupName,
        /// The channel.
        channel: ChannelName,
    },
    /// Make a connection a member of a group that sees positions.
    GroupJoin {
        /// The group.
        group: GroupName,
        /// The connection's channel.
        channel: ChannelName,
        /// From where on.
        start: Start,
    },
    /// End a membership.
    GroupDiscard {
        /// The group.
        group: GroupName,
        /// The channel.
        channel: ChannelName,
    },
    /// Send a message to a group.
    GroupSend {
        /// The group.
        group: GroupName,
        /// The message.
        content: Content,
    },
    /// Make a connection a member of a group, and present in it.
    Present {
        /// The group.
        group: GroupName,
        /// The connection.
        connection: ChannelName,
        /// As whom.
        present: Box<Present>,
    },
    /// Answer the event's own connection.
    Reply(Reply),
}

impl Entry {
    /// The channel or group that this is about; empty for the event's own connection.
    pub fn target(&self) -> &str {
        match self {
            Self::Send { channel, .. } | Self::SendLater { channel, .. } => channel.as_str(),
            Self::GroupAdd { group, .. }
            | Self::GroupJoin { group, .. }
            | Self::GroupDiscard { group, .. }
            | Self::Present { group, .. }
            | Self::GroupSend { group, .. } => group.as_str(),
            Self::Reply(_) => "",
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Send { content, .. }
            | Self::SendLater { content, .. }
            | Self::GroupSend { content, .. } => content.as_bytes().len(),
            Self::Reply(reply) => reply.cost(),
            Self::Present { present, .. } => {
                let Member { key, facts } = &present.member;
                key.as_str().len() + facts.as_bytes().len()
            }
            Self::GroupAdd { .. } | Self::GroupJoin { .. } | Self::GroupDiscard { .. } => 0,
        }
    }
}

/// Whether there are messages that are stored before they are sent.
pub fn has_messages_to_store(entries: &[Entry], lent: &Lent) -> bool {
    entries.iter().any(|entry| is_stored(entry, lent))
}

/// Whether an entry is a message that is stored before it is sent: to a channel with retries, or later.
fn is_stored(entry: &Entry, lent: &Lent) -> bool {
    match entry {
        Entry::Send { channel, .. } => lent.lasting.contains_key(channel),
        // A connection does not outlive its process.
        Entry::SendLater { channel, .. } => !channel.is_reply_channel(),
        Entry::GroupAdd { .. }
        | Entry::GroupJoin { .. }
        | Entry::GroupDiscard { .. }
        | Entry::GroupSend { .. }
        | Entry::Present { .. }
        | Entry::Reply(_) => false,
    }
}

/// Moves the messages that are stored before they are sent into the transaction of a run, so that they commit
/// with its data. Returns where each entry that is left stood.
pub fn store_messages(
    entries: &mut Vec<Entry>,
    transaction: &mut Transaction,
    (lent, correlation): (&Lent, CorrelationId),
) -> Vec<usize> {
    let mut places = Vec::with_capacity(entries.len());
    let mut place = 0..;
    entries.retain(|entry| {
        let at = place.next().unwrap_or_default();
        match entry {
            Entry::Send { channel, content } if is_stored(entry, lent) => {
                let payload = seal_relayed(Some(lent.process), correlation, content);
                transaction.relay(Parcel { target: channel.to_string(), payload });
                false
            }
            Entry::SendLater { channel, content, delay } if is_stored(entry, lent) => {
                let payload = seal_relayed(None, correlation, content);
                let parcel = Parcel { target: channel.to_string(), payload };
                transaction.relay_later(parcel, DueTime::after(*delay));
                false
            }
            _ => {
                places.push(at);
                true
            }
        }
    });
    places
}

/// Entries in order, bounded in number and bytes.
#[derive(Debug, Default)]
pub struct Outbox {
    entries: Vec<Entry>,
    bytes: usize,
    /// Entries that were put in since the run began.
    pub(super) total: usize,
}

impl Outbox {
    /// Adds an entry. Beyond a limit it is a fault: the guest is out of control.
    pub(super) fn push(&mut self, entry: Entry, limits: &Limits) -> Result<(), Fault> {
        let messages = self.entries.len() + 1;
        if messages > limits.outbox_messages {
            return Err(Fault::OutboxMessages { used: messages, limit: limits.outbox_messages });
        }
        let bytes = self.bytes + entry.len();
        if bytes > limits.outbox_bytes {
            return Err(Fault::OutboxBytes { used: bytes, limit: limits.outbox_bytes });
        }
        self.bytes = bytes;
        self.total += 1;
        self.entries.push(entry);
        Ok(())
    }

    /// Takes what is in it now.
    pub(super) fn take(&mut self) -> Vec<Entry> {
        self.bytes = 0;
        std::mem::take(&mut self.entries)
    }

    /// Puts entries back in front, after a flush that stopped.
    pub(super) fn put_back(&mut self, rest: Vec<Entry>) {
        self.bytes += rest.iter().map(Entry::len).sum::<usize>();
        self.entries.splice(0..0, rest);
    }
}

/// Why a flush stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlushReason {
    /// The channel is full.
    #[error("the channel is full")]
    ChannelFull,
    /// The layer cannot be reached.
    #[error("{0}")]
    Unavailable(String),
    /// The layer does not take it, now or later.
    #[error("{0}")]
    Refused(String),
}

/// The members of a group could not be read. Reading them later may work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MembersUnread(pub String);

/// Why a history is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryFailure {
    /// The group has none.
    #[error(
        "group {0} is not remembered; its module declares that it is, as #[history(\"room.*\")] does in Rust"
    )]
    NotRemembered(GroupName),
    /// The layer cannot be reached.
    #[error("{0}")]
    Unavailable(String),
}

/// Where a flush stopped.
#[derive(Debug)]
pub struct Stopped {
    /// The position of the entry that failed.
    pub index: usize,
    /// Its target.
    pub target: String,
    /// Why.
    pub reason: FlushReason,
    /// What stood behind it.
    pub rest: Vec<Entry>,
}

/// Takes the entries that a run flushes. A worker lends one to each run; `flush` in `host_calls` calls it while the
/// run waits.
#[async_trait]
pub trait Outlet: Send + Sync {
    /// Sends entries in order. Stops at the first that fails, and returns it with those behind it, which the run
    /// keeps. Dropping the future, as at the deadline of the run, may leave the entry that is on its way sent or
    /// not; those behind it are lost.
    async fn send(&self, entries: Vec<Entry>) -> Result<(), Stopped>;

    /// Counts the connections of the user whose group this is. The error says why they are not known. Dropping the
    /// future does no harm.
    async fn connections_of(&self, user: &GroupName) -> Result<usize, String>;

    /// Takes notice that a commit of the run has stored messages to be relayed.
    fn stored(&self);

    /// Reads a part of the members of a group, 0 of them for their number alone. The run waits for it; dropping the
    /// future does no harm.
    async fn members(
        &self,
        group: &GroupName,
        after: Option<&MemberKey>,
        limit: usize,
    ) -> Result<MembersPage, MembersUnread>;

    /// Whether a group is remembered. None is where there is no layer.
    fn keeps_history(&self, _group: &GroupName) -> bool {
        false
    }

    /// Reads the history of a group while the run waits. Dropping the future does nothing.
    async fn history(
        &self,
        group: &GroupName,
        _after: After,
        _limit: usize,
    ) -> Result<Page, HistoryFailure> {
        Err(HistoryFailure::NotRemembered(group.clone()))
    }
}
