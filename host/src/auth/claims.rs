//! The rules of claims. `docs/users.md` has the same rules as a table.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{AuthConfig, TokenError};
use crate::message::{Content, ContentError, User, UserError};

/// The last second that can be told as an integer and as a fraction alike.
const SECONDS_MAX: f64 = 9_007_199_254_740_992.0;

/// A user, and the moment from which the token counts no longer, in seconds since 1970.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) user: Arc<User>,
    pub(super) valid_until: f64,
    /// Which section has checked it.
    pub(super) section: usize,
    /// How often keys had changed when it was checked.
    pub(super) generation: u64,
}

/// Checks the claims at a moment, in seconds since 1970.
pub(super) fn check(
    claims: &Map<String, Value>,
    config: &AuthConfig,
    now: f64,
) -> Result<Checked, TokenError> {
    let leeway = config.leeway.as_secs_f64();
    let expires = seconds(claims, "exp")?.ok_or(TokenError::ExpiryMissing)?;
    let valid_until = expires + leeway;
    if now >= valid_until {
        return Err(TokenError::Expired);
    }
    if seconds(claims, "nbf")?.is_some_and(|from| now + leeway < from) {
        return Err(TokenError::NotYet);
    }
    if seconds(claims, "iat")?.is_some_and(|issued| now + leeway < issued) {
        return Err(TokenError::IssuedAhead);
    }
    if let Some(issuer) = &config.issuer
        && claims.get("iss").and_then(Value::as_str) != Some(issuer)
    {
        return Err(TokenError::Issuer);
    }
    audience(claims.get("aud"), &config.audience)?;
    let subject = claims.get("sub").and_then(Value::as_str).ok_or(TokenError::Subject)?;
    let user = user((&config.user_prefix, subject), claims, expires)?;
    Ok(Checked { user, valid_until, section: 0, generation: 0 })
}

/// A user with claims, until a moment. The id is a prefix and what the issuer calls the user, which is never empty.
pub(super) fn user(
    (prefix, subject): (&str, &str),
    claims: &Map<String, Value>,
    expires: f64,
) -> Result<Arc<User>, TokenError> {
    if subject.is_empty() {
        return Err(TokenError::Subject);
    }
    let content = Content::from_json(claims).map_err(|error| match error {
        ContentError::IntegerRange(_) => TokenError::Number,
        _ => TokenError::Form,
    })?;
    let user = User::new(&format!("{prefix}{subject}"), content, Some(whole(expires)));
    user.map(Arc::new).map_err(|error| match error {
        UserError::ClaimsBytes { .. } => TokenError::ClaimsSize,
        _ => TokenError::Subject,
    })
}

/// A moment: a number, with or without a fraction (RFC 7519, section 2).
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, TokenError> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(TokenError::Number),
    }
}

/// The start of a second that a moment is in. Before 1970 it is 0, and there is a last one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is between 0 and 2^53, and the fraction is to be cut off"
)]
fn whole(seconds: f64) -> u64 {
    seconds.clamp(0.0, SECONDS_MAX) as u64
}

/// A token for others is refused, and so is one for somebody where nobody is asked for (RFC 7519,
/// section 4.1.3).
fn audience(claim: Option<&Value>, expected: &[String]) -> Result<(), TokenError> {
    let names: Vec<&str> = match claim {
        None => Vec::new(),
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => {
            let names: Option<_> = names.iter().map(Value::as_str).collect();
            names.ok_or(TokenError::Audience)?
        }
        Some(_) => return Err(TokenError::Audience),
    };
    let is_asked_for = |name: &&str| expected.iter().any(|expected| expected == name);
    let holds = match expected {
        [] => claim.is_none(),
        _ => names.iter().any(is_asked_for),
    };
    if holds { Ok(()) } else { Err(TokenError::Audience) }
}
