//! `tidegate serve`

use std::io::Write as _;

use anyhow::{Context as _, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    runtime::Handle,
    signal::unix::{SignalKind, signal},
};

use super::{ExitStatus, service, settings::Settings};
use crate::{
    app::StartError,
    config::{Backend, Config, ConfigError},
    shutdown::Drain,
    telemetry::{Log, LogFormat, TracesConfig, VariableError},
};

/// Serves until a signal.
pub(super) fn run(settings: Settings) -> Result<()> {
    run_with(settings.read()?)
}

/// Serves with these settings until a signal.
pub(super) fn run_with(mut config: Config) -> Result<()> {
    config.traces = traces()?;
    let log = start_log(&config.log, config.log_format)?;
    let ended = run_logged(config);
    log.finish();
    ended
}

fn run_logged(config: Config) -> Result<()> {
    raise_descriptor_limit(config.interface.limits.connections);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if config.listen.is_empty() {
        // Consumers run on threads of their own. These only carry messages to them and back, and more
        // of them would wake each other for nothing.
        let processors = std::thread::available_parallelism()?.get();
        runtime.worker_threads(processors.div_ceil(4));
    }
    runtime.enable_all().build()?.block_on(serve(config))
}

/// Reads from the environment where spans, and lines of guests, go.
pub(super) fn traces() -> Result<Option<TracesConfig>, ConfigError> {
    let read = TracesConfig::from_environment();
    read.map_err(|VariableError { name, rule }| ConfigError::new(&name, &rule))
}

/// Starts the log on standard error with the lines that a filter lets pass.
pub(super) fn start_log(filter: &str, format: LogFormat) -> Result<Log, ConfigError> {
    Log::start(filter, format).map_err(|error| wrong_filter(filter, &error))
}

/// Checks which lines a filter lets pass, without starting a log.
pub(super) fn check_log(filter: &str) -> Result<(), ConfigError> {
    Log::check(filter).map_err(|error| wrong_filter(filter, &error))
}

fn wrong_filter(filter: &str, error: &impl std::fmt::Display) -> ConfigError {
    ConfigError::new("log", &format!("{filter:?}: {error}"))
}

/// Each connection takes a descriptor, and the soft limit is often 1,024 for the sake of programs that
/// use `select`, which this one does not.
fn raise_descriptor_limit(connections: Option<usize>) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::debug!(%error, "the limit on open files stays as it is");
    }
    let connections = connections.and_then(|limit| u64::try_from(limit).ok());
    if let (Some(maximum), Some(connections)) = (maximum, connections)
        && maximum < connections
    {
        tracing::warn!(
            maximum,
            connections,
            "the limit on open files is below interface.connections; raise it (ulimit -Hn)"
        );
    }
}

async fn serve(config: Config) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?;
    let mut hangup = signal(SignalKind::hangup()).context("SIGHUP cannot be heard")?;
    if config.worker.is_none() && matches!(config.backend, Backend::Memory) {
        tracing::warn!(
            "no worker in this process, and the memory layer reaches no other: nothing will run"
        );
    }
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let app = config.build().await.map_err(|error| match error {
        StartError::Bind(_) => anyhow::Error::from(error)
            .context("choose another place with --listen, or --admin for the admin listener"),
        error => error.into(),
    })?;
    let app = app.start().await?;
    if app.deployments().list().is_empty() {
        tracing::warn!(
            "no modules: every request is answered with 404; deploy one, or give --module NAME=FILE"
        );
    }
    if let Err(error) = announce(&app) {
        tracing::warn!(%error, "the addresses cannot be printed on standard output");
    }
    let watchdog = Drain::new(Handle::current());
    if let Some(within) = service::watchdog() {
        watchdog.spawn_until_stopped("watchdog", service::give_signs_of_life(within));
    }
    service::ready(app.endpoints());
    let at_once = loop {
        tokio::select! {
            _ = terminate.recv() => break false,
            () = app.asked_to_stop() => break false,
            // A user waits for it: there is no load balancer.
            _ = interrupt.recv() => break true,
            _ = hangup.recv() => app.reload(),
        }
    };
    tracing::info!("stopping; a second signal exits at once");
    service::stopping();
    let stopped = async { if at_once { app.stop().await } else { app.drain().await } };
    let left = tokio::select! {
        left = stopped => left,
        _ = terminate.recv() => exit_now(),
        _ = interrupt.recv() => exit_now(),
    };
    if left > 0 {
        tracing::warn!(left, "connections were left when the grace period was over");
    }
    watchdog.stop();
    Ok(())
}

/// Prints where it serves.
pub(super) fn announce(app: &crate::app::RunningApp) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for endpoint in app.endpoints() {
        writeln!(out, "serving {endpoint}")?;
    }
    writeln!(out, "admin   http://{}", app.admin_address())?;
    out.flush()
}

#[expect(clippy::exit, reason = "asked for twice: nothing is waited for")]
pub(super) fn exit_now() -> ! {
    std::process::exit(ExitStatus::Unexpected as i32)
}
