//! Users of the test host, let in by the rules of the host.

use serde::Serialize;
use serde_json::Value;

use crate::consumers::{Access, ClaimValue, Entry};
use crate::host::users::User;
use crate::payload;

/// The most that claims may take as MessagePack, in bytes.
const CLAIMS_BYTES_MAX: usize = 4 * 1024;

/// Checks an id by the rule of the host.
pub(super) fn check_id(id: &str) -> Result<(), &'static str> {
    if (1..=256).contains(&id.len()) && !id.chars().any(char::is_control) {
        return Ok(());
    }
    Err("the id of a user has 1 to 256 bytes and no control characters")
}

/// A user of a test.
///
/// # Panics
/// When the host would take neither id nor claims of a token.
#[track_caller]
pub(super) fn user(id: &str, claims: &impl Serialize) -> User {
    assert!(check_id(id).is_ok(), "{id:?} is not 1 to 256 bytes without control characters");
    let claims = payload::encode(claims).expect("claims are a struct with named fields or a map");
    let bytes = claims.len();
    assert!(bytes <= CLAIMS_BYTES_MAX, "the claims have {bytes} bytes; at most 4 KiB are taken");
    User { id: id.to_owned(), claims, expires: None }
}

/// A user whom a consumer signs in, or which rule the id or the claims break.
pub(super) fn checked(id: &str, claims: &[u8]) -> Result<User, String> {
    if !(1..=256).contains(&id.len()) || id.chars().any(char::is_control) {
        return Err("the id of a user has 1 to 256 bytes and no control characters".to_owned());
    }
    if claims.len() > CLAIMS_BYTES_MAX {
        let bytes = claims.len();
        return Err(format!(
            "the claims take {bytes} bytes as MessagePack; at most 4096 are taken"
        ));
    }
    Ok(User { id: id.to_owned(), claims: claims.to_owned(), expires: None })
}

/// The user as a consumer sees it, or the status in place of a run.
pub(super) fn admit(entry: &Entry, user: Option<User>) -> Result<Option<User>, u16> {
    let Some(Access { user: asked, claims }) = entry.access else { return Ok(None) };
    let Some(user) = user else {
        return if asked == "required" { Err(401) } else { Ok(None) };
    };
    let found: Value = payload::decode(&user.claims).unwrap_or_default();
    let holds = claims.iter().all(|(name, values)| {
        let is_one = |claim: &Value| values.iter().any(|value| is(value, claim));
        match found.get(name) {
            Some(Value::Array(claims)) => claims.iter().any(is_one),
            Some(claim) => is_one(claim),
            None => false,
        }
    });
    if holds { Ok(Some(user)) } else { Err(403) }
}

fn is(value: &ClaimValue, claim: &Value) -> bool {
    match (value, claim) {
        (ClaimValue::Text(text), Value::String(claim)) => text == claim,
        (ClaimValue::Integer(number), Value::Number(claim)) => claim.as_i64() == Some(*number),
        (ClaimValue::Bool(value), Value::Bool(claim)) => value == claim,
        _ => false,
    }
}
