//! Messages that are sent at the same time go in one command.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use futures_util::{future::join_all, poll};
use tokio::runtime::Handle;

use super::{redis, server::RedisServer};
use crate::{
    layer::{Capacities, ChannelLayer, Demand, LayerConfig, Owners, RedisLayer},
    message::{ChannelName, Content, CorrelationId, Message, ModuleName, Payload},
    telemetry::Metrics,
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

async fn layer(server: &RedisServer) -> RedisLayer {
    let capacities = Capacities::new(10_000, []).unwrap();
    let config = LayerConfig { capacities, ..LayerConfig::default() };
    let (target, metrics) = (redis(&server.url(), "batches"), Arc::new(Metrics::new()));
    RedisLayer::connect(&target, config, metrics, Handle::current()).await.unwrap()
}

/// The numbers of the next messages of a channel.
async fn received(layer: &RedisLayer, name: &str, count: usize) -> Vec<u32> {
    let owners = Owners::from([(channel(name), ModuleName::parse("m").unwrap())]);
    let (owners, lasting) = (Arc::new(owners), Arc::default());
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let held = HashMap::new();
        let demand = Demand { max: 100, owners: &owners, lasting: &lasting, held, ceiling: 100 };
        let received = layer.receive(&demand).await.unwrap();
        numbers.extend(received.iter().map(|it| number(&it.message)));
    }
    numbers
}

fn calls(server: &RedisServer) -> usize {
    let statistics = server.run(&["INFO", "commandstats"]);
    let (_, calls) = statistics.split_once("cmdstat_evalsha:calls=").unwrap();
    calls.split(',').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_is_sent_together_goes_in_few_commands_and_comes_once() {
    const MESSAGES: u32 = 1_000;
    let server = RedisServer::start();
    let layer = layer(&server).await;
    let before = calls(&server);
    let work = channel("work");
    let sent = join_all((0..MESSAGES).map(|number| layer.send(&work, message(number, 10)))).await;
    let commands = calls(&server) - before;
    assert!(sent.iter().all(Result::is_ok));
    // 256 at most in one; a few for leases and what is due.
    assert!((4..20).contains(&commands), "{commands} commands for {MESSAGES} messages");
    let mut numbers = received(&layer, "work", MESSAGES as usize).await;
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..MESSAGES), "each once");
}

#[tokio::test]
async fn large_messages_do_not_wait_for_one_large_command() {
    let server = RedisServer::start();
    let layer = layer(&server).await;
    let before = calls(&server);
    let work = channel("work");
    let sent = join_all((0..40).map(|number| layer.send(&work, message(number, 40_000)))).await;
    assert!(sent.iter().all(Result::is_ok));
    // 64 KiB are full with two.
    let commands = calls(&server) - before;
    assert!(commands >= 20, "{commands} commands for 40 messages of 40 kB");
    assert_eq!(received(&layer, "work", 40).await, (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_not_ours_in_a_key_troubles_nobody_else() {
    let server = RedisServer::start();
    let layer = layer(&server).await;
    server.run(&["SET", "batches:{0}:channel:broken", "not a list"]);
    let (good, broken) = (channel("good"), channel("broken"));
    let to = |number| if number % 2 == 0 { &good } else { &broken };
    let sent = join_all((0..10).map(|number| layer.send(to(number), message(number, 10)))).await;
    for (number, outcome) in sent.iter().enumerate() {
        match outcome {
            Ok(()) => assert_eq!(number % 2, 0),
            Err(error) => {
                let told = error.to_string();
                assert!(told.contains("channel broken in Redis: WRONGTYPE"), "{told}");
                assert_eq!(number % 2, 1);
            }
        }
    }
    assert_eq!(received(&layer, "good", 5).await, [0, 2, 4, 6, 8]);
}

#[tokio::test]
async fn a_full_channel_is_full_for_who_came_last_of_those_that_came_together() {
    let server = RedisServer::start();
    let capacities = Capacities::new(3, []).unwrap();
    let config = LayerConfig { capacities, ..LayerConfig::default() };
    let (target, metrics) = (redis(&server.url(), "batches"), Arc::new(Metrics::new()));
    let layer = RedisLayer::connect(&target, config, metrics, Handle::current()).await.unwrap();
    let work = channel("work");
    let sent = join_all((0..5).map(|number| layer.send(&work, message(number, 10)))).await;
    let taken: Vec<_> = sent.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, true, true, false, false]);
    assert_eq!(received(&layer, "work", 3).await, [0, 1, 2]);
}

#[tokio::test]
async fn who_gives_up_before_it_is_sent_has_sent_nothing() {
    let server = RedisServer::start();
    let layer = layer(&server).await;
    let work = channel("work");
    // On this runtime nothing else runs until somebody waits.
    let mut given_up = layer.send(&work, message(1, 10));
    assert!(poll!(&mut given_up).is_pending());
    drop(given_up);
    layer.send(&work, message(2, 10)).await.unwrap();
    assert_eq!(received(&layer, "work", 1).await, [2]);
}
