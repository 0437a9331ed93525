//! Sessions of Django in cookies: such as Django 5.2 writes, and each rule as a row.

use std::io::Write as _;

use data_encoding::BASE64URL_NOPAD;
use flate2::{Compression, write::ZlibEncoder};
use ring::{digest, hmac};
use serde_json::{Value, json};

use super::*;

/// `SECRET_KEY` of the site whose cookies these are.
const SECRET: &str = "django-insecure-a-golden-key-of-the-tests-0123456789";
const AGE: u64 = 14 * 24 * 60 * 60;

/// Cookies that `SessionStore` of Django 5.2.19 wrote at [`NOW`].
const USER: &str = ".eJyrVopPLC3JiC8tTi2Kz0xRslIyV9JBFktKTM5OzQNJpGQl5qXn6yXn55UUZSbpgZToQWWL9XzzU1JznKBqUQzISCzOAOo2SKMMKtUCAAwbORM:1xocE4:vAWZwbp_cEZvTcGaHe2TB6GhD1FspISxbmujpemeEqw";
const WITH_DATA: &str = ".eJyrVopPLC3JiC8tTi2Kz0xRslIyV9JBFktKTM5OzQNJpGQl5qXn6yXn55UUZSbpgZToQWWL9XzzU1JznKBqUQzISCzOAOo2SKMMAg0tys9JBZqUmJKbmQfklmSmgLgZMaUGBmlmqJRSLQCOm0bv:1xocE4:qNS94RssM0GHmVjBh9kddoJBpXiI7FFVryRGz8pGQnM";
const NOBODY: &str = "eyJiYXNrZXQiOlsxLDJdfQ:1xocE4:aaCwEnQVG3k04Jokc4zcS_-BAOwFVx2EyKJwVf0A7CY";
const NOT_COMPRESSED: &str =
    "eyJfYXV0aF91c2VyX2lkIjoiNyIsImEiOiJiIn0:1xocE4:JCZPQSg0gpDzpK2XrtwKqFn4pp_sBDDB_7ein-HA3q4";
const FIVE_MINUTES: &str = ".eJyrVopPLC3JiC8tTi2Kz0xRslIyV9JBFktKTM5OzQNJpGQl5qXn6yXn55UUZSbpgZToQWWL9XzzU1JznKBqUQzISCzOAOo2SKMMggwtTi0uzszPi0-tKMgsqlSyMjYwqAUATI9Asw:1xocE4:0NtkdvR5iktqk-pT67xbcbaVg2DT76PwYRvrHj-u794";

fn secrets(texts: &[&str]) -> GivenKeys {
    let django = texts.iter().map(|text| GivenSecret(text.as_bytes().to_vec())).collect();
    GivenKeys { django, ..GivenKeys::default() }
}

fn section(texts: &[&str]) -> Result<AuthConfig, AuthError> {
    let expected = Expected { leeway: Duration::from_secs(30), ..Expected::default() };
    let sessions = DjangoSessions { cookie: "sessionid".to_owned(), age: Duration::from_secs(AGE) };
    AuthConfig::new(Vec::new(), &secrets(texts), expected, Places::default())?.with_django(sessions)
}

fn site() -> Auth {
    Auth::new(vec![section(&[SECRET]).unwrap()])
}

/// The id of the user of a cookie; an empty one where nobody is signed in.
fn user_at(auth: &Auth, cookie: &str, moment: u64) -> Result<String, TokenError> {
    let found = auth.django_user(cookie, UNIX_EPOCH + Duration::from_secs(moment))?;
    Ok(found.map_or_else(String::new, |known| known.user.id().to_owned()))
}

/// Signs a text as a site does, by a key for a purpose.
fn signed_for(salt: &str, secret: &str, text: &str) -> String {
    let key = digest::digest(&digest::SHA256, format!("{salt}signer{secret}").as_bytes());
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_ref());
    let signature = hmac::sign(&key, text.as_bytes());
    format!("{text}:{}", BASE64URL_NOPAD.encode(signature.as_ref()))
}

fn signed(text: &str) -> String {
    signed_for("django.contrib.sessions.backends.signed_cookies", SECRET, text)
}

fn raw(bytes: &[u8]) -> String {
    signed(&format!("{}:1xocE4", BASE64URL_NOPAD.encode(bytes)))
}

fn of(session: &Value) -> String {
    raw(session.to_string().as_bytes())
}

fn compressed(bytes: &[u8]) -> String {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    packed.write_all(bytes).unwrap();
    signed(&format!(".{}:1xocE4", BASE64URL_NOPAD.encode(&packed.finish().unwrap())))
}

#[test]
fn who_is_signed_in_at_the_site_is_so_here_with_its_data_and_without_what_is_djangos() {
    let auth = site();
    for (cookie, id, data) in [
        (USER, "7", json!({})),
        (WITH_DATA, "7", json!({ "role": "admin", "tide": "höhöhö" })),
        (NOT_COMPRESSED, "7", json!({ "a": "b" })),
    ] {
        let known = auth.django_user(cookie, now()).unwrap().unwrap();
        assert_eq!((known.user.id(), known.user.expires()), (id, Some(NOW + AGE)));
        let claims: Value = rmp_serde::from_slice(known.user.claims().as_bytes()).unwrap();
        assert_eq!(claims, data);
    }
    assert_eq!(user_at(&auth, NOBODY, NOW).as_deref(), Ok(""));
}

