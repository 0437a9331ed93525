//! Signing in and out, and what is kept for a session.

use std::marker::PhantomData;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::host::{machine, sessions};
use crate::{Context, FromRequest, Request, Result, Store, StoreError, Stored, payload};

mod error;
mod throttle;

pub use error::SessionError;
pub use throttle::Throttle;

/// Before the keys of sessions in the store of the module.
const KEY_PREFIX: &str = "session:";

#[doc = include_str!("../docs/sessions.md")]
#[derive(Debug, Clone, Copy)]
pub struct Sessions(());

impl Sessions {
    pub(crate) const fn new() -> Self {
        Self(())
    }

    /// Signs a user in on the browser of the request or handshake. `claims` is a struct with named fields or a map,
    /// at most 4 KiB as MessagePack; it is what [`User::claims`](crate::User::claims) reads from the next request on.
    ///
    /// # Errors
    /// When the module has no grant, there can be no session here, or the id or the claims break a rule.
    pub fn sign_in(&self, user: &str, claims: &impl Serialize) -> Result<(), SessionError> {
        let claims = payload::encode(claims)
            .map_err(|error| SessionError::Invalid(format!("the claims: {error}")))?;
        sessions::sign_in(user, &claims)?;
        Ok(())
    }

    /// Ends the session of the connection. Without one, it does nothing.
    ///
    /// # Errors
    /// When the host keeps no sessions.
    pub fn sign_out(&self) -> Result<(), SessionError> {
        Ok(sessions::sign_out()?)
    }

    /// The sessions in which a user is signed in, at most 100, the last used first. What the run has asked for is not
    /// seen.
    ///
    /// # Errors
    /// When the module has no grant, or the sessions cannot be read now.
    pub fn of(&self, user: &str) -> Result<Vec<SignedIn>, SessionError> {
        Ok(sessions::list_of(user)?.into_iter().map(SignedIn).collect())
    }

    /// Ends one session of a user, by its [`SignedIn::id`]. Without one, it does nothing.
    ///
    /// # Errors
    /// When the module has no grant, or the id is not one of a session.
    pub fn end(&self, user: &str, id: &str) -> Result<(), SessionError> {
        Ok(sessions::end(user, id)?)
    }

    /// Ends all sessions of a user, also that of the connection: for a user who is banned, from wherever.
    ///
    /// # Errors
    /// When the module has no grant.
    pub fn end_all(&self, user: &str) -> Result<(), SessionError> {
        Ok(sessions::end_all(user, false)?)
    }

    /// Ends all sessions of a user but that of the connection: "sign out elsewhere", and after a change of the
    /// password.
    ///
    /// # Errors
    /// When the module has no grant.
    pub fn end_others(&self, user: &str) -> Result<(), SessionError> {
        Ok(sessions::end_all(user, true)?)
    }
}

/// A session in which a user is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn(sessions::SignedIn);

impl SignedIn {
    /// Names the session for [`Sessions::end`]. It may be in a page: it lets nobody in.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Whether it is the session of the connection.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        self.0.is_own
    }

    /// When the user signed in.
    #[must_use]
    pub fn created(&self) -> SystemTime {
        moment(self.0.created)
    }

    /// When the session was last used, within a minute.
    #[must_use]
    pub fn used(&self) -> SystemTime {
        moment(self.0.used)
    }

    /// When the session ends in any case.
    #[must_use]
    pub fn expires(&self) -> SystemTime {
        moment(self.0.expires)
    }

    /// The address that the user signed in from.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// What the browser called itself, up to 256 bytes: it may say anything.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.0.agent
    }
}

fn moment(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[doc = include_str!("../docs/session.md")]
#[derive(Debug)]
pub struct Session<T>(PhantomData<fn() -> T>);

impl<T: Stored + Default> Session<T> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }

    /// Reads the data. Without any it is the default; that begins no session.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn get(&self) -> Result<T, StoreError> {
        let Some(session) = sessions::current() else { return Ok(T::default()) };
        Ok(Store::new().get(&key(&session))?.unwrap_or_default())
    }

    /// Writes the data. Begins a session where there is none: then the answer of the run, a response or the acceptance
    /// of a handshake, carries the cookie.
    ///
    /// # Errors
    /// When there is no session and none can begin, or as [`Store::set`].
    pub fn set(&self, data: &T) -> Result<(), SessionError> {
        let session = sessions::begin()?;
        let left = moment(session.expires).duration_since(machine::now()).unwrap_or_default();
        // A session that ends now leaves nothing behind.
        let left = left.max(Duration::from_millis(1));
        Ok(Store::new().set_for(&key(&session), data, left)?)
    }

    /// Reads the data, changes it, and writes it: as one step, whatever other requests of the session do.
    ///
    /// # Errors
    /// As [`Session::get`] and [`Session::set`].
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, SessionError> {
        let mut data = self.get()?;
        let result = change(&mut data);
        self.set(&data)?;
        Ok(result)
    }

    /// Forgets the data. The session stays.
    ///
    /// # Errors
    /// As [`Store::delete`].
    pub fn clear(&self) -> Result<(), StoreError> {
        match sessions::current() {
            None => Ok(()),
            Some(session) => Store::new().delete(&key(&session)),
        }
    }
}

fn key(session: &sessions::Session) -> String {
    format!("{KEY_PREFIX}{}", session.key)
}

impl<T: Stored + Default> FromRequest for Session<T> {
    fn from_request(_: &Request, _: &mut Context) -> Result<Self> {
        Ok(Self::new())
    }
}
