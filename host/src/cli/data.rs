//! `tidegate data`: looks at the data of a module on a host, and changes it.

use std::io::{BufRead as _, Write as _};

use anyhow::{Context as _, Error, Result};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{
    host::{Author, Host},
    listing::{Listing, Page},
    output::{json as print_json, plain, say, table},
};
use crate::{
    admin::client::{AskError, DataEntry},
    config::ConfigError,
    message::ModuleName,
};

/// Lines of an import, and bytes, that are sent at once.
const LINES_AT_ONCE: u64 = 1_000;
const BYTES_AT_ONCE: usize = 4 * 1024 * 1024;
/// Characters of a value in a list.
const VALUE_CHARACTERS: usize = 100;

/// The commands on the data of a module.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show a value.
    Get(GetArguments),
    /// Write a value.
    Set(SetArguments),
    /// List keys with their values.
    List(ListArguments),
    /// Delete a value.
    Delete(DeleteArguments),
    /// Show how much a module keeps, and may keep.
    Usage(UsageArguments),
    /// Print all data as lines of JSON.
    Export(ExportArguments),
    /// Write lines of an export from standard input; other keys stay.
    Import(ImportArguments),
}

/// The module.
#[derive(Debug, Args)]
struct Module {
    /// The module
    #[arg(value_name = "NAME", value_parser = ModuleName::parse)]
    name: ModuleName,
}

/// The arguments of `data get`.
#[derive(Debug, Args)]
pub(super) struct GetArguments {
    #[command(flatten)]
    module: Module,
    /// The key
    #[arg(value_name = "KEY")]
    key: String,
    #[command(flatten)]
    host: Host,
    /// Print the value as the admin API has it
    #[arg(long)]
    json: bool,
}

/// The arguments of `data set`.
#[derive(Debug, Args)]
pub(super) struct SetArguments {
    #[command(flatten)]
    module: Module,
    /// The key
    #[arg(value_name = "KEY")]
    key: String,
    /// The value as JSON, written as the SDK does
    #[arg(value_name = "VALUE", allow_negative_numbers = true)]
    value: String,
    /// The value is an integer
    #[arg(long, conflicts_with = "base64")]
    integer: bool,
    /// The value is bytes in Base64
    #[arg(long)]
    base64: bool,
    /// The number of the schema that the value follows [default: that of the value before, or 0]
    #[arg(long, value_name = "N")]
    schema: Option<u32>,
    /// How long the value lives, such as 5m [default: until it is changed]
    #[arg(long, value_name = "SPAN")]
    ttl: Option<String>,
    #[command(flatten)]
    author: Author,
    #[command(flatten)]
    host: Host,
}

/// The arguments of `data list`.
#[derive(Debug, Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    module: Module,
    /// Only keys that begin with it
    #[arg(value_name = "PREFIX", default_value = "")]
    prefix: String,
    /// Only keys behind this one
    #[arg(long, value_name = "KEY")]
    after: Option<String>,
    #[command(flatten)]
    listing: Listing,
}

/// The arguments of `data delete`.
#[derive(Debug, Args)]
pub(super) struct DeleteArguments {
    #[command(flatten)]
    module: Module,
    /// The key
    #[arg(value_name = "KEY")]
    key: String,
    #[command(flatten)]
    author: Author,
    #[command(flatten)]
    host: Host,
}

/// The arguments of `data usage`.
#[derive(Debug, Args)]
pub(super) struct UsageArguments {
    #[command(flatten)]
    module: Module,
    #[command(flatten)]
    host: Host,
    /// Print the usage as JSON
    #[arg(long)]
    json: bool,
}

/// The arguments of `data export`.
#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    #[command(flatten)]
    module: Module,
    #[command(flatten)]
    host: Host,
}

/// The arguments of `data import`.
#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    #[command(flatten)]
    module: Module,
    #[command(flatten)]
    author: Author,
    #[command(flatten)]
    host: Host,
}

/// Runs one of the commands.
pub(super) fn run(command: Command) -> Result<()> {
    match command {
        Command::Get(arguments) => get(arguments),
        Command::Set(arguments) => set(arguments),
        Command::List(arguments) => list(arguments),
        Command::Delete(arguments) => delete(arguments),
        Command::Usage(arguments) => usage(arguments),
        Command::Export(arguments) => export(arguments),
        Command::Import(arguments) => import(arguments),
    }
}

fn get(arguments: GetArguments) -> Result<()> {
    let GetArguments { module: Module { name }, key, host, json: as_json } = arguments;
    let entry = host.ask(async |client| client.data_value(&name, &key).await.map_err(refusal))?;
    if as_json { print_json(&entry) } else { say(&plain(&shown(&entry))) }
}

fn set(arguments: SetArguments) -> Result<()> {
    let body = body(&arguments)?.to_string();
    let SetArguments { module: Module { name }, key, author, host, .. } = arguments;
    host.ask_by(author, async |client| {
        client.set_data_value(&name, &key, body).await.map_err(refusal)
    })?;
    say(&format!("{name}: {} is set", plain(&key)))
}

