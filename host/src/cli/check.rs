//! `tidegate check`

use std::{io::Write as _, sync::Arc};

use anyhow::Result;

use super::settings::Settings;
use crate::{config::Config, registry::Registry};

/// Reads settings, loads modules, and says that both are right.
pub(super) fn run(settings: Settings) -> Result<()> {
    let config = settings.read()?;
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
