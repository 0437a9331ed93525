//! The tokens over a store that a test holds.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use hyper::header::HeaderValue;
use tokio::time::advance;

use super::*;
use crate::{admin::store::Kept, redis::RedisFailure};

/// A store whose tokens are in memory, and that may be away.
#[derive(Debug, Default)]
struct Held {
    tokens: Mutex<Vec<UsedToken>>,
    is_away: AtomicBool,
    reads: AtomicUsize,
    uses: AtomicUsize,
}

#[async_trait]
impl AdminStore for Held {
    async fn tokens(&self) -> Result<Vec<UsedToken>, AdminStoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        match self.is_away.load(Ordering::Relaxed) {
            true => Err(AdminStoreError::Away(RedisFailure::Stopped)),
            false => Ok(self.tokens.lock().unwrap().clone()),
        }
    }

    async fn add(&self, name: &TokenName, token: &StoredToken) -> Result<Added, AdminStoreError> {
        let added = UsedToken { name: name.clone(), token: token.clone(), used_at: None };
        self.tokens.lock().unwrap().push(added);
        Ok(Added::Yes)
    }

    async fn revoke(&self, name: &TokenName) -> Result<bool, AdminStoreError> {
        self.tokens.lock().unwrap().retain(|token| token.name != *name);
        Ok(true)
    }

    async fn used(&self, name: &TokenName, used_at: u64) -> Result<(), AdminStoreError> {
        self.uses.fetch_add(1, Ordering::Relaxed);
        for token in self.tokens.lock().unwrap().iter_mut().filter(|it| it.name == *name) {
            token.used_at = Some(used_at);
        }
        Ok(())
    }

    async fn begin(&self, _: &str, _: &str) -> Result<Kept, AdminStoreError> {
        Ok(Kept::New)
    }

    async fn answered(&self, _: &str, _: &str, _: &[u8]) -> Result<(), AdminStoreError> {
        Ok(())
    }

    async fn forget(&self, _: &str) -> Result<(), AdminStoreError> {
        Ok(())
    }
}

fn name(text: &str) -> TokenName {
    TokenName::parse(text).unwrap()
}

fn of_role(role: Role) -> StoredToken {
    StoredToken {
        digest: String::new(),
        role,
        modules: None,
        created_at: 0,
        created_by: "ann".to_owned(),
        expires_at: None,
    }
}

/// Two processes that share a store.
fn two() -> (Arc<Held>, Arc<Tokens>, Arc<Tokens>) {
    let held = Arc::new(Held::default());
    let tokens = || {
        let store: Arc<dyn AdminStore> = Arc::<Held>::clone(&held);
        Arc::new(Tokens::new(AdminToken::new("first"), store))
    };
    let (one, other) = (tokens(), tokens());
    (held, one, other)
}

fn with(text: &str) -> HeaderMap {
    let value = HeaderValue::from_str(&format!("Bearer {text}")).unwrap();
    HeaderMap::from_iter([(header::AUTHORIZATION, value)])
}

async fn role_of(tokens: &Tokens, text: &str) -> Option<Role> {
    tokens.holder(&with(text)).await.unwrap().map(|holder| holder.role())
}

async fn make(tokens: &Tokens, text: &str, token: StoredToken) -> String {
    tokens.create(&name(text), token).await.unwrap().unwrap().0
}

