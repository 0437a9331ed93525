//! Servers that cannot be used are said at the start, each with the fix.

use std::path::Path;

use tests::{RedisServer, example, run};

use crate::TIDEGATE;

pub(super) async fn refused(layer: &str) -> (i32, String) {
    let directory = tempfile::tempdir().unwrap();
    let module = format!("hello={}", example("hello").display());
    let arguments =
        ["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--module", &module];
    let arguments = [&arguments[..], &["--layer", layer]].concat();
    let output = run(TIDEGATE, Path::new(directory.path()), &arguments).await;
    assert!(output.stdout.is_empty(), "nothing is printed as if it had started");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_used_is_said_with_the_fix() {
    let locked = RedisServer::start_with(&["--requirepass", "secret"]);
    let dropping =
        RedisServer::start_with(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let plain = RedisServer::start();
    let master = plain.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &master]);
    let at = |server: &RedisServer, login: &str, db: u8| {
        format!("redis://{login}127.0.0.1:{}/{db}", server.port())
    };
    let absent = at(&RedisServer::start(), "", 0);
    for (layer, expected) in [
        (absent, "start Redis there, or correct the address in layer.url"),
        (at(&locked, "", 0), "give user and password in layer.url"),
        (at(&locked, ":wrong@", 0), "give user and password in layer.url"),
        (at(&plain, "", 200), "use a lower database number"),
        (at(&dropping, "", 0), "set it to noeviction"),
        (at(&replica, "", 0), "is a replica"),
    ] {
        let (status, told) = refused(&layer).await;
        assert_eq!(status, 10, "{layer}: {told}");
        assert!(told.contains(expected), "{layer}: {told}");
        assert!(!told.contains("wrong"), "the password is not shown: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_layout_in_the_same_database_is_refused() {
    let redis = RedisServer::start();
    redis.run(&["SET", "tidegate:{0}:layout", "1/4"]);
    let (status, told) = refused(&redis.url()).await;
    assert_eq!(status, 3, "{told}");
    assert!(told.contains("1/4") && told.contains("layer.partitions"), "{told}");
    redis.run(&["SET", "tidegate:{0}:layout", "0/1"]);
    assert!(refused(&redis.url()).await.1.contains("0/1"));
}
