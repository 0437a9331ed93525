//! Signs tokens for tests.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use ring::hmac;
use serde_json::{Value, json};

/// The secret of tests, as a setting has it.
const SECRET: &str = "a secret of 32 bytes, or of more";

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
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut payload = claims.as_object().unwrap().clone();
    payload.insert("sub".to_owned(), id.into());
    payload.insert("exp".to_owned(), (i64::try_from(now).unwrap() + seconds).into());
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", encode(&json!({ "alg": "HS256" })), encode(&payload.into()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = BASE64URL_NOPAD.encode(hmac::sign(&key, signed.as_bytes()).as_ref());
    format!("{signed}.{signature}")
}
