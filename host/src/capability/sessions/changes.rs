//! What a run asks for of sessions, and how its worker does it.

use std::{collections::BTreeMap, time::SystemTime};

use super::{
    Identity, Listed, Record, SESSIONS_PER_USER_MAX, SessionId, Sessions, SignInOrigin, index_key,
    record_key, seconds, store_error,
};
use crate::{
    capability::store::{Key, StoreError, WRITES_MAX, Write, commit_surely},
    message::{Header, Session, SessionData, SessionKey},
};

/// The most sessions and users whose sessions one run ends.
const ENDS_MAX: usize = 100;

/// What becomes of the session of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnChange {
    /// It begins, without a user.
    Begin(SessionData),
    /// Somebody signs in. It gets another id, and keeps what modules have for it.
    SignIn(Identity, SessionData),
    /// It ends.
    End,
}

/// Sessions that end, besides that of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// One of a user.
    One(String, SessionKey),
    /// All of a user, but perhaps that of the connection.
    All(String, Option<SessionKey>),
}

/// What a run asks for. Nothing is done before the run has committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What becomes of the session of the connection: the last wish counts.
    pub own: Option<OwnChange>,
    pub(super) ends: Vec<Ends>,
}

/// A run asks for too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run ends the sessions of at most {ENDS_MAX} users")]
pub struct ChangesError;

/// What has become of sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The `set-cookie` of the answer.
    pub cookie: Option<String>,
    /// Sessions that are over, or have another id: their sockets are to be closed.
    pub ended: Vec<SessionKey>,
}

impl Changes {
    /// Whether nothing is asked for.
    pub const fn is_empty(&self) -> bool {
        self.own.is_none() && self.ends.is_empty()
    }

    /// Whether the answer must have header fields.
    pub const fn needs_head(&self) -> bool {
        matches!(self.own, Some(OwnChange::Begin(_) | OwnChange::SignIn(..)))
    }

    /// Ends one session of a user. One of another user is left alone.
    pub fn end(&mut self, user: &str, key: SessionKey) -> Result<(), ChangesError> {
        self.push(Ends::One(user.to_owned(), key))
    }

    /// Ends all sessions of a user, but the given one.
    pub fn end_all(&mut self, user: &str, but: Option<SessionKey>) -> Result<(), ChangesError> {
        self.push(Ends::All(user.to_owned(), but))
    }

    fn push(&mut self, ends: Ends) -> Result<(), ChangesError> {
        if self.ends.len() >= ENDS_MAX {
            return Err(ChangesError);
        }
        self.ends.push(ends);
        Ok(())
    }
}

impl Sessions {
    /// Does what a run has asked for. `own` is the session of its connection, and `user` whose it is. All that is
    /// asked of one session takes effect together; an error leaves open which sessions have ended.
    pub async fn apply(
        &self,
        changes: Changes,
        own: Option<&Session>,
        user: Option<&str>,
        origin: SignInOrigin,
        now: SystemTime,
    ) -> Result<Applied, StoreError> {
        let mut applied = Applied::default();
        for ends in changes.ends {
            let (user, keys) = match ends {
                Ends::One(user, key) => {
                    let is_of_user = self.keys_of(&user).await?.contains(&key);
                    (user, if is_of_user { vec![key] } else { Vec::new() })
                }
                Ends::All(user, but) => {
                    let mut keys = self.keys_of(&user).await?;
                    keys.retain(|key| Some(*key) != but);
                    (user, keys)
                }
            };
            self.forget(&user, &keys).await?;
            applied.ended.extend(keys);
        }
        let Some(change) = changes.own else { return Ok(applied) };
        let mut writes = BTreeMap::new();
        if let Some(own) = own {
            writes.extend(ends_of(user, own.key)?);
            applied.ended.push(own.key);
        }
        let (user, data) = match change {
            OwnChange::End => (None, None),
            OwnChange::Begin(data) => (None, Some(data)),
            OwnChange::SignIn(user, data) => (Some(user), Some(data)),
        };
        let Some(data) = data else {
            if !writes.is_empty() {
                self.write(writes).await?;
            }
            applied.cookie = Some(self.set_cookie(None));
            return Ok(applied);
        };
        if let Some(user) = &user {
            applied.ended.extend(self.make_room(&user.id).await?);
        }
        let now_seconds = seconds(now);
        let expires = self.expires(now);
        let record =
            Record { user, data, created: now_seconds, used: now_seconds, expires, origin };
        let id = SessionId::random();
        writes.extend(self.writes_of(id.key(), &record, now)?);
        self.write(writes).await?;
        let cookie = self.config.keys.sign(&id, expires);
        applied.cookie = Some(self.set_cookie(Some(&cookie)));
        Ok(applied)
    }

    /// Ends sessions of a user beyond their most, so that there is room for one more.
    async fn make_room(&self, user: &str) -> Result<Vec<SessionKey>, StoreError> {
        let keys = self.keys_of(user).await?;
        if keys.len() < SESSIONS_PER_USER_MAX {
            return Ok(Vec::new());
        }
        let listed = self.list(user).await?;
        let beyond = listed.iter().skip(SESSIONS_PER_USER_MAX - 1).map(|Listed { key, .. }| *key);
        let beyond: Vec<_> = beyond.collect();
        self.forget(user, &beyond).await?;
        Ok(beyond)
    }

    /// Ends sessions of a user.
    async fn forget(&self, user: &str, keys: &[SessionKey]) -> Result<(), StoreError> {
        // Each is two writes.
        for some in keys.chunks(WRITES_MAX / 2) {
            let mut writes = BTreeMap::new();
            for key in some {
                writes.extend(ends_of(Some(user), *key)?);
            }
            self.write(writes).await?;
        }
        Ok(())
    }

    async fn write(&self, writes: BTreeMap<Key, Write>) -> Result<(), StoreError> {
        let commit = self.commit(writes);
        let written = commit_surely(&*self.store, &self.place, commit).await;
        written.map(drop).map_err(store_error)
    }
}

/// What is written where a session ends.
fn ends_of(user: Option<&str>, key: SessionKey) -> Result<BTreeMap<Key, Write>, StoreError> {
    let mut writes = BTreeMap::from([(record_key(key)?, Write::Delete)]);
    if let Some(user) = user {
        writes.insert(index_key(user, key)?, Write::Delete);
    }
    Ok(writes)
}

impl Applied {
    /// The header field of the answer.
    pub fn header(&self) -> Option<Header> {
        let value = http::HeaderValue::from_str(self.cookie.as_deref()?).ok()?;
        Some((http::header::SET_COOKIE, value))
    }
}
