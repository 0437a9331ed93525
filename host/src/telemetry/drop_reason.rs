//! Why messages are lost: the values of the label `reason` of `tidegate_messages_dropped_total`.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

/// Declares the reasons, each with its label and with what was lost.
macro_rules! reasons {
    ($($(#[doc = $what:literal])+ $reason:ident = $label:literal,)+) => {
        /// Why a message was lost. `docs/operations.md` has a row for each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum DropReason {
            $($(#[doc = $what])+ $reason,)+
        }

        impl DropReason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$reason,)+];

            /// The value of the metric's label.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$reason => $label,)+
                }
            }
        }
    };
}

reasons! {
    /// A message that waited until its expiry.
    Expired = "expired",
    /// A message that found its channel full.
    ChannelFull = "full",
    /// A message to a group, for a named channel that was full.
    GroupChannelFull = "group_full",
    /// Data for a connection, beyond the bytes that an inbox holds.
    InboxFull = "inbox_full",
    /// An entry that left the inbox and did not arrive.
    InboxLost = "inbox_lost",
    /// A message or reply for a connection that has ended.
    ConnectionGone = "connection_gone",
    /// Data for a client that does not read.
    ClientTooSlow = "too_slow",
    /// A message or entry that cannot be decoded.
    Unreadable = "unreadable",
    /// A reply of the other protocol.
    WrongProtocol = "wrong_protocol",
    /// A reply to an event that is not in flight any more.
    Stale = "stale",
    /// The event that a connection has ended.
    DisconnectLost = "disconnect_lost",
    /// A frame that waited when the host closed its socket.
    Unread = "unread",
    /// A membership beyond the groups that a connection may have.
    TooManyGroups = "too_many_groups",
    /// A presence beyond the members of a group, or the connections of a member.
    PresenceFull = "presence_full",
    /// A message larger than the layer takes.
    TooLarge = "too_large",
    /// A message or group operation that the layer could not take.
    LayerUnavailable = "unavailable",
    /// A message whose consumer did not run.
    NotRun = "not_run",
    /// A message after its last try, which found its dead-letter channel full.
    DeadLetterFull = "dead_letter_full",
    /// A message that waited, which an operator dropped.
    ByOperator = "operator",
    /// A message that waited in a single process when it stopped.
    Shutdown = "shutdown",
}

impl EncodeLabelValue for DropReason {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.label(), encoder)
    }
}

/// The label of the count of lost messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByDropReason {
    /// Why they were lost.
    pub reason: DropReason,
}
