//! Finds the host that a command asks, and its token.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::settings::Settings;
use crate::{
    admin::{
        AdminToken,
        client::{AdminAddress, AdminClient},
    },
    config::Config,
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

/// The flag of commands that change something.
#[derive(Debug, Args)]
pub(super) struct Author {
    /// The name for the history and the log [default: yours on this machine]
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    by: Option<String>,
}

/// A host cuts longer texts.
const TEXT_CHARACTERS_MAX: usize = 200;

/// Checks a text that goes into the history of a module.
pub(super) fn one_line(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it is empty; write a text or leave the flag out".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("it has control characters; write one line of text".to_owned());
    }
    match text.chars().count() {
        0..=TEXT_CHARACTERS_MAX => Ok(text.to_owned()),
        length => {
            Err(format!("it has {length} characters; at most {TEXT_CHARACTERS_MAX} are kept"))
        }
    }
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
        self.client_of(login())
    }

    /// The settings that the flags name.
    pub(super) fn settings(&self) -> Result<Config> {
        Settings::at(self.config.clone(), self.data_dir.clone()).read()
    }

    fn client_of(self, user: String) -> Result<AdminClient> {
        let config = self.settings()?;
        let token = match self.token {
            Some(token) => AdminToken::new(&token),
            None => AdminToken::read(&config.data_dir).map_err(|source| NoToken {
                directory: config.data_dir.display().to_string(),
                source,
            })?,
        };
        let address = self.admin.unwrap_or_else(|| config.admin.into());
        Ok(AdminClient::new(address, token, user))
    }

    /// Runs a request to the host.
    pub(super) fn ask<T>(self, question: impl AsyncFnOnce(AdminClient) -> Result<T>) -> Result<T> {
        self.ask_by(Author { by: None }, question)
    }

    /// Runs a request to the host for an author.
    pub(super) fn ask_by<T>(
        self,
        author: Author,
        question: impl AsyncFnOnce(AdminClient) -> Result<T>,
    ) -> Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let client = self.client_of(author.by.unwrap_or_else(login))?;
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