#[test]
fn a_session_lasts_as_long_as_the_site_says() {
    let auth = site();
    let ends = |cookie: &str, seconds: u64| {
        assert_eq!(user_at(&auth, cookie, NOW + seconds).as_deref(), Ok("7"), "{cookie}");
        let after = user_at(&auth, cookie, NOW + seconds + 1);
        assert_eq!(after, Err(TokenError::Expired), "{cookie}");
    };
    ends(USER, AGE);
    ends(FIVE_MINUTES, 300);
    let with = |expiry: Value| of(&json!({ "_auth_user_id": "7", "_session_expiry": expiry }));
    ends(&with(json!(0)), AGE);
    ends(&with(Value::Null), AGE);
    ends(&with(json!(AGE * 2)), AGE);
    // NOW is 2027-01-15T08:00:00Z.
    ends(&with(json!("2027-01-15T08:01:00+00:00")), 60);
    ends(&with(json!("2027-01-15T09:01:00.999999+01:00")), 60);
    for (expiry, error) in [
        (json!("2027-01-15T08:01:00"), TokenError::Number),
        (json!("soon"), TokenError::Number),
        (json!([300]), TokenError::Number),
        (json!(-1), TokenError::Expired),
        (json!("2027-01-15T07:59:59+00:00"), TokenError::Expired),
    ] {
        assert_eq!(user_at(&auth, &with(expiry.clone()), NOW), Err(error), "{expiry}");
    }
    // A clock that is behind by no more than the leeway.
    assert_eq!(user_at(&auth, USER, NOW - 30).as_deref(), Ok("7"));
    assert_eq!(user_at(&auth, USER, NOW - 31), Err(TokenError::IssuedAhead));
}

