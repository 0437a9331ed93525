//! Entries of inboxes.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Blob, WireError, encode, message::parse, presence::WirePresent, reply::WireReply};
use crate::layer::histories::entries_of_join;
use crate::message::{
    Answer, ChannelName, Content, CorrelationId, Done, GroupName, InboxEntry, LocalName, NodeName,
    Outcome, Position, Present, Reply,
};

/// An entry of an inbox.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Parcel {
    /// For one connection.
    Message { to: LocalName, content: Content, correlation: CorrelationId },
    /// For all connections of the node that are members of a group.
    Group {
        group: GroupName,
        content: Content,
        correlation: CorrelationId,
        /// The place behind the message, if the group is remembered.
        position: Option<Position>,
    },
    /// An answer of a worker to an event.
    Answer(Answer),
    /// A connection is a member now, and perhaps present. The count is that of the node's registration.
    Join {
        local: LocalName,
        group: GroupName,
        count: u64,
        present: Option<Present>,
        /// For one that sees positions.
        since: Option<Since>,
    },
    /// A connection leaves a group.
    Leave { local: LocalName, group: GroupName },
    /// A connection leaves all groups.
    LeaveAll { local: LocalName },
    /// A node checks that entries put into its inbox come out of it.
    Probe { number: u64 },
    /// A process asks for something that only the node knows.
    Ask { id: CorrelationId, question: Bytes },
}

/// From where on a member that sees positions gets all messages of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Since {
    pub(in super::super) position: Position,
    /// Whether nothing is missing before it.
    pub(in super::super) is_complete: bool,
    /// The messages behind the position that are there already.
    pub(in super::super) missed: Vec<Content>,
}

impl Since {
    /// The place behind what is there already.
    pub(in super::super) const fn end(&self) -> Position {
        let offset = self.position.offset + self.missed.len() as u64;
        Position { epoch: self.position.epoch, offset }
    }

    /// Returns the entries that a connection gets when it joins.
    pub(in super::super) fn entries(
        self,
        local: &LocalName,
        group: &GroupName,
    ) -> impl Iterator<Item = InboxEntry> {
        let Self { position, is_complete, missed } = self;
        entries_of_join(local, group, (position, is_complete), missed)
    }
}

