//! As `interface users` of the contract; documented there.

use super::call;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: String,
    pub claims: Vec<u8>,
    pub expires: Option<u64>,
}

pub(crate) fn current() -> Option<User> {
    call(|host| host.current_user())
}
