//! A server without memory, and one that goes away.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::server::RedisServer;
use crate::{
    capability::store::{
        Commit, CommitError, Key, Quota, RunOutcome, Store, StoreError, Transaction, Value,
    },
    message::ModuleName,
    shutdown::Drain,
};

fn module() -> ModuleName {
    ModuleName::parse("auction").unwrap()
}

async fn store(server: &RedisServer) -> Arc<dyn Store> {
    Arc::new(super::store(&server.url(), "p", None).await.unwrap())
}

fn run(store: &Arc<dyn Store>) -> Transaction {
    Transaction::new(Arc::clone(store), module())
}

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn setting(store: &Arc<dyn Store>, name: &str) -> Commit {
    let mut run = run(store);
    run.set(key(name), Value::of_integer(1), None).unwrap();
    run.set(key("also"), Value::of_integer(1), None).unwrap();
    run.add(key("large"), i64::MAX).unwrap();
    run.take(Quota::NONE)
}

/// Commands that processes sent, without those that scripts ran.
fn sent(server: &RedisServer) -> usize {
    let statistics = server.run(&["INFO", "commandstats"]);
    let calls = statistics.lines().filter_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    calls.map(|facts| facts.split(',').next().unwrap().parse::<usize>().unwrap()).sum()
}

#[tokio::test]
async fn a_run_costs_a_command_for_each_read_and_one_for_its_commit() {
    let server = RedisServer::start();
    let store = store(&server).await;
    let mut first = run(&store);
    // Each script is known to the server after its first call.
    first.get(&key("a")).await.unwrap();
    first.set(key("a"), Value::of_integer(1), None).unwrap();
    store.commit(&module(), first.take(Quota::NONE)).await.unwrap();
    let before = sent(&server);
    let mut run = run(&store);
    run.get_many(&["a", "b", "c"].map(key)).await.unwrap();
    run.set(key("b"), Value::of_integer(1), None).unwrap();
    run.get(&key("b")).await.unwrap();
    run.add(key("c"), 1).unwrap();
    store.commit(&module(), run.take(Quota::NONE)).await.unwrap();
    assert_eq!(sent(&server) - before, 2);
    run.get(&key("a")).await.unwrap();
    store.commit(&module(), run.take(Quota::NONE)).await.unwrap();
    assert_eq!(sent(&server) - before, 3, "one key that was read needs no check");
}

#[tokio::test]
async fn without_memory_nothing_is_written_by_half_and_what_makes_room_passes() {
    let server = RedisServer::start();
    let store = store(&server).await;
    store.commit(&module(), setting(&store, "a")).await.unwrap();
    server.run(&["CONFIG", "SET", "maxmemory", "1"]);
    let mut without_addition = setting(&store, "b");
    without_addition.writes.remove(&key("large"));
    for commit in [setting(&store, "b"), without_addition] {
        let refused = store.commit(&module(), commit).await;
        let Err(CommitError::Store(StoreError::Away { reason })) = refused else {
            panic!("{refused:?}")
        };
        assert!(reason.contains("OOM"), "{reason}");
    }
    assert_eq!(run(&store).get(&key("b")).await.unwrap(), None);
    assert_eq!(store.usage(&module()).await.unwrap().number, 1);
    let mut deletes = run(&store);
    deletes.delete(key("a")).unwrap();
    store.commit(&module(), deletes.take(Quota::NONE)).await.unwrap();
    assert_eq!(store.usage(&module()).await.unwrap().keys, 2);
    assert!(server.run(&["EXISTS", "p:{0}:store:sum"]).trim() == "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_connection_broke_is_unknown_until_it_is_asked_for() {
    let server = RedisServer::start();
    let store = store(&server).await;
    store.commit(&module(), setting(&store, "a")).await.unwrap();
    // The server does not answer: commits stay on their way until the connection is cut.
    server.run(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    let commit = setting(&store, "b");
    let run_id = commit.run;
    let committing = {
        let store = Arc::clone(&store);
        let commits = async move { store.commit(&module(), commit).await };
        Drain::new(Handle::current()).spawn("commit", commits)
    };
    while !server.run(&["CLIENT", "LIST"]).contains("flags=b") {
        tokio::task::yield_now().await;
    }
    server.run(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    server.run(&["CLIENT", "UNPAUSE"]);
    let unknown = committing.await.unwrap();
    assert!(matches!(unknown, Err(CommitError::Unknown { .. })), "{unknown:?}");
    let outcome = store.outcome(&module(), run_id).await.unwrap();
    let is_there = run(&store).get(&key("b")).await.unwrap().is_some();
    assert_eq!(is_there, matches!(outcome, RunOutcome::Committed { .. }), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_never_left_is_not_unknown() {
    let mut server = RedisServer::start();
    let store = store(&server).await;
    server.kill();
    // The first may have been on its way when the connection broke.
    let mut refused = store.commit(&module(), setting(&store, "a")).await;
    if matches!(refused, Err(CommitError::Unknown { .. })) {
        refused = store.commit(&module(), setting(&store, "a")).await;
    }
    assert!(matches!(refused, Err(CommitError::Store(StoreError::Away { .. }))), "{refused:?}");
}
