//! `[auth.NAME]`, checked.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    Algorithm, AuthError, DJANGO_SECRET_BYTES_MIN, DjangoSessions, KEYS_MAX, PREFIX_BYTES_MAX,
    django::CookieKey,
    jwks,
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
    /// The secrets of a Django site that signs its sessions.
    pub django: Vec<GivenSecret>,
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

/// Where a token was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The client put it into the header field `authorization` or into a subprotocol.
    Field,
    /// It was a parameter of the query.
    Query,
    /// A browser sent it in a cookie.
    Cookie,
}

/// Where a token is looked for besides the header field `authorization` and the subprotocols of a WebSocket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The name of a cookie.
    pub cookie: Option<String>,
    /// The name of a parameter of the query.
    pub query: Option<String>,
}

impl Places {
    /// Whether a token may be there.
    pub(super) const fn have(&self, place: Place) -> bool {
        match place {
            Place::Field => true,
            Place::Query => self.query.is_some(),
            Place::Cookie => self.cookie.is_some(),
        }
    }
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
    /// What the ids of its users begin with, before `sub`.
    pub(super) user_prefix: String,
    /// By how much the clocks of signer and host may differ.
    pub(super) leeway: Duration,
    /// Where tokens are looked for besides `authorization` and subprotocols.
    pub(super) places: Places,
    /// The sessions of a Django site, if it keeps them in signed cookies.
    pub(super) django: Option<DjangoSessions>,
    pub(super) django_keys: Vec<CookieKey>,
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
        if audience.is_none() && given.secret.is_none() && !algorithms.is_empty() {
            return Err(AuthError::AudienceMissing);
        }
        let django_keys = django_keys(given)?;
        let (url, audience) = (given.url.clone(), audience.unwrap_or_default());
        let (name, user_prefix) = (String::new(), String::new());
        Ok(Self {
            name,
            algorithms,
            keys,
            url,
            reread: None,
            issuer,
            audience,
            user_prefix,
            leeway,
            places,
            django: None,
            django_keys,
        })
    }

    /// Takes sessions of the Django site whose secrets are among the keys.
    pub fn with_django(self, sessions: DjangoSessions) -> Result<Self, AuthError> {
        if self.django_keys.is_empty() {
            return Err(AuthError::DjangoSecretMissing);
        }
        Ok(Self { django: Some(sessions), ..self })
    }

    /// Gives its users ids that begin with a text, by which they are told from those of other sections.
    pub fn with_user_prefix(self, user_prefix: String) -> Result<Self, AuthError> {
        let is_long = user_prefix.len() > PREFIX_BYTES_MAX;
        if is_long || user_prefix.chars().any(char::is_control) {
            return Err(AuthError::Prefix);
        }
        Ok(Self { user_prefix, ..self })
    }

    /// The cookie that may have a token.
    pub fn cookie(&self) -> Option<&str> {
        self.places.cookie.as_deref()
    }

    /// The cookie of sessions of a Django site.
    pub fn django_cookie(&self) -> Option<&str> {
        self.django.as_ref().map(|of| &*of.cookie)
    }

    /// The name of the section.
    pub fn name(&self) -> &str {
        &self.name
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

/// Checks that a token is of one section at most, and an id of the users of one issuer. The error names a section.
pub fn check_together(sections: &[AuthConfig]) -> Result<(), (&str, AuthError)> {
    for (at, section) in sections.iter().enumerate() {
        let wrong = |error| Err((&*section.name, error));
        if sections.len() > 1 && section.issuer.is_none() && !section.algorithms.is_empty() {
            return wrong(AuthError::IssuerMissing);
        }
        for other in sections.iter().take(at) {
            let name = || other.name.clone();
            let is_same_issuer = section.issuer.is_some() && section.issuer == other.issuer;
            let has_same_ids = section.user_prefix == other.user_prefix;
            let common = section.algorithms.iter().find(|it| other.algorithms.contains(it));
            match (is_same_issuer, has_same_ids, common) {
                (true, true, Some(common)) => {
                    return wrong(AuthError::Twice(name(), common.name()));
                }
                (true, false, _) => return wrong(AuthError::SplitIds(name())),
                (false, true, _) => return wrong(AuthError::SharedIds(name())),
                _ => {}
            }
            if section.django.is_some() && other.django.is_some() {
                return wrong(AuthError::TwoSites(name()));
            }
            let (here, there) = (&section.places, &other.places);
            for (setting, here, there) in
                [("cookie", &here.cookie, &there.cookie), ("query", &here.query, &there.query)]
            {
                if here.is_some() && there.is_some() && here != there {
                    return wrong(AuthError::OtherPlace(name(), setting));
                }
            }
        }
    }
    Ok(())
}

/// Checks the keys that are given.
pub(super) fn keys(algorithms: &[Algorithm], given: &GivenKeys) -> Result<Vec<Key>, AuthError> {
    let has_any = given.secret.is_some()
        || !given.public_keys.is_empty()
        || given.jwks.is_some()
        || given.url.is_some();
    let Some(first) = algorithms.first() else {
        let is_for_cookies = !given.django.is_empty() && !has_any;
        return if is_for_cookies { Ok(Vec::new()) } else { Err(AuthError::NoAlgorithm) };
    };
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

/// The keys of cookies of a Django site.
pub(super) fn django_keys(given: &GivenKeys) -> Result<Vec<CookieKey>, AuthError> {
    let keys = given.django.iter().map(|GivenSecret(secret)| match secret.len() {
        DJANGO_SECRET_BYTES_MIN.. => Ok(CookieKey::new(secret)),
        bytes => Err(AuthError::DjangoSecretWeak(bytes)),
    });
    keys.collect()
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
