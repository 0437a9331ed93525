//! `tidegate delayed`: messages that a module has asked to be sent later.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};

use super::{
    host::{Author, Host},
    output::{json, plain, table},
};
use crate::{config::ConfigError, message::ModuleName};

/// Messages that a host gives at once.
const PAGE: usize = 1_000;

/// The commands on messages to be sent later.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List messages to be sent later, in the order in which they are due.
    List(ListArguments),
    /// Cancel a message by its key.
    Cancel(CancelArguments),
}

/// The arguments of `delayed list`.
#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// The module
    #[arg(value_name = "NAME", value_parser = ModuleName::parse)]
    name: ModuleName,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    host: Host,
    /// Print each as a line of JSON
    #[arg(long)]
    json: bool,
}

/// The arguments of `delayed cancel`.
#[derive(Debug, Args)]
pub(super) struct CancelArguments {
    /// The module
    #[arg(value_name = "NAME", value_parser = ModuleName::parse)]
    name: ModuleName,
    /// The key that the module gave it
    #[arg(value_name = "KEY")]
    key: String,
    #[command(flatten)]
    author: Author,
    #[command(flatten)]
    host: Host,
}

/// Runs one of the commands.
pub(super) fn run(command: Command) -> Result<()> {
    match command {
        Command::List(arguments) => list(arguments),
        Command::Cancel(CancelArguments { name, key, author, host }) => {
            host.ask_by(author, async |client| Ok(client.cancel_delayed(&name, &key).await?))?;
            say(&format!("{name}: nothing is sent later by the key {}", plain(&key)))
        }
    }
}

fn list(arguments: ListArguments) -> Result<()> {
    let ListArguments { name, limit, host, json: as_json } = arguments;
    if limit == 0 {
        return Err(ConfigError::new("--limit", "it is 0; give at least 1").into());
    }
    let (messages, total) = host.ask(async |client| {
        let (mut messages, mut cursor) = (Vec::new(), None);
        loop {
            let room = (limit - messages.len()).min(PAGE);
            let page = client.delayed(&name, cursor.as_deref(), room).await?;
            messages.extend(page.messages);
            if page.cursor.is_none() || messages.len() >= limit {
                return Ok((messages, page.total));
            }
            cursor = page.cursor;
        }
    })?;
    if as_json {
        return messages.iter().try_for_each(json);
    }
    let head = ["DUE", "CHANNEL", "KEY"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(messages.iter().map(|message| {
        let key = plain(message.key.as_deref().unwrap_or("-"));
        vec![plain(&message.due_at), plain(&message.channel), key]
    }));
    table(&rows)?;
    let left = total.saturating_sub(messages.len() as u64);
    if left > 0 { say(&format!("{left} more; give --limit")) } else { Ok(()) }
}

fn say(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").context("standard output is closed")
}