/// Returns the body of the request.
fn body(arguments: &SetArguments) -> Result<Value> {
    let SetArguments { value, integer, base64, schema, ttl, .. } = arguments;
    let wrong = |problem: &str| ConfigError::new("VALUE", problem);
    let (kind, value) = if *integer {
        let integer: i64 = value.parse().map_err(|_| wrong("it is not an integer of 64 bits"))?;
        ("integer", json!(integer))
    } else if *base64 {
        ("base64", json!(value))
    } else {
        let value: Value = serde_json::from_str(value).map_err(|error| {
            wrong(&format!("it is not JSON ({error}); a text has quotes, such as '\"hello\"'"))
        })?;
        ("json", value)
    };
    let mut body = Map::from_iter([(kind.to_owned(), value)]);
    body.extend(schema.map(|schema| ("schema".to_owned(), schema.into())));
    body.extend(ttl.as_ref().map(|ttl| ("ttl".to_owned(), ttl.clone().into())));
    Ok(Value::Object(body))
}

fn list(arguments: ListArguments) -> Result<()> {
    let ListArguments { module, prefix, after, listing } = arguments;
    let (name, as_json) = (module.name, listing.json);
    let (entries, cursor) = listing.read(after, async |client, cursor, room| {
        let page = client.data_page(&name, &prefix, cursor, room).await;
        let page = page.map_err(refusal)?;
        Ok(Page { entries: page.entries, next: page.cursor })
    })?;
    if as_json {
        entries.iter().try_for_each(print_json)?;
    } else {
        table(&entries.iter().map(row).collect::<Vec<_>>())?;
    }
    if let Some(last) = cursor {
        let text = format!("tidegate: there may be more; --after {last:?} goes on");
        // A terminal that is gone shows nothing.
        drop(writeln!(std::io::stderr(), "{text}"));
    }
    Ok(())
}

fn row(entry: &DataEntry) -> Vec<String> {
    let value = shown(entry);
    let value = match value.char_indices().nth(VALUE_CHARACTERS) {
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
        None => value,
    };
    let ttl = entry.ttl.as_ref().map(|ttl| format!("(for {ttl})")).unwrap_or_default();
    vec![plain(&entry.key), plain(&value), plain(&ttl)]
}

/// Returns a value as `data set` takes it, or bytes in Base64.
fn shown(entry: &DataEntry) -> String {
    match (&entry.integer, &entry.json, &entry.base64) {
        (Some(integer), ..) => integer.to_string(),
        (None, Some(json), _) => json.to_string(),
        (None, None, base64) => base64.clone().unwrap_or_default(),
    }
}

fn delete(arguments: DeleteArguments) -> Result<()> {
    let DeleteArguments { module: Module { name }, key, author, host } = arguments;
    host.ask_by(author, async |client| {
        client.delete_data_value(&name, &key).await.map_err(refusal)
    })?;
    say(&format!("{name}: {} is deleted", plain(&key)))
}

fn usage(arguments: UsageArguments) -> Result<()> {
    let UsageArguments { module: Module { name }, host, json: as_json } = arguments;
    let usage = host.ask(async |client| client.data_usage(&name).await.map_err(refusal))?;
    if as_json {
        return print_json(&usage);
    }
    let row = |what: &str, there: u64, most: u64| {
        vec![what.to_owned(), there.to_string(), format!("of {most}")]
    };
    table(&[
        row("bytes", usage.bytes, usage.bytes_max),
        row("keys", usage.keys, usage.keys_max),
        row("messages to be relayed", usage.relayed, usage.relayed_max),
    ])
}

fn export(arguments: ExportArguments) -> Result<()> {
    let ExportArguments { module: Module { name }, host } = arguments;
    host.ask(async |client| {
        let mut lines = client.export_data(&name).await?;
        let mut out = std::io::stdout().lock();
        while let Some(bytes) = lines.next().await? {
            out.write_all(&bytes)?;
        }
        Ok(out.flush()?)
    })
}

fn import(arguments: ImportArguments) -> Result<()> {
    let ImportArguments { module: Module { name }, author, host } = arguments;
    let written = host.ask_by(author, async |client| {
        let mut input = std::io::stdin().lock();
        let mut written = 0;
        loop {
            let (mut bytes, mut lines) = (Vec::new(), 0);
            while lines < LINES_AT_ONCE
                && bytes.len() < BYTES_AT_ONCE
                && input.read_until(b'\n', &mut bytes).context("cannot read standard input")? > 0
            {
                lines += 1;
            }
            if lines == 0 {
                return Ok(written);
            }
            written += client.import_data(&name, written, bytes.into()).await.map_err(refusal)?;
        }
    })?;
    say(&format!("{name}: {written} lines are written"))
}

/// Turns a refusal of an argument into a usage error.
fn refusal(error: AskError) -> Error {
    let AskError::Refused { problem, .. } = &error else { return error.into() };
    let place = match &*problem.code {
        "key" => "KEY",
        "prefix" => "PREFIX",
        "cursor" => "--after",
        "value" | "too-large" => "the value",
        _ => return error.into(),
    };
    ConfigError::new(place, &error.to_string()).into()
}