#[test]
fn each_secret_of_the_site_counts_and_no_other() {
    let other = "another-secret-of-the-site-which-is-as-long-as-that-one";
    let both = |first, second| Auth::new(vec![section(&[first, second]).unwrap()]);
    assert_eq!(user_at(&both(other, SECRET), USER, NOW).as_deref(), Ok("7"));
    assert_eq!(user_at(&both(SECRET, other), USER, NOW).as_deref(), Ok("7"));
    let auth = Auth::new(vec![section(&[other]).unwrap()]);
    assert_eq!(user_at(&auth, USER, NOW), Err(TokenError::Signature));
    // What the site signs for another purpose is no session.
    let text = format!("{}:1xocE4", BASE64URL_NOPAD.encode(br#"{"_auth_user_id":"7"}"#));
    let auth = site();
    for salt in ["", "django.core.signing", "django.contrib.sessions.backends.signed_cookie"] {
        let cookie = signed_for(salt, SECRET, &text);
        assert_eq!(user_at(&auth, &cookie, NOW), Err(TokenError::Signature), "{salt}");
    }
}

#[test]
fn nothing_that_is_changed_in_a_cookie_counts() {
    let auth = site();
    for cookie in [USER, WITH_DATA, NOT_COMPRESSED] {
        for at in 0..cookie.len() {
            let mut bytes = cookie.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(user_at(&auth, &changed, NOW).is_err(), "{changed}");
            assert!(user_at(&auth, cookie.get(..at).unwrap(), NOW).is_err(), "{at}");
        }
    }
}

#[test]
fn each_rule_of_a_cookie_has_its_answer() {
    use TokenError::{ClaimsSize, Duplicate, Form, IssuedAhead, Number, Signature, Size, Subject};
    let auth = site();
    let large = |bytes: usize| json!({ "_auth_user_id": "7", "a": "x".repeat(bytes) });
    let hidden = |bytes: usize| json!({ "_auth_user_id": "7", "_a": "x".repeat(bytes) });
    let id = |id: Value| of(&json!({ "_auth_user_id": id }));
    for (cookie, expected) in [
        (String::new(), Err(Form)),
        ("::".to_owned(), Err(Signature)),
        ("a.b.c".to_owned(), Err(Form)),
        (format!("{USER}="), Err(Form)),
        (format!(" {USER}"), Err(Signature)),
        ("x".repeat(TOKEN_BYTES_MAX + 1), Err(Size)),
        (id(json!("7")), Ok("7")),
        (id(json!("a:b c")), Ok("a:b c")),
        (id(json!(7)), Err(Subject)),
        (id(Value::Null), Err(Subject)),
        (id(json!("")), Err(Subject)),
        (id(json!("a\nb")), Err(Subject)),
        (id(json!("x".repeat(257))), Err(Subject)),
        (of(&json!({ "user_id": "7" })), Ok("")),
        (of(&json!({})), Ok("")),
        (of(&json!([])), Err(Form)),
        (of(&json!(null)), Err(Form)),
        (raw(b""), Err(Form)),
        (raw(br#"{"_auth_user_id":"7","_auth_user_id":"8"}"#), Err(Duplicate)),
        (raw(br#"{"_auth_user_id":"7"} "#), Ok("7")),
        (raw(br#"{"_auth_user_id":"7"}x"#), Err(Form)),
        // What a serializer for objects of Python writes.
        (raw(b"\x80\x04\x95\x1b\0\0\0\0\0\0\0}\x94."), Err(Form)),
        (of(&json!({ "_auth_user_id": "7", "n": u64::MAX })), Err(Number)),
        (of(&large(4_000)), Ok("7")),
        (of(&large(4_100)), Err(ClaimsSize)),
        // More than a cookie can hold, where it is compressed.
        (compressed(large(4_000).to_string().as_bytes()), Ok("7")),
        // Nothing of it would be a claim.
        (compressed(hidden(60_000).to_string().as_bytes()), Ok("7")),
        (compressed(hidden(1_000_000).to_string().as_bytes()), Err(ClaimsSize)),
        (signed(&format!(".{}:1xocE4", BASE64URL_NOPAD.encode(b"no zlib"))), Err(Form)),
        (signed(".:1xocE4"), Err(Form)),
        (signed("e30=:1xocE4"), Err(Form)),
        (signed("e30:"), Err(Number)),
        (signed("e30:-1xocE4"), Err(Number)),
        (signed("e30:1xocE_"), Err(Number)),
        (signed("e30:zzzzzzzzzzzzzzzz"), Err(Number)),
        (signed("e30:1xocEZ"), Err(IssuedAhead)),
        (signed("e30:1xocE4"), Ok("")),
        (signed("e30"), Err(Form)),
    ] {
        let found = user_at(&auth, &cookie, NOW);
        assert_eq!(
            found.as_deref(),
            expected.as_ref().copied(),
            "{}",
            cookie.get(..90).unwrap_or(&cookie)
        );
    }
}

#[test]
fn sections_with_sessions_of_django_are_refused_where_nobody_would_know_whose_they_are() {
    let weak = "x".repeat(DJANGO_SECRET_BYTES_MIN - 1);
    assert_eq!(section(&[&weak]).err(), Some(AuthError::DjangoSecretWeak(weak.len())));
    assert_eq!(section(&[SECRET, ""]).err(), Some(AuthError::DjangoSecretWeak(0)));
    let without =
        AuthConfig::new(Vec::new(), &GivenKeys::default(), Expected::default(), Places::default());
    assert_eq!(without.err(), Some(AuthError::NoAlgorithm));
    let site = |name, prefix: &str| {
        section(&[SECRET]).unwrap().named(name).with_user_prefix(prefix.to_owned()).unwrap()
    };
    let two = [site("a", "a:"), site("b", "b:")];
    assert_eq!(check_together(&two), Err(("b", AuthError::TwoSites("a".to_owned()))));
    let signer = Signer::new();
    let tokens = |prefix: &str| {
        let expected = Expected {
            audience: Some(vec!["app".to_owned()]),
            issuer: Some("login".to_owned()),
            ..Expected::default()
        };
        let config = AuthConfig::new(
            vec![Algorithm::EdDsa],
            &signer.keys(Algorithm::EdDsa),
            expected,
            Places::default(),
        );
        config.unwrap().named("web").with_user_prefix(prefix.to_owned()).unwrap()
    };
    assert_eq!(check_together(&[site("django", "site:"), tokens("")]), Ok(()));
    let same = [site("django", ""), tokens("")];
    assert_eq!(check_together(&same), Err(("web", AuthError::SharedIds("django".to_owned()))));
    // An id that begins like those of the site is the site's.
    let auth = Auth::new(vec![site("django", "site:"), tokens("")]);
    assert_eq!(user_at(&auth, USER, NOW).as_deref(), Ok("site:7"));
    let claims = format!(r#"{{"sub":"site:7","exp":{},"aud":"app","iss":"login"}}"#, NOW + 600);
    let token = signer.token(Algorithm::EdDsa, r#"{"alg":"EdDSA"}"#, &claims);
    assert_eq!(id(auth.user(&token, Place::Field, now())), Err(TokenError::ForeignId));
}

#[test]
fn secrets_of_a_site_are_read_again_and_shown_nowhere() {
    use std::sync::atomic::AtomicBool;
    let other = "another-secret-of-the-site-which-is-as-long-as-that-one";
    let is_new = Arc::new(AtomicBool::new(false));
    let said = Arc::clone(&is_new);
    let reread = Reread::new(move || {
        Ok(secrets(&[if said.load(Ordering::Relaxed) { other } else { SECRET }]))
    });
    let auth = Auth::new(vec![section(&[SECRET]).unwrap().rereading(reread)]);
    auth.reread();
    assert_eq!(user_at(&auth, USER, NOW).as_deref(), Ok("7"));
    is_new.store(true, Ordering::Relaxed);
    auth.reread();
    assert_eq!(user_at(&auth, USER, NOW), Err(TokenError::Signature));
    let shown = format!("{auth:?}");
    assert!(!shown.contains("golden") && !shown.contains("another-secret"), "{shown}");
}
