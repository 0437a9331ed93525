//! The cookie of a session: the id of the session and a code that only this host can have made.
//!
//! A cookie that is cut off, changed or made up never reaches the store.

use data_encoding::BASE64URL_NOPAD;
use ring::{digest, hmac};

use crate::message::SessionKey;

/// Bytes of an id.
const ID_BYTES: usize = 32;
/// Bytes of the moment before it.
const EXPIRES_BYTES: usize = 8;
/// Bytes that the code is of: moment and id.
const SIGNED_BYTES: usize = EXPIRES_BYTES + ID_BYTES;
/// Bytes of a cookie before they are written in Base64url: the code of SHA-256 comes last.
const COOKIE_BYTES: usize = SIGNED_BYTES + digest::SHA256_OUTPUT_LEN;
/// Characters of a cookie: no padding, and no bits left over.
pub const COOKIE_CHARS: usize = COOKIE_BYTES / 3 * 4;
/// What a secret of sessions signs says so, so that it is nothing else where the secret is used twice.
const PURPOSE: &[u8] = b"tidegate session 1\0";
/// The shortest secret, in bytes: as long as the hash.
pub const SECRET_BYTES_MIN: usize = 32;
/// The most secrets: each may be tried for a cookie.
pub const SECRETS_MAX: usize = 4;

/// Why a cookie is left aside. The client is not told which it is; a counter and the log are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CookieError {
    /// It is none that a host writes.
    #[error("the session cookie is not {COOKIE_CHARS} characters of Base64url")]
    Form,
    /// None of the secrets has signed it.
    #[error("the session cookie is signed by none of `sessions.secrets`")]
    Signature,
    /// It has reached its end.
    #[error("the session has reached its lifetime")]
    Expired,
}

/// Why secrets cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// There is none.
    #[error("there is no secret; make one with `openssl rand -base64 {SECRET_BYTES_MIN}`")]
    None,
    /// There are too many.
    #[error("there are {0} secrets; at most {SECRETS_MAX} are tried")]
    TooMany(usize),
    /// One is too short.
    #[error(
        "a secret has {0} bytes, and {SECRET_BYTES_MIN} are needed at least; make one with `openssl rand -base64 {SECRET_BYTES_MIN}`"
    )]
    Weak(usize),
}

/// The secrets that cookies are signed with. The first one signs, and all of them count.
#[derive(Clone)]
pub struct CookieKeys(Vec<hmac::Key>);

/// Keys are not shown.
impl std::fmt::Debug for CookieKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CookieKeys").field(&self.0.len()).finish()
    }
}

/// The id of a session: 256 random bits that the browser alone keeps.
pub(super) struct SessionId([u8; ID_BYTES]);

impl SessionId {
    pub(super) fn random() -> Self {
        Self(rand::random())
    }

    /// The name of its record.
    pub(super) fn key(&self) -> SessionKey {
        let mut key = [0; 32];
        key.copy_from_slice(digest::digest(&digest::SHA256, &self.0).as_ref());
        SessionKey(key)
    }
}

impl CookieKeys {
    /// Checks secrets.
    pub fn new<'a>(secrets: impl Iterator<Item = &'a [u8]>) -> Result<Self, SecretError> {
        let mut keys = Vec::new();
        for secret in secrets {
            if secret.len() < SECRET_BYTES_MIN {
                return Err(SecretError::Weak(secret.len()));
            }
            keys.push(hmac::Key::new(hmac::HMAC_SHA256, secret));
        }
        match keys.len() {
            0 => Err(SecretError::None),
            1..=SECRETS_MAX => Ok(Self(keys)),
            many => Err(SecretError::TooMany(many)),
        }
    }

    /// Writes the cookie of a session that ends at a moment, in seconds since 1970.
    pub(super) fn sign(&self, id: &SessionId, expires: u64) -> String {
        let mut cookie = Vec::with_capacity(COOKIE_BYTES);
        cookie.extend(expires.to_be_bytes());
        cookie.extend(id.0);
        // `new` has seen to it that there is a first one.
        if let Some(first) = self.0.first() {
            cookie.extend(hmac::sign(first, &signed(&cookie)).as_ref());
        }
        BASE64URL_NOPAD.encode(&cookie)
    }

    /// Reads a cookie. Returns the name of the session's record.
    pub(super) fn open(&self, cookie: &str, now: u64) -> Result<SessionKey, CookieError> {
        // Before it is read as a whole.
        if cookie.len() != COOKIE_CHARS {
            return Err(CookieError::Form);
        }
        let bytes = BASE64URL_NOPAD.decode(cookie.as_bytes()).map_err(|_| CookieError::Form)?;
        let (of, code) = bytes.split_at_checked(SIGNED_BYTES).ok_or(CookieError::Form)?;
        let message = signed(of);
        // In constant time for each key.
        if !self.0.iter().any(|key| hmac::verify(key, &message, code).is_ok()) {
            return Err(CookieError::Signature);
        }
        let (expires, id) = of.split_first_chunk().ok_or(CookieError::Form)?;
        if now >= u64::from_be_bytes(*expires) {
            return Err(CookieError::Expired);
        }
        let id = SessionId(id.try_into().map_err(|_| CookieError::Form)?);
        Ok(id.key())
    }
}

fn signed(of: &[u8]) -> Vec<u8> {
    [PURPOSE, of].concat()
}
