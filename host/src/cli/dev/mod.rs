//! `tidegate dev`: a host, and a module that is built and deployed after each change of its sources,
//! while connections stay open.

mod changes;
mod cycle;
mod inputs;
mod own_host;
mod writes;

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
};

use anyhow::{Context as _, Error, Result, bail};
use clap::Args;
use toml::{Table, Value};

use self::{cycle::Cycle, own_host::OwnHost};
use super::{
    build::Source,
    host::{Host, login},
    logs::{Tail, print},
    serve::{announce, exit_now, start_log},
    settings::{Settings, settings_file},
    signals::stop_signal,
};
use crate::{
    RunningApp,
    admin::{
        AdminToken,
        client::{AdminAddress, AdminClient},
    },
    app::StartError,
    config::{Backend, Config, DEFAULT_ADMIN},
    message::ModuleName,
    telemetry::LogFormat,
};

/// The arguments of `dev`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// The name of the module [default: that of the project]
    #[arg(long, value_name = "NAME", value_parser = ModuleName::parse)]
    name: Option<ModuleName>,
    /// Where to serve, as for `serve` [default: 127.0.0.1:8000]
    #[arg(long, value_name = "PLACE", conflicts_with = "admin")]
    listen: Vec<String>,
    /// Use the host that runs already behind this admin listener, URL or HOST:PORT [default: this
    /// command is a host itself, whose own admin listener is the setting `admin`, or 127.0.0.1:8001,
    /// or a free port]
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

/// The filter of the log: records have the rest.
const LOG: &str = "warn,tidegate::guest=off,tidegate::worker::slot=error";

/// Builds and deploys until a signal.
pub(super) fn run(arguments: Arguments) -> Result<()> {
    let Arguments { source, name, listen, admin, data_dir, token, config } = arguments;
    let of_project = source.find()?.name().to_owned();
    let name = match name {
        Some(name) => name,
        None => ModuleName::parse(&of_project).with_context(|| {
            format!("{of_project} is not a valid module name; give one with --name")
        })?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        if admin.is_some() {
            let client = Host { admin, data_dir, token, config }.client()?;
            let cycle = Cycle::new(source, name.clone(), client, None)?;
            return develop(cycle, name).await;
        }
        let file = settings_file(config.as_deref());
        let settings = Settings::at(config, data_dir).listening(listen);
        let config = settings.read_over(admin_default(DEFAULT_ADMIN))?;
        if config.signers.count() && matches!(config.backend, Backend::Redis(_)) {
            bail!(
                "upload.signers is set, and what is built here has no signature: the other hosts of this layer \
                 would run it; develop with other settings, such as --config dev.toml"
            );
        }
        let signers = config.signers.clone().except(name.clone());
        let config = Config { signers, ..config };
        let log = start_log(LOG, LogFormat::Text)?;
        let ended = serve_and_develop(config, source, name, file).await;
        log.finish();
        ended
    })
}

/// The default admin address, where commands look for a host, or a free port if that is taken.
fn admin_default(usual: SocketAddr) -> Table {
    let free = SocketAddr::new(usual.ip(), 0);
    let admin = if TcpListener::bind(usual).is_ok() { usual } else { free };
    Table::from_iter([("admin".to_owned(), Value::from(admin.to_string()))])
}

/// Develops on a host of this process.
async fn serve_and_develop(
    config: Config,
    source: Source,
    name: ModuleName,
    settings: PathBuf,
) -> Result<()> {
    let data_dir = config.data_dir.clone();
    let mut own = OwnHost::new(&config, settings)?;
    let app = config.build().await.map_err(|error| {
        let hint = match &error {
            StartError::Bind(_) => {
                "the host of this command cannot start; give it another place with --listen, or use \
                 a host that runs already with --admin"
            }
            _ => "the host of this command cannot start",
        };
        Error::from(error).context(hint)
    })?;
    let app = app.start().await?;
    own.serve(&app);
    let own = Arc::new(own);
    own.announce(&name, "is being compiled");
    announce(&app)?;
    let token = AdminToken::read(&data_dir)?;
    let client = AdminClient::new(app.admin_address().into(), token, login());
    let cycle = Cycle::new(source, name.clone(), client, Some(own))?;
    let ended = develop(cycle, name).await;
    stop(app).await?;
    ended
}

/// Builds, deploys and prints records, until a signal.
async fn develop(cycle: Cycle, name: ModuleName) -> Result<()> {
    let tail = Tail::of_new_module(cycle.client().clone(), name, print);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_port_is_the_usual_one_or_else_a_free_one() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let usual = taken.local_addr().unwrap();
        let admin = || admin_default(usual)["admin"].as_str().unwrap().to_owned();
        assert_eq!(admin(), "127.0.0.1:0");
        drop(taken);
        assert_eq!(admin(), usual.to_string());
    }
}
