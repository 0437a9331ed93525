//! Tokens: who sent a request, as a JSON Web Token (RFC 7519) says.
//!
//! `ring` verifies signatures, as it does for TLS. What the claims must be is decided here, since libraries
//! differ: `claims` has the rules.

mod algorithm;
mod claims;
mod error;
mod json;
mod jwks;
mod key;
#[cfg(test)]
mod tests;
mod token;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use quick_cache::{Weighter, sync::Cache};

pub use self::{
    algorithm::Algorithm,
    error::{AuthError, TokenError},
    key::{Key, KeyError},
    token::TOKEN_BYTES_MAX,
};
use self::{claims::Checked, token::Parts};
use crate::message::User;

/// The most keys of a section: each may be tried for a token that names none.
const KEYS_MAX: usize = 16;
/// The most that remembered tokens may take, in bytes.
const REMEMBERED_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The bytes that a remembered token takes besides its user.
const REMEMBERED_EXTRA_BYTES: u64 = 128;
/// The size of the users of most tokens, in bytes.
const USER_BYTES_TYPICAL: u64 = 256;

/// The keys of a section, as they are given.
#[derive(Clone, Debug, Default)]
pub struct GivenKeys {
    /// The shared secret.
    pub secret: Option<GivenSecret>,
    /// Public keys in PEM.
    pub public_keys: Vec<String>,
    /// A JWK Set.
    pub jwks: Option<Vec<u8>>,
}

/// A shared secret, which is never shown.
#[derive(Clone)]
pub struct GivenSecret(pub Vec<u8>);

impl fmt::Debug for GivenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// `[auth.NAME]`, checked.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// The algorithms that tokens may have, all of one family.
    algorithms: Vec<Algorithm>,
    keys: Vec<Key>,
    /// The only issuer, `iss`; none for any.
    issuer: Option<String>,
    /// The names of which `aud` must have one. Empty: a token has no `aud`.
    audience: Vec<String>,
    /// By how much the clocks of signer and host may differ.
    leeway: Duration,
    /// Where tokens are looked for besides `authorization` and subprotocols.
    places: Places,
}

/// Where a token is looked for besides the header field `authorization` and the subprotocols of a WebSocket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The name of a cookie.
    pub cookie: Option<String>,
    /// The name of a parameter of the query.
    pub query: Option<String>,
}

/// The claims that a token must have.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The only issuer, `iss`; none for any.
    pub issuer: Option<String>,
    /// The names of which `aud` must have one; none if the setting is missing.
    pub audience: Option<Vec<String>>,
    /// By how much the clocks of signer and host may differ.
    pub leeway: Duration,
}

impl AuthConfig {
    /// Checks the settings of a section.
    pub fn new(
        algorithms: Vec<Algorithm>,
        given: &GivenKeys,
        expected: Expected,
        places: Places,
    ) -> Result<Self, AuthError> {
        let names = || algorithms.iter().map(|it| it.name()).collect::<Vec<_>>().join(", ");
        let Some(first) = algorithms.first() else { return Err(AuthError::NoAlgorithm) };
        let is_symmetric = first.is_symmetric();
        if algorithms.iter().any(|it| it.is_symmetric() != is_symmetric) {
            return Err(AuthError::Mixed(names()));
        }
        let has_public = !given.public_keys.is_empty() || given.jwks.is_some();
        match (is_symmetric, &given.secret, has_public) {
            (_, None, false) => return Err(AuthError::NoKey),
            (true, _, true) | (false, Some(_), _) => return Err(AuthError::OtherFamily(names())),
            _ => {}
        }
        let mut keys = Vec::new();
        if let Some(GivenSecret(secret)) = &given.secret {
            keys.push(Key::secret(secret, &algorithms)?);
        }
        for text in &given.public_keys {
            keys.extend(Key::from_pem(text)?);
        }
        if let Some(text) = &given.jwks {
            keys.extend(jwks::read(text)?);
        }
        if keys.len() > KEYS_MAX {
            return Err(KeyError::TooMany(keys.len()).into());
        }
        keys.retain(|key| algorithms.iter().any(|algorithm| key.fits(*algorithm, None)));
        if keys.is_empty() {
            return Err(KeyError::NoneFits(names()).into());
        }
        if !is_symmetric && expected.audience.is_none() {
            return Err(AuthError::AudienceMissing);
        }
        let Expected { issuer, audience, leeway } = expected;
        let audience = audience.unwrap_or_default();
        Ok(Self { algorithms, keys, issuer, audience, leeway, places })
    }
}

/// Checks tokens, and remembers those that it has checked.
pub struct Auth {
    config: AuthConfig,
    remembered: Cache<[u8; 32], Arc<Checked>, ByUser>,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("config", &self.config).finish_non_exhaustive()
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
        Self { config, remembered }
    }

    /// Where tokens are looked for.
    pub const fn places(&self) -> &Places {
        &self.config.places
    }

    /// By how much the clocks of signer and host may differ.
    pub const fn leeway(&self) -> Duration {
        self.config.leeway
    }

    /// Returns the user of a token that is valid at a moment.
    pub fn user(&self, token: &str, now: SystemTime) -> Result<Arc<User>, TokenError> {
        // Before it is read as a whole.
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Size);
        }
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let digest = key::digest(token);
        if let Some(checked) = self.remembered.get(&digest) {
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
        let parts = Parts::of(token)?;
        let (algorithm, id) = (parts.algorithm, parts.key_id.as_deref());
        if !self.config.algorithms.contains(&algorithm) {
            return Err(TokenError::Algorithm);
        }
        let mut keys = self.config.keys.iter().filter(|key| key.fits(algorithm, id)).peekable();
        if keys.peek().is_none() {
            return Err(TokenError::Key);
        }
        let signed = parts.signed.as_bytes();
        if !keys.any(|key| key.verifies(algorithm, signed, &parts.signature)) {
            return Err(TokenError::Signature);
        }
        claims::check(&parts.claims()?, &self.config, now)
    }
}
