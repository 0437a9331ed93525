//! The conformance suite on real servers, and what is Redis's own.

mod batches;
mod cost;
mod documented;
#[expect(dead_code, unreachable_pub, reason = "the integration tests use the rest of it")]
#[path = "../../../../../tests/src/redis.rs"]
mod server;
mod topologies;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use deadpool_redis::redis::{Client, cmd};
use tokio::runtime::Handle;

use super::{RedisConfig, RedisLayer, Shared, Target, scripts::Scripts};
use crate::{
    layer::conformance::{Clock, Subject, config},
    shutdown::Drain,
    telemetry::Metrics,
};

/// Goes between the prelude and each script: a test moves the time of a partition on.
const CLOCK: &str = "now = now + (tonumber(redis.call('GET', base .. 'test:clock')) or 0)";

struct Shifted(Arc<Shared>);

#[async_trait]
impl Clock for Shifted {
    async fn advance(&self, span: Duration) {
        for (partition, link) in self.0.links.iter().enumerate() {
            let target = link
                .target()
                .locate(partition, &link.keys.base, Duration::from_secs(5))
                .await
                .unwrap();
            let client = Client::open(target).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let key = format!("{}test:clock", link.keys.base);
            let micros = u64::try_from(span.as_micros()).unwrap();
            let () = cmd("INCRBY").arg(key).arg(micros).query_async(&mut connection).await.unwrap();
        }
        self.0.due.notify_waiters();
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(300)
    }

    fn grain(&self) -> Duration {
        Duration::from_secs(5)
    }
}

/// Settings with a lease that no case outlives.
fn redis(url: &str, prefix: &str) -> RedisConfig {
    RedisConfig {
        target: Target::parse(url).unwrap(),
        prefix: prefix.to_owned(),
        partitions: None,
        lease: Duration::from_secs(10_000),
        timeout: Duration::from_secs(5),
    }
}

async fn subject(url: &str, prefix: &str) -> Subject {
    let metrics = Arc::new(Metrics::new());
    let (config, redis) = (config(), redis(url, prefix));
    let (drain, scripts) = (Drain::new(Handle::current()), Scripts::new(CLOCK));
    let layer = RedisLayer::connect_with(&redis, config, Arc::clone(&metrics), drain, scripts);
    let layer = layer.await.unwrap();
    let clock = Box::new(Shifted(Arc::clone(&layer.shared)));
    Subject { layer: Arc::new(layer), metrics, clock }
}
