//! `TIDEGATE_*`: every setting under its name in upper case, sections joined with `_`.

use std::net::{IpAddr, SocketAddr};

use toml::{Table, Value};

use super::{Layers, error::ConfigError};

const PREFIX: &str = "TIDEGATE_";
/// Sections whose name begins a variable's.
const SECTIONS: [&str; 9] =
    ["limits", "sessions", "tls", "interface", "drain", "layer", "breaker", "upload", "fetch"];
/// Begins the name of the variable of a setting of `[auth.NAME]`.
const AUTH: &str = "auth_";
/// Variables that are no settings.
const OTHERS: [&str; 2] = ["TIDEGATE_CONFIG", "TIDEGATE_TOKEN"];

/// What a Service of Kubernetes speaks.
const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];

/// Adds what the environment sets. `TIDEGATE_MODULES` is a list such as `chat=chat.wasm,echo=e.wasm`.
pub fn from_environment(
    layers: &mut Layers,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<(), ConfigError> {
    for (name, value) in variables {
        let Some(key) = name.strip_prefix(PREFIX).map(str::to_ascii_lowercase) else { continue };
        if OTHERS.contains(&name.as_str()) || is_of_service(&key, &value) {
            continue;
        }
        if key == "modules" {
            let modules = Value::Table(modules(&name, &value)?);
            layers.add(&name, Table::from_iter([(key, modules)]))?;
            continue;
        }
        let as_it_reads = layers.add(&name, setting(&key, typed(&value)));
        // A text may look like a number, and a variable has no quotes.
        as_it_reads.or_else(|error| {
            layers.add(&name, setting(&key, Value::String(value))).map_err(|_| error)
        })?;
    }
    Ok(())
}

/// A setting under the name of its variable.
fn setting(key: &str, value: Value) -> Table {
    let table = |name: &str, value| Table::from_iter([(name.to_owned(), value)]);
    // The name of a section in upper case has no `_` of its own.
    if let Some((name, rest)) = key.strip_prefix(AUTH).and_then(|rest| rest.split_once('_')) {
        let section = table(name, Value::Table(table(rest, value)));
        return table("auth", Value::Table(section));
    }
    let section = SECTIONS.iter().find_map(|section| Some((section, key.strip_prefix(section)?)));
    match section.and_then(|(section, rest)| Some((section, rest.strip_prefix('_')?))) {
        Some((section, rest)) => {
            let inner = Table::from_iter([(rest.to_owned(), value)]);
            Table::from_iter([((*section).to_owned(), Value::Table(inner))])
        }
        None => Table::from_iter([(key.to_owned(), value)]),
    }
}

/// Whether Kubernetes sets the variable for a Service whose name begins with `tidegate`, as it does in
/// each Pod of the Service's namespace. Name and value have forms that no setting has.
fn is_of_service(key: &str, value: &str) -> bool {
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    let is_protocol = |text: &str| PROTOCOLS.contains(&text.to_ascii_lowercase().as_str());
    let is_address = || value.parse::<IpAddr>().is_ok();
    let is_url = || {
        value.split_once("://").is_some_and(|(protocol, address)| {
            is_protocol(protocol) && address.parse::<SocketAddr>().is_ok()
        })
    };
    // The words before belong to the name of the Service, as in `tidegate-worker`.
    match key.split('_').collect::<Vec<_>>().as_slice() {
        [.., "service", "host"] => is_address(),
        [.., "service", "port"] => is_port(value),
        [.., "port", number, of] if is_port(number) && is_protocol(of) => is_url(),
        [.., "port", number, of, what] if is_port(number) && is_protocol(of) => match *what {
            "proto" => is_protocol(value),
            "port" => is_port(value),
            "addr" => is_address(),
            _ => false,
        },
        [.., "port"] => is_url(),
        // A port with a name.
        words => words.windows(2).any(|pair| pair == ["service", "port"]) && is_port(value),
    }
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
