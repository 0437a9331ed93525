//! Sessions: who is signed in on a browser, kept by the host.
//!
//! A browser has a cookie with a random id. The store has a [`Record`] below the hash of that id, in
//! no transaction of a module. An interface server reads it before a run, and touches it once a minute. A run asks
//! for [`Changes`], which its worker makes when the run has committed and before its answer leaves.

mod changes;
mod cookie;
mod record;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

pub use self::{
    changes::{Applied, Changes, ChangesError, OwnChange},
    cookie::{COOKIE_CHARS, CookieError, CookieKeys, SECRET_BYTES_MIN, SECRETS_MAX, SecretError},
    record::{Identity, Record, SignInOrigin},
};
use self::{cookie::SessionId, record::damaged};
use super::store::{
    Commit, CommitError, Data, Found, Key, KeyRange, Moment, Prefix, Quota, Reads, RunId, Seen,
    Store, StoreError, TimeToLive, Value, Version, Write, commit_surely,
};
use crate::message::{ModuleName, Session, SessionKey, User};

/// How often a record says anew that its session is used.
pub const TOUCH_INTERVAL: Duration = Duration::from_secs(60);
/// The most sessions of one user. One more ends the one that was not used for longest.
pub const SESSIONS_PER_USER_MAX: usize = 100;

/// `[sessions]`, checked.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Sign the cookies.
    pub keys: CookieKeys,
    /// The name of the cookie.
    pub cookie: String,
    /// Whether browsers send the cookie over TLS alone.
    pub is_secure: bool,
    /// After so long a session ends, whatever happens in it.
    pub lifetime: Duration,
    /// After so long without use it ends.
    pub idle: Duration,
}

/// The sessions of a host. All processes of a layer share them.
pub struct Sessions {
    config: SessionConfig,
    store: Arc<dyn Store>,
    place: ModuleName,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A session that was looked up.
#[derive(Clone, Debug)]
pub struct Open {
    /// The session.
    pub session: Session,
    /// Its user; none before somebody signs in.
    pub user: Option<Arc<User>>,
    record: Record,
    version: Version,
    clock: Moment,
}

/// A session in the list of its user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Names it. Who knows it cannot get into the session.
    pub key: SessionKey,
    /// What is kept of it.
    pub record: Record,
}

