//! The conformance suite on real servers, and what is Redis's own.

mod batches;
mod clocks;
mod cost;
mod documented;
mod hints;
mod histories;
mod topologies;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::runtime::Handle;

use super::{RedisLayer, Shared, scripts::Scripts};
use crate::{
    layer::{
        LayerConfig,
        conformance::{Clock, Subject, config},
    },
    redis::{Redis, RedisConfig, Topology, cmd, server},
    telemetry::Metrics,
};

/// Goes between the prelude and each script: a test moves the time of a partition on.
const CLOCK: &str = "now = now + (tonumber(redis.call('GET', base .. 'test:clock')) or 0)";

struct Shifted(Arc<Shared>);

#[async_trait]
impl Clock for Shifted {
    async fn advance(&self, span: Duration) {
        for link in &*self.0.links {
            let key = format!("{}test:clock", link.keys.base);
            let micros = u64::try_from(span.as_micros()).unwrap();
            let _: u64 = link.run(cmd("INCRBY").arg(key).arg(micros)).await.unwrap();
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

/// Connections with a lease that no case outlives.
async fn redis(url: &str, prefix: &str) -> Redis {
    let config = RedisConfig {
        topology: Topology::parse(url).unwrap(),
        prefix: prefix.to_owned(),
        partitions: None,
        lease: Duration::from_secs(10_000),
        timeout: Duration::from_secs(5),
    };
    Redis::open(&config, Handle::current()).await.unwrap()
}

async fn layer(url: &str, prefix: &str, config: LayerConfig) -> RedisLayer {
    let metrics = Arc::new(Metrics::new());
    RedisLayer::new(&redis(url, prefix).await, config, metrics).await.unwrap()
}

async fn subject(url: &str, prefix: &str) -> Subject {
    let metrics = Arc::new(Metrics::new());
    let (redis, scripts) = (redis(url, prefix).await, Scripts::new(CLOCK));
    let layer = RedisLayer::with_scripts(&redis, config(), Arc::clone(&metrics), scripts);
    let layer = layer.await.unwrap();
    let clock = Box::new(Shifted(Arc::clone(&layer.shared)));
    Subject { layer: Arc::new(layer), metrics, clock }
}
