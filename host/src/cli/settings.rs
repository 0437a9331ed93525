//! The flags that all commands share, and the settings they lead to.

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::Args;
use toml::{Table, Value};

use crate::config::{Config, ConfigError, Layers, from_environment};

/// Read when no file is named.
const DEFAULT_FILE: &str = "tidegate.toml";

/// Flags as they are given. They go over `TIDEGATE_*`, which goes over the file.
#[derive(Debug, Default, Args)]
pub(super) struct Settings {
    /// Settings file [default: tidegate.toml, if there is one]
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    config: Option<PathBuf>,
    /// Where to serve HTTP and WebSocket [default: 127.0.0.1:8000]; may be given several times:
    /// IP:PORT (port 0 takes a free one), https://IP:PORT, unix:PATH, fd:N
    #[arg(long, value_name = "PLACE")]
    listen: Vec<String>,
    /// Where to serve health, metrics and the admin API [default: 127.0.0.1:8001]
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// A module to serve; may be given several times
    #[arg(long = "module", value_name = "NAME=FILE", value_parser = name_and_file)]
    modules: Vec<(String, String)>,
    /// How many consumers run at the same time [default: four per core, over Redis eight]
    #[arg(long, value_name = "N")]
    slots: Option<u32>,
    /// Serve connections only and run no consumers
    #[arg(long)]
    no_worker: bool,
    /// Make no requests of modules to servers outside: other processes do
    #[arg(long)]
    no_fetch: bool,
    /// Where messages are [default: memory]; redis://HOST:PORT/DB for several processes, see
    /// docs/redis.md for Sentinel, Cluster, shards and TLS
    #[arg(long, value_name = "URL")]
    layer: Option<String>,
    /// Where modules, the admin token and compiled code are kept [default: tidegate-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// The settings file: the one that is named, or the one that is read if it is there.
pub(super) fn settings_file(named: Option<&Path>) -> PathBuf {
    named.unwrap_or(Path::new(DEFAULT_FILE)).to_owned()
}

fn name_and_file(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => {
            Ok((name.to_owned(), file.to_owned()))
        }
        _ => Err("give NAME=FILE, such as chat=chat.wasm".to_owned()),
    }
}

/// This program, to be run as a compiler. On Linux the one that runs, also when another one has taken
/// its place on the disk since.
fn own_program() -> Option<PathBuf> {
    if cfg!(target_os = "linux") {
        return Some("/proc/self/exe".into());
    }
    std::env::current_exe().ok()
}

impl Settings {
    /// The flags of a command that does not serve: settings and data.
    pub(super) fn at(config: Option<PathBuf>, data_dir: Option<PathBuf>) -> Self {
        Self { config, data_dir, ..Self::default() }
    }

    /// The same with addresses to listen on.
    pub(super) fn listening(self, listen: Vec<String>) -> Self {
        Self { listen, ..self }
    }

    /// The flags of a command that only sends: settings and layer.
    pub(super) fn of_layer(config: Option<PathBuf>, layer: Option<String>) -> Self {
        Self { config, layer, ..Self::default() }
    }

    /// Returns a flag about connections or slots, which a worker does not use.
    pub(super) const fn misplaced_for_worker(&self) -> Option<&'static str> {
        match (self.listen.is_empty(), self.no_worker, self.no_fetch) {
            (false, ..) => Some("--listen"),
            (_, true, _) => Some("--no-worker"),
            (.., true) => Some("--no-fetch"),
            (true, false, false) => None,
        }
    }

    /// File, environment and flags as one, checked.
    pub(super) fn read(self) -> Result<Config> {
        self.read_over(Table::new())
    }

    /// The same with other defaults.
    pub(super) fn read_over(self, defaults: Table) -> Result<Config> {
        let mut layers = Layers::default();
        layers.add("defaults", defaults)?;
        let named = self.config.is_some();
        let path = settings_file(self.config.as_deref());
        match std::fs::read_to_string(&path) {
            Ok(text) => layers.add_file(&path.display().to_string(), &text)?,
            Err(error) if named || error.kind() != std::io::ErrorKind::NotFound => {
                let place = path.display().to_string();
                return Err(ConfigError::new(&place, &format!("cannot be read: {error}")).into());
            }
            Err(_) => {}
        }
        // A name or value that is not text is none of ours.
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        from_environment(&mut layers, std::env::vars_os().filter_map(text))?;
        layers.add("flags", self.flags()?)?;
        let mut config = layers.finish()?;
        config.compiler.program = own_program();
        Ok(config)
    }

    fn flags(self) -> Result<Table, ConfigError> {
        let mut table = Table::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                table.insert(name.to_owned(), value);
            }
        };
        let text = |value: String| Value::String(value);
        let listen: Vec<Value> = self.listen.into_iter().map(text).collect();
        set("listen", (!listen.is_empty()).then_some(Value::Array(listen)));
        set("admin", self.admin.map(|address| text(address.to_string())));
        set("slots", self.slots.map(|slots| Value::Integer(slots.into())));
        set("worker", self.no_worker.then_some(Value::Boolean(false)));
        let fetch = |enabled| Value::Table(Table::from_iter([("enabled".to_owned(), enabled)]));
        set("fetch", self.no_fetch.then(|| fetch(Value::Boolean(false))));
        let data_dir = self.data_dir.map(|path| text(path.to_string_lossy().into_owned()));
        set("data_dir", data_dir);
        let url = |url| Table::from_iter([("url".to_owned(), text(url))]);
        set("layer", self.layer.map(|layer| Value::Table(url(layer))));
        let mut modules = Table::new();
        for (name, file) in self.modules {
            let module = Table::from_iter([("file".to_owned(), text(file))]);
            if modules.insert(name.clone(), Value::Table(module)).is_some() {
                let problem = format!("{name} is given twice; a module has one file");
                return Err(ConfigError::new("--module", &problem));
            }
        }
        if !modules.is_empty() {
            table.insert("modules".to_owned(), Value::Table(modules));
        }
        Ok(table)
    }
}
