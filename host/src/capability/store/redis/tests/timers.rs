//! What timers cost a server, and what becomes of them when it has no memory.

use std::sync::Arc;

use bytes::Bytes;

use super::server::RedisServer;
use crate::{
    capability::store::{
        CommitError, Due, DueTime, Key, Parcel, Quota, Store, StoreError, Transaction,
    },
    message::ModuleName,
};

fn module() -> ModuleName {
    ModuleName::parse("auction").unwrap()
}

async fn store(server: &RedisServer) -> Arc<dyn Store> {
    Arc::new(super::store(&server.url(), "p", None).await.unwrap())
}

/// Sets timers with keys of 20 bytes and payloads of 64.
async fn set_timers(
    store: &Arc<dyn Store>,
    numbers: std::ops::Range<usize>,
    millis: u64,
) -> Result<(), CommitError> {
    let mut run = Transaction::new(Arc::clone(store), module());
    for number in numbers {
        let key = Key::parse(&format!("timer:{number:014}")).unwrap();
        let parcel =
            Parcel { target: "auction.close".to_owned(), payload: Bytes::from(vec![7; 64]) };
        let due = DueTime::after_millis(millis).unwrap();
        run.set_timer(Some(key), due, parcel).unwrap();
    }
    store.commit(&module(), run.take(Quota::NONE)).await.map(drop)
}

/// The number behind a name in what a server says of itself.
fn fact(server: &RedisServer, section: &str, name: &str) -> usize {
    let told = server.run(&["INFO", section]);
    let line = told.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().parse().unwrap()
}

/// Commands that ran, those of scripts among them.
fn ran(server: &RedisServer) -> usize {
    let told = server.run(&["INFO", "commandstats"]);
    let calls = told.lines().filter_map(|line| line.split_once(":calls="));
    calls.map(|(_, facts)| facts.split(',').next().unwrap().parse::<usize>().unwrap()).sum()
}

#[tokio::test]
async fn what_it_costs_to_ask_for_what_is_due_does_not_grow_with_the_timers() {
    let server = RedisServer::start();
    let store = store(&server).await;
    // The script is known to the server after its first call.
    store.due(100).await.unwrap();
    for step in 0..5 {
        set_timers(&store, step * 2_000..(step + 1) * 2_000, 1_000_000).await.unwrap();
        let before = ran(&server);
        let due = store.due(100).await.unwrap();
        assert!(due.modules.is_empty() && due.next.is_some());
        // The call, the three of its script, and those that ask how many ran.
        let cost = ran(&server) - before;
        assert!(cost <= 6, "{cost}");
    }
}

#[tokio::test]
async fn a_timer_needs_less_than_400_bytes() {
    const TIMERS: usize = 20_000;
    let server = RedisServer::start();
    let store = store(&server).await;
    set_timers(&store, 0..1, 1_000_000).await.unwrap();
    let before = fact(&server, "memory", "used_memory:");
    for from in (0..TIMERS).step_by(4_000) {
        set_timers(&store, from..from + 4_000, 1_000_000).await.unwrap();
    }
    let each = (fact(&server, "memory", "used_memory:") - before) / TIMERS;
    assert!(each < 400, "{each} bytes");
}

#[tokio::test]
async fn without_memory_timers_are_moved_and_cancelled_and_not_set() {
    let server = RedisServer::start();
    let store = store(&server).await;
    set_timers(&store, 0..3, 0).await.unwrap();
    set_timers(&store, 3..5, 1_000_000).await.unwrap();
    server.run(&["CONFIG", "SET", "maxmemory", "1"]);
    let refused = set_timers(&store, 4..5, 2_000_000).await;
    let Err(CommitError::Store(StoreError::Away { reason })) = refused else {
        panic!("{refused:?}")
    };
    assert!(reason.contains("OOM"), "{reason}");
    let mut run = Transaction::new(Arc::clone(&store), module());
    run.cancel_timer(Key::parse("timer:00000000000003").unwrap()).unwrap();
    store.commit(&module(), run.take(Quota::NONE)).await.unwrap();
    let Due { modules, next } = store.due(100).await.unwrap();
    assert_eq!(modules, [module()]);
    assert!(next.is_some());
    let usage = store.usage(&module()).await.unwrap();
    assert_eq!((usage.number, usage.relayed, usage.timers), (4, 3, 1));
}
