//! The conformance suite on real servers, and what is Redis's own.

mod documented;
mod faults;
mod layout;
mod timers;
mod topologies;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::runtime::Handle;

use super::{RedisStore, RedisStoreError, scripts::Scripts};
use crate::{
    capability::store::conformance::{Clock, Subject},
    redis::{Link, Redis, RedisConfig, Topology, cmd, server},
};

/// Goes between the prelude and each script: a test moves the time of a partition on.
const CLOCK: &str = "now = now + (tonumber(redis.call('GET', base .. 'test:clock')) or 0)";

struct Shifted(Arc<[Arc<Link>]>);

#[async_trait]
impl Clock for Shifted {
    async fn advance(&self, span: Duration) {
        for link in &*self.0 {
            let key = format!("{}test:clock", link.keys.base);
            let micros = u64::try_from(span.as_micros()).unwrap();
            let _: u64 = link.run(cmd("INCRBY").arg(key).arg(micros)).await.unwrap();
        }
    }
}

async fn redis(url: &str, prefix: &str, partitions: Option<usize>, timeout: Duration) -> Redis {
    let config = RedisConfig {
        topology: Topology::parse(url).unwrap(),
        prefix: prefix.to_owned(),
        partitions,
        lease: Duration::from_secs(10_000),
        timeout,
    };
    Redis::open(&config, Handle::current()).await.unwrap()
}

async fn store(
    url: &str,
    prefix: &str,
    partitions: Option<usize>,
) -> Result<RedisStore, RedisStoreError> {
    RedisStore::open(&redis(url, prefix, partitions, Duration::from_secs(5)).await).await
}

async fn subject(url: &str, prefix: &str) -> Subject {
    // All cases run at once.
    let redis = redis(url, prefix, None, Duration::from_secs(60)).await;
    let store = RedisStore::with_scripts(&redis, Scripts::new(CLOCK)).await.unwrap();
    Subject { store: Arc::new(store), clock: Box::new(Shifted(redis.links())) }
}
