//! Many processes over Redis.

mod commands;
mod deploys;
mod processes;
mod python;
mod retries;
mod servers;

use tests::{Process, RedisServer};

use crate::TIDEGATE;

/// Processes that share a Redis.
struct Site {
    redis: RedisServer,
    layer: String,
    modules: Vec<String>,
}

impl Site {
    fn new(modules: &[(&str, std::path::PathBuf)]) -> Self {
        let redis = RedisServer::start();
        let layer = redis.url();
        let modules =
            modules.iter().map(|(name, file)| format!("{name}={}", file.display())).collect();
        Self { redis, layer, modules }
    }

    fn arguments<'a>(&'a self, first: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = first.to_vec();
        arguments.extend(["--layer", &self.layer]);
        for module in &self.modules {
            arguments.extend(["--module", module]);
        }
        arguments
    }

    /// A process that serves connections and runs nothing.
    async fn interface(&self) -> Process {
        Process::serve(TIDEGATE, &self.arguments(&["--no-worker"])).await
    }

    /// A process that runs consumers and serves no connections.
    async fn worker(&self, flags: &[&str]) -> Process {
        Process::worker(TIDEGATE, &self.arguments(flags)).await
    }
}

/// A counter or gauge of a process; 0 if it is not there.
async fn metric(process: &Process, line: &str) -> u64 {
    let text = tests::Client::new(process.admin).get("/metrics").await.text().to_owned();
    let found = text.lines().find_map(|it| it.strip_prefix(line)?.trim().parse().ok());
    found.unwrap_or(0)
}
