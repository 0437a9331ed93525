//! `tidegate check`

use std::{io::Write as _, sync::Arc};

use anyhow::Result;

use super::{
    serve::{check_log, traces},
    settings::Settings,
};
use crate::{app::StartError, config::Config, interface::Endpoint, registry::Registry};

/// Checks settings, modules, and the files and addresses that `serve` would open.
pub(super) fn run(settings: Settings) -> Result<()> {
    let config = settings.read()?;
    check_log(&config.log)?;
    traces()?;
    if let Some(tls) = &config.tls {
        tls.check().map_err(StartError::Tls)?;
    }
    for endpoint in config.listen.iter().chain([&Endpoint::tcp(config.admin)]) {
        endpoint.check()?;
    }
    for warning in config.warnings() {
        writeln!(std::io::stderr(), "warning: {warning}")?;
    }
    let registry = load(&config)?;
    let routes = registry.routes().snapshot().listing().len();
    let mut out = std::io::stdout().lock();
    writeln!(out, "settings are valid; {} modules, {routes} routes", config.modules.len())?;
    Ok(())
}

/// Loads the modules without serving them.
pub(super) fn load(config: &Config) -> Result<Arc<Registry>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(config.check())?)
}
