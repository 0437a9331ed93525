//! Redis: where the servers are, and the connections that the channel layer and the module store share.
//!
//! [`Redis`] is opened once in a process. It has one `Link` for each partition, which reconnects until the
//! last clone of [`Redis`] is dropped.

mod address;
mod connection;
#[cfg(test)]
pub(crate) mod documented;
mod failure;
mod locate;
mod pool;
mod scripts;
mod topology;

#[cfg(test)]
#[expect(dead_code, unreachable_pub, reason = "the integration tests use the rest of it")]
#[path = "../../../tests/src/redis.rs"]
pub(crate) mod server;

use std::{sync::Arc, time::Duration};

#[cfg(test)]
pub(crate) use deadpool_redis::redis::cmd;
pub(crate) use deadpool_redis::redis::{FromRedisValue, Script, ScriptInvocation, Value};
use tokio::runtime::Handle;

pub(crate) use self::{
    connection::Link,
    scripts::{Keys, declare_scripts, micros, partition_of},
};
pub use self::{
    failure::RedisFailure,
    topology::{Login, Logins, Topology, TopologyError},
};
use crate::shutdown::Drain;

/// Where Redis is and how long things may take there.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// The servers.
    pub topology: Topology,
    /// The start of all keys. Applications with different ones do not meet.
    pub prefix: String,
    /// Parts that the keys are in. All processes must have the same number. None: one a server, and
    /// eight for a Cluster.
    pub partitions: Option<usize>,
    /// How long a process is believed to be alive after it was last heard of.
    pub lease: Duration,
    /// How long a command may take, and a caller waits for a lost connection.
    pub timeout: Duration,
}

/// The opened connections of a process, one for each partition. Clones share them.
#[derive(Clone, Debug)]
pub struct Redis {
    opened: Arc<Opened>,
}

#[derive(Debug)]
struct Opened {
    links: Arc<[Arc<Link>]>,
    lease: Duration,
    drain: Drain,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.drain.stop();
    }
}

impl Redis {
    /// Connects to every partition. The connections' tasks run on the runtime until the last clone is
    /// dropped.
    pub async fn open(config: &RedisConfig, runtime: Handle) -> Result<Self, RedisFailure> {
        let drain = Drain::new(runtime);
        let partitions = config.partitions.unwrap_or_else(|| config.topology.partitions());
        let mut links = Vec::with_capacity(partitions);
        for partition in 0..partitions {
            let keys = Keys::new(&config.prefix, partition);
            links
                .push(Link::open(&config.topology, keys, partition, config.timeout, &drain).await?);
        }
        Ok(Self { opened: Arc::new(Opened { links: links.into(), lease: config.lease, drain }) })
    }

    /// The connections, by partition.
    pub(crate) fn links(&self) -> Arc<[Arc<Link>]> {
        Arc::clone(&self.opened.links)
    }

    /// How long a process is believed to be alive after it was last heard of.
    pub(crate) fn lease(&self) -> Duration {
        self.opened.lease
    }

    /// The runtime that everything of this process's Redis runs on.
    pub(crate) fn runtime(&self) -> Handle {
        self.opened.drain.runtime()
    }
}
