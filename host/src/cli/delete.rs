//! `tidegate delete`: deactivates a module on a host and deletes all its versions.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use clap::Args;

use super::host::{Author, Host};
use crate::message::ModuleName;

/// The arguments of `delete`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The module
    #[arg(value_name = "NAME", value_parser = ModuleName::parse)]
    name: ModuleName,
    /// Delete its data as well
    #[arg(long)]
    delete_data: bool,
    #[command(flatten)]
    author: Author,
    #[command(flatten)]
    host: Host,
}

/// Deletes a module.
pub(super) fn run(arguments: Arguments) -> Result<()> {
    let Arguments { name, delete_data, author, host } = arguments;
    host.ask_by(author, async |client| Ok(client.delete(&name, delete_data).await?))?;
    let data = if delete_data { "and so is its data" } else { "its data stays" };
    writeln!(std::io::stdout(), "{name} is deleted, {data}").context("standard output is closed")
}
