//! As `interface presence` of the contract; documented there.

use super::call;

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub key: String,
    pub facts: Vec<u8>,
}

/// A part of the members of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub members: Vec<Member>,
    pub count: u64,
    pub cursor: Option<String>,
}

/// Why a call did nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PresenceError {
    Invalid(String),
    Forbidden(String),
    Unavailable(String),
}

/// The part of a test host that knows the members of groups.
pub(crate) trait PresenceHost {
    fn present(
        &mut self,
        group: &str,
        channel: &str,
        key: &str,
        facts: &[u8],
    ) -> Result<(), PresenceError>;
    fn members(
        &mut self,
        group: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page, PresenceError>;
}

pub(crate) fn present(
    group: &str,
    channel: &str,
    key: &str,
    facts: &[u8],
) -> Result<(), PresenceError> {
    call(|host| host.present(group, channel, key, facts))
}

pub(crate) fn members(
    group: &str,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page, PresenceError> {
    call(|host| host.members(group, cursor, limit))
}

pub(crate) fn member_count(group: &str) -> Result<u64, PresenceError> {
    call(|host| host.members(group, None, 1)).map(|page| page.count)
}
