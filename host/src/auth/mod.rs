//! Tokens: who sent a request, as a JSON Web Token (RFC 7519) says.
//!
//! `ring` verifies signatures, as it does for TLS. What the claims must be is decided here, since libraries
//! differ: `claims` has the rules.

mod algorithm;
mod claims;
mod config;
mod django;
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
    config::{
        AuthConfig, Expected, GivenKeys, GivenSecret, KeyUrl, Place, Places, Reread, check_together,
    },
    django::DjangoSessions,
    error::{AuthError, TokenError},
    key::{Key, KeyError},
    refresh::{FetchedSet, KeyFetcher},
    token::TOKEN_BYTES_MAX,
};
use self::{claims::Checked, section::Section, token::Parts};
use crate::message::User;

/// The most keys of a section: each may be tried for a token that names none.
const KEYS_MAX: usize = 16;
/// The shortest secret of a Django site, in bytes. Django makes them longer.
const DJANGO_SECRET_BYTES_MIN: usize = 32;
/// Stands for the sessions of the host where a module names the sections whose users it takes. No section has this name.
pub const SESSIONS: &str = "sessions";
/// The longest beginning of the ids of a section's users, in bytes.
const PREFIX_BYTES_MAX: usize = 64;
/// The most that remembered tokens may take, in bytes.
const REMEMBERED_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The bytes that a remembered token takes besides its user.
const REMEMBERED_EXTRA_BYTES: u64 = 128;
/// The size of the users of most tokens, in bytes.
const USER_BYTES_TYPICAL: u64 = 256;

/// Checks tokens, and remembers those that it has checked.
pub struct Auth {
    sections: Vec<Section>,
    /// Those of all sections.
    places: Places,
    /// Counts changes of keys. What was remembered before the last one does not count.
    generation: Arc<AtomicU64>,
    remembered: Cache<[u8; 32], Arc<Checked>, ByUser>,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("sections", &self.sections).finish_non_exhaustive()
    }
}

/// Whose token it is.
#[derive(Debug)]
pub struct Known<'a> {
    /// The user.
    pub user: Arc<User>,
    /// The name of the section that has checked it.
    pub section: &'a str,
}

#[derive(Clone)]
struct ByUser;

impl Weighter<[u8; 32], Arc<Checked>> for ByUser {
    fn weight(&self, _: &[u8; 32], checked: &Arc<Checked>) -> u64 {
        REMEMBERED_EXTRA_BYTES + u64::try_from(checked.user.len()).unwrap_or(u64::MAX)
    }
}

impl Auth {
    /// Begins without remembered tokens, with sections that [`check_together`] has passed.
    pub fn new(sections: Vec<AuthConfig>) -> Self {
        let typical = REMEMBERED_BYTES_MAX / (REMEMBERED_EXTRA_BYTES + USER_BYTES_TYPICAL);
        let items = usize::try_from(typical).unwrap_or(usize::MAX);
        let remembered = Cache::with_weighter(items, REMEMBERED_BYTES_MAX, ByUser);
        let generation = Arc::<AtomicU64>::default();
        let named = |of: fn(&Places) -> &Option<String>| {
            sections.iter().find_map(|section| of(&section.places).clone())
        };
        let places = Places { cookie: named(|it| &it.cookie), query: named(|it| &it.query) };
        let new = |config| Section::new(config, Arc::clone(&generation));
        let sections = sections.into_iter().map(new).collect();
        Self { sections, places, generation, remembered }
    }

    /// Where tokens are looked for, for one section or another.
    pub const fn places(&self) -> &Places {
        &self.places
    }

    /// For how long at least a user counts after its end. Django has no such time.
    pub fn leeway(&self) -> Duration {
        if self.django().is_some() {
            return Duration::ZERO;
        }
        self.sections.iter().map(|section| section.config.leeway).min().unwrap_or_default()
    }

