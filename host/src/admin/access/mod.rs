//! Says who may do what over the API: the first token, which may do everything, and named tokens with roles.

mod role;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use hyper::{HeaderMap, header};
use tokio::time::{Instant, sleep_until};

pub use self::role::{Role, RoleError, TokenName, TokenNameError};
use super::{
    AdminToken,
    store::{Added, AdminStore, AdminStoreError, StoredToken, UsedToken},
};
use crate::{engine::digest, message::ModuleName, shutdown::Drain};

/// A named token begins so. Programs that look for lost secrets find it by that.
const PREFIX: &str = "tidegate_";
/// Hexadecimal digits behind it: 256 random bits.
const DIGITS: usize = 64;
/// How old the known tokens may be. One that is revoked through another process is refused after that.
const AGE_MAX: Duration = Duration::from_millis(500);
/// The same for a token that is not among them: it may have just been made through another process.
const AGE_MAX_OF_UNKNOWN: Duration = Duration::from_millis(50);
/// The last use of a token is noted so often.
const USE_NOTED_EVERY_SECONDS: u64 = 3_600;

/// The tokens of the API.
#[derive(Debug)]
pub struct Tokens {
    first: AdminToken,
    store: Arc<dyn AdminStore>,
    /// Locked for single operations only.
    known: Mutex<Known>,
    /// One request to the store at a time.
    loading: tokio::sync::Mutex<()>,
}

/// The named tokens as they were last read.
#[derive(Debug, Default)]
struct Known {
    by_digest: HashMap<String, Arc<UsedToken>>,
    loaded: Option<Instant>,
}

/// The holder of a token, who asks.
#[derive(Clone, Debug)]
pub(super) struct Holder(Option<Arc<UsedToken>>);

impl Holder {
    /// The holder of the first token.
    pub(super) const FIRST: Self = Self(None);

    /// The name of the token for the log; none for the first one.
    pub(super) fn token(&self) -> Option<&TokenName> {
        self.0.as_ref().map(|used| &used.name)
    }

    /// The role of the token.
    pub(super) fn role(&self) -> Role {
        self.0.as_ref().map_or(Role::Admin, |used| used.token.role)
    }

    /// The modules that the token is limited to; none: all.
    pub(super) fn modules(&self) -> Option<&[String]> {
        self.0.as_ref()?.token.modules.as_deref()
    }

    /// Whether the token covers a module.
    pub(super) fn covers(&self, module: &ModuleName) -> bool {
        self.modules().is_none_or(|modules| modules.iter().any(|it| it == module.as_str()))
    }

    /// The token as it is kept; none for the first one.
    pub(super) fn kept(&self) -> Option<&UsedToken> {
        self.0.as_deref()
    }
}

impl Tokens {
    /// The tokens of a process. `first` is the token of its data directory.
    pub fn new(first: AdminToken, store: Arc<dyn AdminStore>) -> Self {
        let (known, loading) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { first, store, known, loading }
    }

    /// The store of the tokens.
    pub(super) fn store(&self) -> &Arc<dyn AdminStore> {
        &self.store
    }

    /// Whether a request has the first token. It needs no store.
    pub(super) fn is_first(&self, headers: &HeaderMap) -> bool {
        self.first.is_in(headers)
    }

    /// Returns the holder of the named token of a request, if it has a valid one.
    pub(super) async fn holder(
        &self,
        headers: &HeaderMap,
    ) -> Result<Option<Holder>, AdminStoreError> {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer "));
        let Some(given) = given.filter(|given| has_form(given)) else { return Ok(None) };
        let used = self.by_digest(&digest(given.as_bytes())).await?;
        Ok(used.map(|used| Holder(Some(used))))
    }

    /// Looks for a token by its hash. A hash is no secret, so that the time of the look tells nothing.
    async fn by_digest(&self, digest: &str) -> Result<Option<Arc<UsedToken>>, AdminStoreError> {
        self.load(AGE_MAX).await?;
        if self.look(digest).is_none() {
            self.load(AGE_MAX_OF_UNKNOWN).await?;
        }
        Ok(self.look(digest).filter(|used| !is_over(&used.token)))
    }

