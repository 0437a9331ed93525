//! Settings: a file, then `TIDEGATE_*`, then flags, each over the one before; then checked as a whole.

mod checks;
mod env;
mod error;
mod file;
mod interface;
mod units;
mod validate;

use std::{net::SocketAddr, path::PathBuf};

pub use env::from_environment;
pub use error::ConfigError;

use crate::{
    interface::{Endpoint, InterfaceConfig, TlsConfig},
    layer::LayerConfig,
    message::ModuleName,
    registry::ModuleSettings,
    worker::WorkerConfig,
};

/// Checked settings of a process.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where HTTP and WebSocket are served.
    pub listen: Vec<Endpoint>,
    /// The certificate of the listeners that speak TLS.
    pub tls: Option<TlsConfig>,
    /// Where health and metrics are served.
    pub admin: SocketAddr,
    /// Where compiled code is kept.
    pub data_dir: PathBuf,
    /// The modules.
    pub modules: Vec<ModuleConfig>,
    /// Settings of connections.
    pub interface: InterfaceConfig,
    /// Settings of the channel layer.
    pub layer: LayerConfig,
    /// Slots; none if this process runs no consumers.
    pub worker: Option<WorkerConfig>,
    /// Which log events are written, as in `info,tidegate::access=off`.
    pub log: String,
}

/// A module to be served.
#[derive(Clone, Debug)]
pub struct ModuleConfig {
    /// Its name.
    pub name: ModuleName,
    /// The .wasm file.
    pub file: PathBuf,
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
