//! Signs tokens for tests.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use ring::{
    digest, hmac,
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};

/// The secret of tests, as a setting has it.
pub const SECRET: &str = "a secret of 32 bytes, or of more";

/// The settings of a host that takes tokens with HS256.
pub fn auth_section(more: &str) -> String {
    format!("[auth.web]\nalgorithms = [\"HS256\"]\nsecret = {SECRET:?}\n{more}")
}

/// A token that is valid for an hour.
pub fn token(id: &str, claims: &Value) -> String {
    token_for(id, claims, 3_600)
}

/// A token that is valid for so many seconds, which may be over.
pub fn token_for(id: &str, claims: &Value, seconds: i64) -> String {
    let signed = unsigned(&json!({ "alg": "HS256" }), id, claims, seconds);
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = BASE64URL_NOPAD.encode(hmac::sign(&key, signed.as_bytes()).as_ref());
    format!("{signed}.{signature}")
}

/// Header and claims of a token.
fn unsigned(header: &Value, id: &str, claims: &Value, seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut payload = claims.as_object().unwrap().clone();
    payload.insert("sub".to_owned(), id.into());
    payload.insert("exp".to_owned(), (i64::try_from(now).unwrap() + seconds).into());
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    format!("{}.{}", encode(header), encode(&payload.into()))
}

/// Somebody who signs tokens with EdDSA.
#[derive(Debug)]
pub struct Issuer {
    key: Ed25519KeyPair,
    /// The id of its key.
    kid: String,
}

impl Issuer {
    /// One with a fresh key.
    pub fn new(kid: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        Self { key, kid: kid.to_owned() }
    }

    /// Its public key, as a member of a JWK Set.
    pub fn jwk(&self) -> Value {
        let x = BASE64URL_NOPAD.encode(self.key.public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": x })
    }

    /// The JWK Set with its key alone.
    pub fn jwks(&self) -> String {
        json!({ "keys": [self.jwk()] }).to_string()
    }

    /// A token that is valid for an hour.
    pub fn token(&self, id: &str, claims: &Value) -> String {
        let header = json!({ "alg": "EdDSA", "kid": self.kid });
        let signed = unsigned(&header, id, claims, 3_600);
        let signature = BASE64URL_NOPAD.encode(self.key.sign(signed.as_bytes()).as_ref());
        format!("{signed}.{signature}")
    }
}

/// The cookie of a session of Django that a secret has signed now, as its backend of signed cookies does.
pub fn django_session(secret: &str, session: &Value) -> String {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut written = Vec::new();
    while now > 0 {
        let digit = usize::try_from(now % 62).unwrap();
        written.insert(0, *DIGITS.get(digit).unwrap());
        now /= 62;
    }
    let payload = BASE64URL_NOPAD.encode(session.to_string().as_bytes());
    let signed = format!("{payload}:{}", String::from_utf8(written).unwrap());
    let salt = "django.contrib.sessions.backends.signed_cookiessigner";
    let key = digest::digest(&digest::SHA256, format!("{salt}{secret}").as_bytes());
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_ref());
    let signature = hmac::sign(&key, signed.as_bytes());
    format!("{signed}:{}", BASE64URL_NOPAD.encode(signature.as_ref()))
}

/// The settings of a host that keeps sessions, on plain HTTP.
pub fn sessions_section(more: &str) -> String {
    format!("[sessions]\nsecrets = [{SECRET:?}]\n{more}")
}

/// A secret that no host of tests has, unless its settings say so.
pub const OTHER_SECRET: &str = "another secret of 32 bytes or so";

/// A session cookie that a secret has signed, of an id that no host knows, for so many seconds, which may be over.
pub fn session_cookie(secret: Option<&str>, id: [u8; 32], seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let expires = now.checked_add_signed(seconds).unwrap();
    let signed = [&expires.to_be_bytes()[..], &id[..]].concat();
    sealed(secret.unwrap_or(SECRET), b"tidegate session 1\0", &signed)
}

/// Bytes with the code of a secret behind them, as a session cookie has them.
pub fn sealed(secret: &str, purpose: &[u8], signed: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let code = hmac::sign(&key, &[purpose, signed].concat());
    BASE64URL_NOPAD.encode(&[signed, code.as_ref()].concat())
}
