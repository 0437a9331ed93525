//! Keys that change, fetched from a source of the test's own, with the time that the test says.

use std::{
    collections::VecDeque,
    sync::{Mutex, atomic::AtomicUsize},
};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::{
    runtime::Handle,
    time::{Instant, advance, sleep_until},
};

use super::*;
use crate::{
    auth::{FetchedSet, KeyFetcher},
    shutdown::Drain,
};

const REFRESH: Duration = Duration::from_secs(600);

/// A source that answers as the test says, the last answer again and again.
#[derive(Default)]
struct Source {
    answers: Mutex<VecDeque<Result<FetchedSet, String>>>,
    asked: AtomicUsize,
    /// How long it takes.
    takes: Duration,
}

impl Source {
    fn new(answers: impl IntoIterator<Item = Result<FetchedSet, String>>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), ..Self::default() })
    }

    fn answers(&self, answer: Result<FetchedSet, String>) {
        *self.answers.lock().unwrap() = [answer].into();
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl KeyFetcher for Arc<Source> {
    async fn fetch(&self) -> Result<FetchedSet, String> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        sleep_until(Instant::now() + self.takes).await;
        let mut answers = self.answers.lock().unwrap();
        if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() }
    }
}

fn set(keys: &[Value]) -> Result<FetchedSet, String> {
    Ok(FetchedSet { body: json!({ "keys": keys }).to_string().into(), max_age: None })
}

fn aged(keys: &[Value], seconds: u64) -> Result<FetchedSet, String> {
    let max_age = Some(Duration::from_secs(seconds));
    set(keys).map(|set| FetchedSet { max_age, ..set })
}

fn away() -> Result<FetchedSet, String> {
    Err("connect: nobody is there".to_owned())
}

fn given(url: bool) -> GivenKeys {
    let url = url.then(|| KeyUrl {
        url: "https://login.example/keys".to_owned(),
        grants: Vec::new(),
        refresh: REFRESH,
    });
    GivenKeys { url, ..GivenKeys::default() }
}

fn config(given: &GivenKeys) -> AuthConfig {
    let expected = Expected { audience: Some(vec!["app".to_owned()]), ..Expected::default() };
    AuthConfig::new(vec![Algorithm::EdDsa, Algorithm::Es256], given, expected, Places::default())
        .unwrap()
}

/// Tokens of a source, kept as the application keeps them.
struct Stage {
    auth: Arc<Auth>,
    source: Arc<Source>,
    keeping: Drain,
}

impl Stage {
    fn new(source: Arc<Source>) -> Self {
        let auth = Arc::new(Auth::new(vec![config(&given(true))]));
        let keeping = Drain::new(Handle::current());
        let fetching = Arc::clone(&auth).keep_fetched(0, Arc::clone(&source));
        keeping.spawn_until_stopped("keys", fetching);
        Self { auth, source, keeping }
    }

    /// As an interface server asks.
    async fn ask(&self, token: &str) -> Result<String, TokenError> {
        let found = id(self.auth.user(token, Place::Field, now()));
        if matches!(found, Err(TokenError::Key | TokenError::KeysAway)) {
            self.auth.ask_for_keys(token).await;
            return id(self.auth.user(token, Place::Field, now()));
        }
        found
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.keeping.stop();
    }
}

