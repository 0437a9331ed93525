//! Roles of tokens, and the names of tokens.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::message::ModuleName;

/// The rights of the holder of a token. Each role may do all that those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// Look at modules, records, connections and messages, and not at data.
    Look,
    /// Send messages, close connections, run dead letters again and drop them.
    Send,
    /// Deploy, roll back and delete modules, set them, read and change their data.
    Deploy,
    /// Make and revoke tokens, and stop the process.
    Admin,
}

impl Role {
    /// All roles, in order.
    pub const ALL: [Self; 4] = [Self::Look, Self::Send, Self::Deploy, Self::Admin];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Send => "send",
            Self::Deploy => "deploy",
            Self::Admin => "admin",
        }
    }
}

/// A word that is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a role; they are look, send, deploy and admin")]
pub struct RoleError(String);

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(word: &str) -> Result<Self, RoleError> {
        let role = Self::ALL.into_iter().find(|role| role.word() == word);
        role.ok_or_else(|| RoleError(word.to_owned()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The name of a token: 1 to 63 of `a-z`, `0-9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenName(String);

/// A text that is not the name of a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a token; it has 1 to 63 of a-z 0-9 -, such as \"ci\"")]
pub struct TokenNameError(String);

impl TokenName {
    /// Checks a name.
    pub fn parse(text: &str) -> Result<Self, TokenNameError> {
        // The rule is that of modules.
        match ModuleName::parse(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err(TokenNameError(text.to_owned())),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
