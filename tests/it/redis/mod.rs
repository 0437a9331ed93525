//! Many processes over Redis.

mod attempts;
mod commands;
mod connections;
mod dead_letters;
mod deploys;
mod faults;
mod fetches;
pub(crate) mod mixed;
mod online;
mod presence;
mod processes;
mod python;
mod resume;
mod retries;
mod schedules;
mod sentinel;
mod servers;
mod slow_compilation;
mod timers;
mod tokens;

use std::path::PathBuf;

use tempfile::TempDir;
use tests::{Process, RedisServer};

use crate::TIDEGATE;

/// Processes that share a Redis.
struct Site<R = RedisServer> {
    redis: R,
    layer: String,
    modules: Vec<String>,
    /// The file with their settings.
    settings: TempDir,
}

impl Site {
    fn new(modules: &[(&str, PathBuf)]) -> Self {
        let redis = RedisServer::start();
        let layer = redis.url();
        Self::over(redis, layer, modules)
    }
}

impl<R> Site<R> {
    fn over(redis: R, layer: String, modules: &[(&str, PathBuf)]) -> Self {
        let modules =
            modules.iter().map(|(name, file)| format!("{name}={}", file.display())).collect();
        let settings = tempfile::tempdir().unwrap();
        let site = Self { redis, layer, modules, settings };
        site.set("");
        site
    }

    /// Processes that start from now on have these settings.
    fn set(&self, text: &str) {
        std::fs::write(self.settings.path().join("tidegate.toml"), text).unwrap();
    }

    fn arguments(&self, flags: &[&str]) -> Vec<String> {
        let mut arguments: Vec<_> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let settings = self.settings.path().join("tidegate.toml").display().to_string();
        arguments.extend(["--config".to_owned(), settings]);
        arguments.extend(["--layer".to_owned(), self.layer.clone()]);
        for module in &self.modules {
            arguments.extend(["--module".to_owned(), module.clone()]);
        }
        arguments
    }

    /// A process that serves connections and runs nothing.
    async fn interface(&self) -> Process {
        self.process(&["--no-worker"], &[]).await
    }

    /// A process that runs consumers and serves no connections.
    async fn worker(&self, flags: &[&str]) -> Process {
        self.process(&[&["worker"], flags].concat(), &[]).await
    }

    /// A process that does both.
    async fn node(&self) -> Process {
        self.process(&[], &[]).await
    }

    /// A process with variables of the environment.
    async fn process(&self, flags: &[&str], variables: &[(&str, &str)]) -> Process {
        self.process_of(TIDEGATE, flags, variables).await
    }

    /// The same of another release.
    async fn process_of(
        &self,
        binary: &str,
        flags: &[&str],
        variables: &[(&str, &str)],
    ) -> Process {
        let arguments = self.arguments(flags);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let anywhere = "127.0.0.1:0".parse().unwrap();
        Process::serve_with(anywhere, binary, &arguments, variables).await
    }
}

/// What is kept when all processes have ended.
const MODULES: [&str; 4] = ["changes", "files", "modules", "store"];

/// A counter or gauge of a process; 0 if it is not there.
async fn metric(process: &Process, line: &str) -> u64 {
    let text = tests::Client::new(process.admin).get("/metrics").await.text().to_owned();
    let found = text.lines().find_map(|it| it.strip_prefix(line)?.trim().parse().ok());
    found.unwrap_or(0)
}