    fn look(&self, digest: &str) -> Option<Arc<UsedToken>> {
        self.known().by_digest.get(digest).cloned()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the tokens, unless they were read so lately.
    async fn load(&self, age_max: Duration) -> Result<(), AdminStoreError> {
        let is_fresh = || self.known().loaded.is_some_and(|loaded| loaded.elapsed() <= age_max);
        if is_fresh() {
            return Ok(());
        }
        let _turn = self.loading.lock().await;
        // Somebody else may have read them meanwhile.
        if is_fresh() {
            return Ok(());
        }
        // They are as old as the question.
        let asked = Instant::now();
        let tokens = self.store.tokens().await?;
        let by_digest = tokens.into_iter().map(|it| (it.token.digest.clone(), Arc::new(it)));
        *self.known() = Known { by_digest: by_digest.collect(), loaded: Some(asked) };
        Ok(())
    }

    /// Returns all named tokens, by name.
    pub(super) async fn list(&self) -> Result<Vec<UsedToken>, AdminStoreError> {
        let mut tokens = self.store.tokens().await?;
        tokens.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(tokens)
    }

    /// Makes a token, and returns its text, which is kept nowhere. None: it was not added.
    pub(super) async fn create(
        &self,
        name: &TokenName,
        mut token: StoredToken,
    ) -> Result<Result<(String, StoredToken), Added>, AdminStoreError> {
        let (high, low): (u128, u128) = (rand::random(), rand::random());
        let text = format!("{PREFIX}{high:032x}{low:032x}");
        token.digest = digest(text.as_bytes());
        // No look is under way that would bring what was before.
        let _turn = self.loading.lock().await;
        Ok(match self.store.add(name, &token).await? {
            Added::Yes => {
                self.known().loaded = None;
                Ok((text, token))
            }
            refused => Err(refused),
        })
    }

    /// Revokes a token, here at once and in other processes within half a second. Returns whether there was one.
    pub(super) async fn revoke(&self, name: &TokenName) -> Result<bool, AdminStoreError> {
        let _turn = self.loading.lock().await;
        let was_there = self.store.revoke(name).await;
        self.known().loaded = None;
        was_there
    }

    /// Notes that a token is used, once an hour.
    pub(super) fn note_use(self: &Arc<Self>, holder: &Holder, tasks: &Drain) {
        let Holder(Some(used)) = holder else { return };
        let hour = seconds_now() / USE_NOTED_EVERY_SECONDS * USE_NOTED_EVERY_SECONDS;
        if used.used_at.is_some_and(|used_at| used_at >= hour) {
            return;
        }
        let mut noted = UsedToken::clone(used);
        noted.used_at = Some(hour);
        self.known().by_digest.insert(noted.token.digest.clone(), Arc::new(noted));
        let (tokens, name) = (Arc::clone(self), used.name.clone());
        tasks.spawn("use of a token", async move {
            if let Err(error) = tokens.store.used(&name, hour).await {
                tracing::debug!(%name, %error, "the last use of a token is not noted");
            }
        });
    }

    /// Resolves when the token of a holder counts no more, or cannot be asked for. Never for the first one.
    pub(super) async fn revoked(&self, holder: &Holder) {
        let Holder(Some(used)) = holder else { return std::future::pending().await };
        loop {
            sleep_until(Instant::now() + AGE_MAX).await;
            if !matches!(self.by_digest(&used.token.digest).await, Ok(Some(_))) {
                return;
            }
        }
    }
}

/// Whether a text has the form of a named token: others are not looked for.
fn has_form(text: &str) -> bool {
    let digits = text.strip_prefix(PREFIX).filter(|digits| digits.len() == DIGITS);
    digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_over(token: &StoredToken) -> bool {
    token.expires_at.is_some_and(|expires_at| expires_at <= seconds_now())
}

/// Seconds since 1970.
pub(super) fn seconds_now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
