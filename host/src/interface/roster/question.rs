//! What operators may ask a node about its connections, as it travels between processes.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The version of the questions: another one has questions that this one does not understand.
pub const QUESTIONS: u32 = 1;

/// Bytes that are not a question or an answer of this release.
#[derive(Debug, thiserror::Error)]
#[error("it is of another release: {0}")]
pub struct QuestionError(#[from] serde_json::Error);

/// Selects connections: those for which all holds that is given. A field that a release does not know makes the whole
/// question one that it does not understand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Selection {
    /// Of a module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Members of a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Of a user, by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `http` or `websocket`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Of one of some modules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub covered: Option<Vec<String>>,
}

/// The end of a connection, as an operator wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientClose {
    /// The close code.
    pub code: u16,
    /// The reason, up to 123 bytes.
    pub reason: String,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Question {
    /// How many connections are there?
    Count {
        /// The selection.
        of: Selection,
    },
    /// Which are they, in the order of their names?
    List {
        /// The selection.
        of: Selection,
        /// Only those whose local name is behind this one.
        after: Option<String>,
        /// How many at most.
        limit: usize,
    },
    /// What is known of one?
    Show {
        /// Only if the selection has it.
        of: Selection,
        /// Its reply channel.
        connection: String,
    },
    /// Close them.
    Close {
        /// The selection.
        of: Selection,
        /// Only the one with this reply channel.
        connection: Option<String>,
        /// How.
        close: ClientClose,
    },
}

/// What is known of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionFacts {
    /// Its reply channel.
    pub connection: String,
    /// The module that serves it.
    pub module: String,
    /// Its consumer.
    pub consumer: String,
    /// `http` or `websocket`.
    pub protocol: String,
    /// The path, without the query.
    pub path: String,
    /// Address and port of the client.
    pub client: String,
    /// The id of its user, where that is known.
    pub user: Option<String>,
    /// The records of its events have the same.
    pub correlation_id: String,
    /// When it began, in milliseconds since 1970.
    pub since_ms: u64,
    /// Bytes that wait for the client.
    pub unsent_bytes: u64,
    /// Its groups, where one connection is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// How many there are.
    Count {
        /// The number.
        total: u64,
    },
    /// Some of them.
    List {
        /// The connections.
        connections: Vec<ConnectionFacts>,
    },
    /// One of them.
    Show {
        /// None if it is not there.
        connection: Option<Box<ConnectionFacts>>,
    },
    /// They are being closed.
    Closing {
        /// How many.
        connections: u64,
    },
    /// The question is of another release.
    NotUnderstood {
        /// Why.
        reason: String,
    },
}

impl Question {
    /// Writes a question.
    pub fn seal(&self) -> Bytes {
        serde_json::to_vec(self).expect("a question is JSON").into()
    }

    pub(super) fn open(bytes: &[u8]) -> Result<Self, QuestionError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

impl Answer {
    pub(super) fn seal(&self) -> Bytes {
        serde_json::to_vec(self).expect("an answer is JSON").into()
    }

    /// Reads an answer.
    pub fn open(bytes: &[u8]) -> Result<Self, QuestionError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}
