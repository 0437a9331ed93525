//! As `interface history` of the contract; documented there.

use super::call;

/// A message of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    pub position: String,
    pub content: Vec<u8>,
}

/// A part of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub messages: Vec<Remembered>,
    pub position: String,
    pub complete: bool,
    pub more: bool,
}

/// Why a call did nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryError {
    Invalid(String),
    Forbidden(String),
    Unavailable(String),
}

/// What a test host does with the histories of groups.
pub(crate) trait HistoryHost {
    fn read_history(
        &mut self,
        group: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page, HistoryError>;
    fn group_join(
        &mut self,
        group: &str,
        after: Option<&str>,
        latest: u32,
    ) -> Result<(), HistoryError>;
}

pub(crate) fn read(group: &str, after: Option<&str>, limit: u32) -> Result<Page, HistoryError> {
    call(|host| host.read_history(group, after, limit))
}

pub(crate) fn join(group: &str, after: Option<&str>, latest: u32) -> Result<(), HistoryError> {
    call(|host| host.group_join(group, after, latest))
}