fn token(signer: &Signer, key: &str) -> String {
    let header = format!(r#"{{"alg":"EdDSA","kid":"{key}"}}"#);
    let payload = format!(r#"{{"sub":"ada","exp":{},"aud":"app"}}"#, NOW + 600);
    signer.token(Algorithm::EdDsa, &header, &payload)
}

/// The Ed25519 key of a signer under another name.
fn named(signer: &Signer, name: &str) -> Value {
    let mut key = signer.jwks()[0].clone();
    key["kid"] = name.into();
    key
}

#[tokio::test(start_paused = true)]
async fn the_first_token_waits_for_the_keys_and_the_source_is_asked_once() {
    let signer = Signer::new();
    let mut source = Source::new([set(&[named(&signer, "one")])]);
    Arc::get_mut(&mut source).unwrap().takes = Duration::from_secs(1);
    let stage = Stage::new(source);
    let token = token(&signer, "one");
    let asking = (0..20).map(|_| stage.ask(&token));
    for found in futures_util::future::join_all(asking).await {
        assert_eq!(found.as_deref(), Ok("ada"));
    }
    assert_eq!(stage.source.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_asks_for_the_keys_of_its_own_section() {
    let signer = Signer::new();
    let section = |issuer: &str, prefix: &str| {
        let expected = Expected {
            issuer: Some(issuer.to_owned()),
            audience: Some(vec!["app".to_owned()]),
            ..Expected::default()
        };
        AuthConfig::new(vec![Algorithm::EdDsa], &given(true), expected, Places::default())
            .unwrap()
            .with_user_prefix(prefix.to_owned())
            .unwrap()
    };
    let auth = Arc::new(Auth::new(vec![section("one", ""), section("two", "two:")]));
    assert_eq!(auth.urls().map(|(at, _)| at).collect::<Vec<_>>(), [0, 1]);
    let sources = ["first", "second"].map(|key| Source::new([set(&[named(&signer, key)])]));
    let keeping = Drain::new(Handle::current());
    for (at, source) in sources.iter().enumerate() {
        let fetching = Arc::clone(&auth).keep_fetched(at, Arc::clone(source));
        keeping.spawn_until_stopped("keys", fetching);
    }
    let token = |key: &str, issuer: &str| {
        let header = format!(r#"{{"alg":"EdDSA","kid":"{key}"}}"#);
        let times = format!(r#""exp":{},"aud":"app""#, NOW + 600);
        signer.token(
            Algorithm::EdDsa,
            &header,
            &format!(r#"{{"sub":"ada","iss":"{issuer}",{times}}}"#),
        )
    };
    let ask = async |token: &str| {
        auth.ask_for_keys(token).await;
        id(auth.user(token, Place::Field, now()))
    };
    assert_eq!(ask(&token("first", "one")).await.as_deref(), Ok("ada"));
    assert_eq!(ask(&token("second", "two")).await.as_deref(), Ok("two:ada"));
    // The key of one section is none of the other one.
    assert_eq!(ask(&token("first", "two")).await, Err(TokenError::Key));
    assert_eq!(ask(&token("first", "three")).await, Err(TokenError::Issuer));
    assert_eq!(sources.each_ref().map(|source| source.asked()), [1, 1]);
    advance(Duration::from_secs(61)).await;
    assert_eq!(ask(&token("third", "two")).await, Err(TokenError::Key));
    assert_eq!(sources.each_ref().map(|source| source.asked()), [1, 2]);
    keeping.stop();
}

#[tokio::test(start_paused = true)]
async fn without_keys_nobody_knows_and_the_source_is_tried_again_with_growing_pauses() {
    let signer = Signer::new();
    let stage = Stage::new(Source::new([away()]));
    let token = token(&signer, "one");
    assert_eq!(stage.ask(&token).await, Err(TokenError::KeysAway));
    // A token of another algorithm is wrong whatever the keys are.
    let other = signer.token(Algorithm::Rs256, r#"{"alg":"RS256"}"#, "{}");
    assert_eq!(stage.ask(&other).await, Err(TokenError::Algorithm));
    let begun = Instant::now();
    while stage.source.asked() < 6 {
        advance(Duration::from_millis(100)).await;
        tokio::task::yield_now().await;
    }
    // 1 + 2 + 4 + 8 + 16 s.
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_secs(29) && waited < Duration::from_secs(33), "{waited:?}");
    stage.source.answers(set(&[named(&signer, "one")]));
    advance(Duration::from_secs(60)).await;
    while stage.source.asked() < 7 {
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.ask(&token).await.as_deref(), Ok("ada"));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_used_changes_nothing_and_the_old_keys_serve() {
    let signer = Signer::new();
    let stage = Stage::new(Source::new([set(&[named(&signer, "one")])]));
    let one = token(&signer, "one");
    assert_eq!(stage.ask(&one).await.as_deref(), Ok("ada"));
    let mut private = named(&signer, "one");
    private["d"] = "AA".into();
    let unknown = json!({ "kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA" });
    let shared = json!({ "kty": "oct", "k": "c2VjcmV0" });
    let many: Vec<_> = (0..17).map(|at| named(&signer, &at.to_string())).collect();
    let text = |text: &'static [u8]| Ok(FetchedSet { body: text.into(), max_age: None });
    for bad in [
        away(),
        set(&[]),
        set(&[private]),
        set(std::slice::from_ref(&unknown)),
        set(&[shared]),
        set(&many),
        text(b""),
        text(b"<html>"),
        text(b"[]"),
    ] {
        let asked = stage.source.asked();
        stage.source.answers(bad);
        while stage.source.asked() == asked {
            advance(Duration::from_secs(10)).await;
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        assert_eq!(stage.ask(&one).await.as_deref(), Ok("ada"));
    }
    // A curve that is not known beside a key that is: the one is left aside.
    let asked = stage.source.asked();
    stage.source.answers(set(&[unknown, named(&signer, "two")]));
    while stage.source.asked() == asked {
        advance(Duration::from_secs(10)).await;
        tokio::task::yield_now().await;
    }
    tokio::task::yield_now().await;
    assert_eq!(stage.ask(&token(&signer, "two")).await.as_deref(), Ok("ada"));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_known_asks_at_most_once_a_minute() {
    let signer = Signer::new();
    let stage = Stage::new(Source::new([set(&[named(&signer, "one")])]));
    assert_eq!(stage.ask(&token(&signer, "one")).await.as_deref(), Ok("ada"));
    for number in 0..100 {
        let made_up = token(&signer, &format!("made-up-{number}"));
        assert_eq!(stage.ask(&made_up).await, Err(TokenError::Key));
    }
    assert_eq!(stage.source.asked(), 1, "it was asked a moment ago");
    // The issuer has a new key, and takes the old one back.
    stage.source.answers(set(&[named(&signer, "two")]));
    let two = token(&signer, "two");
    assert_eq!(stage.ask(&two).await, Err(TokenError::Key));
    advance(Duration::from_secs(61)).await;
    assert_eq!(stage.ask(&two).await.as_deref(), Ok("ada"));
    assert_eq!(stage.source.asked(), 2);
    assert_eq!(stage.ask(&token(&signer, "one")).await, Err(TokenError::Key), "it was forgotten");
    for _ in 0..100 {
        assert_eq!(stage.ask(&token(&signer, "three")).await, Err(TokenError::Key));
    }
    assert_eq!(stage.source.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_set_is_fetched_again_when_it_is_old_as_its_answer_says_within_bounds() {
    let signer = Signer::new();
    let keys = [named(&signer, "one")];
    for (answer, seconds) in [
        (set(&keys), 600),
        (aged(&keys, 120), 120),
        (aged(&keys, 0), 60),
        (aged(&keys, 1_000_000), 600),
    ] {
        let stage = Stage::new(Source::new([answer]));
        assert_eq!(stage.ask(&token(&signer, "one")).await.as_deref(), Ok("ada"));
        let begun = Instant::now();
        while stage.source.asked() < 2 {
            advance(Duration::from_secs(1)).await;
            tokio::task::yield_now().await;
        }
        let waited = begun.elapsed().as_secs();
        assert!((seconds..=seconds + 2).contains(&waited), "{waited} {seconds}");
    }
}

#[test]
fn keys_of_files_are_read_again_and_a_change_forgets_tokens() {
    let (old, new) = (Signer::new(), Signer::new());
    let file = Arc::new(Mutex::new(Ok(old.pem(Algorithm::EdDsa))));
    let read = Arc::clone(&file);
    let keys = |text: String| GivenKeys { public_keys: vec![text], ..GivenKeys::default() };
    let first = config(&keys(old.pem(Algorithm::EdDsa)));
    let reread = Reread::new(move || read.lock().unwrap().clone().map(keys));
    let auth = Auth::new(vec![first.rereading(reread)]);
    let payload = format!(r#"{{"sub":"ada","exp":{},"aud":"app"}}"#, NOW + 600);
    let [before, after] =
        [&old, &new].map(|it| it.token(Algorithm::EdDsa, r#"{"alg":"EdDSA"}"#, &payload));
    assert_eq!(id(auth.user(&before, Place::Field, now())).as_deref(), Ok("ada"));
    auth.reread();
    assert_eq!(auth.remembered.len(), 1, "the same keys");
    for bad in [Err("it cannot be read".to_owned()), Ok(String::new())] {
        *file.lock().unwrap() = bad;
        auth.reread();
        assert_eq!(id(auth.user(&before, Place::Field, now())).as_deref(), Ok("ada"));
    }
    *file.lock().unwrap() = Ok(new.pem(Algorithm::EdDsa));
    auth.reread();
    assert_eq!(auth.remembered.len(), 0);
    assert_eq!(id(auth.user(&before, Place::Field, now())), Err(TokenError::Signature));
    assert_eq!(id(auth.user(&after, Place::Field, now())).as_deref(), Ok("ada"));
}

#[test]
fn a_token_that_was_checked_while_keys_changed_is_not_remembered_for_good() {
    let signer = Signer::new();
    let auth = auth(&signer, Algorithm::EdDsa, 0);
    let token = signer.token(Algorithm::EdDsa, r#"{"alg":"EdDSA"}"#, &good());
    assert!(auth.user(&token, Place::Field, now()).is_ok());
    // What another thread remembers after the change, of keys that it read before.
    auth.generation.fetch_add(1, Ordering::Release);
    assert_eq!(auth.remembered.len(), 1);
    assert!(auth.user(&token, Place::Field, now()).is_ok(), "it is checked again");
    let kept = auth.remembered.get(&key::digest(&token)).unwrap();
    assert_eq!(kept.generation, 1);
}
