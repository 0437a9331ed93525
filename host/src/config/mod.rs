//! Settings: a file, then `TIDEGATE_*`, then flags, each over the one before; then checked as a whole.

mod auth;
mod env;
mod file;
mod interface;
mod sessions;
mod validate;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

pub use env::from_environment;

pub use crate::setting::error::ConfigError;
use crate::setting::{checks, error, units};
use crate::{
    auth::AuthConfig,
    capability::sessions::SessionConfig,
    engine::{Compiler, FileLimits},
    interface::{Endpoint, InterfaceConfig, TlsConfig},
    layer::LayerConfig,
    message::ModuleName,
    redis::RedisConfig,
    registry::{ModuleSettings, Signers},
    telemetry::{LogFormat, TracesConfig},
    worker::WorkerConfig,
};

/// Where the admin listener is unless it is set.
pub const DEFAULT_ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8001);

/// Checked settings of a process.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where HTTP and WebSocket are served.
    pub listen: Vec<Endpoint>,
    /// How tokens of users are checked.
    pub auth: Vec<AuthConfig>,
    /// How sessions are kept; none if the host keeps none.
    pub sessions: Option<SessionConfig>,
    /// The certificate of the listeners that speak TLS.
    pub tls: Option<TlsConfig>,
    /// Where health and metrics are served.
    pub admin: SocketAddr,
    /// Where modules and the admin token are kept.
    pub data_dir: PathBuf,
    /// Where compiled code is kept.
    pub compiled_dir: PathBuf,
    /// Modules that have a file or settings.
    pub modules: Vec<ModuleConfig>,
    /// How other modules are run.
    pub module_defaults: ModuleSettings,
    /// What a module's file may have.
    pub files: FileLimits,
    /// Whose files may be deployed.
    pub signers: Signers,
    /// How files are compiled.
    pub compiler: Compiler,
    /// Settings of connections.
    pub interface: InterfaceConfig,
    /// Where messages are.
    pub backend: Backend,
    /// Settings of the channel layer.
    pub layer: LayerConfig,
    /// The file of the authorities whose certificates servers outside have, in PEM form; none for those of the
    /// system.
    pub authorities: Option<PathBuf>,
    /// Slots; none if this process runs no consumers.
    pub worker: Option<WorkerConfig>,
    /// Which log events are written, as in `info,tidegate::access=off`.
    pub log: String,
    /// The form of their lines.
    pub log_format: LogFormat,
    /// How spans, and lines of guests, go to a collector; none: they do not. No setting: the variables `OTEL_*` say it.
    pub traces: Option<TracesConfig>,
}

impl Config {
    /// What is valid and probably not meant, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let proxies = &self.interface.proxies;
        let has_proxies = proxies.trust_local || !proxies.trusted.is_empty();
        let of_sessions = |config| sessions::warning(config, &self.listen, has_proxies);
        self.sessions.as_ref().and_then(of_sessions).into_iter().collect()
    }
}

/// Where the channel layer keeps messages.
#[derive(Clone, Debug)]
pub enum Backend {
    /// In this process, for this process alone.
    Memory,
    /// In Redis, for all processes that name the same.
    Redis(RedisConfig),
}

/// A module to be served.
#[derive(Clone, Debug)]
pub struct ModuleConfig {
    /// Its name.
    pub name: ModuleName,
    /// The .wasm file; none for a module that is deployed over the admin listener.
    pub file: Option<PathBuf>,
    /// How it is run.
    pub settings: ModuleSettings,
}

/// Settings as they are written; later ones go over earlier ones.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    table: toml::Table,
}

impl Layers {
    /// Adds a file. `path` is for messages.
    pub fn add_file(&mut self, path: &str, text: &str) -> Result<(), ConfigError> {
        merge(&mut self.table, file::parse(path, text)?);
        Ok(())
    }

    /// Adds settings whose names are known to `source`, which is for messages.
    pub fn add(&mut self, source: &str, table: toml::Table) -> Result<(), ConfigError> {
        file::check(source, &table)?;
        merge(&mut self.table, table);
        Ok(())
    }

    /// Checks the whole.
    pub fn finish(self) -> Result<Config, ConfigError> {
        validate::config(file::read("settings", self.table)?)
    }
}

fn merge(below: &mut toml::Table, above: toml::Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => merge(below, above),
            (_, value) => drop(below.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests;