    /// Returns the user of a token that is valid at a moment.
    pub fn user(
        &self,
        token: &str,
        place: Place,
        now: SystemTime,
    ) -> Result<Known<'_>, TokenError> {
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
                return self.known(&checked, place);
            }
            self.remembered.remove(&digest);
            return Err(TokenError::Expired);
        }
        let checked = Arc::new(self.check(token, place, now)?);
        self.remembered.insert(digest, Arc::clone(&checked));
        self.known(&checked, place)
    }

    fn known(&self, checked: &Checked, place: Place) -> Result<Known<'_>, TokenError> {
        let section = self.sections.get(checked.section).ok_or(TokenError::Issuer)?;
        if !section.config.places.have(place) {
            return Err(TokenError::Place);
        }
        Ok(Known { user: Arc::clone(&checked.user), section: section.config.name() })
    }

    fn check(&self, token: &str, place: Place, now: f64) -> Result<Checked, TokenError> {
        let parts = Parts::of(token)?;
        let (at, section) = self.section_of(&parts)?;
        // Before keys are looked for: a token that does not count asks for none.
        if !section.config.places.have(place) {
            return Err(TokenError::Place);
        }
        let checked = section.check(&parts, now)?;
        if !self.is_own_id(section, checked.user.id()) {
            return Err(TokenError::ForeignId);
        }
        Ok(Checked { section: at, ..checked })
    }

    /// The section that a token is for. What the token says of its issuer is not verified yet.
    fn section_of(&self, parts: &Parts<'_>) -> Result<(usize, &Section), TokenError> {
        if let [only] = &*self.sections {
            return Ok((0, only));
        }
        let claims = parts.claims()?;
        let issuer = claims.get("iss").and_then(serde_json::Value::as_str);
        let issuer = issuer.ok_or(TokenError::Issuer)?;
        let of_issuer = |(_, it): &(usize, &Section)| {
            it.config.issuer.as_deref().is_some_and(|it| it == issuer)
        };
        let mut sections = self.sections.iter().enumerate().filter(of_issuer).peekable();
        sections.peek().ok_or(TokenError::Issuer)?;
        sections
            .find(|(_, it)| it.config.algorithms.contains(&parts.algorithm))
            .ok_or(TokenError::Algorithm)
    }

    /// Whether an id is not like those of another section: the longest prefix that it begins with is the section's.
    fn is_own_id(&self, section: &Section, id: &str) -> bool {
        let prefixes = self.sections.iter().map(|it| &*it.config.user_prefix);
        let longest = prefixes.filter(|prefix| id.starts_with(prefix)).map(str::len).max();
        longest.is_none_or(|longest| longest <= section.config.user_prefix.len())
    }

    /// The settings of sessions of Django, if a section has some.
    pub fn django(&self) -> Option<&DjangoSessions> {
        self.sections.iter().find_map(|section| section.config.django.as_ref())
    }

    /// Returns the user of a session of Django at a moment; none where nobody is signed in, or no section is for such.
    pub fn django_user(
        &self,
        cookie: &str,
        now: SystemTime,
    ) -> Result<Option<Known<'_>>, TokenError> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let mut sections = self.sections.iter();
        let Some(section) = sections.find(|section| section.config.django.is_some()) else {
            return Ok(None);
        };
        let Some(user) = section.check_django(cookie, now)? else { return Ok(None) };
        if !self.is_own_id(section, user.id()) {
            return Err(TokenError::ForeignId);
        }
        Ok(Some(Known { user, section: section.config.name() }))
    }

    /// Whether an id begins like those of a section that has ids of its own.
    pub fn has_ids_like(&self, id: &str) -> bool {
        let prefixes = self.sections.iter().map(|it| &*it.config.user_prefix);
        prefixes.filter(|prefix| !prefix.is_empty()).any(|prefix| id.starts_with(prefix))
    }

    /// Waits for keys where a token was refused with [`TokenError::Key`] or [`TokenError::KeysAway`]: for a fetch that
    /// is under way, or for one that begins now. It may take as long as the source does. Interface servers call it,
    /// with a timeout, and check the token again; dropping the future does no harm.
    pub async fn ask_for_keys(&self, token: &str) {
        let section = Parts::of(token).and_then(|parts| self.section_of(&parts));
        if let Ok((_, section)) = section {
            section.ask_for_keys().await;
        }
    }

    /// Forgets all tokens: what they were checked with has changed.
    fn forget(&self) {
        self.remembered.clear();
    }
}
