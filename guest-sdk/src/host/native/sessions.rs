//! As `interface sessions` of the contract; documented there.

use super::call;

/// A session that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub key: String,
    pub expires: u64,
}

/// A session in which a user is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    pub id: String,
    pub is_own: bool,
    pub created: u64,
    pub used: u64,
    pub expires: u64,
    pub address: String,
    pub agent: String,
}

/// Why a call did nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionError {
    Invalid(String),
    NoSession(String),
    Forbidden(String),
    /// Never in a test: its sessions can always be read.
    Unavailable(String),
}

/// What a test host does with the sessions of a consumer.
pub(crate) trait SessionHost {
    fn current_session(&mut self) -> Option<Session>;
    fn begin_session(&mut self) -> Result<Session, SessionError>;
    fn sign_in(&mut self, user: &str, claims: &[u8]) -> Result<Session, SessionError>;
    fn sign_out(&mut self) -> Result<(), SessionError>;
    fn sessions_of(&mut self, user: &str) -> Result<Vec<SignedIn>, SessionError>;
    fn end_session(&mut self, user: &str, id: &str) -> Result<(), SessionError>;
    fn end_sessions(&mut self, user: &str, but_own: bool) -> Result<(), SessionError>;
}

pub(crate) fn current() -> Option<Session> {
    call(|host| host.current_session())
}

pub(crate) fn begin() -> Result<Session, SessionError> {
    call(|host| host.begin_session())
}

pub(crate) fn sign_in(user: &str, claims: &[u8]) -> Result<Session, SessionError> {
    call(|host| host.sign_in(user, claims))
}

pub(crate) fn sign_out() -> Result<(), SessionError> {
    call(|host| host.sign_out())
}

pub(crate) fn list_of(user: &str) -> Result<Vec<SignedIn>, SessionError> {
    call(|host| host.sessions_of(user))
}

pub(crate) fn end(user: &str, id: &str) -> Result<(), SessionError> {
    call(|host| host.end_session(user, id))
}

pub(crate) fn end_all(user: &str, but_own: bool) -> Result<(), SessionError> {
    call(|host| host.end_sessions(user, but_own))
}
