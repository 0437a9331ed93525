//! Which tokens count, and which settings can be.

mod django;
mod refresh;
mod sections;
mod settings;
mod signer;
mod table;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::*;
use signer::Signer;

/// The moment at which tokens are checked.
const NOW: u64 = 1_800_000_000;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

/// A section with the key of an algorithm, for the audience `app`, with leeway in seconds.
fn auth(signer: &Signer, algorithm: Algorithm, leeway: u64) -> Auth {
    let expected = Expected {
        issuer: Some("https://login.example".to_owned()),
        audience: Some(vec!["app".to_owned(), "other".to_owned()]),
        leeway: Duration::from_secs(leeway),
    };
    let keys = signer.keys(algorithm);
    Auth::new(vec![AuthConfig::new(vec![algorithm], &keys, expected, Places::default()).unwrap()])
}

/// Claims that count.
fn good() -> String {
    format!(
        r#"{{"sub":"ada","exp":{},"aud":"app","iss":"https://login.example","role":"admin"}}"#,
        NOW + 600
    )
}

fn id(found: Result<Known<'_>, TokenError>) -> Result<String, TokenError> {
    found.map(|known| known.user.id().to_owned())
}

#[test]
fn a_user_has_the_claims_and_the_second_of_its_end() {
    let signer = Signer::new();
    let payload = good().replace(&(NOW + 600).to_string(), &format!("{}.75", NOW + 600));
    let token = signer.token(Algorithm::EdDsa, r#"{"alg":"EdDSA"}"#, &payload);
    let user = auth(&signer, Algorithm::EdDsa, 30).user(&token, Place::Field, now()).unwrap().user;
    assert_eq!((user.id(), user.expires()), ("ada", Some(NOW + 600)));
    let claims: serde_json::Value = rmp_serde::from_slice(user.claims().as_bytes()).unwrap();
    assert_eq!(claims, serde_json::from_str::<serde_json::Value>(&payload).unwrap());
}

#[test]
fn a_token_that_was_seen_before_ends_when_it_says() {
    let signer = Signer::new();
    let auth = auth(&signer, Algorithm::Hs256, 30);
    let token = signer.token(Algorithm::Hs256, r#"{"alg":"HS256"}"#, &good());
    let at = |seconds| UNIX_EPOCH + Duration::from_millis(seconds);
    let end = (NOW + 630) * 1_000;
    assert_eq!(id(auth.user(&token, Place::Field, now())).as_deref(), Ok("ada"));
    assert_eq!(auth.remembered.len(), 1);
    assert_eq!(id(auth.user(&token, Place::Field, at(end - 1))).as_deref(), Ok("ada"));
    assert_eq!(id(auth.user(&token, Place::Field, at(end))), Err(TokenError::Expired));
    assert_eq!(auth.remembered.len(), 0);
    assert_eq!(id(auth.user(&token, Place::Field, at(end))), Err(TokenError::Expired));
}

#[test]
fn what_is_remembered_is_bounded_and_has_no_refused_tokens() {
    let signer = Signer::new();
    let auth = auth(&signer, Algorithm::Hs256, 0);
    let bad = signer.token(Algorithm::Hs256, r#"{"alg":"HS256"}"#, "{}");
    assert!(auth.user(&bad, Place::Field, now()).is_err());
    assert_eq!(auth.remembered.len(), 0);
    let padding = "x".repeat(3_500);
    for number in 0..4_000 {
        let payload =
            good().replace(r#""role":"admin""#, &format!(r#""n":{number},"p":"{padding}""#));
        let token = signer.token(Algorithm::Hs256, r#"{"alg":"HS256"}"#, &payload);
        assert!(auth.user(&token, Place::Field, now()).is_ok());
    }
    assert!(auth.remembered.weight() <= REMEMBERED_BYTES_MAX, "{}", auth.remembered.weight());
    assert!(auth.remembered.len() > 1_000, "{}", auth.remembered.len());
}

#[test]
fn nothing_of_keys_and_secrets_is_shown() {
    let signer = Signer::new();
    let shown = format!("{:?}", auth(&signer, Algorithm::Hs256, 0));
    let secret = String::from_utf8(signer::SECRET.to_vec()).unwrap();
    assert!(!shown.contains(&secret) && !shown.contains("115, 115"), "{shown}");
}
