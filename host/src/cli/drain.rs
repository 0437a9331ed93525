//! `tidegate drain`

use std::io::Write as _;

use anyhow::{Context as _, Result};
use clap::Args;

use super::settings::Settings;
use crate::admin::{AdminToken, ask_to_drain};

/// What `drain` is given.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// The token of the admin listener [default: that in the data directory]
    #[arg(long, value_name = "TOKEN", env = "TIDEGATE_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// Asks the process behind the admin address to stop.
pub(super) fn run(arguments: Arguments) -> Result<()> {
    let config = arguments.settings.read()?;
    let token = match arguments.token {
        Some(token) => AdminToken::new(token),
        None => AdminToken::read(&config.data_dir).with_context(|| {
            let directory = config.data_dir.display();
            format!("there is no token in {directory}; give the host's --data-dir, or --token")
        })?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(ask_to_drain(config.admin, &token))?;
    writeln!(std::io::stdout(), "the process at {} stops", config.admin)?;
    Ok(())
}
