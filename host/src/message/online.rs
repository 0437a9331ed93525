//! Connections of users and sessions: the groups that the host puts them into, and how many there may be.

use std::num::NonZeroU32;

use data_encoding::HEXLOWER;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{ChannelName, Close, Content, GroupName, ModuleName, SessionKey};

impl GroupName {
    /// Begins the names of groups that hold connections of users.
    const USER_PREFIX: &str = "_user.";
    /// Begins the names of groups that hold the sockets of sessions.
    const SESSION_PREFIX: &str = "_session.";

    /// The group of a user's connections to a module. It tells who it is only to those who know already.
    pub fn of_user(module: &ModuleName, user: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(module.as_str());
        // No name of a module has it, so no two pairs are one text.
        hash.update([0]);
        hash.update(user);
        let digest = HEXLOWER.encode(&hash.finalize());
        Self::known(&format!("{}{digest}", Self::USER_PREFIX))
    }

    /// The group of the sockets that are open in a session.
    pub fn of_session(key: &SessionKey) -> Self {
        Self::known(&format!("{}{key}", Self::SESSION_PREFIX))
    }

    /// Whether it holds connections of a user.
    pub fn is_of_user(&self) -> bool {
        self.as_str().starts_with(Self::USER_PREFIX)
    }

    /// Whether a name is that of a group of the host, or may be one some day. No module is named like this, and nobody
    /// but the host sends to such a group or makes a channel a member of it.
    pub fn reserves(name: &str) -> bool {
        [Self::USER_PREFIX, Self::SESSION_PREFIX].iter().any(|prefix| name.starts_with(prefix))
    }

    /// Whether the group is the host's.
    pub fn is_reserved(&self) -> bool {
        Self::reserves(self.as_str())
    }
}

/// What becomes of a connection of a user who has as many as there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beyond {
    /// The new one is refused.
    #[default]
    Refuse,
    /// The new one is let in, and the oldest is closed.
    CloseOldest,
}

/// How many connections a user may have to a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserLimit {
    /// How many.
    pub connections: NonZeroU32,
    /// What becomes of one more.
    pub beyond: Beyond,
}

/// What came of it that a connection was to become one of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entered {
    /// It is one.
    In {
        /// How many the user has now.
        connections: usize,
        /// The oldest ones, which do not count any more and are to be closed.
        displaced: Vec<ChannelName>,
    },
    /// It is not: the user has as many as there may be.
    Full,
}

/// Connections of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Online {
    /// How many there are.
    pub count: usize,
    /// Some of them: as many as were asked for, if there are so many.
    pub some: Vec<ChannelName>,
}

impl Close {
    /// The message that closes a connection which gets it.
    pub fn content(&self) -> Content {
        let message =
            json!({ "type": "websocket.close", "code": self.code, "reason": self.reason });
        let object = message.as_object().expect("an object was written");
        Content::from_json(object).expect("a flat map of texts and a number is content")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Reply, replies_from};

    fn module(name: &str) -> ModuleName {
        ModuleName::parse(name).unwrap()
    }

    #[test]
    fn each_user_of_each_module_has_a_group_of_the_host() {
        let group = GroupName::of_user(&module("chat"), "ada");
        assert_eq!(GroupName::parse(group.as_str()), Ok(group.clone()));
        assert!(group.is_reserved());
        assert_eq!(group, GroupName::of_user(&module("chat"), "ada"));
        assert_ne!(group, GroupName::of_user(&module("chat"), "bob"));
        assert_ne!(group, GroupName::of_user(&module("cha"), "tada"));
        // Another program finds it, too: SHA-256 of the two names with a zero byte between.
        assert_eq!(
            group.as_str(),
            "_user.c0695c50217c78d368ddc243f77649bc1bc69b1bd4ea8bcd68f3f5928b816ef9"
        );
        for (name, is_reserved) in
            [("_user.x", true), ("_session.x", true), ("_users", false), ("_sessions.x", false)]
        {
            assert_eq!(GroupName::parse(name).unwrap().is_reserved(), is_reserved, "{name}");
        }
        let session = GroupName::of_session(&SessionKey([7; 32]));
        assert_eq!(GroupName::parse(session.as_str()), Ok(session.clone()));
        assert!(session.is_reserved() && !session.is_of_user());
    }

    #[test]
    fn a_close_is_read_as_it_was_written() {
        let close = Close::new(4000, "signed out elsewhere");
        assert_eq!(replies_from(&close.content()), Ok(vec![Reply::Close(close)]));
    }
}
