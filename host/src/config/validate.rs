//! From settings as written to settings that can be worked with.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    Config, ModuleConfig,
    checks::{at_least_one, cap, positive, size, span},
    error::{Checked, ConfigError},
    file::{RawBreaker, RawConfig, RawLayer, RawLimits, RawModule},
    interface,
};
use crate::{
    engine::Limits,
    layer::{Capacities, LayerConfig},
    message::ModuleName,
    registry::ModuleSettings,
    routing::{Files, PrefixError},
    worker::{BreakerConfig, WorkerConfig},
};

/// What a message holds besides a body.
const MESSAGE_EXTRA: usize = 64 * 1024;
/// The largest memory of an instance: the ceiling of the pool's shape.
const MEMORY_CEILING: usize = 256 * 1024 * 1024;

pub(super) fn config(raw: RawConfig) -> Checked<Config> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let slots = at_least_one("slots", raw.slots, cores * 4)?;
    let drain = interface::drain(&raw.drain)?;
    let interface_config = interface::config(&raw.interface, drain)?;
    let message_bytes =
        interface_config.body_bytes.max(interface_config.frame_bytes) + MESSAGE_EXTRA;
    let defaults = Limits { message_bytes, ..Limits::default() };
    let limits = limits("limits", &raw.limits, &defaults)?;
    let tls = raw.tls.map(interface::tls).transpose()?;
    let admin = raw.admin.unwrap_or_else(|| "127.0.0.1:8001".parse().expect("a fixed address"));
    Ok(Config {
        listen: interface::endpoints(raw.listen, tls.is_some())?,
        tls,
        admin,
        data_dir: raw.data_dir.unwrap_or_else(|| "tidegate-data".into()),
        modules: modules(raw.modules, &limits)?,
        interface: interface_config,
        layer: layer(&raw.layer, message_bytes)?,
        worker: match raw.worker {
            Some(false) => None,
            _ => Some(WorkerConfig { slots, breaker: breaker(&raw.breaker)? }),
        },
        log: raw.log.unwrap_or_else(|| "info".to_owned()),
    })
}

fn modules(raw: BTreeMap<String, RawModule>, limits: &Limits) -> Checked<Vec<ModuleConfig>> {
    raw.into_iter().map(|(name, raw)| module(&name, raw, limits)).collect()
}

fn module(name: &str, raw: RawModule, over: &Limits) -> Checked<ModuleConfig> {
    let place = format!("modules.{name}");
    let valid = ModuleName::parse(name)
        .map_err(|error| ConfigError::new(&place, &format!("a module's name: {error}")))?;
    let file = raw.file.ok_or_else(|| {
        ConfigError::new(&place, &format!("has no file; set `file`, or give --module {name}=FILE"))
    })?;
    let default = ModuleSettings::default();
    let event_expiry = format!("{place}.event_expiry");
    let reuse = raw.reuse.map(|reuse| reuse as usize);
    let reuse = at_least_one(&format!("{place}.reuse"), reuse, 1)?;
    Ok(ModuleConfig {
        name: valid,
        file,
        settings: ModuleSettings {
            limits: limits(&format!("{place}.limits"), &raw.limits, over)?,
            reuse: u32::try_from(reuse).unwrap_or(u32::MAX),
            event_expiry: span(&event_expiry, raw.event_expiry, default.event_expiry)?,
            on_fault: raw.on_fault.unwrap_or_default(),
            files: files(&format!("{place}.files"), raw.files)?,
        },
    })
}

fn files(place: &str, raw: BTreeMap<String, PathBuf>) -> Checked<Vec<Files>> {
    raw.into_iter()
        .map(|(prefix, directory)| {
            let place = format!("{place}.{prefix:?}");
            let prefix = prefix
                .parse()
                .map_err(|error: PrefixError| ConfigError::new(&place, &error.to_string()))?;
            if !directory.is_dir() {
                let problem = format!("{} is no directory", directory.display());
                return Err(ConfigError::new(&place, &problem));
            }
            Ok(Files { prefix, directory })
        })
        .collect()
}

fn limits(place: &str, raw: &RawLimits, below: &Limits) -> Checked<Limits> {
    let key = |name: &str| format!("{place}.{name}");
    let memory = size(&key("memory"), raw.memory, below.memory)?;
    if memory > MEMORY_CEILING {
        return Err(ConfigError::new(
            &key("memory"),
            &format!("{memory} bytes are too many; an instance has at most {MEMORY_CEILING}"),
        ));
    }
    Ok(Limits {
        fuel: positive(&key("fuel"), raw.fuel, below.fuel)?,
        deadline: span(&key("deadline"), raw.deadline, below.deadline)?,
        memory,
        outbox_messages: at_least_one(
            &key("outbox_messages"),
            raw.outbox_messages,
            below.outbox_messages,
        )?,
        outbox_bytes: size(&key("outbox_bytes"), raw.outbox_bytes, below.outbox_bytes)?,
        log_bytes: size(&key("log_bytes"), raw.log_bytes, below.log_bytes)?,
        host_calls: positive(&key("host_calls"), raw.host_calls, below.host_calls)?,
        state_bytes: below.state_bytes,
        message_bytes: below.message_bytes,
    })
}

fn layer(raw: &RawLayer, message_bytes: usize) -> Checked<LayerConfig> {
    let d = LayerConfig::default();
    let capacity = at_least_one("layer.capacity", raw.capacity, 100)?;
    let mut patterns = Vec::new();
    for (pattern, value) in &raw.capacities {
        let place = format!("layer.capacities.{pattern:?}");
        let messages = value.as_integer().and_then(|n| usize::try_from(n).ok());
        let Some(messages) = messages else {
            return Err(ConfigError::new(&place, "it is not a number of messages"));
        };
        patterns.push((pattern.as_str(), at_least_one(&place, Some(messages), 1)?));
    }
    // What is built in comes last: the first pattern that matches decides.
    patterns.push(("websocket.receive.*", 1_000));
    Ok(LayerConfig {
        message_bytes,
        capacities: Capacities::new(capacity, patterns)
            .map_err(|error| ConfigError::new("layer.capacities", &error.to_string()))?,
        expiry: span("layer.expiry", raw.expiry, d.expiry)?,
        group_expiry: span("layer.group_expiry", raw.group_expiry, d.group_expiry)?,
        groups_per_connection: cap(
            "layer.groups_per_connection",
            raw.groups_per_connection,
            d.groups_per_connection,
        )?,
        inbox_bytes: size("layer.inbox_bytes", raw.inbox_bytes, d.inbox_bytes)?,
        delayed_messages: at_least_one(
            "layer.delayed_messages",
            raw.delayed_messages,
            d.delayed_messages,
        )?,
        total_bytes: size("layer.total_bytes", raw.total_bytes, d.total_bytes)?,
    })
}

fn breaker(raw: &RawBreaker) -> Checked<BreakerConfig> {
    let d = BreakerConfig::default();
    Ok(BreakerConfig {
        enabled: raw.enabled.unwrap_or(d.enabled),
        faults: at_least_one("breaker.faults", raw.faults, d.faults)?,
        window: span("breaker.window", raw.window, d.window)?,
        pause: span("breaker.pause", raw.pause, d.pause)?,
        longest_pause: span("breaker.longest_pause", raw.longest_pause, d.longest_pause)?,
    })
}
