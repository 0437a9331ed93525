//! A bound on how often something is tried.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::host::machine;
use crate::{Store, StoreError, Stored};

/// Before the keys of throttles in the store of the module.
const KEY_PREFIX: &str = "throttle:";
/// The longest start of a subject that is in its key, in bytes.
const SUBJECT_BYTES_MAX: usize = 256;

/// Bounds how often something is tried, such as signing in, by a subject, such as an address or the name of a user.
///
/// The first try opens a window; beyond `limit` tries in it the others are too many, until it ends. The count is in
/// the store of the module and part of the run's transaction: tries at the same time are all counted, in whatever
/// process they run, and a run that fails counts nothing. So count before the password is looked at, and answer a
/// wrong one with a response, not with a fault.
///
/// ```
/// use std::time::Duration;
/// use tidegate_sdk::{Context, Response, Result, Throttle, export, http, testing::TestHost};
///
/// const BY_ADDRESS: Throttle = Throttle::new("login-address", 2, Duration::from_secs(60));
///
/// #[http("POST /login")]
/// fn login(cx: &mut Context) -> Result<Response> {
///     let address = cx.scope().map(|scope| scope.client().0.to_owned()).unwrap_or_default();
///     if let Some(wait) = BY_ADDRESS.count(&address)? {
///         let seconds = wait.as_secs().to_string();
///         return Ok(Response::text("too many tries\n").status(429).header("retry-after", seconds));
///     }
///     Ok(Response::text("wrong password\n").status(401))
/// }
///
/// export! { login }
///
/// let host = TestHost::new(consumers());
/// let login = || host.request("POST", "/login").send().status();
/// assert_eq!([login(), login(), login()], [401, 401, 429]);
/// host.advance(Duration::from_secs(61));
/// assert_eq!(login(), 401);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Throttle {
    name: &'static str,
    limit: u32,
    window: Duration,
}

/// The tries of a subject.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Tries {
    count: u32,
    /// When the window ends, in milliseconds since 1970.
    until: u64,
}

impl Stored for Tries {}

impl Throttle {
    /// A bound of so many tries in a span. The name tells it from other throttles of the module.
    #[must_use]
    pub const fn new(name: &'static str, limit: u32, window: Duration) -> Self {
        Self { name, limit, window }
    }

    /// Counts a try of a subject. Returns how long to wait if it is one too many; such a try is not counted.
    ///
    /// # Errors
    /// As [`Store::set`].
    pub fn count(&self, subject: &str) -> Result<Option<Duration>, StoreError> {
        let (store, key, now) = (Store::new(), self.key(subject), machine::now());
        let now = millis(now);
        let mut tries: Tries = store.get(&key)?.unwrap_or_default();
        if tries.until <= now {
            let window = u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX);
            tries = Tries { count: 0, until: now.saturating_add(window) };
        }
        let left = Duration::from_millis(tries.until.saturating_sub(now));
        if tries.count >= self.limit {
            return Ok(Some(left));
        }
        tries.count += 1;
        store.set_for(&key, &tries, left.max(Duration::from_millis(1)))?;
        Ok(None)
    }

    /// Forgets the tries of a subject, as after a sign-in that went well.
    ///
    /// # Errors
    /// As [`Store::delete`].
    pub fn forget(&self, subject: &str) -> Result<(), StoreError> {
        Store::new().delete(&self.key(subject))
    }

    /// A subject that is too long for a key counts together with others that begin like it.
    fn key(&self, subject: &str) -> String {
        let end = subject.floor_char_boundary(SUBJECT_BYTES_MAX);
        let subject = subject.get(..end).unwrap_or_default();
        format!("{KEY_PREFIX}{}:{subject}", self.name)
    }
}

fn millis(now: SystemTime) -> u64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
