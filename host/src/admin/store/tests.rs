//! Both stores do the same.

use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

use tempfile::TempDir;
use tokio::runtime::Handle;

use super::*;
use crate::redis::{Redis, RedisConfig, Topology, server::RedisServer};

fn name(text: &str) -> TokenName {
    TokenName::parse(text).unwrap()
}

fn token(digit: &str) -> StoredToken {
    StoredToken {
        digest: digit.repeat(64),
        role: Role::Send,
        modules: Some(vec!["chat".to_owned()]),
        created_at: 1,
        created_by: "ann".to_owned(),
        expires_at: Some(2),
    }
}

async fn over(server: &RedisServer) -> RedisAdminStore {
    let config = RedisConfig {
        topology: Topology::parse(&server.url()).unwrap(),
        prefix: "tidegate".to_owned(),
        partitions: Some(2),
        lease: Duration::from_secs(15),
        timeout: Duration::from_secs(10),
    };
    RedisAdminStore::new(&Redis::open(&config, Handle::current()).await.unwrap()).unwrap()
}

async fn keeps_tokens(store: &dyn AdminStore, again: &dyn AdminStore) {
    assert_eq!(store.tokens().await.unwrap(), []);
    assert_eq!(store.add(&name("a"), &token("0")).await.unwrap(), Added::Yes);
    assert_eq!(store.add(&name("a"), &token("1")).await.unwrap(), Added::NameIsTaken);
    assert_eq!(store.add(&name("b"), &token("2")).await.unwrap(), Added::Yes);
    store.used(&name("a"), 3_600).await.unwrap();
    store.used(&name("nobody"), 3_600).await.unwrap();
    let used = |text, digit, used_at| UsedToken { name: name(text), token: token(digit), used_at };
    let mut kept = again.tokens().await.unwrap();
    kept.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(kept, [used("a", "0", Some(3_600)), used("b", "2", None)]);
    assert!(again.revoke(&name("a")).await.unwrap());
    assert!(!again.revoke(&name("a")).await.unwrap());
    // Another one of that name was never used.
    assert_eq!(store.add(&name("a"), &token("3")).await.unwrap(), Added::Yes);
    let kept = store.tokens().await.unwrap();
    assert!(kept.contains(&used("a", "3", None)), "{kept:?}");
    for number in 2..TOKENS_MAX {
        let added = store.add(&name(&format!("t-{number}")), &token("4")).await.unwrap();
        assert_eq!(added, Added::Yes);
    }
    assert_eq!(store.add(&name("one-too-many"), &token("4")).await.unwrap(), Added::TooMany);
}

async fn remembers_requests(store: &dyn AdminStore, again: &dyn AdminStore) {
    let (one, other) = ("1".repeat(64), "2".repeat(64));
    assert_eq!(store.begin("k", &one).await.unwrap(), Kept::New);
    assert_eq!(again.begin("k", &one).await.unwrap(), Kept::Running);
    assert_eq!(again.begin("k", &other).await.unwrap(), Kept::OfAnother);
    assert_eq!(again.begin("another", &other).await.unwrap(), Kept::New);
    store.answered("k", &one, b"done").await.unwrap();
    assert_eq!(again.begin("k", &one).await.unwrap(), Kept::Answered(b"done".to_vec()));
    assert_eq!(again.begin("k", &other).await.unwrap(), Kept::OfAnother);
    store.forget("k").await.unwrap();
    assert_eq!(again.begin("k", &other).await.unwrap(), Kept::New);
}

#[tokio::test]
async fn a_directory_keeps_tokens_and_remembers_requests() {
    let directory = TempDir::new().unwrap();
    let store = DirectoryAdminStore::new(directory.path());
    keeps_tokens(&store, &DirectoryAdminStore::new(directory.path())).await;
    remembers_requests(&store, &store).await;
    let mode = std::fs::metadata(directory.path().join("admin-tokens.json")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600, "for its owner only");
    assert_eq!(
        std::fs::read_dir(directory.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_keeps_tokens_and_remembers_requests() {
    let server = RedisServer::start();
    let (store, again) = (over(&server).await, over(&server).await);
    keeps_tokens(&store, &again).await;
    remembers_requests(&store, &again).await;
}

#[tokio::test]
async fn a_token_that_cannot_be_read_lets_nobody_in_and_leaves_the_others() {
    let directory = TempDir::new().unwrap();
    let store = DirectoryAdminStore::new(directory.path());
    let later = r#"{"digest":"0","role":"send","created_at":1,"created_by":"ann","addresses":[]}"#;
    let contents = format!(
        r#"{{"tokens":{{"later":{later},"good":{}}}}}"#,
        serde_json::to_string(&token("0")).unwrap()
    );
    std::fs::write(directory.path().join("admin-tokens.json"), contents).unwrap();
    let kept = store.tokens().await.unwrap();
    assert_eq!(kept.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["good"]);
    assert!(store.revoke(&name("later")).await.unwrap(), "it can be revoked");
    std::fs::write(directory.path().join("admin-tokens.json"), "{").unwrap();
    let error = store.tokens().await.unwrap_err().to_string();
    assert!(error.contains("delete it and make the tokens again"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_request_is_forgotten_after_ten_minutes_and_too_many_keys_are_refused() {
    let directory = TempDir::new().unwrap();
    let store: Arc<dyn AdminStore> = Arc::new(DirectoryAdminStore::new(directory.path()));
    let request = "1".repeat(64);
    for number in 0..10_000 {
        let kept = store.begin(&number.to_string(), &request).await.unwrap();
        assert_eq!(kept, Kept::New, "{number}");
    }
    assert!(matches!(
        store.begin("one too many", &request).await,
        Err(AdminStoreError::TooManyKeys { limit: 10_000 })
    ));
    assert_eq!(store.begin("7", &request).await.unwrap(), Kept::Running);
    tokio::time::advance(ONCE_KEPT).await;
    assert_eq!(store.begin("7", &request).await.unwrap(), Kept::New);
    assert_eq!(store.begin("one too many", &request).await.unwrap(), Kept::New);
}
