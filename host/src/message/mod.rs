//! What travels: names, events, replies, messages. Values only; no I/O, no runtime, no wasm.

mod blob;
mod content;
mod correlation;
mod durable;
mod event;
mod forms;
mod group_pattern;
mod history;
mod inbox;
mod message_id;
mod names;
mod online;
mod outcome;
mod presence;
mod relayed;
mod reply;
mod scope;
mod session;
mod trace;
mod user;

pub(crate) use blob::Blob;
pub use content::{Content, ContentError};
pub use correlation::CorrelationId;
pub use durable::{Lasting, Receipt, Settled};
pub use event::{Close, Event, EventKind, Frame, Message, Payload};
pub use forms::{CloseError, FormError, is_for_those_present, replies_from, stream_replies_from};
pub use group_pattern::{GroupPattern, GroupPatternError};
pub use history::{
    After, Epoch, HistoryBounds, HistoryRule, ModuleHistories, Page, Position, PositionError,
    Remembered, Start,
};
pub use inbox::{Answer, Done, Gap, InboxEntry};
pub use message_id::{MessageId, MessageIdError};
pub use names::{ChannelName, GroupName, LocalName, ModuleName, NameError, NodeName};
pub use online::{Beyond, Entered, Online, UserLimit};
pub use outcome::{HostAnswer, Outcome};
pub use presence::{
    CONNECTIONS_PER_MEMBER_MAX, FACTS_BYTES_MAX, Facts, MEMBER_KEY_BYTES_MAX, MEMBERS_PER_READ_MAX,
    Member, MemberError, MemberKey, MembersPage, PresenceRule, Present,
};
pub use relayed::{
    ProcessTag, Relayed, RelayedError, seal as seal_relayed, seal_as as seal_relayed_as,
};
pub use reply::{Handshake, Header, HeaderError, Reply, Response, ResponseHead, check_headers};
pub use scope::{PathParam, Protocol, Scope};
pub use session::{SESSION_ENDED, SIGNED_OUT, Session, SessionData, SessionKey, SessionLookup};
pub use trace::{Cause, TraceContext};
pub use user::{CLAIMS_BYTES_MAX, USER_ID_BYTES_MAX, User, UserError};
