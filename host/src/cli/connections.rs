//! `tidegate connections` and `tidegate close`: connections of all processes behind a host.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use clap::Args;

use super::{
    host::{Author, Host},
    listing::{Listing, Page},
    output::{json, plain, say, say_rest, table},
};
use crate::{
    admin::client::{AskError, CloseFrame, Connection, ConnectionFilter, SilentNode},
    config::ConfigError,
    message::{ChannelName, GroupName, ModuleName},
};

/// Selects connections.
#[derive(Debug, Args)]
pub(super) struct Selected {
    /// Of a module
    #[arg(long, value_name = "NAME", value_parser = ModuleName::parse)]
    module: Option<ModuleName>,
    /// Members of a group
    #[arg(long, value_name = "GROUP", value_parser = GroupName::parse)]
    group: Option<GroupName>,
    /// Of a user
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// http or websocket
    #[arg(long, value_name = "PROTOCOL", value_parser = ["http", "websocket"])]
    protocol: Option<String>,
}

impl Selected {
    fn into_filter(self) -> ConnectionFilter {
        let Self { module, group, user, protocol } = self;
        let (module, group) = (module.map(|it| it.to_string()), group.map(|it| it.to_string()));
        ConnectionFilter { module, group, user, protocol }
    }
}

/// The arguments of `connections`.
#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// One connection by its reply channel, with its groups
    #[arg(value_name = "CONNECTION", value_parser = reply_channel, conflicts_with_all = ["module", "group", "user", "protocol"])]
    connection: Option<ChannelName>,
    #[command(flatten)]
    selected: Selected,
    #[command(flatten)]
    listing: Listing,
}

/// The arguments of `close`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true)
    .args(["connection", "module", "group", "user"]))]
pub(super) struct CloseArguments {
    /// One connection by its reply channel
    #[arg(value_name = "CONNECTION", value_parser = reply_channel, conflicts_with_all = ["module", "group", "user", "protocol"])]
    connection: Option<ChannelName>,
    #[command(flatten)]
    selected: Selected,
    /// The close code: 1000, or 3000 to 4999 [default: 1000]
    #[arg(long, value_name = "CODE")]
    code: Option<u16>,
    /// The reason in the close frame
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    author: Author,
    #[command(flatten)]
    host: Host,
}

fn reply_channel(text: &str) -> Result<ChannelName, String> {
    let channel = ChannelName::parse(text).map_err(|error| error.to_string())?;
    match channel.is_reply_channel() {
        true => Ok(channel),
        false => Err("it is not a reply channel, such as NODE!CONNECTION".to_owned()),
    }
}

/// Lists connections, or shows one.
pub(super) fn list(arguments: ListArguments) -> Result<()> {
    let ListArguments { connection, selected, listing } = arguments;
    let as_json = listing.json;
    if let Some(channel) = connection {
        let connection =
            listing.host.ask(async |client| Ok(client.connection(&channel).await?))?;
        return if as_json { json(&connection) } else { show(&connection) };
    }
    let filter = selected.into_filter();
    let (mut total, mut unanswered) = (0, Vec::new());
    let (connections, _) = listing.read(None, async |client, cursor, room| {
        let page = client.connections(&filter, cursor, room).await?;
        (total, unanswered) = (page.total, page.unanswered);
        Ok(Page { entries: page.connections, next: page.cursor })
    })?;
    if as_json {
        connections.iter().try_for_each(json)?;
    } else {
        let head = ["CONNECTION", "PROTOCOL", "MODULE", "PATH", "USER", "CLIENT", "SINCE"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(connections.iter().map(row));
        table(&rows)?;
        say_rest(total, connections.len())?;
    }
    notice(&unanswered, "its connections are missing")
}

fn row(of: &Connection) -> Vec<String> {
    let user = of.user.as_deref().unwrap_or("-");
    let cells = [&*of.connection, &of.protocol, &of.module, &of.path, user, &of.client, &of.since];
    cells.map(plain).to_vec()
}

fn show(connection: &Connection) -> Result<()> {
    let groups = connection.groups.as_ref().map(|groups| groups.join(" ")).unwrap_or_default();
    let unsent = format!("{} bytes", connection.unsent_bytes);
    let lines = [
        ("connection", &*connection.connection),
        ("protocol", &connection.protocol),
        ("module", &connection.module),
        ("consumer", &connection.consumer),
        ("path", &connection.path),
        ("user", connection.user.as_deref().unwrap_or("-")),
        ("client", &connection.client),
        ("since", &connection.since),
        ("groups", &groups),
        ("waits for the client", &unsent),
        ("correlation id", &connection.correlation_id),
    ];
    table(&lines.map(|(name, value)| vec![name.to_owned(), plain(value)]))
}

/// Closes connections.
pub(super) fn close(arguments: CloseArguments) -> Result<()> {
    let CloseArguments { connection, selected, code, reason, author, host } = arguments;
    let (filter, frame) = (selected.into_filter(), CloseFrame { code, reason });
    let closing = host.ask_by(author, async |client| {
        let closing = match &connection {
            Some(channel) => client.close_connection(channel, &frame).await,
            None => client.close_connections(&filter, &frame).await,
        };
        closing.map_err(refusal)
    })?;
    say(&format!("{} connections are being closed", closing.closing))?;
    notice(&closing.unanswered, "whether it closes connections is not known")
}

/// Turns a host's refusal of code or reason into a usage error.
fn refusal(error: AskError) -> anyhow::Error {
    match &error {
        AskError::Refused { problem, .. } if problem.code == "close" => {
            ConfigError::new("the close frame", &error.to_string()).into()
        }
        _ => error.into(),
    }
}

/// Says beside the results which processes did not answer.
fn notice(unanswered: &[SilentNode], what: &str) -> Result<()> {
    for SilentNode { node, reason, .. } in unanswered {
        let line = format!("tidegate: {} did not answer ({}): {what}", plain(node), plain(reason));
        writeln!(std::io::stderr(), "{line}").context("standard error is closed")?;
    }
    Ok(())
}
