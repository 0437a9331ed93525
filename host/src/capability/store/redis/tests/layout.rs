//! How data is laid out, which lasts.

use std::sync::Arc;

use super::{RedisStoreError, server::RedisServer, store};
use crate::{
    capability::store::{CommitError, Key, Quota, Store, StoreError, Transaction, Value},
    message::ModuleName,
};

#[tokio::test]
async fn another_number_of_partitions_is_refused_with_the_fix() {
    let server = RedisServer::start();
    store(&server.url(), "p", Some(3)).await.unwrap();
    store(&server.url(), "p", Some(3)).await.unwrap();
    for other in [1, 2, 4, 8] {
        let refused = store(&server.url(), "p", Some(other)).await.unwrap_err();
        let told = refused.to_string();
        assert!(told.contains("is in 3 partitions"), "{told}");
        assert!(told.contains("export the data") && told.contains("p:{0}:store:"), "{told}");
    }
    store(&server.url(), "another prefix", Some(1)).await.unwrap();
    assert_eq!(server.run(&["PTTL", "p:{0}:store:layout"]).trim(), "-1", "it has no end");
    server.run(&["SET", "q:{0}:store:layout", "2 1"]);
    let refused = store(&server.url(), "q", Some(1)).await.unwrap_err();
    assert!(matches!(&refused, RedisStoreError::Format { found } if found == "2 1"), "{refused}");
}

/// Processes that still run must not mix what they write with what others have begun.
#[tokio::test]
async fn a_redis_that_was_emptied_keeps_one_layout() {
    let server = RedisServer::start();
    let before: Arc<dyn Store> = Arc::new(store(&server.url(), "p", Some(1)).await.unwrap());
    let module = ModuleName::parse("auction").unwrap();
    let commit = || {
        let mut run = Transaction::new(Arc::clone(&before), module.clone());
        run.set(Key::parse("a").unwrap(), Value::of_integer(1), None).unwrap();
        run.take(Quota::NONE)
    };
    before.commit(&module, commit()).await.unwrap();
    server.run(&["FLUSHALL"]);
    before.commit(&module, commit()).await.unwrap();
    assert!(store(&server.url(), "p", Some(2)).await.is_err());
    server.run(&["FLUSHALL"]);
    store(&server.url(), "p", Some(2)).await.unwrap();
    let refused = before.commit(&module, commit()).await;
    let Err(CommitError::Store(StoreError::Stopped { reason })) = refused else {
        panic!("{refused:?}")
    };
    assert!(reason.contains("emptied"), "{reason}");
}
