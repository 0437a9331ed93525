//! A hint that a worker takes and does not follow is another worker's.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::timeout;

use super::server::RedisServer;
use crate::{
    layer::{ChannelLayer as _, Dispatch, LayerConfig, Owners},
    message::{ChannelName, Content, CorrelationId, Message, ModuleName},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until the worker waits for a hint.
async fn listens(server: &RedisServer) {
    let waits = async {
        while !server.run(&["INFO", "clients"]).contains("blocked_clients:1") {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waits).await.expect("the worker waits");
}

/// The keys with hints.
fn hints(server: &RedisServer) -> String {
    server.run(&["KEYS", "*:wake:*"]).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_wakes_another_for_what_it_leaves() {
    let server = RedisServer::start();
    let worker = super::layer(&server.url(), "hints", LayerConfig::default()).await;
    let (work, module) = (ChannelName::parse("m.work").unwrap(), ModuleName::parse("m").unwrap());
    let dispatch = Dispatch::new(1, 1);
    let owners = Owners::from([(work.clone(), module.clone())]);
    dispatch.read(Arc::new(owners), Arc::default());
    worker.attach(&dispatch);
    listens(&server).await;
    // Its only slot is busy when the message comes.
    dispatch.hold(&module, 1);
    let content = Content::parse(Bytes::from_static(b"\x80")).unwrap();
    worker.send(&work, Message::custom(content, CorrelationId::random())).await.unwrap();
    // The worker has taken the hint already, or does so now.
    let hint = hints(&server);
    if !hint.is_empty() {
        server.run(&["DEL", &hint]);
    }
    dispatch.close();
    assert!(timeout(PATIENCE, dispatch.next(&worker)).await.expect("it stops").is_none());
    assert_eq!(server.run(&["LLEN", &hints(&server)]).trim(), "1");
}
