//! Answers of a host, as `--json` prints them.
//!
//! Unknown fields of a newer host are left out; fields that an older one lacks are empty.

use serde::{Deserialize, Deserializer, Serialize};

/// A version is active.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Deployed {
    /// The module.
    pub module: String,
    /// The active version.
    pub version: u64,
    /// The SHA-256 of its file, in hexadecimal.
    pub digest: String,
    /// Whether another one was active before.
    pub changed: bool,
    /// That one.
    #[serde(default)]
    pub previous: Option<u64>,
    /// The routes that it serves.
    #[serde(default)]
    pub routes: Vec<RouteOf>,
    /// Warnings: allowed, and probably not meant.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// The active file on each node.
    #[serde(default)]
    pub nodes: Vec<NodeDigest>,
}

/// The active version on a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeDigest {
    /// The node.
    pub node: String,
    /// The SHA-256 of the file.
    pub digest: String,
    /// The version.
    #[serde(default)]
    pub version: Option<u64>,
    /// Why it is not the one that was activated.
    #[serde(default)]
    pub fault: Option<String>,
}

/// A consumer and its trigger.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RouteOf {
    /// The module.
    pub module: String,
    /// The consumer.
    pub consumer: String,
    /// `http`, `websocket` or `channel`.
    pub trigger: String,
    /// The method of an HTTP request.
    #[serde(default)]
    pub method: Option<String>,
    /// The path.
    #[serde(default)]
    pub pattern: Option<String>,
    /// The channel.
    #[serde(default)]
    pub channel: Option<String>,
    /// The guards of the route.
    #[serde(default)]
    pub guards: Vec<String>,
    /// When the consumer is run by the clock.
    #[serde(default)]
    pub schedule: Option<ScheduleOf>,
}

/// When a consumer is run by the clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ScheduleOf {
    /// The expression.
    pub expression: String,
    /// The zone of its time.
    pub zone: String,
    /// The next moment.
    #[serde(default)]
    pub next: Option<String>,
}

/// A module in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModuleSummary {
    /// Its name.
    pub name: String,
    /// The active version.
    #[serde(default)]
    pub active_version: Option<u64>,
    /// The SHA-256 of its file.
    #[serde(default)]
    pub digest: Option<String>,
    /// When it was uploaded (RFC 3339).
    #[serde(default)]
    pub deployed_at: Option<String>,
    /// Since when it is active (RFC 3339).
    #[serde(default)]
    pub active_since: Option<String>,
    /// The user who uploaded it.
    #[serde(default)]
    pub deployed_by: Option<String>,
    /// How many versions there are.
    #[serde(default)]
    pub versions: u64,
    /// `registry`, or `flag` if it came with the command line or the settings.
    #[serde(default)]
    pub source: String,
    /// `active`, `probation`, `rolled-back`, `resting` or `failed`.
    #[serde(default)]
    pub state: String,
    /// The fault.
    #[serde(default)]
    pub fault: Option<String>,
    /// While it rests: when it is run again (RFC 3339).
    #[serde(default)]
    pub resting_until: Option<String>,
}

/// The details of a module.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModuleDetails {
    /// As in a list.
    #[serde(flatten)]
    pub summary: ModuleSummary,
    /// Its versions.
    #[serde(default)]
    pub history: Vec<Kept>,
    /// Its settings, with the names of `[modules.NAME]`.
    #[serde(default)]
    pub settings: serde_json::Value,
    /// The routes that it serves.
    #[serde(default)]
    pub routes: Vec<RouteOf>,
}

/// A kept version.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Kept {
    /// Its number.
    pub version: u64,
    /// The SHA-256 of its file.
    pub digest: String,
    /// The size of its file.
    #[serde(default)]
    pub bytes: u64,
    /// When it was uploaded (RFC 3339).
    #[serde(default)]
    pub deployed_at: Option<String>,
    /// The user who uploaded it.
    #[serde(default)]
    pub deployed_by: Option<String>,
    /// The note of the deployment.
    #[serde(default)]
    pub note: Option<String>,
    /// The registry that its file came from, by the deployer's own account.
    #[serde(default)]
    pub source: Option<String>,
    /// The id of the key that signed its file, where the host asked for that.
    #[serde(default)]
    pub signed_by: Option<String>,
}