/// Seconds since 1970.
pub(super) fn seconds(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Sessions {
    /// Keeps sessions in a store.
    pub fn new(config: SessionConfig, store: Arc<dyn Store>) -> Self {
        Self { config, store, place: ModuleName::of_sessions() }
    }

    /// The name of the cookie.
    pub fn cookie_name(&self) -> &str {
        &self.config.cookie
    }

    /// When a session that begins now ends in any case, in seconds since 1970.
    pub fn expires(&self, now: SystemTime) -> u64 {
        seconds(now).saturating_add(self.config.lifetime.as_secs())
    }

    /// How long an open WebSocket may go without telling that its session is used.
    pub fn renewal_interval(&self) -> Duration {
        self.config.idle / 3
    }

    /// Reads a cookie. Nothing is read from the store.
    pub fn open_cookie(&self, cookie: &str, now: SystemTime) -> Result<SessionKey, CookieError> {
        self.config.keys.open(cookie, seconds(now))
    }

    /// Looks a session up. None: it has ended. One read.
    pub async fn find(&self, key: SessionKey, now: SystemTime) -> Result<Option<Open>, StoreError> {
        let read = self.store.read(&self.place, &[record_key(key)?], None).await?;
        let Some(Found::Live(entry)) = read.found.into_iter().next() else { return Ok(None) };
        let record = record_of(&entry.value)?;
        if seconds(now) >= record.expires {
            return Ok(None);
        }
        let (session, user) = (record.session(key), record.user()?.map(Arc::new));
        Ok(Some(Open { session, user, record, version: entry.version, clock: read.clock }))
    }

    /// Writes that a session is used now, if that was not written in the last minute. Returns whether the session
    /// is still there, as far as this finds out.
    pub async fn touch(&self, open: &Open, now: SystemTime) -> Result<bool, StoreError> {
        if !open.is_stale(now) {
            return Ok(true);
        }
        let record = Record { used: seconds(now), ..open.record.clone() };
        let mut commit = self.commit(self.writes_of(open.session.key, &record, now)?);
        let seen = Seen::Live(open.version);
        let keys = BTreeMap::from([(record_key(open.session.key)?, seen)]);
        commit.reads = Reads { clock: Some(open.clock), keys, ranges: Vec::new() };
        match commit_surely(&*self.store, &self.place, commit).await {
            Ok(_) => Ok(true),
            // It has ended meanwhile, or another process has written the same.
            Err(CommitError::Conflict(_)) => Ok(self.find(open.session.key, now).await?.is_some()),
            Err(error) => Err(store_error(error)),
        }
    }

    /// Lists the sessions in which a user is signed in, the last used first.
    pub async fn list(&self, user: &str) -> Result<Vec<Listed>, StoreError> {
        let mut listed = Vec::new();
        for some in self.keys_of(user).await?.chunks(SESSIONS_PER_USER_MAX) {
            let keys = some.iter().map(|key| record_key(*key)).collect::<Result<Vec<_>, _>>()?;
            let read = self.store.read(&self.place, &keys, None).await?;
            for (key, found) in some.iter().zip(read.found) {
                let Found::Live(entry) = found else { continue };
                listed.push(Listed { key: *key, record: record_of(&entry.value)? });
            }
        }
        listed.sort_by_key(|it| (std::cmp::Reverse(it.record.used), it.key));
        Ok(listed)
    }

    /// The sessions in which a user is signed in.
    async fn keys_of(&self, user: &str) -> Result<Vec<SessionKey>, StoreError> {
        let text = index_prefix(user);
        let prefix = Prefix::parse(&text).map_err(|error| damaged(&error))?;
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let range = KeyRange::new(prefix.clone(), after);
            let page = self.store.scan(&self.place, &range, PAGE, None).await?;
            let names =
                page.entries.iter().filter_map(|(key, _)| key.as_str().strip_prefix(&*text));
            keys.extend(names.filter_map(SessionKey::parse));
            match page.last {
                Some(last) => after = Some(last),
                None => return Ok(keys),
            }
        }
    }

    /// What is written for a session.
    fn writes_of(
        &self,
        key: SessionKey,
        record: &Record,
        now: SystemTime,
    ) -> Result<BTreeMap<Key, Write>, StoreError> {
        let left = Duration::from_secs(record.expires.saturating_sub(seconds(now)));
        let span = self.config.idle.min(left).max(Duration::from_secs(1));
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let time_to_live = TimeToLive::from_millis(millis).map_err(|error| damaged(&error))?;
        let set = |value| Write::Set { value, time_to_live: Some(time_to_live) };
        let mut writes = BTreeMap::from([(record_key(key)?, set(record.seal()?))]);
        if let Some(user) = &record.user {
            writes.insert(index_key(&user.id, key)?, set(Value::of_integer(0)));
        }
        Ok(writes)
    }

    fn commit(&self, writes: BTreeMap<Key, Write>) -> Commit {
        Commit { writes, ..Commit::new(RunId::random(), Quota::NONE) }
    }

    /// The field that gives a browser a cookie, or takes it away.
    fn set_cookie(&self, cookie: Option<&str>) -> String {
        let SessionConfig { cookie: name, is_secure, lifetime, .. } = &self.config;
        let secure = if *is_secure { "; Secure" } else { "" };
        let (value, seconds) = cookie.map_or(("", 0), |cookie| (cookie, lifetime.as_secs()));
        format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
    }
}

/// Keys of a page of an index.
const PAGE: usize = 1_000;

impl Open {
    /// Whether it was not written in the last minute that it is used.
    pub fn is_stale(&self, now: SystemTime) -> bool {
        seconds(now) >= self.record.used.saturating_add(TOUCH_INTERVAL.as_secs())
    }
}

fn store_error(error: CommitError) -> StoreError {
    match error {
        CommitError::Store(error) => error,
        other => StoreError::Away { reason: other.to_string() },
    }
}

fn record_of(value: &Value) -> Result<Record, StoreError> {
    match &value.data {
        Data::Bytes(bytes) => Record::open(bytes),
        Data::Integer(_) => Err(damaged(&"it is an integer")),
    }
}

fn record_key(key: SessionKey) -> Result<Key, StoreError> {
    Key::parse(&format!("session:{key}")).map_err(|error| damaged(&error))
}

/// The start of the keys that list the sessions of a user.
fn index_prefix(user: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, user.as_bytes());
    format!("user:{}:", data_encoding::HEXLOWER.encode(digest.as_ref()))
}

fn index_key(user: &str, key: SessionKey) -> Result<Key, StoreError> {
    Key::parse(&format!("{}{key}", index_prefix(user))).map_err(|error| damaged(&error))
}
