//! Cookies are those that a host wrote, and sessions end when they should.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::json;

use super::*;
use crate::{
    capability::store::EmbeddedStore,
    message::{Content, SessionData},
};

const SECRET: &[u8] = b"a secret of 32 bytes, or of more";

fn keys(secrets: &[&[u8]]) -> CookieKeys {
    CookieKeys::new(secrets.iter().copied()).unwrap()
}

fn sessions() -> Sessions {
    let config = SessionConfig {
        keys: keys(&[SECRET]),
        cookie: "__Host-session".to_owned(),
        is_secure: true,
        lifetime: Duration::from_secs(3_600),
        idle: Duration::from_secs(600),
    };
    Sessions::new(config, Arc::new(EmbeddedStore::in_memory().unwrap()))
}

/// So many seconds after a moment that is past.
fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

fn ada() -> OwnChange {
    sign_in("ada")
}

fn sign_in(id: &str) -> OwnChange {
    let claims = Content::from_json(json!({ "role": "owner" }).as_object().unwrap()).unwrap();
    OwnChange::SignIn(Identity { id: id.to_owned(), claims }, SessionData::random())
}

/// Does one thing to the session of a connection. Returns the cookie, if there is one then.
async fn change(
    sessions: &Sessions,
    own: OwnChange,
    before: Option<&Open>,
    now: SystemTime,
) -> (Option<String>, Vec<SessionKey>) {
    let changes = Changes { own: Some(own), ..Changes::default() };
    let session = before.map(|open| &open.session);
    let user = before.and_then(|open| open.user.as_deref()).map(User::id);
    let origin = SignInOrigin::new("192.0.2.1".to_owned(), "Firefox");
    let applied = sessions.apply(changes, session, user, origin, now).await.unwrap();
    let field = applied.cookie.unwrap();
    let value = field.strip_prefix("__Host-session=").unwrap();
    let (value, rest) = value.split_once(';').unwrap();
    let seconds = if value.is_empty() { 0 } else { 3_600 };
    assert_eq!(rest, format!(" Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax; Secure"));
    ((!value.is_empty()).then(|| value.to_owned()), applied.ended)
}

async fn open(sessions: &Sessions, cookie: &str, now: SystemTime) -> Option<Open> {
    let key = sessions.open_cookie(cookie, now).unwrap();
    sessions.find(key, now).await.unwrap()
}

#[tokio::test]
async fn who_signs_in_is_known_by_the_cookie_until_the_end() {
    let sessions = sessions();
    let (cookie, ended) = change(&sessions, ada(), None, at(0)).await;
    let cookie = cookie.unwrap();
    assert!(ended.is_empty());
    let found = open(&sessions, &cookie, at(3_599)).await.unwrap();
    let user = found.user.clone().unwrap();
    assert_eq!((user.id(), user.expires()), ("ada", Some(1_700_003_600)));
    assert_eq!(sessions.open_cookie(&cookie, at(3_600)), Err(CookieError::Expired));
    // Where another process has shortened it, the record counts.
    assert!(sessions.find(found.session.key, at(3_600)).await.unwrap().is_none());
    let (none, ended) = change(&sessions, OwnChange::End, Some(&found), at(1)).await;
    assert_eq!((none, ended), (None, vec![found.session.key]));
    assert!(open(&sessions, &cookie, at(1)).await.is_none(), "the cookie counts no longer");
}

#[tokio::test]
async fn signing_in_gives_another_id_and_keeps_the_data() {
    let sessions = sessions();
    let data = SessionData::random();
    let (before, _) = change(&sessions, OwnChange::Begin(data), None, at(0)).await;
    let before = before.unwrap();
    let anonymous = open(&sessions, &before, at(0)).await.unwrap();
    assert_eq!((&anonymous.user, anonymous.session.data), (&None, data));
    let identity = Identity {
        id: "ada".to_owned(),
        claims: Content::from_json(&serde_json::Map::new()).unwrap(),
    };
    let own = OwnChange::SignIn(identity, data);
    let (after, ended) = change(&sessions, own, Some(&anonymous), at(1)).await;
    let after = after.unwrap();
    assert_ne!(before, after);
    assert_eq!(ended, [anonymous.session.key]);
    assert!(open(&sessions, &before, at(1)).await.is_none(), "the id from before lets nobody in");
    let found = open(&sessions, &after, at(1)).await.unwrap();
    assert_eq!((found.user.unwrap().id(), found.session.data), ("ada", data));
}

#[tokio::test]
async fn use_is_written_once_a_minute_and_never_brings_a_session_back() {
    let sessions = sessions();
    let (cookie, _) = change(&sessions, ada(), None, at(0)).await;
    let cookie = cookie.unwrap();
    let used = async || sessions.list("ada").await.unwrap().first().map(|it| it.record.used);
    let fresh = open(&sessions, &cookie, at(59)).await.unwrap();
    assert!(!fresh.is_stale(at(59)));
    assert!(sessions.touch(&fresh, at(59)).await.unwrap());
    assert_eq!(used().await, Some(1_700_000_000));
    let stale = open(&sessions, &cookie, at(60)).await.unwrap();
    assert!(sessions.touch(&stale, at(60)).await.unwrap());
    assert_eq!(used().await, Some(1_700_000_060));
    // Another process has written it meanwhile.
    assert!(sessions.touch(&stale, at(70)).await.unwrap());
    assert_eq!(used().await, Some(1_700_000_060));
    let found = open(&sessions, &cookie, at(130)).await.unwrap();
    change(&sessions, OwnChange::End, Some(&found), at(130)).await;
    assert!(!sessions.touch(&found, at(130)).await.unwrap());
    assert!(open(&sessions, &cookie, at(130)).await.is_none());
    assert_eq!(used().await, None);
}

