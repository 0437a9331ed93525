//! `tidegate dead-letters`: messages of channels with retries, after their last try.

use anyhow::Result;
use clap::{Args, Subcommand};

use super::{
    host::{Author, Host},
    listing::{Listing, Page},
    output::{json, plain, say, say_rest, table},
};
use crate::{
    admin::client::{DeadLetter, DeadLettersMoved},
    message::ChannelName,
};

/// Characters of a message in a list.
const MESSAGE_CHARACTERS: usize = 80;

/// The commands on dead letters.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List channels with dead letters, or the dead letters of one.
    List(ListArguments),
    /// Show one dead letter.
    Show(ShowArguments),
    /// Run dead letters again.
    Run(MoveArguments),
    /// Drop dead letters.
    Drop(MoveArguments),
}

/// The arguments of `dead-letters list`.
#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// The channel that they come from [default: list the channels]
    #[arg(value_name = "CHANNEL", value_parser = ChannelName::parse)]
    channel: Option<ChannelName>,
    #[command(flatten)]
    listing: Listing,
}

/// The arguments of `dead-letters show`.
#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// The channel that it comes from
    #[arg(value_name = "CHANNEL", value_parser = ChannelName::parse)]
    channel: ChannelName,
    /// Its id, as `list` shows it
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    host: Host,
}

/// The arguments of `dead-letters run` and `drop`.
#[derive(Debug, Args)]
pub(super) struct MoveArguments {
    /// The channel that they come from
    #[arg(value_name = "CHANNEL", value_parser = ChannelName::parse)]
    channel: ChannelName,
    /// The ids, as `list` shows them
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
    /// All of the channel
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    author: Author,
    #[command(flatten)]
    host: Host,
}

/// Runs one of the commands.
pub(super) fn run(command: Command) -> Result<()> {
    match command {
        Command::List(ListArguments { channel: None, listing }) => {
            channels(listing.host, listing.json)
        }
        Command::List(ListArguments { channel: Some(channel), listing }) => list(&channel, listing),
        Command::Show(ShowArguments { channel, id, host }) => host.ask(async |client| {
            let letter = client.dead_letter(&channel, &id).await?;
            json(&letter)
        }),
        Command::Run(arguments) => change(arguments, true),
        Command::Drop(arguments) => change(arguments, false),
    }
}

fn channels(host: Host, as_json: bool) -> Result<()> {
    let channels = host.ask(async |client| Ok(client.dead_letter_channels().await?))?;
    if as_json {
        return channels.iter().try_for_each(json);
    }
    let head = ["CHANNEL", "DEAD LETTERS", "OLDEST", "MODULE"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(channels.iter().map(|channel| {
        let seconds = std::time::Duration::from_secs(channel.oldest_ms / 1_000);
        vec![
            plain(&channel.channel),
            channel.messages.to_string(),
            humantime::format_duration(seconds).to_string(),
            plain(channel.module.as_deref().unwrap_or("none is active")),
        ]
    }));
    table(&rows)
}

fn list(channel: &ChannelName, listing: Listing) -> Result<()> {
    let (as_json, mut total) = (listing.json, 0);
    let (letters, _) = listing.read(None, async |client, cursor, room| {
        let page = client.dead_letters(channel, cursor, room).await?;
        total = page.total;
        Ok(Page { entries: page.messages, next: page.cursor })
    })?;
    if as_json {
        return letters.iter().try_for_each(json);
    }
    let head = ["ID", "DEAD SINCE", "CORRELATION ID", "MESSAGE"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(letters.iter().map(|letter| {
        vec![
            plain(&letter.id),
            plain(&letter.dead_since),
            plain(&letter.correlation_id),
            plain(&shown(letter)),
        ]
    }));
    table(&rows)?;
    say_rest(total, letters.len())
}

/// The beginning of a message.
fn shown(letter: &DeadLetter) -> String {
    let text = match (&letter.message, &letter.base64) {
        (Some(message), _) => message.to_string(),
        (None, base64) => base64.clone().unwrap_or_default(),
    };
    match text.char_indices().nth(MESSAGE_CHARACTERS) {
        Some((end, _)) => format!("{} …", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn change(arguments: MoveArguments, is_run: bool) -> Result<()> {
    let MoveArguments { channel, ids, all: _, author, host } = arguments;
    let done = if is_run { "run again" } else { "dropped" };
    if ids.is_empty() {
        let moved = host.ask_by(author, async |client| {
            Ok(match is_run {
                true => client.run_dead_letters(&channel).await?,
                false => client.drop_dead_letters(&channel).await?,
            })
        })?;
        let DeadLettersMoved { moved, left, full, .. } = moved;
        let why =
            if full { format!(", for which {channel} has no room now") } else { String::new() };
        return say(&format!("{moved} of {channel} are {done}, {left} are left{why}"));
    }
    host.ask_by(author, async |client| {
        for id in &ids {
            match is_run {
                true => client.run_dead_letter(&channel, id).await?,
                false => client.drop_dead_letter(&channel, id).await?,
            }
            say(&format!("{} of {channel} is {done}", plain(id)))?;
        }
        Ok(())
    })
}
