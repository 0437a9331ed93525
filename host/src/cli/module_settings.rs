//! `tidegate settings`: shows the settings of a module on a host, and changes single ones.

use std::io::Write as _;

use anyhow::Result;
use clap::Args;
use serde_json::{Map, Value};

use super::{
    host::{Author, Host},
    output::{json, plain},
};
use crate::message::ModuleName;

/// The arguments of `settings`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The module
    #[arg(value_name = "NAME", value_parser = ModuleName::parse)]
    name: ModuleName,
    /// Settings to change, as under [modules.NAME], such as limits.fuel=2000000000 or
    /// grants.environment.MODE=test; nothing behind the = takes one away
    #[arg(value_name = "KEY=VALUE", value_parser = assignment)]
    changes: Vec<Value>,
    #[command(flatten)]
    author: Author,
    #[command(flatten)]
    host: Host,
    /// Print the settings as JSON
    #[arg(long)]
    json: bool,
}

/// Shows settings after changing those that are given.
pub(super) fn run(arguments: Arguments) -> Result<()> {
    let Arguments { name, changes, author, host, json: as_json } = arguments;
    let mut patch = Value::Object(Map::new());
    for change in changes {
        merge(&mut patch, change);
    }
    host.ask_by(author, async |client| {
        let settings = match patch.as_object().is_some_and(Map::is_empty) {
            true => client.settings(&name).await?,
            false => client.patch_settings(&name, &patch).await?,
        };
        if as_json {
            return json(&settings);
        }
        let mut lines = Vec::new();
        flatten("", &settings, &mut lines);
        let mut out = std::io::stdout().lock();
        if lines.is_empty() {
            writeln!(out, "{name} has no settings of its own: those of tidegate.toml hold")?;
        }
        for line in lines {
            writeln!(out, "{}", plain(&line))?;
        }
        Ok(())
    })
}

/// Reads `KEY=VALUE`: the key as TOML writes it, the value as TOML or as a plain text.
fn assignment(text: &str) -> Result<Value, String> {
    let (key, value) = text
        .split_once('=')
        .filter(|(key, _)| !key.trim().is_empty())
        .ok_or("give KEY=VALUE, such as limits.fuel=2000000000")?;
    let read = |value: &str| toml::from_str::<toml::Table>(&format!("{key} = {value}\n")).ok();
    // A text of JSON is one of TOML, too.
    let quoted = Value::from(value).to_string();
    let is_variable = ["grants.environment.", "grants.secrets."].map(|it| key.starts_with(it));
    let as_written = read(value).filter(|table| match leaf(table) {
        // No setting is a moment: it is a text that looks like one.
        Some(toml::Value::Datetime(_)) => false,
        Some(toml::Value::String(_)) => true,
        _ => is_variable == [false, false],
    });
    let table = as_written.or_else(|| read(&quoted)).ok_or_else(|| {
        format!(
            "{key:?} is not the name of a setting; write names with dots in quotes, as in \
             retries.\"tide.work\"=3"
        )
    })?;
    let mut change = serde_json::to_value(table).map_err(|error| error.to_string())?;
    if value.trim().is_empty() {
        take_away(&mut change);
    }
    Ok(change)
}

/// Replaces a value by null, which takes the setting away.
fn take_away(value: &mut Value) {
    match value {
        Value::Object(fields) if !fields.is_empty() => fields.values_mut().for_each(take_away),
        leaf => *leaf = Value::Null,
    }
}

/// The value behind a dotted key.
fn leaf(table: &toml::Table) -> Option<&toml::Value> {
    match table.values().next()? {
        toml::Value::Table(inner) => leaf(inner),
        value => Some(value),
    }
}

/// Adds one change to others.
fn merge(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                merge(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}

/// A line for each setting, in the form that is given.
fn flatten(prefix: &str, value: &Value, lines: &mut Vec<String>) {
    let Value::Object(fields) = value else {
        let shown = match value {
            // Values of secrets are shown to nobody.
            Value::Null => "(kept, not shown)".to_owned(),
            other => other.to_string(),
        };
        lines.push(format!("{prefix}={shown}"));
        return;
    };
    for (name, value) in fields {
        let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let name = match !name.is_empty() && name.chars().all(bare) {
            true => name.clone(),
            false => Value::from(name.as_str()).to_string(),
        };
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        flatten(&key, value, lines);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_what_toml_says_or_a_text_and_nothing_takes_away() {
        for (text, expected) in [
            ("reuse=10", json!({"reuse": 10})),
            ("limits.fuel=2_000", json!({"limits": {"fuel": 2000}})),
            ("limits.deadline=5s", json!({"limits": {"deadline": "5s"}})),
            ("limits.memory=64MiB", json!({"limits": {"memory": "64MiB"}})),
            ("on_fault=continue", json!({"on_fault": "continue"})),
            (
                "grants.environment.A=b=c \"d\"",
                json!({"grants": {"environment": {"A": "b=c \"d\""}}}),
            ),
            ("files.\"/a\"=site", json!({"files": {"/a": "site"}})),
            ("retries.\"tide.work\"=3", json!({"retries": {"tide.work": 3}})),
            ("grants.channels=[\"a\"]", json!({"grants": {"channels": ["a"]}})),
            ("grants.environment.PORT=8080", json!({"grants": {"environment": {"PORT": "8080"}}})),
            (
                "grants.environment.DAY=2026-01-31",
                json!({"grants": {"environment": {"DAY": "2026-01-31"}}}),
            ),
            ("limits.fuel=", json!({"limits": {"fuel": null}})),
        ] {
            assert_eq!(assignment(text), Ok(expected), "{text}");
        }
        for text in ["reuse", "=1", "a b=1", "a..b=1"] {
            assert!(assignment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_given_again() {
        let settings =
            json!({"reuse": 2, "retries": {"a.b": 3}, "grants": {"secrets": {"K": null}}});
        let mut lines = Vec::new();
        flatten("", &settings, &mut lines);
        assert_eq!(lines, ["grants.secrets.K=(kept, not shown)", "retries.\"a.b\"=3", "reuse=2"]);
    }
}