/// The record of one run of a consumer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// Its id, on this host, since it started.
    pub id: String,
    /// The module.
    pub module: String,
    /// Its version.
    pub version: u64,
    /// The version that failed at the message before.
    #[serde(default)]
    pub in_place_of: Option<u64>,
    /// The consumer.
    pub consumer: String,
    /// The channel that the message came on.
    pub channel: String,
    /// `ok`, or the kind of its fault.
    pub outcome: String,
    /// More about the fault.
    #[serde(default)]
    pub detail: Option<String>,
    /// When it began (RFC 3339).
    pub started_at: String,
    /// Fuel it used.
    #[serde(default)]
    pub fuel: u64,
    /// Microseconds it took, by the clock.
    #[serde(default)]
    pub wall_us: u64,
    /// The most memory it had, in bytes.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Messages it sent.
    #[serde(default)]
    pub sent: u64,
    /// The id that clients and log lines have, too.
    #[serde(default)]
    pub correlation_id: String,
    /// The lines that it logged and printed.
    #[serde(default)]
    pub log: Vec<LogLine>,
    /// Whether there was more than is kept.
    #[serde(default)]
    pub log_truncated: bool,
}

/// A line of a consumer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LogLine {
    /// The level, or `output` if it was printed.
    pub level: String,
    /// The line.
    pub text: String,
}

/// The result of a message to a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupSent {
    /// Nodes with members and named channels that it went to.
    pub reached: u64,
    /// Those that missed it since they were full.
    pub missed: u64,
}

/// A process and its progress with deployments.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Node {
    /// Its name.
    pub node: String,
    /// Its active modules.
    #[serde(default)]
    pub modules: Vec<NodeModule>,
    /// Files that it is about to activate.
    #[serde(default)]
    pub preparing: Vec<NodeFile>,
    /// Files that it was asked to prepare.
    #[serde(default)]
    pub prepared: Option<Vec<NodeFile>>,
}

/// An active module on a node.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct NodeModule {
    /// The module.
    pub name: String,
    /// The SHA-256 of its file.
    pub digest: String,
}

/// A file that is about to become active.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct NodeFile {
    /// The module, where it is about to become active.
    #[serde(default)]
    pub module: String,
    /// The SHA-256 of the file.
    pub digest: String,
}

/// A key of a module with its value.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DataEntry {
    /// The key.
    pub key: String,
    /// The number of the schema that the value follows.
    #[serde(default)]
    pub schema: u32,
    /// The value, if it is an integer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integer: Option<i64>,
    /// The value in Base64, if it is bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// Those bytes as JSON, if they can be shown so.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "even_null")]
    pub json: Option<serde_json::Value>,
    /// How long the value lives on. None: until it is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
}

/// Tells `null` from a field that is not there.
fn even_null<'de, D: Deserializer<'de>>(from: D) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(from).map(Some)
}

/// A part of the data of a module.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct DataPage {
    /// Keys with their values.
    pub entries: Vec<DataEntry>,
    /// Where the listing goes on. None: this is its end.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// How much a module keeps, and may keep.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DataUsage {
    /// Bytes of keys and values.
    pub bytes: u64,
    /// The quota.
    pub bytes_max: u64,
    /// Keys.
    pub keys: u64,
    /// The quota.
    pub keys_max: u64,
    /// Messages that wait to be relayed.
    pub relayed: u64,
    /// The quota.
    pub relayed_max: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Imported {
    pub(super) lines: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Nodes {
    pub(super) nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Modules {
    pub(super) modules: Vec<ModuleSummary>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Records {
    /// Newest first.
    pub(super) records: Vec<Record>,
}
