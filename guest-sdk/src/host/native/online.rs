//! As `interface online` of the contract; documented there.

use super::call;

/// Why a call did nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnlineError {
    Invalid(String),
    /// As the contract has it; a test host always answers.
    Unavailable(String),
}

/// What a test host does with the connections of users.
pub(crate) trait OnlineHost {
    fn user_send(&mut self, user: &str, content: &[u8]) -> Result<(), OnlineError>;
    fn user_close(&mut self, user: &str, code: u16, reason: &str) -> Result<(), OnlineError>;
    fn user_connections(&mut self, user: &str) -> Result<u64, OnlineError>;
}

pub(crate) fn user_send(user: &str, content: &[u8]) -> Result<(), OnlineError> {
    call(|host| host.user_send(user, content))
}

pub(crate) fn user_close(user: &str, code: u16, reason: &str) -> Result<(), OnlineError> {
    call(|host| host.user_close(user, code, reason))
}

pub(crate) fn user_connections(user: &str) -> Result<u64, OnlineError> {
    call(|host| host.user_connections(user))
}