/// Bytes of each kind that the entries took that were read of an inbox.
#[derive(Debug, Default)]
pub(in super::super) struct Taken {
    pub(in super::super) messages: usize,
    pub(in super::super) answers: usize,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireParcel {
    Message {
        to: String,
        content: Blob,
        correlation: String,
    },
    Group {
        group: String,
        content: Blob,
        correlation: String,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        epoch: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        offset: Option<u64>,
    },
    Answer {
        to: String,
        order: u64,
        replies: Vec<WireReply>,
        done: Option<WireDone>,
    },
    Join {
        local: String,
        group: String,
        count: u64,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        present: Option<WirePresent>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        since: Option<WireSince>,
    },
    Leave {
        local: String,
        group: String,
    },
    LeaveAll {
        local: String,
    },
    Probe {
        number: u64,
    },
    Ask {
        id: String,
        question: Blob,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct WireSince {
    epoch: String,
    offset: u64,
    complete: bool,
    missed: Vec<Blob>,
}

#[derive(Debug, Serialize, Deserialize)]
struct WireDone {
    outcome: WireOutcome,
    /// The id of the record, where the outcome has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    record: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    state: Option<Blob>,
    #[serde(rename = "version")]
    activation: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireOutcome {
    Ok,
    Fault,
    Gone,
    StateUnreadable,
    Refused,
    AnswerLost,
}

/// Messages and answers have room of their own in an inbox; control always fits.
const MESSAGE: u8 = b'm';
const ANSWER: u8 = b'a';
const CONTROL: u8 = b'c';

impl Parcel {
    /// The entry, the kind first.
    pub(in super::super) fn seal(&self) -> Vec<u8> {
        let (kind, wire) = match self {
            Self::Message { to, content, correlation } => (
                MESSAGE,
                WireParcel::Message {
                    to: to.to_string(),
                    content: Blob(content.as_bytes().clone()),
                    correlation: correlation.to_string(),
                },
            ),
            Self::Group { group, content, correlation, position } => (
                MESSAGE,
                WireParcel::Group {
                    group: group.to_string(),
                    content: Blob(content.as_bytes().clone()),
                    correlation: correlation.to_string(),
                    epoch: position.map(|position| position.epoch.to_string()),
                    offset: position.map(|position| position.offset),
                },
            ),
            Self::Answer(answer) => {
                let kind = if answer.replies.is_empty() { CONTROL } else { ANSWER };
                let wire = WireParcel::Answer {
                    to: answer.to.to_string(),
                    order: answer.order,
                    replies: answer.replies.iter().map(WireReply::from).collect(),
                    done: answer.done.as_ref().map(WireDone::from),
                };
                (kind, wire)
            }
            // It counts, too: a node must have room for joins.
            Self::Join { local, group, count, present, since } => (
                MESSAGE,
                WireParcel::Join {
                    local: local.to_string(),
                    group: group.to_string(),
                    count: *count,
                    present: present.as_ref().map(WirePresent::from),
                    since: since.as_ref().map(WireSince::from),
                },
            ),
            Self::Leave { local, group } => {
                (CONTROL, WireParcel::Leave { local: local.to_string(), group: group.to_string() })
            }
            Self::LeaveAll { local } => {
                (CONTROL, WireParcel::LeaveAll { local: local.to_string() })
            }
            // Probes go the way of answers, with their room.
            Self::Probe { number } => (ANSWER, WireParcel::Probe { number: *number }),
            Self::Ask { id, question } => {
                let question = Blob(question.clone());
                (MESSAGE, WireParcel::Ask { id: id.to_string(), question })
            }
        };
        let mut entry = vec![kind];
        entry.extend(encode(&wire));
        entry
    }

    /// Reads an entry of the inbox of a node, and counts what it took there.
    pub(in super::super) fn open(
        entry: &[u8],
        node: &NodeName,
        taken: &mut Taken,
    ) -> Result<Self, WireError> {
        let (kind, map) = entry.split_first().ok_or(WireError::Short)?;
        match *kind {
            MESSAGE => taken.messages += entry.len(),
            ANSWER => taken.answers += entry.len(),
            CONTROL => {}
            other => return Err(WireError::Kind(other)),
        }
        Ok(match rmp_serde::from_slice(map)? {
            WireParcel::Message { to, content, correlation } => Self::Message {
                to: local(node, &to)?,
                content: parse(content.0)?,
                correlation: id("correlation", &correlation)?,
            },
            WireParcel::Group { group, content, correlation, epoch, offset } => Self::Group {
                group: name(&group)?,
                content: parse(content.0)?,
                correlation: id("correlation", &correlation)?,
                position: match (epoch, offset) {
                    (Some(epoch), Some(offset)) => Some(position(&epoch, offset)?),
                    _ => None,
                },
            },
            WireParcel::Answer { to, order, replies: wire, done } => {
                let mut replies: Vec<Reply> = Vec::with_capacity(wire.len());
                for reply in wire {
                    reply.add_to(&mut replies)?;
                }
                let done = done.map(WireDone::into_done).transpose()?;
                Self::Answer(Answer { to: local(node, &to)?, order, replies, done })
            }
            WireParcel::Join { local: joins, group, count, present, since } => Self::Join {
                local: local(node, &joins)?,
                group: name(&group)?,
                count,
                present: present.map(WirePresent::into_present).transpose()?,
                since: since.map(WireSince::into_since).transpose()?,
            },
            WireParcel::Leave { local: leaves, group } => {
                Self::Leave { local: local(node, &leaves)?, group: name(&group)? }
            }
            WireParcel::Probe { number } => Self::Probe { number },
            WireParcel::Ask { id: asked, question } => {
                Self::Ask { id: id("id", &asked)?, question: question.0 }
            }
            WireParcel::LeaveAll { local: leaves } => {
                Self::LeaveAll { local: local(node, &leaves)? }
            }
        })
    }
}

fn local(node: &NodeName, text: &str) -> Result<LocalName, WireError> {
    let channel = ChannelName::parse(&format!("{node}!{text}"))
        .map_err(|error| WireError::field("local")(&error))?;
    let (_, local) = channel.connection().ok_or(WireError::Short)?;
    Ok(local)
}

fn name(text: &str) -> Result<GroupName, WireError> {
    GroupName::parse(text).map_err(|error| WireError::field("group")(&error))
}

fn id(field: &'static str, text: &str) -> Result<CorrelationId, WireError> {
    text.parse().map_err(|error| WireError::field(field)(&error))
}

fn position(epoch: &str, offset: u64) -> Result<Position, WireError> {
    let text = format!("{epoch}-{offset}");
    text.parse().map_err(|error| WireError::field("offset")(&error))
}

impl From<&Since> for WireSince {
    fn from(since: &Since) -> Self {
        Self {
            epoch: since.position.epoch.to_string(),
            offset: since.position.offset,
            complete: since.is_complete,
            missed: since.missed.iter().map(|it| Blob(it.as_bytes().clone())).collect(),
        }
    }
}

impl WireSince {
    fn into_since(self) -> Result<Since, WireError> {
        let missed = self.missed.into_iter().map(|content| parse(content.0));
        Ok(Since {
            position: position(&self.epoch, self.offset)?,
            is_complete: self.complete,
            missed: missed.collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Done> for WireDone {
    fn from(done: &Done) -> Self {
        let (outcome, record) = match done.outcome {
            Outcome::Ok => (WireOutcome::Ok, None),
            Outcome::Fault(id) => (WireOutcome::Fault, Some(id)),
            Outcome::Gone => (WireOutcome::Gone, None),
            Outcome::StateUnreadable(id) => (WireOutcome::StateUnreadable, Some(id)),
            Outcome::Refused => (WireOutcome::Refused, None),
            Outcome::AnswerLost => (WireOutcome::AnswerLost, None),
        };
        Self {
            outcome,
            record: record.map(|id| id.to_string()),
            state: done.state.clone().map(Blob),
            activation: done.activation,
        }
    }
}

impl WireDone {
    fn into_done(self) -> Result<Done, WireError> {
        let record = || id("record", self.record.as_deref().unwrap_or_default());
        let outcome = match self.outcome {
            WireOutcome::Ok => Outcome::Ok,
            WireOutcome::Fault => Outcome::Fault(record()?),
            WireOutcome::Gone => Outcome::Gone,
            WireOutcome::StateUnreadable => Outcome::StateUnreadable(record()?),
            WireOutcome::Refused => Outcome::Refused,
            WireOutcome::AnswerLost => Outcome::AnswerLost,
        };
        let state: Option<Bytes> = self.state.map(|state| state.0);
        Ok(Done { outcome, state, activation: self.activation })
    }
}
