//! `tidegate dev`: a host, and a module that is built and deployed after each change of its sources,
//! while connections stay open.

mod changes;
mod cycle;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use self::cycle::Cycle;
use super::{
    build::Source,
    host::{Host, login},
    logs::{Tail, print},
    serve::{announce, exit_now, start_log},
    settings::Settings,
    signals::stop_signal,
};
use crate::{
    RunningApp,
    admin::{
        AdminToken,
        client::{AdminAddress, AdminClient},
    },
    config::Config,
    message::ModuleName,
};

/// What `dev` is given.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// The name of the module [default: that of the crate]
    #[arg(long, value_name = "NAME", value_parser = ModuleName::parse)]
    name: Option<ModuleName>,
    /// Where to serve, as for `serve` [default: 127.0.0.1:8000]
    #[arg(long, value_name = "PLACE", conflicts_with = "admin")]
    listen: Vec<String>,
    /// Use the host that runs already behind this admin listener, URL or HOST:PORT [default: this
    /// command is a host itself]
    #[arg(long, value_name = "URL")]
    admin: Option<AdminAddress>,
    /// The data directory of the host [default: the setting, tidegate-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The token of the host that runs already [default: that in the data directory]
    #[arg(long, value_name = "TOKEN", env = "TIDEGATE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Settings file [default: tidegate.toml, if there is one]
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    config: Option<PathBuf>,
}

/// What the log does not say again: records tell it.
const LOG: &str = "warn,tidegate::guest=off,tidegate::worker::slot=error";

/// Builds and deploys until a signal.
pub(super) fn run(arguments: Arguments) -> Result<()> {
    let Arguments { source, name, listen, admin, data_dir, token, config } = arguments;
    let crate_name = source.find()?.name;
    let name = match name {
        Some(name) => name,
        None => ModuleName::parse(&crate_name).with_context(|| {
            format!("{crate_name} is no name of a module; give one with --name")
        })?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        if admin.is_some() {
            let client = Host { admin, data_dir, token, config }.client()?;
            let cycle = Cycle::new(source, name.clone(), client, None, None)?;
            return develop(cycle, name).await;
        }
        let config = Settings::at(config, data_dir).listening(listen).read()?;
        let log = start_log(LOG)?;
        let ended = serve_and_develop(config, source, name).await;
        log.finish();
        ended
    })
}

/// Develops on a host of this process.
async fn serve_and_develop(config: Config, source: Source, name: ModuleName) -> Result<()> {
    let data_dir = config.data_dir.clone();
    let app = config.build().await.context(
        "the host of this command cannot start; to use one that runs already, give its --admin",
    )?;
    let app = app.start().await?;
    announce(&app)?;
    let token = AdminToken::read(&data_dir)?;
    let client = AdminClient::new(app.admin_address().into(), token, login());
    let base = app.endpoints().first().map(ToString::to_string);
    let cycle = Cycle::new(source, name.clone(), client, base, Some(data_dir))?;
    let ended = develop(cycle, name).await;
    stop(app).await?;
    ended
}

/// Builds, deploys and prints records, until a signal.
async fn develop(cycle: Cycle, name: ModuleName) -> Result<()> {
    let tail = Tail::new(cycle.client().clone(), Some(name), print);
    tokio::select! {
        stopped = stop_signal() => Ok(stopped?),
        ended = cycle.run() => ended,
        ended = tail.follow(0) => ended,
    }
}

async fn stop(app: RunningApp) -> Result<()> {
    tokio::select! {
        _ = app.stop() => Ok(()),
        again = stop_signal() => {
            again?;
            exit_now()
        }
    }
}
