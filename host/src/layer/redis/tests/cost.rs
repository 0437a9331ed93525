//! The commands of an event and its answer, however many modules there are.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::timeout;

use super::{super::receive::SKIPPED, server::RedisServer};
use crate::{
    layer::{Capacities, ChannelLayer, Dispatch, LayerConfig, Owners, RedisLayer},
    message::{
        Answer, ChannelName, Content, CorrelationId, Done, LocalName, Message, ModuleName,
        NodeName, Outcome, Reply,
    },
};

const ECHOES: usize = 50;
/// Send, wake-up, receive, answer, and inbox. One after the other the wait is for the wake-up, the
/// receive, and the inbox; sending and answering are on their way at the same time.
const COMMANDS: usize = 5;

/// Commands that processes sent, without those that scripts ran.
pub(super) fn sent(server: &RedisServer) -> usize {
    let statistics = server.run(&["INFO", "commandstats"]);
    let calls = statistics.lines().filter_map(|line| {
        let (name, facts) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        let calls = facts.strip_prefix("calls=")?.split(',').next()?;
        matches!(name, "evalsha" | "blmpop").then(|| calls.parse::<usize>().unwrap())
    });
    calls.sum()
}

async fn layer(url: &str) -> RedisLayer {
    super::layer(url, "cost", LayerConfig::default()).await
}

/// Commands for an echo among so many modules.
async fn commands_among(modules: usize) -> usize {
    let server = RedisServer::start();
    let (interface, worker) = (layer(&server.url()).await, layer(&server.url()).await);
    let node = NodeName::random();
    interface.open_inbox(&node).await.unwrap();
    let name = |number: usize| ChannelName::parse(&format!("m{number}.work")).unwrap();
    let module = |number: usize| ModuleName::parse(&format!("m{number}")).unwrap();
    let owners: Owners = (0..modules).map(|number| (name(number), module(number))).collect();
    let dispatch = Dispatch::new(4, 2);
    dispatch.read(Arc::new(owners), Arc::default());
    worker.attach(&dispatch);
    let content = Content::parse(Bytes::from_static(b"\x80")).unwrap();
    let mut before = 0;
    for number in 0..=ECHOES {
        if number == 1 {
            // The first made itself known.
            before = sent(&server);
        }
        let receive = dispatch.next(&worker);
        tokio::pin!(receive);
        // It waits, as a worker with nothing to do does.
        assert!(timeout(Duration::from_millis(1), receive.as_mut()).await.is_err());
        let message = Message::custom(content.clone(), CorrelationId::random());
        interface.send(&name(number % modules), message).await.unwrap();
        dispatch.release(&receive.await.unwrap().module);
        let done = Some(Done { outcome: Outcome::Ok, state: None, activation: 1 });
        let replies = vec![Reply::StreamChunk(Bytes::from_static(b"x"))];
        let answer = Answer { to: LocalName::random(), order: 0, replies, done };
        worker.answer(&node, answer).await.unwrap();
        assert_eq!(interface.read_inbox(&node).await.unwrap().len(), 1);
    }
    sent(&server) - before
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_takes_as_many_commands_among_1_000_modules_as_among_10() {
    for modules in [10, 1_000] {
        let commands = commands_among(modules).await;
        // Clocks tick meanwhile: leases, what is due, hints that are looked for without being given.
        let most = ECHOES * COMMANDS + ECHOES;
        assert!(
            commands <= most,
            "{commands} commands for {ECHOES} echoes among {modules} modules"
        );
        assert!(commands >= ECHOES * 4, "{commands} are too few: something is not counted");
    }
}

/// A worker whose only module has more to do than it may hold slots.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_does_not_wait_for_what_a_module_may_not_have_yet() {
    const MESSAGES: u32 = 500;
    let server = RedisServer::start();
    let capacities = Capacities::new(MESSAGES as usize, []).unwrap();
    let config = LayerConfig { capacities, ..LayerConfig::default() };
    let layer = super::layer(&server.url(), "cost", config).await;
    let (work, module) = (ChannelName::parse("m.work").unwrap(), ModuleName::parse("m").unwrap());
    for _ in 0..MESSAGES {
        let content = Content::parse(Bytes::from_static(b"\x80")).unwrap();
        let message = Message::custom(content, CorrelationId::random());
        layer.send(&work, message).await.unwrap();
    }
    let dispatch = Dispatch::new(4, 1);
    dispatch.read(Arc::new(Owners::from([(work, module)])), Arc::default());
    layer.attach(&dispatch);
    let all = async {
        for _ in 0..MESSAGES {
            dispatch.release(&dispatch.next(&layer).await.unwrap().module);
        }
    };
    timeout(MESSAGES * SKIPPED, all).await.expect("no receive waits");
}

/// One for commands, one that waits for work, one that waits for an inbox.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_has_three_connections_and_asks_of_none_whether_it_works() {
    let server = RedisServer::start();
    let layer = Arc::new(layer(&server.url()).await);
    let node = NodeName::random();
    layer.open_inbox(&node).await.unwrap();
    let work = ChannelName::parse("m.work").unwrap();
    let owners = Owners::from([(work.clone(), ModuleName::parse("m").unwrap())]);
    let dispatch = Dispatch::new(4, 2);
    dispatch.read(Arc::new(owners), Arc::default());
    layer.attach(&dispatch);
    let read = async {
        loop {
            assert!(layer.read_inbox(&node).await.unwrap().is_empty());
        }
    };
    let receive = async {
        for _ in 0..ECHOES {
            let receive = dispatch.next(&*layer);
            tokio::pin!(receive);
            // It waits, as a worker with nothing to do does.
            assert!(timeout(Duration::from_millis(1), receive.as_mut()).await.is_err());
            let content = Content::parse(Bytes::from_static(b"\x80")).unwrap();
            let message = Message::custom(content, CorrelationId::random());
            layer.send(&work, message).await.unwrap();
            dispatch.release(&receive.await.unwrap().module);
        }
        let clients = server.run(&["CLIENT", "LIST"]);
        // The last is the one that asks.
        assert_eq!(clients.lines().count(), 3 + 1, "{clients}");
    };
    tokio::select! {
        _ = read => {}
        () = receive => {}
    }
    let statistics = server.run(&["INFO", "commandstats"]);
    assert!(!statistics.contains("cmdstat_ping"), "{statistics}");
}
