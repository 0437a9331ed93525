//! `tidegate delayed`: messages that a module has asked to be sent later.

use anyhow::Result;
use clap::{Args, Subcommand};

use super::{
    host::{Author, Host},
    listing::{Listing, Page},
    output::{json, plain, say, say_rest, table},
};
use crate::message::ModuleName;

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
    #[command(flatten)]
    listing: Listing,
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
    let ListArguments { name, listing } = arguments;
    let (as_json, mut total) = (listing.json, 0);
    let (messages, _) = listing.read(None, async |client, cursor, room| {
        let page = client.delayed(&name, cursor, room).await?;
        total = page.total;
        Ok(Page { entries: page.messages, next: page.cursor })
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
    say_rest(total, messages.len())
}
