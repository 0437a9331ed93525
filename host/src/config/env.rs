//! `TIDEGATE_*`: every setting under its name in upper case, sections joined with `_`.

use toml::{Table, Value};

use super::{Layers, error::ConfigError};

const PREFIX: &str = "TIDEGATE_";
/// Sections whose name begins a variable's.
const SECTIONS: [&str; 7] = ["limits", "tls", "interface", "drain", "layer", "breaker", "upload"];
/// Variables that are no settings.
const OTHERS: [&str; 2] = ["TIDEGATE_CONFIG", "TIDEGATE_TOKEN"];

/// Adds what the environment sets. `TIDEGATE_MODULES` is a list such as `chat=chat.wasm,echo=e.wasm`.
pub fn from_environment(
    layers: &mut Layers,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<(), ConfigError> {
    for (name, value) in variables {
        let Some(key) = name.strip_prefix(PREFIX).map(str::to_ascii_lowercase) else { continue };
        if OTHERS.contains(&name.as_str()) {
            continue;
        }
        let section =
            SECTIONS.iter().find_map(|section| Some((section, key.strip_prefix(section)?)));
        let mut table = Table::new();
        match section.and_then(|(section, rest)| Some((section, rest.strip_prefix('_')?))) {
            Some((section, rest)) => {
                let value = if is_login(rest) { Value::String(value) } else { typed(&value) };
                let inner = Table::from_iter([(rest.to_owned(), value)]);
                table.insert((*section).to_owned(), Value::Table(inner));
            }
            None if key == "modules" => {
                table.insert(key, Value::Table(modules(&name, &value)?));
            }
            None => {
                table.insert(key, typed(&value));
            }
        }
        layers.add(&name, table)?;
    }
    Ok(())
}

fn modules(name: &str, list: &str) -> Result<Table, ConfigError> {
    list.split(',')
        .map(|item| match item.trim().split_once('=') {
            Some((module, file)) => {
                let file = Table::from_iter([("file".to_owned(), Value::from(file))]);
                Ok((module.to_owned(), Value::Table(file)))
            }
            None => Err(ConfigError::new(name, &format!("{item:?} is not NAME=FILE"))),
        })
        .collect()
}

/// Whether a setting is a text also where it reads like a number, such as the password `007`.
fn is_login(key: &str) -> bool {
    key.ends_with("username") || key.ends_with("password")
}

/// A number or a truth value where it reads like one.
fn typed(value: &str) -> Value {
    if let Ok(number) = value.parse::<i64>() {
        return Value::Integer(number);
    }
    match value {
        "true" => Value::Boolean(true),
        "false" => Value::Boolean(false),
        _ => Value::String(value.to_owned()),
    }
}
