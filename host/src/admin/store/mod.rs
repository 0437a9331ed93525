//! Keeps things of the admin API between requests, for all processes: named tokens, and the answers to requests with an
//! idempotency key.

mod directory;
mod redis;

#[cfg(test)]
mod tests;

use std::{fmt, io, path::PathBuf, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use self::{directory::DirectoryAdminStore, redis::RedisAdminStore};
use super::access::{Role, TokenName};
use crate::redis::RedisFailure;

/// Named tokens that there may be.
pub const TOKENS_MAX: usize = 1_000;
/// How long a request with an idempotency key is remembered.
pub const ONCE_KEPT: Duration = Duration::from_secs(600);

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminStoreError {
    /// A file cannot be read or written.
    #[error("{path}, where tokens are kept, cannot be used: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file has another content.
    #[error(
        "{path}, where tokens are kept, is damaged ({what}); delete it and make the tokens again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The damage.
        what: String,
    },
    /// Redis has no memory left.
    #[error("{0}; nothing was changed")]
    NoMemory(RedisFailure),
    /// Redis refuses it, and will again.
    #[error("tokens and idempotency keys cannot be kept: {0}")]
    Refused(RedisFailure),
    /// Redis does not answer. A change that was asked for may have been made.
    #[error(
        "tokens and idempotency keys are not reached: {0}; the token in the file admin-token works all the same"
    )]
    Away(RedisFailure),
    /// Too many requests with an idempotency key are remembered.
    #[error(
        "{limit} idempotency keys of the last 10 minutes are remembered already; try again later, or without a key"
    )]
    TooManyKeys {
        /// How many may be.
        limit: usize,
    },
}

/// A named token as it is kept: its hash, never itself. An unknown field makes it unreadable, since it could
/// be a restriction that this release does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredToken {
    /// SHA-256 of the token in hexadecimal.
    pub digest: String,
    /// The rights of its holder.
    pub role: Role,
    /// The modules that it is limited to; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modules: Option<Vec<String>>,
    /// When it was made, in seconds since 1970.
    pub created_at: u64,
    /// The name of the one who made it.
    pub created_by: String,
    /// When it ends, in seconds since 1970; none: when it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
}

/// A named token and its last use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedToken {
    /// Its name.
    pub name: TokenName,
    /// The token.
    pub token: StoredToken,
    /// When it was last used, in seconds since 1970, to the hour.
    pub used_at: Option<u64>,
}

impl UsedToken {
    /// A token that was read. One that cannot be read counts for nobody, and says so in the log.
    fn read(
        name: &str,
        token: Result<StoredToken, serde_json::Error>,
        used_at: Option<u64>,
    ) -> Option<Self> {
        let name = TokenName::parse(name).ok()?;
        match token {
            Ok(token) => Some(Self { name, token, used_at }),
            Err(error) => {
                tracing::warn!(%name, %error, "a token cannot be read and lets nobody in; revoke it");
                None
            }
        }
    }
}

/// The outcome of adding a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is added.
    Yes,
    /// There is one of that name.
    NameIsTaken,
    /// There are as many as there may be.
    TooMany,
}

/// The state of an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Nothing: the request has begun now.
    New,
    /// A request with it has begun, and has no answer.
    Running,
    /// The same request was answered so.
    Answered(Vec<u8>),
    /// Another request had the same key.
    OfAnother,
}

impl Kept {
    /// Reads what a request has left: its own digest, and behind that its answer.
    fn read(kept: &[u8], request: &str) -> Self {
        match kept.strip_prefix(request.as_bytes()) {
            _ if kept.is_empty() => Self::New,
            None => Self::OfAnother,
            Some([]) => Self::Running,
            Some(answer) => Self::Answered(answer.to_vec()),
        }
    }
}

/// Keeps named tokens and idempotency keys. The admin API alone calls it. Dropping the future of a call that changes
/// something leaves open whether it does.
#[async_trait]
pub trait AdminStore: fmt::Debug + Send + Sync + 'static {
    /// Returns all named tokens that can be read.
    async fn tokens(&self) -> Result<Vec<UsedToken>, AdminStoreError>;

    /// Adds a token, unless its name is taken or [`TOKENS_MAX`] are there.
    async fn add(&self, name: &TokenName, token: &StoredToken) -> Result<Added, AdminStoreError>;

    /// Revokes a token. Returns whether there was one.
    async fn revoke(&self, name: &TokenName) -> Result<bool, AdminStoreError>;

    /// Notes when a token was used, in seconds since 1970. Does nothing for one that is gone.
    async fn used(&self, name: &TokenName, used_at: u64) -> Result<(), AdminStoreError>;

    /// Begins a request with an idempotency key, a digest, for [`ONCE_KEPT`], unless it is known. `request` is the
    /// digest of the request.
    async fn begin(&self, key: &str, request: &str) -> Result<Kept, AdminStoreError>;

    /// Keeps the answer to a request that has begun, for [`ONCE_KEPT`] from now.
    async fn answered(
        &self,
        key: &str,
        request: &str,
        answer: &[u8],
    ) -> Result<(), AdminStoreError>;

    /// Forgets a request that has begun and did nothing.
    async fn forget(&self, key: &str) -> Result<(), AdminStoreError>;
}
