//! The names of all settings, as they stand in `tidegate.toml`.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, de::IgnoredAny};

use super::{
    auth::RawAuth,
    error::ConfigError,
    sessions::RawSessions,
    units::{Cap, Secret, Size, Span, Words},
};
use crate::{
    interface::Forwarding,
    registry::{Written, WrittenLimits},
    setting::with_suggestion,
    telemetry::LogFormat,
};

/// Everything that can be set. What is missing has a default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawConfig {
    pub(super) listen: Option<Words>,
    pub(super) admin: Option<SocketAddr>,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) compiled_dir: Option<PathBuf>,
    pub(super) slots: Option<usize>,
    pub(super) worker: Option<bool>,
    pub(super) log: Option<String>,
    pub(super) log_format: Option<LogFormat>,
    pub(super) modules: BTreeMap<String, Written>,
    pub(super) limits: WrittenLimits,
    pub(super) auth: BTreeMap<String, RawAuth>,
    pub(super) sessions: Option<RawSessions>,
    pub(super) tls: Option<RawTls>,
    pub(super) interface: RawInterface,
    pub(super) drain: RawDrain,
    pub(super) layer: RawLayer,
    pub(super) breaker: RawBreaker,
    pub(super) upload: RawUpload,
    pub(super) fetch: RawFetch,
    /// `[build]`, which `tidegate build` and `tidegate dev` read.
    #[serde(rename = "build")]
    pub(super) _build: Option<IgnoredAny>,
}

/// `[tls]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

/// `[drain]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDrain {
    pub(super) delay: Option<Span>,
    pub(super) grace: Option<Span>,
    pub(super) rate: Option<u32>,
}

/// `[interface]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawInterface {
    pub(super) root_path: Option<String>,
    pub(super) unix_mode: Option<String>,
    pub(super) unix_owner: Option<String>,
    pub(super) trusted_proxies: Option<Words>,
    pub(super) forwarding: Option<Forwarding>,
    pub(super) proxy_protocol: Option<bool>,
    pub(super) origins: Option<Words>,
    pub(super) body_bytes: Option<Size>,
    pub(super) frame_bytes: Option<Size>,
    pub(super) inbound_frames: Option<usize>,
    pub(super) inbound_bytes: Option<Size>,
    pub(super) websocket_unsent: Option<Size>,
    pub(super) http_unsent: Option<Size>,
    pub(super) handshake_timeout: Option<Span>,
    pub(super) header_timeout: Option<Span>,
    pub(super) keep_alive_timeout: Option<Span>,
    pub(super) body_timeout: Option<Span>,
    pub(super) write_timeout: Option<Span>,
    pub(super) close_timeout: Option<Span>,
    pub(super) ping_interval: Option<Span>,
    pub(super) ping_timeout: Option<Span>,
    pub(super) idle_timeout: Option<Span>,
    pub(super) maximum_age: Option<Span>,
    pub(super) connections: Option<Cap>,
    pub(super) connections_per_address: Option<Cap>,
    pub(super) connections_per_second: Option<Cap>,
    pub(super) frames_per_second: Option<Cap>,
    pub(super) holds: Option<Cap>,
    pub(super) uri_bytes: Option<Size>,
    pub(super) header_count: Option<usize>,
    pub(super) header_bytes: Option<Size>,
    pub(super) streams: Option<u32>,
    pub(super) sockets: Option<u32>,
    pub(super) dry_run: Option<bool>,
}

/// `[layer]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLayer {
    pub(super) url: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) sentinel_username: Option<String>,
    pub(super) sentinel_password: Option<Secret>,
    pub(super) sentinel_tls: Option<bool>,
    pub(super) prefix: Option<String>,
    pub(super) partitions: Option<usize>,
    pub(super) lease: Option<Span>,
    pub(super) timeout: Option<Span>,
    pub(super) retry_pause: Option<Span>,
    pub(super) capacity: Option<usize>,
    pub(super) capacities: toml::Table,
    pub(super) expiry: Option<Span>,
    pub(super) group_expiry: Option<Span>,
    pub(super) groups_per_connection: Option<Cap>,
    pub(super) presence_members: Option<usize>,
    pub(super) inbox_bytes: Option<Size>,
    pub(super) delayed_messages: Option<usize>,
    pub(super) total_bytes: Option<Size>,
}

/// `[breaker]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawBreaker {
    pub(super) enabled: Option<bool>,
    pub(super) faults: Option<usize>,
    pub(super) window: Option<Span>,
    pub(super) pause: Option<Span>,
    pub(super) longest_pause: Option<Span>,
}

/// `[fetch]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawFetch {
    pub(super) enabled: Option<bool>,
    pub(super) in_flight: Option<usize>,
    pub(super) in_flight_per_module: Option<usize>,
    pub(super) in_flight_per_server: Option<usize>,
    pub(super) authorities: Option<PathBuf>,
}

/// `[upload]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawUpload {
    pub(super) bytes: Option<Size>,
    pub(super) functions: Option<usize>,
    pub(super) data_bytes: Option<Size>,
    pub(super) modules: Option<usize>,
    pub(super) nesting: Option<usize>,
    pub(super) routes: Option<usize>,
    pub(super) compile_memory: Option<Size>,
    pub(super) compile_time: Option<Span>,
    pub(super) signers: Option<Words>,
}

/// Reads a file; an error says the line.
pub(super) fn parse(path: &str, text: &str) -> Result<toml::Table, ConfigError> {
    let wrong = |error: toml::de::Error| {
        let line = error.span().map_or(1, |span| 1 + text.get(..span.start).map_or(0, lines));
        ConfigError::new(&format!("{path} line {line}"), &with_suggestion(error.message()))
    };
    toml::from_str::<RawConfig>(text).map_err(wrong)?;
    toml::from_str(text).map_err(wrong)
}

fn lines(text: &str) -> usize {
    text.matches('\n').count()
}

/// Checks the names and types in a table.
pub(super) fn check(source: &str, table: &toml::Table) -> Result<(), ConfigError> {
    read(source, table.clone()).map(drop)
}

/// Reads a table.
pub(super) fn read(source: &str, table: toml::Table) -> Result<RawConfig, ConfigError> {
    table.try_into().map_err(|error: toml::de::Error| {
        ConfigError::new(source, &with_suggestion(error.message()))
    })
}
