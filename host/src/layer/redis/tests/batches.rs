//! Messages that are sent at the same time go in one command.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{
    future::{join, join_all},
    poll,
};
use tokio::time::timeout;

use super::{cost::sent, server::RedisServer};
use crate::{
    layer::{
        Capacities, ChannelLayer, Dispatch, LayerConfig, LayerError, Owners, RedisLayer, SendError,
    },
    message::{
        Answer, ChannelName, Content, CorrelationId, Done, InboxEntry, LocalName, Message,
        ModuleName, NodeName, Outcome, Payload, Reply,
    },
};

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name).unwrap()
}

/// `{"b": so many bytes}`, the first four the number.
fn message(number: u32, bytes: u16) -> Message {
    let mut map = vec![0x81, 0xa1, b'b', 0xc5];
    map.extend(bytes.to_be_bytes());
    let mut filler = vec![0; bytes.into()];
    filler[..4].copy_from_slice(&number.to_be_bytes());
    map.extend(filler);
    Message::custom(Content::parse(map.into()).unwrap(), CorrelationId::random())
}

fn number(message: &Message) -> u32 {
    let Payload::Custom(content) = &message.payload else { panic!("no event was sent") };
    let bytes: &Bytes = content.as_bytes();
    u32::from_be_bytes(bytes[6..10].try_into().unwrap())
}

/// A layer whose channels hold so many messages.
async fn layer(server: &RedisServer, capacity: usize) -> RedisLayer {
    let capacities = Capacities::new(capacity, []).unwrap();
    let config = LayerConfig { capacities, ..LayerConfig::default() };
    super::layer(&server.url(), "batches", config).await
}

/// The numbers of the next messages of a channel.
async fn received(layer: &RedisLayer, name: &str, count: usize) -> Vec<u32> {
    let owners = Owners::from([(channel(name), ModuleName::parse("m").unwrap())]);
    let dispatch = Dispatch::new(100, 100);
    dispatch.read(Arc::new(owners), Arc::default());
    layer.attach(&dispatch);
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let received = dispatch.next(layer).await.unwrap();
        dispatch.release(&received.module);
        numbers.push(number(&received.message));
    }
    dispatch.close();
    numbers
}

#[tokio::test]
async fn what_is_sent_together_goes_in_few_commands_and_comes_once() {
    const MESSAGES: u32 = 1_000;
    let server = RedisServer::start();
    let layer = layer(&server, 1_000).await;
    let before = sent(&server);
    let work = channel("work");
    let outcomes =
        join_all((0..MESSAGES).map(|number| layer.send(&work, message(number, 10)))).await;
    let commands = sent(&server) - before;
    assert!(outcomes.iter().all(Result::is_ok));
    // 256 at most in one; a few for leases and what is due.
    assert!((4..20).contains(&commands), "{commands} commands for {MESSAGES} messages");
    let mut numbers = received(&layer, "work", MESSAGES as usize).await;
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..MESSAGES), "each once");
}

#[tokio::test]
async fn large_messages_do_not_wait_for_one_large_command() {
    let server = RedisServer::start();
    let layer = layer(&server, 1_000).await;
    let before = sent(&server);
    let work = channel("work");
    let outcomes = join_all((0..40).map(|number| layer.send(&work, message(number, 40_000)))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    // 64 KiB are full with two.
    let commands = sent(&server) - before;
    assert!(commands >= 20, "{commands} commands for 40 messages of 40 kB");
    assert_eq!(received(&layer, "work", 40).await, (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_not_ours_in_a_key_troubles_nobody_else() {
    let server = RedisServer::start();
    let layer = layer(&server, 1_000).await;
    server.run(&["SET", "batches:{0}:channel:broken", "not a list"]);
    let (good, broken) = (channel("good"), channel("broken"));
    let to = |number| if number % 2 == 0 { &good } else { &broken };
    let outcomes =
        join_all((0..10).map(|number| layer.send(to(number), message(number, 10)))).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(()) => assert_eq!(number % 2, 0),
            Err(error) => {
                let told = error.to_string();
                assert!(told.contains("channel broken in Redis: WRONGTYPE"), "{told}");
                assert!(matches!(error, SendError::Layer(LayerError::Refused(_))), "{error:?}");
                assert_eq!(number % 2, 1);
            }
        }
    }
    assert_eq!(received(&layer, "good", 5).await, [0, 2, 4, 6, 8]);
}

#[tokio::test]
async fn a_full_channel_is_full_for_who_came_last_of_those_that_came_together() {
    let server = RedisServer::start();
    let layer = layer(&server, 3).await;
    let work = channel("work");
    let outcomes = join_all((0..5).map(|number| layer.send(&work, message(number, 10)))).await;
    let taken: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, true, true, false, false]);
    assert_eq!(received(&layer, "work", 3).await, [0, 1, 2]);
}

#[tokio::test]
async fn who_gives_up_before_it_is_sent_has_sent_nothing() {
    let server = RedisServer::start();
    let layer = layer(&server, 1_000).await;
    let work = channel("work");
    // On this runtime nothing else runs until somebody waits.
    let mut given_up = layer.send(&work, message(1, 10));
    assert!(poll!(&mut given_up).is_pending());
    drop(given_up);
    layer.send(&work, message(2, 10)).await.unwrap();
    assert_eq!(received(&layer, "work", 1).await, [2]);
}

#[tokio::test]
async fn who_gives_up_while_the_server_is_away_has_sent_nothing() {
    let mut server = RedisServer::start();
    let layer = layer(&server, 1_000).await;
    let work = channel("work");
    server.kill();
    assert!(layer.send(&work, message(1, 10)).await.is_err());
    // It waits for the server, and whoever asked for it does not.
    assert!(timeout(Duration::from_millis(100), layer.send(&work, message(2, 10))).await.is_err());
    server.restart();
    layer.send(&work, message(3, 10)).await.unwrap();
    assert_eq!(received(&layer, "work", 1).await, [3]);
}

#[tokio::test]
async fn without_memory_a_done_mark_passes_beside_an_answer_that_does_not() {
    let server = RedisServer::start();
    let layer = layer(&server, 1_000).await;
    let node = NodeName::random();
    layer.open_inbox(&node).await.unwrap();
    server.run(&["CONFIG", "SET", "maxmemory", "1"]);
    let answer = |order, replies| {
        let done = Some(Done { outcome: Outcome::Ok, state: None, activation: 1 });
        Answer { to: LocalName::random(), order, replies, done }
    };
    let chunk = vec![Reply::StreamChunk(Bytes::from_static(b"x"))];
    let (data, mark) =
        join(layer.answer(&node, answer(1, chunk)), layer.answer(&node, answer(2, Vec::new())))
            .await;
    let refused = data.unwrap_err();
    assert!(matches!(refused, LayerError::OutOfMemory(_)), "{refused:?}");
    assert!(refused.to_string().contains("OOM"), "{refused}");
    mark.unwrap();
    let entries = layer.read_inbox(&node).await.unwrap();
    assert!(matches!(&entries[..], [InboxEntry::Answer(Answer { order: 2, .. })]), "{entries:?}");
}
