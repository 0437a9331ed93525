//! Finds the host that a command asks, and its token.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::settings::Settings;
use crate::admin::{
    AdminToken,
    client::{AdminAddress, AdminClient},
};

/// Flags of all commands that ask a host.
#[derive(Debug, Args)]
pub(super) struct Host {
    /// The admin listener of the host, URL or HOST:PORT [default: the setting `admin`, 127.0.0.1:8001]
    #[arg(long, value_name = "URL")]
    pub(super) admin: Option<AdminAddress>,
    /// The data directory of the host, where its token is [default: the setting `data_dir`,
    /// tidegate-data]
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// The token of the host [default: that in its data directory]
    #[arg(long, value_name = "TOKEN", env = "TIDEGATE_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
    /// Settings file [default: tidegate.toml, if there is one]
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    pub(super) config: Option<PathBuf>,
}

/// No token was found.
#[derive(Debug, thiserror::Error)]
#[error("there is no token in {directory} ({source}); give the host's --data-dir, or --token")]
pub(super) struct NoToken {
    directory: String,
    source: std::io::Error,
}

impl Host {
    /// A client of the host. Within a runtime.
    pub(super) fn client(self) -> Result<AdminClient> {
        let config = Settings::at(self.config, self.data_dir).read()?;
        let token = match self.token {
            Some(token) => AdminToken::new(&token),
            None => AdminToken::read(&config.data_dir).map_err(|source| NoToken {
                directory: config.data_dir.display().to_string(),
                source,
            })?,
        };
        let address = self.admin.unwrap_or_else(|| config.admin.into());
        Ok(AdminClient::new(address, token, login()))
    }

    /// Runs a request to the host.
    pub(super) fn ask<T>(self, question: impl AsyncFnOnce(AdminClient) -> Result<T>) -> Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let client = self.client()?;
            question(client).await
        })
    }
}

/// The user for the history: the name of the current user of the machine, or the number.
pub(super) fn login() -> String {
    let named = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    named
        .filter(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()))
        .unwrap_or_else(|| format!("uid-{}", rustix::process::getuid().as_raw()))
}
