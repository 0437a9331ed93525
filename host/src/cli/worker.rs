//! `tidegate worker`

use anyhow::Result;
use clap::Args;
use toml::{Table, Value};

use super::{serve, settings::Settings};
use crate::{
    config::{Backend, ConfigError},
    worker::ChannelFilter,
};

/// The arguments of `worker`: the flags of `serve` without those for connections.
#[derive(Debug, Args)]
#[command(
    mut_arg("listen", |flag| flag.hide(true)),
    mut_arg("no_worker", |flag| flag.hide(true)),
    mut_arg("no_fetch", |flag| flag.hide(true)),
    mut_arg("admin", |flag| flag.help(
        "Where to serve health, metrics and the admin API [default: 127.0.0.1:8002]"
    )),
    mut_arg("modules", |flag| flag.help("A module to run; may be given several times")),
    mut_arg("slots", |flag| flag.help(
        "How many consumers run at the same time [default: eight per core]"
    )),
    mut_arg("layer", |flag| flag.help(
        "Where messages are: redis://HOST:PORT/DB, see docs/redis.md for Sentinel, Cluster, shards \
         and TLS [default: the setting `layer.url`]"
    )),
    mut_arg("data_dir", |flag| flag.help(
        "Where the admin token and compiled code are kept [default: tidegate-worker-data]"
    ))
)]
pub(super) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// Read only channels that match, such as `thumbnails.*`; may be given several times
    #[arg(long, value_name = "GLOB")]
    only_channels: Vec<String>,
    /// Leave channels that match to other workers; may be given several times
    #[arg(long, value_name = "GLOB")]
    exclude_channels: Vec<String>,
    /// Make requests of modules to servers outside, too [default: the setting `fetch.enabled`, or not]
    #[arg(long)]
    fetch: bool,
}

/// Beside a `serve` on the same machine, which has the usual ones.
const DEFAULTS: [(&str, &str); 2] =
    [("admin", "127.0.0.1:8002"), ("data_dir", "tidegate-worker-data")];

/// Runs consumers until a signal.
pub(super) fn run(arguments: Arguments) -> Result<()> {
    let Arguments { settings, only_channels, exclude_channels, fetch } = arguments;
    if let Some(flag) = settings.misplaced_for_worker() {
        let problem = "a worker serves no connections and runs consumers; use `tidegate serve`";
        return Err(ConfigError::new(flag, problem).into());
    }
    let defaults = DEFAULTS.map(|(name, value)| (name.to_owned(), Value::from(value)));
    let mut defaults = Table::from_iter(defaults);
    let enabled = Table::from_iter([("enabled".to_owned(), Value::Boolean(fetch))]);
    defaults.insert("fetch".to_owned(), Value::Table(enabled));
    let mut config = settings.read_over(defaults)?;
    if matches!(config.backend, Backend::Memory) {
        let problem =
            "the memory layer reaches no other process; give --layer redis://HOST:PORT/DB";
        return Err(ConfigError::new("layer", problem).into());
    }
    let filter = ChannelFilter::new(&only_channels, &exclude_channels)
        .map_err(|error| ConfigError::new("--only-channels", &error.to_string()))?;
    match &mut config.worker {
        Some(worker) => worker.channels = filter,
        None => {
            let problem = "it is false, and a worker runs consumers; use `tidegate serve`";
            return Err(ConfigError::new("worker", problem).into());
        }
    }
    config.listen.clear();
    serve::run_with(config)
}
