//! Entries that another clock than the server's has stamped, as after a failover.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{CLOCK, redis, server::RedisServer};
use crate::{
    layer::{ChannelLayer as _, LayerConfig, RedisLayer, redis::scripts::Scripts},
    message::{ChannelName, Content, CorrelationId, Message},
    redis::cmd,
    telemetry::Metrics,
};

#[tokio::test]
async fn a_channel_whose_head_has_a_later_time_keeps_its_depth_and_age() {
    let server = RedisServer::start();
    let redis = redis(&server.url(), "clocks").await;
    let metrics = Arc::new(Metrics::new());
    let (config, scripts) = (LayerConfig::default(), Scripts::new(CLOCK));
    let layer = RedisLayer::with_scripts(&redis, config, metrics, scripts).await.unwrap();
    let link = Arc::clone(&redis.links()[0]);
    let clock = format!("{}test:clock", link.keys.base);
    let work = ChannelName::parse("work").unwrap();
    let message = || {
        let content = Content::parse(Bytes::from_static(b"\x80")).unwrap();
        Message::custom(content, CorrelationId::random())
    };
    let hour: u64 = 3_600_000_000;
    let _: String = link.run(cmd("SET").arg(&clock).arg(hour)).await.unwrap();
    layer.send(&work, message()).await.unwrap();
    let _: u8 = link.run(cmd("DEL").arg(&clock)).await.unwrap();
    layer.send(&work, message()).await.unwrap();
    let statistics = layer.statistics().await.unwrap();
    assert_eq!(statistics.channels.get(&work), Some(&(2, Duration::ZERO)), "{statistics:?}");
    // An entry without a readable time is a message that waits, too.
    let key = format!("{}channel:work", link.keys.base);
    let _: u8 = link.run(cmd("LPUSH").arg(key).arg("short")).await.unwrap();
    let statistics = layer.statistics().await.unwrap();
    assert_eq!(statistics.channels.get(&work), Some(&(3, Duration::ZERO)), "{statistics:?}");
}
