//! `[auth.NAME]`, checked.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    Algorithm, AuthError, KEYS_MAX, jwks,
    key::{Key, KeyError},
};

/// The keys of a section, as they are given.
#[derive(Clone, Debug, Default)]
pub struct GivenKeys {
    /// The shared secret.
    pub secret: Option<GivenSecret>,
    /// Public keys in PEM.
    pub public_keys: Vec<String>,
    /// A JWK Set.
    pub jwks: Option<Vec<u8>>,
    /// Where a JWK Set is fetched from while the host serves.
    pub url: Option<KeyUrl>,
}

/// A shared secret, which is never shown.
#[derive(Clone)]
pub struct GivenSecret(pub Vec<u8>);

impl fmt::Debug for GivenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a JWK Set is fetched from, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUrl {
    /// The URL.
    pub url: String,
    /// Servers besides its own that it may lead to, and addresses of its name that are not public.
    pub grants: Vec<String>,
    /// How long a set counts as new, unless the answer says that it is less.
    pub refresh: Duration,
}

/// Reads the keys of a section again: its files may have changed.
#[derive(Clone)]
pub struct Reread(Arc<dyn Fn() -> Result<GivenKeys, String> + Send + Sync>);

impl Reread {
    /// Reads by a function, whose error says which file cannot be read.
    pub fn new(read: impl Fn() -> Result<GivenKeys, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    pub(super) fn read(&self) -> Result<GivenKeys, String> {
        (self.0)()
    }
}

impl fmt::Debug for Reread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reread")
    }
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

/// `[auth.NAME]`, checked.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// The name of the section.
    pub(super) name: String,
    /// The algorithms that tokens may have, all of one family.
    pub(super) algorithms: Vec<Algorithm>,
    /// Those that are given.
    pub(super) keys: Vec<Key>,
    /// Where others are fetched from.
    pub(super) url: Option<KeyUrl>,
    pub(super) reread: Option<Reread>,
    /// The only issuer, `iss`; none for any.
    pub(super) issuer: Option<String>,
    /// The names of which `aud` must have one. Empty: a token has no `aud`.
    pub(super) audience: Vec<String>,
    /// By how much the clocks of signer and host may differ.
    pub(super) leeway: Duration,
    /// Where tokens are looked for besides `authorization` and subprotocols.
    pub(super) places: Places,
}

impl AuthConfig {
    /// Checks the settings of a section.
    pub fn new(
        algorithms: Vec<Algorithm>,
        given: &GivenKeys,
        expected: Expected,
        places: Places,
    ) -> Result<Self, AuthError> {
        let keys = keys(&algorithms, given)?;
        let Expected { issuer, audience, leeway } = expected;
        if audience.is_none() && given.secret.is_none() {
            return Err(AuthError::AudienceMissing);
        }
        let (url, audience) = (given.url.clone(), audience.unwrap_or_default());
        let name = String::new();
        Ok(Self { name, algorithms, keys, url, reread: None, issuer, audience, leeway, places })
    }

    /// Gives the section its name, for messages.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// Has the keys read again when the host is asked to.
    #[must_use]
    pub fn rereading(self, reread: Reread) -> Self {
        Self { reread: Some(reread), ..self }
    }
}

/// Checks the keys that are given.
pub(super) fn keys(algorithms: &[Algorithm], given: &GivenKeys) -> Result<Vec<Key>, AuthError> {
    let Some(first) = algorithms.first() else { return Err(AuthError::NoAlgorithm) };
    let is_symmetric = first.is_symmetric();
    if algorithms.iter().any(|it| it.is_symmetric() != is_symmetric) {
        return Err(AuthError::Mixed(names(algorithms)));
    }
    let has_public = !given.public_keys.is_empty() || given.jwks.is_some() || given.url.is_some();
    match (is_symmetric, &given.secret, has_public) {
        (_, None, false) => return Err(AuthError::NoKey),
        (true, _, true) | (false, Some(_), _) => {
            return Err(AuthError::OtherFamily(names(algorithms)));
        }
        _ => {}
    }
    let mut keys = Vec::new();
    if let Some(GivenSecret(secret)) = &given.secret {
        keys.push(Key::secret(secret, algorithms)?);
    }
    for text in &given.public_keys {
        keys.extend(Key::from_pem(text)?);
    }
    if let Some(text) = &given.jwks {
        keys.extend(jwks::read(text)?);
    }
    if keys.is_empty() && given.url.is_some() {
        return Ok(keys);
    }
    Ok(usable(algorithms, keys)?)
}

/// Those keys that an algorithm is for. None is an error.
pub(super) fn usable(algorithms: &[Algorithm], mut keys: Vec<Key>) -> Result<Vec<Key>, KeyError> {
    if keys.len() > KEYS_MAX {
        return Err(KeyError::TooMany(keys.len()));
    }
    keys.retain(|key| algorithms.iter().any(|algorithm| key.fits(*algorithm, None)));
    if keys.is_empty() { Err(KeyError::NoneFits(names(algorithms))) } else { Ok(keys) }
}

fn names(algorithms: &[Algorithm]) -> String {
    algorithms.iter().map(|it| it.name()).collect::<Vec<_>>().join(", ")
}
