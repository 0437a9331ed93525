//! Groups that are remembered.

use std::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::host::history;
use crate::{Error, Result, Scope, payload, sse};

/// The key of the query in which a client names its positions.
const QUERY_KEY: &str = "after";

/// A place in the history of a group. Its text means nothing to anybody but the host; a client keeps it and sends
/// it back as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(String);

impl Position {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Position {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Position {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// From where on a connection gets the messages of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Since {
    pub(crate) position: Option<Position>,
    pub(crate) latest: u32,
}

impl Since {
    /// From now on.
    #[must_use]
    pub fn now() -> Self {
        Self::default()
    }

    /// From a position on, such as [`Context::last_position`](crate::Context::last_position); from now on without
    /// one. If messages behind it are gone, the client is told so.
    #[must_use]
    pub fn position(position: Option<Position>) -> Self {
        Self { position, latest: 0 }
    }

    /// With so many of the latest messages first, where there is no position or messages behind it are gone. At
    /// most 1,000.
    #[must_use]
    pub fn or_latest(self, count: u32) -> Self {
        Self { latest: count, ..self }
    }
}

/// The history of a group; see [`Context::history`](crate::Context::history).
#[derive(Debug)]
pub struct History {
    group: String,
}

impl History {
    pub(crate) const fn new(group: String) -> Self {
        Self { group }
    }

    /// The latest messages, at most `limit`, which is 1 to 1,000, and 256 KiB.
    ///
    /// # Errors
    /// When the group is not remembered or not the module's, or the layer cannot be reached.
    pub fn latest(&self, limit: u32) -> std::result::Result<Page, HistoryError> {
        Ok(Page(history::read(&self.group, None, limit)?))
    }

    /// The messages behind a position, oldest first, at most `limit`, which is 1 to 1,000, and 256 KiB. Where some
    /// of them are gone, and for a text that is no position of the group, the page is not complete and has none.
    ///
    /// # Errors
    /// As [`History::latest`].
    pub fn after(
        &self,
        position: &Position,
        limit: u32,
    ) -> std::result::Result<Page, HistoryError> {
        Ok(Page(history::read(&self.group, Some(position.as_str()), limit)?))
    }
}

/// A part of a history, oldest first and without holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page(history::Page);

impl Page {
    /// The messages.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = Remembered<'_>> {
        self.0.messages.iter().map(Remembered)
    }

    /// The place behind the last message; without one the place that was asked for, or the end of the history.
    #[must_use]
    pub fn position(&self) -> Position {
        Position(self.0.position.clone())
    }

    /// Whether nothing is missing behind the position that was asked for.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.0.complete
    }

    /// Whether the history goes on behind [`Page::position`].
    #[must_use]
    pub const fn has_more(&self) -> bool {
        self.0.more
    }
}

/// A message of a history.
#[derive(Debug, Clone, Copy)]
pub struct Remembered<'a>(&'a history::Remembered);

impl Remembered<'_> {
    /// The place behind the message.
    #[must_use]
    pub fn position(&self) -> Position {
        Position(self.0.position.clone())
    }

    /// Reads the message as it was sent.
    ///
    /// # Errors
    /// When it does not read as `T`. Returned by a consumer, it is a fault.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        payload::decode(&self.0.content).map_err(|error| {
            let type_name = std::any::type_name::<T>();
            Error::failed(format!("a remembered message does not read as `{type_name}`: {error}"))
        })
    }
}

/// The position that a client names: `after=GROUP:POSITION` of the query, else `after=POSITION`, else the id of the
/// last event that it saw.
pub(crate) fn said(scope: &Scope, group: &str) -> Option<Position> {
    let mut alone = None;
    for (_, value) in scope.query_pairs().filter(|(key, _)| key == QUERY_KEY) {
        match value.split_once(':') {
            Some((of, position)) if of == group => return Some(position.into()),
            Some(_) => {}
            None => alone = Some(Position(value)),
        }
    }
    alone.or_else(|| sse::last_event_id(scope).map(Position::from))
}

/// Why a call about a history did nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryError {
    /// The call breaks a rule, or the group is not remembered; the text says which.
    Invalid(String),
    /// The group belongs to another module; the text says which setting grants it.
    Forbidden(String),
    /// The layer cannot be reached. Trying again later may work.
    Unavailable(String),
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Invalid(text) | Self::Forbidden(text) | Self::Unavailable(text)) = self;
        f.write_str(text)
    }
}

impl std::error::Error for HistoryError {}

impl From<history::HistoryError> for HistoryError {
    fn from(error: history::HistoryError) -> Self {
        match error {
            history::HistoryError::Invalid(text) => Self::Invalid(text),
            history::HistoryError::Forbidden(text) => Self::Forbidden(text),
            history::HistoryError::Unavailable(text) => Self::Unavailable(text),
        }
    }
}