#[tokio::test(start_paused = true)]
async fn a_token_holds_in_all_processes_at_once_and_is_refused_in_all_within_a_second() {
    let (_, one, other) = two();
    assert_eq!(role_of(&other, &format!("{PREFIX}{}", "0".repeat(DIGITS))).await, None);
    advance(Duration::from_millis(60)).await;
    let secret = make(&one, "ci", of_role(Role::Deploy)).await;
    for tokens in [&one, &other] {
        assert_eq!(role_of(tokens, &secret).await, Some(Role::Deploy));
    }
    let next = make(&one, "next", of_role(Role::Look)).await;
    assert_eq!(role_of(&one, &next).await, Some(Role::Look), "right after another look");
    assert!(one.revoke(&name("ci")).await.unwrap());
    assert_eq!(role_of(&one, &secret).await, None, "here at once");
    advance(Duration::from_millis(501)).await;
    assert_eq!(role_of(&other, &secret).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_stream_learns_of_the_end_of_its_token() {
    let (held, one, other) = two();
    let secret = make(&one, "ci", of_role(Role::Look)).await;
    let holder = other.holder(&with(&secret)).await.unwrap().unwrap();
    let before = Instant::now();
    let revoke = async {
        advance(Duration::from_secs(60)).await;
        held.tokens.lock().unwrap().clear();
    };
    tokio::join!(other.revoked(&holder), revoke);
    assert!(before.elapsed() <= Duration::from_secs(61), "{:?}", before.elapsed());
    // Whether the first token still counts is not asked.
    let first = other.revoked(&Holder::FIRST);
    assert!(tokio::time::timeout(Duration::from_secs(3_600), first).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_nobody_is_let_in_who_may_be_revoked() {
    let (held, one, _) = two();
    let secret = make(&one, "ci", of_role(Role::Look)).await;
    assert_eq!(role_of(&one, &secret).await, Some(Role::Look));
    held.is_away.store(true, Ordering::Relaxed);
    advance(Duration::from_millis(501)).await;
    let error = one.holder(&with(&secret)).await.unwrap_err().to_string();
    assert!(error.contains("the file admin-token works"), "{error}");
    assert!(one.is_first(&with("first")));
}

#[tokio::test(start_paused = true)]
async fn guesses_ask_the_store_for_nothing_or_seldom() {
    let (held, one, _) = two();
    for text in ["", "x", "tidegate_", &format!("{PREFIX}{}", "g".repeat(DIGITS))] {
        assert_eq!(role_of(&one, text).await, None);
    }
    assert_eq!(held.reads.load(Ordering::Relaxed), 0);
    for _ in 0..1_000 {
        assert_eq!(role_of(&one, &format!("{PREFIX}{}", "0".repeat(DIGITS))).await, None);
    }
    assert_eq!(held.reads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_token_that_is_over_lets_nobody_in() {
    let (_, one, _) = two();
    let ends = |expires_at| StoredToken { expires_at: Some(expires_at), ..of_role(Role::Look) };
    let over = make(&one, "over", ends(seconds_now())).await;
    let lives = make(&one, "lives", ends(seconds_now() + 3_600)).await;
    assert_eq!(role_of(&one, &over).await, None);
    assert_eq!(role_of(&one, &lives).await, Some(Role::Look));
}

#[tokio::test]
async fn a_use_is_noted_once_an_hour() {
    let (held, one, _) = two();
    let secret = make(&one, "ci", of_role(Role::Look)).await;
    for _ in 0..3 {
        let drain = Drain::new(tokio::runtime::Handle::current());
        let holder = one.holder(&with(&secret)).await.unwrap().unwrap();
        one.note_use(&holder, &drain);
        drain.stop();
        drain.finished().await;
    }
    assert_eq!(held.uses.load(Ordering::Relaxed), 1);
    let used_at = held.tokens.lock().unwrap()[0].used_at.unwrap();
    assert_eq!(used_at % USE_NOTED_EVERY_SECONDS, 0);
    assert!(used_at + USE_NOTED_EVERY_SECONDS > seconds_now());
}

#[test]
fn a_limited_token_covers_its_modules() {
    let modules = Some(vec!["chat".to_owned()]);
    let token = StoredToken { modules, ..of_role(Role::Send) };
    let holder = Holder(Some(Arc::new(UsedToken { name: name("bot"), token, used_at: None })));
    assert!(holder.covers(&ModuleName::parse("chat").unwrap()));
    assert!(!holder.covers(&ModuleName::parse("chat2").unwrap()));
    assert!(Holder::FIRST.covers(&ModuleName::parse("chat2").unwrap()));
}
