//! The history checker: that it finds what is wrong, and that the layers do nothing wrong.

mod broken;
mod checker;
mod faults;
mod gaps;
#[expect(clippy::indexing_slicing, reason = "operations are made with indices of what there is")]
mod machine;
mod witness;

use std::{collections::HashMap, sync::Arc, time::Duration};

use tidegate::{
    layer::{Capacities, LayerConfig, RedisLayer},
    redis::{Redis, RedisConfig, Topology},
    telemetry::Metrics,
};
use tokio::runtime::Handle;

/// A layer that is full soon.
fn config() -> LayerConfig {
    LayerConfig {
        capacities: Capacities::new(5, []).unwrap(),
        groups_per_connection: Some(2),
        ..LayerConfig::default()
    }
}

/// A layer over Redis, with keys of its own.
async fn redis(url: &str, prefix: &str, metrics: &Arc<Metrics>) -> RedisLayer {
    redis_with_lease(url, prefix, metrics, Duration::from_secs(1)).await
}

async fn redis_with_lease(
    url: &str,
    prefix: &str,
    metrics: &Arc<Metrics>,
    lease: Duration,
) -> RedisLayer {
    let redis = RedisConfig {
        topology: Topology::parse(url).unwrap(),
        prefix: prefix.to_owned(),
        partitions: None,
        lease,
        timeout: Duration::from_millis(500),
    };
    let redis = Redis::open(&redis, Handle::current()).await.unwrap();
    RedisLayer::new(&redis, config(), Arc::clone(metrics)).await.unwrap()
}

/// How many times each thing is there.
fn counted<T: std::hash::Hash + Eq>(things: impl IntoIterator<Item = T>) -> HashMap<T, usize> {
    let mut counts = HashMap::new();
    for thing in things {
        *counts.entry(thing).or_default() += 1;
    }
    counts
}
