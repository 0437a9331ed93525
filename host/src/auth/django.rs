//! Sessions that Django keeps in signed cookies: `django.contrib.sessions.backends.signed_cookies` with the serializer
//! of JSON, as Django 4.2 to 5.2 write them. `docs/users.md` has the rules as a table.

use std::{io::Read as _, sync::Arc, time::Duration};

use flate2::read::ZlibDecoder;
use ring::{digest, hmac};
use serde_json::{Map, Value};

use super::{
    TokenError, claims,
    json::{self, JsonError},
    key::decode,
    token::TOKEN_BYTES_MAX,
};
use crate::message::User;

/// The salt of that backend. A text that Django signs for another purpose has another one, and is no session.
const SALT: &str = "django.contrib.sessions.backends.signed_cookies";
/// The largest session, in bytes: a cookie has 4 KiB, and most of them are not compressed at all.
const SESSION_BYTES_MAX: u64 = 64 * 1024;
/// The id of the user in a session.
const USER_ID: &str = "_auth_user_id";
/// When the site ends this session: seconds after its last change, or a moment.
const EXPIRY: &str = "_session_expiry";

/// The settings of a site's sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DjangoSessions {
    /// The name of the cookie, `SESSION_COOKIE_NAME`.
    pub cookie: String,
    /// How long a session lasts after its last change, `SESSION_COOKIE_AGE`.
    pub age: Duration,
}

/// A key that cookies are signed with, made of a secret of the site.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct CookieKey(Vec<u8>);

impl std::fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl CookieKey {
    /// The key of one of `SECRET_KEY` and `SECRET_KEY_FALLBACKS`.
    pub(super) fn new(secret: &[u8]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [SALT.as_bytes(), b"signer", secret] {
            context.update(part);
        }
        Self(context.finish().as_ref().to_vec())
    }

    /// Whether a signature is by this key. In constant time.
    fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        hmac::verify(&key, text.as_bytes(), signature).is_ok()
    }
}

/// Returns the user of a cookie at a moment, in seconds since 1970; none where nobody is signed in.
pub(super) fn check(
    cookie: &str,
    (of, keys): (&DjangoSessions, &[CookieKey]),
    (prefix, leeway): (&str, Duration),
    now: f64,
) -> Result<Option<Arc<User>>, TokenError> {
    if cookie.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::Size);
    }
    let (signed, signature) = cookie.rsplit_once(':').ok_or(TokenError::Form)?;
    let (payload, written) = signed.rsplit_once(':').ok_or(TokenError::Form)?;
    let signature = decode(signature.as_bytes()).ok_or(TokenError::Form)?;
    if !keys.iter().any(|key| key.verifies(signed, &signature)) {
        return Err(TokenError::Signature);
    }
    let written = base62(written).ok_or(TokenError::Number)?;
    if now + leeway.as_secs_f64() < written {
        return Err(TokenError::IssuedAhead);
    }
    let session = json::object(&unpack(payload)?).map_err(|error| match error {
        JsonError::Duplicate => TokenError::Duplicate,
        JsonError::NotAnObject => TokenError::Form,
    })?;
    let expires = expiry(&session, written, of.age)?;
    // A session ends when Django says so: nobody else's clock is in it.
    if now > expires {
        return Err(TokenError::Expired);
    }
    let Some(id) = session.get(USER_ID) else { return Ok(None) };
    let id = id.as_str().ok_or(TokenError::Subject)?.to_owned();
    // Names that begin so are Django's own: a digest of the password is among them.
    let claims: Map<_, _> =
        session.into_iter().filter(|(name, _)| !name.starts_with('_')).collect();
    claims::user((prefix, &id), &claims, expires).map(Some)
}

/// The JSON of a payload, which begins with a dot where it is compressed.
fn unpack(payload: &str) -> Result<Vec<u8>, TokenError> {
    let (is_compressed, text) =
        payload.strip_prefix('.').map_or((false, payload), |text| (true, text));
    let bytes = decode(text.as_bytes()).ok_or(TokenError::Form)?;
    if !is_compressed {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    let mut bounded = ZlibDecoder::new(&*bytes).take(SESSION_BYTES_MAX + 1);
    bounded.read_to_end(&mut unpacked).map_err(|_| TokenError::Form)?;
    let is_too_large = unpacked.len() as u64 > SESSION_BYTES_MAX;
    if is_too_large { Err(TokenError::ClaimsSize) } else { Ok(unpacked) }
}

/// The moment at which a session ends: so long after it was written, or sooner where the site has said so for this one.
fn expiry(session: &Map<String, Value>, written: f64, age: Duration) -> Result<f64, TokenError> {
    let latest = written + age.as_secs_f64();
    let own = match session.get(EXPIRY) {
        // 0: when the browser is closed, which nobody else knows.
        None | Some(Value::Null) => return Ok(latest),
        Some(Value::Number(seconds)) => match seconds.as_f64() {
            Some(0.0) => return Ok(latest),
            seconds => written + seconds.ok_or(TokenError::Number)?,
        },
        Some(Value::String(moment)) => {
            // One without a zone is of a clock that is not known here.
            let moment: jiff::Timestamp = moment.parse().map_err(|_| TokenError::Number)?;
            moment.as_duration().as_secs_f64()
        }
        Some(_) => return Err(TokenError::Number),
    };
    Ok(own.min(latest))
}

/// Reads a number as Django writes moments: digits, capitals, small letters.
fn base62(text: &str) -> Option<f64> {
    if text.is_empty() {
        return None;
    }
    let value = text.bytes().try_fold(0_u64, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            b'a'..=b'z' => byte - b'a' + 36,
            _ => return None,
        };
        value.checked_mul(62)?.checked_add(u64::from(digit))
    })?;
    u32::try_from(value).ok().map(f64::from)
}