#[tokio::test]
async fn sessions_of_a_user_are_listed_and_ended_and_others_are_left_alone() {
    let sessions = sessions();
    let mut cookies = Vec::new();
    for (user, second) in [("ada", 0), ("ada", 1), ("ada", 2), ("bob", 3)] {
        cookies.push(change(&sessions, sign_in(user), None, at(second)).await.0.unwrap());
    }
    let listed = sessions.list("ada").await.unwrap();
    let used: Vec<_> = listed.iter().map(|it| it.record.used - 1_700_000_000).collect();
    assert_eq!(used, [2, 1, 0]);
    let origin = &listed[0].record.origin;
    assert_eq!((&*origin.address, &*origin.agent), ("192.0.2.1", "Firefox"));
    let [first, second, third, bob] = &cookies[..] else { panic!("four") };
    let key = async |cookie: &str| open(&sessions, cookie, at(4)).await.map(|it| it.session.key);
    let end = async |changes: Changes| {
        let own = SignInOrigin::default();
        sessions.apply(changes, None, None, own, at(4)).await.unwrap()
    };
    // Who may end sessions of ada ends none of bob by naming it hers.
    let of_bob = key(bob).await.unwrap();
    let mut changes = Changes::default();
    changes.end("ada", of_bob).unwrap();
    assert_eq!(end(changes).await, Applied::default());
    assert_eq!(key(bob).await, Some(of_bob));
    let (one, two) = (key(first).await.unwrap(), key(second).await.unwrap());
    let mut changes = Changes::default();
    changes.end("ada", one).unwrap();
    assert_eq!(end(changes).await.ended, [one]);
    assert_eq!(key(first).await, None);
    let mut changes = Changes::default();
    changes.end_all("ada", Some(two)).unwrap();
    let third_key = key(third).await.unwrap();
    assert_eq!(end(changes).await.ended, [third_key]);
    assert_eq!((key(second).await, key(third).await), (Some(two), None));
    let mut changes = Changes::default();
    changes.end_all("ada", None).unwrap();
    assert_eq!(end(changes).await.ended, [two]);
    assert!(sessions.list("ada").await.unwrap().is_empty());
    assert_eq!(key(bob).await, Some(of_bob));
}

#[tokio::test]
async fn one_session_too_many_ends_the_one_that_was_not_used_for_longest() {
    let sessions = sessions();
    let most = u64::try_from(SESSIONS_PER_USER_MAX).unwrap();
    let first = change(&sessions, ada(), None, at(0)).await.0.unwrap();
    for second in 1..most {
        let (_, ended) = change(&sessions, ada(), None, at(second)).await;
        assert!(ended.is_empty());
    }
    let key = open(&sessions, &first, at(most)).await.unwrap().session.key;
    let (_, ended) = change(&sessions, ada(), None, at(most)).await;
    assert_eq!(ended, [key]);
    assert_eq!(sessions.list("ada").await.unwrap().len(), SESSIONS_PER_USER_MAX);
    assert!(open(&sessions, &first, at(most)).await.is_none());
}

#[tokio::test]
async fn a_run_ends_a_bounded_number() {
    let mut changes = Changes::default();
    for user in 0..100 {
        changes.end_all(&user.to_string(), None).unwrap();
    }
    assert_eq!(changes.end_all("ada", None), Err(ChangesError));
}

#[test]
fn what_is_written_is_what_it_always_was() {
    // The format of cookies and keys: processes of other releases read them.
    let keys = keys(&[SECRET]);
    let id = [7; 32];
    let expires = 1_700_000_000_u64;
    let mut signed = expires.to_be_bytes().to_vec();
    signed.extend(id);
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET);
    let code = ring::hmac::sign(&key, &[b"tidegate session 1\0", &signed[..]].concat());
    signed.extend(code.as_ref());
    let cookie = data_encoding::BASE64URL_NOPAD.encode(&signed);
    assert_eq!(cookie.len(), COOKIE_CHARS);
    assert_eq!(keys.open(&cookie, expires), Err(CookieError::Expired));
    let key = keys.open(&cookie, expires - 1).unwrap();
    assert_eq!(key.to_string(), "4bb06f8e4e3a7715d201d573d0aa423762e55dabd61a2c02278fa56cc6d294e0");
    assert_eq!(record_key(key).unwrap().as_str(), format!("session:{key}"));
    let index = index_key("ada", key).unwrap();
    let of_ada = "fdee430d40bd57deeac186cd9790033d0f06f909a8806e7ce6e717ab7c7d5029";
    assert_eq!(index.as_str(), format!("user:{of_ada}:{key}"));
}
