//! Tokens: who sent a request, as a JSON Web Token (RFC 7519) says.
//!
//! `ring` verifies signatures, as it does for TLS. What the claims must be is decided here, since libraries
//! differ: `claims` has the rules.

mod algorithm;
mod claims;
mod config;
mod error;
mod json;
mod jwks;
mod key;
mod refresh;
mod section;
#[cfg(test)]
mod tests;
mod token;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use quick_cache::{Weighter, sync::Cache};

pub use self::{
    algorithm::Algorithm,
    config::{AuthConfig, Expected, GivenKeys, GivenSecret, KeyUrl, Places, Reread},
    error::{AuthError, TokenError},
    key::{Key, KeyError},
    refresh::{FetchedSet, KeyFetcher},
    token::TOKEN_BYTES_MAX,
};
use self::{claims::Checked, section::Section, token::Parts};
use crate::message::User;

/// The most keys of a section: each may be tried for a token that names none.
const KEYS_MAX: usize = 16;
/// The most that remembered tokens may take, in bytes.
const REMEMBERED_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The bytes that a remembered token takes besides its user.
const REMEMBERED_EXTRA_BYTES: u64 = 128;
/// The size of the users of most tokens, in bytes.
const USER_BYTES_TYPICAL: u64 = 256;

/// Checks tokens, and remembers those that it has checked.
pub struct Auth {
    section: Section,
    /// Counts changes of keys. What was remembered before the last one does not count.
    generation: Arc<AtomicU64>,
    remembered: Cache<[u8; 32], Arc<Checked>, ByUser>,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("section", &self.section).finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct ByUser;

impl Weighter<[u8; 32], Arc<Checked>> for ByUser {
    fn weight(&self, _: &[u8; 32], checked: &Arc<Checked>) -> u64 {
        REMEMBERED_EXTRA_BYTES + u64::try_from(checked.user.len()).unwrap_or(u64::MAX)
    }
}

impl Auth {
    /// Begins without remembered tokens.
    pub fn new(config: AuthConfig) -> Self {
        let typical = REMEMBERED_BYTES_MAX / (REMEMBERED_EXTRA_BYTES + USER_BYTES_TYPICAL);
        let items = usize::try_from(typical).unwrap_or(usize::MAX);
        let remembered = Cache::with_weighter(items, REMEMBERED_BYTES_MAX, ByUser);
        let generation = Arc::<AtomicU64>::default();
        let section = Section::new(config, Arc::clone(&generation));
        Self { section, generation, remembered }
    }

    /// Where tokens are looked for.
    pub const fn places(&self) -> &Places {
        &self.section.config.places
    }

    /// By how much the clocks of signer and host may differ.
    pub const fn leeway(&self) -> Duration {
        self.section.config.leeway
    }

    /// Returns the user of a token that is valid at a moment.
    pub fn user(&self, token: &str, now: SystemTime) -> Result<Arc<User>, TokenError> {
        // Before it is read as a whole.
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Size);
        }
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let digest = key::digest(token);
        if let Some(checked) = self.remembered.get(&digest)
            && checked.generation == self.generation.load(Ordering::Acquire)
        {
            if now < checked.valid_until {
                return Ok(Arc::clone(&checked.user));
            }
            self.remembered.remove(&digest);
            return Err(TokenError::Expired);
        }
        let checked = Arc::new(self.check(token, now)?);
        self.remembered.insert(digest, Arc::clone(&checked));
        Ok(Arc::clone(&checked.user))
    }

    fn check(&self, token: &str, now: f64) -> Result<Checked, TokenError> {
        self.section.check(&Parts::of(token)?, now)
    }

    /// Waits for keys where a token was refused with [`TokenError::Key`] or [`TokenError::KeysAway`]: for a fetch that
    /// is under way, or for one that begins now. It may take as long as the source does. Interface servers call it,
    /// with a timeout, and check the token again; dropping the future does no harm.
    pub async fn ask_for_keys(&self) {
        self.section.ask_for_keys().await;
    }

    /// Forgets all tokens: what they were checked with has changed.
    fn forget(&self) {
        self.remembered.clear();
    }
}
