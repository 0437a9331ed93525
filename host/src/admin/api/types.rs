//! The types of requests and answers of the API.

use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

use crate::{
    capability::schedule::Schedule,
    engine::Declarations,
    registry::{
        self, Standing,
        store::{Kept, NodeReport},
    },
    routing::{RouteSpec, Trigger},
    worker,
};

/// A moment as RFC 3339 writes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(pub(super) SystemTime);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_rfc3339(self.0))
    }
}

/// One consumer and its trigger.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Route {
    module: String,
    consumer: String,
    /// `http`, `websocket` or `channel`.
    trigger: &'static str,
    /// Of `http`.
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    /// Of `http` and `websocket`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
    /// Of `channel`.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    /// The guards of the route.
    guards: Vec<String>,
    /// Of `channel`, if its consumer is run by the clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<RouteSchedule>,
}

/// When a consumer is run by the clock.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RouteSchedule {
    expression: String,
    /// A name of the IANA database.
    zone: String,
    /// The next moment.
    #[schema(value_type = Option<String>, format = DateTime)]
    next: Option<Moment>,
}

impl RouteSchedule {
    fn of(schedule: &Schedule) -> Self {
        let (expression, zone) = (schedule.expression().to_owned(), schedule.zone().to_owned());
        Self { expression, zone, next: schedule.next_after(SystemTime::now()).map(Moment) }
    }
}

impl Route {
    /// The routes of a module: one for each method.
    pub(super) fn of(module: &str, specs: &[RouteSpec], declared: &Declarations) -> Vec<Self> {
        let mut routes = Vec::new();
        for RouteSpec { consumer, trigger } in specs {
            let (consumer, module) = (consumer.as_ref().to_owned(), module.to_owned());
            let of = declared.consumer(&consumer);
            let access = of.and_then(|it| it.access.as_ref()).map(ToString::to_string);
            let guarded = |guards: &crate::routing::Guards| {
                let all = [guards.to_string(), access.clone().unwrap_or_default()];
                let all = all.iter().map(|it| it.trim()).filter(|it| !it.is_empty());
                all.map(str::to_owned).collect()
            };
            let plain = Self {
                module,
                consumer,
                trigger: "channel",
                method: None,
                pattern: None,
                channel: None,
                guards: Vec::new(),
                schedule: None,
            };
            match trigger {
                Trigger::Http { methods, path, guards, .. } => {
                    routes.extend(methods.iter().map(|method| Self {
                        module: plain.module.clone(),
                        consumer: plain.consumer.clone(),
                        trigger: "http",
                        method: Some(method.clone()),
                        pattern: Some(path.to_string()),
                        guards: guarded(guards),
                        channel: None,
                        schedule: None,
                    }));
                }
                Trigger::Websocket { path, guards } => routes.push(Self {
                    trigger: "websocket",
                    pattern: Some(path.to_string()),
                    guards: guarded(guards),
                    ..plain
                }),
                Trigger::Channel { channel, .. } => {
                    let schedule = of.and_then(|it| it.schedule.as_ref()).map(RouteSchedule::of);
                    routes.push(Self { channel: Some(channel.to_string()), schedule, ..plain });
                }
            }
        }
        routes
    }
}

/// The result of a deployment, an activation or a rollback.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Deployed {
    module: String,
    /// The active version.
    version: u64,
    /// SHA-256 of its file.
    digest: String,
    /// Whether another version is active than before.
    changed: bool,
    /// The version that was active before.
    previous: Option<u64>,
    routes: Vec<Route>,
    /// Warnings: allowed, and probably not meant.
    warnings: Vec<String>,
    /// The active version on each node.
    nodes: Vec<NodeDigest>,
}

/// The active version of a module on a node.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NodeDigest {
    node: String,
    /// Empty if the node does not have the module.
    digest: String,
    /// Its number.
    version: Option<u64>,
    /// Why it is not the version that was activated.
    fault: Option<String>,
}

impl Deployed {
    pub(super) fn of(deployed: registry::Deployed, nodes: Vec<NodeReport>) -> Self {
        let registry::Deployed { module, version, digest, changed, previous, .. } = deployed;
        let registry::Deployed { routes, declarations, warnings, left_out, .. } = deployed;
        let digest_of = |node: NodeReport| {
            let left_out = left_out.iter().find(|it| it.node == node.node);
            let found = node.modules.into_iter().find(|it| it.name == module.as_str());
            let (version, fault) =
                found.as_ref().map_or((None, None), |it| (Some(it.version), it.fault.clone()));
            let digest_there = found.map(|it| it.digest).unwrap_or_default();
            let left_out = left_out.filter(|_| digest_there != digest);
            let fault = fault.or_else(|| left_out.map(|it| it.reason.clone()));
            NodeDigest { node: node.node, digest: digest_there, version, fault }
        };
        let nodes = nodes.into_iter().map(digest_of).collect();
        let routes = Route::of(module.as_str(), &routes, &declarations);
        let module = module.as_str().to_owned();
        Self { module, version, digest, changed, previous, routes, warnings, nodes }
    }
}

/// The summary of a module.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModuleSummary {
    name: String,
    /// None if no version can be served.
    active_version: Option<u64>,
    /// SHA-256 of the file of the active version.
    digest: Option<String>,
    /// When that version was deployed.
    #[schema(value_type = Option<String>, format = DateTime)]
    deployed_at: Option<Moment>,
    /// When that version was activated. It may have been deployed long before. None if an earlier release
    /// activated it.
    #[schema(value_type = Option<String>, format = DateTime)]
    active_since: Option<Moment>,
    deployed_by: Option<String>,
    /// How many versions are kept.
    versions: usize,
    /// `registry` or `flag`.
    source: &'static str,
    /// `active`, `probation`, `rolled-back`, `resting` or `failed`.
    state: &'static str,
    /// The fault.
    fault: Option<String>,
    /// While it rests after too many failures: when it is run again.
    #[schema(value_type = Option<String>, format = DateTime)]
    resting_until: Option<Moment>,
}

impl From<registry::Summary> for ModuleSummary {
    fn from(summary: registry::Summary) -> Self {
        let registry::Summary { name, active, active_since, versions, source, .. } = summary;
        let registry::Summary { standing, fault, resting, .. } = summary;
        Self {
            name: name.as_str().to_owned(),
            active_version: active.as_ref().map(|it| it.version),
            digest: active.as_ref().map(|it| it.digest.clone()),
            deployed_at: active.as_ref().map(|it| Moment(it.deployed_at)),
            deployed_by: active.map(|it| it.deployed_by),
            active_since: active_since.map(Moment),
            versions,
            source: match source {
                registry::Source::Registry => "registry",
                registry::Source::Flag => "flag",
            },
            state: match standing {
                Standing::Active => "active",
                Standing::Probation => "probation",
                Standing::RolledBack => "rolled-back",
                Standing::Resting => "resting",
                Standing::Failed => "failed",
            },
            fault,
            resting_until: resting.map(|rest| Moment(rest.until)),
        }
    }
}

/// All modules.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModuleList {
    pub(super) modules: Vec<ModuleSummary>,
}

/// A kept version.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HistoryEntry {
    version: u64,
    digest: String,
    bytes: u64,
    #[schema(value_type = String, format = DateTime)]
    deployed_at: Moment,
    deployed_by: String,
    note: Option<String>,
    /// The registry that the file came from, by the deployer's own account.
    source: Option<String>,
    /// The id of the key that signed the file, where the host asked for that.
    signed_by: Option<String>,
}

impl From<Kept> for HistoryEntry {
    fn from(kept: Kept) -> Self {
        let Kept { version, digest, bytes, deployed_at, deployed_by, note, source, signed_by } =
            kept;
        let (deployed_at, signed_by) = (Moment(deployed_at), signed_by.map(|key| key.to_string()));
        Self { version, digest, bytes, deployed_at, deployed_by, note, source, signed_by }
    }
}

/// The details of a module.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModuleDetails {
    #[serde(flatten)]
    pub(super) summary: ModuleSummary,
    /// Its versions, by number.
    pub(super) history: Vec<HistoryEntry>,
    /// As they were written: `[modules.NAME]` of tidegate.toml as JSON.
    pub(super) settings: registry::Written,
    pub(super) routes: Vec<Route>,
}

/// The version to activate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Activate {
    #[serde(deserialize_with = "number")]
    #[schema(minimum = 1, maximum = 9007199254740991_u64)]
    pub(super) version: u64,
}

/// A whole number, which some programs write as `2.0`.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let number = f64::deserialize(from)?;
    if number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "looked at")]
        return Ok(number as u64);
    }
    Err(de::Error::custom(format!("{number} is not a valid version; versions are numbers from 1")))
}

fn optional_number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    struct Number(u64);

    impl<'de> Deserialize<'de> for Number {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            number(from).map(Self)
        }
    }
    Ok(Option::<Number>::deserialize(from)?.map(|Number(number)| number))
}

/// The version to go back to.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rollback {
    /// The one that was active before, if none.
    #[serde(default, deserialize_with = "optional_number")]
    #[schema(minimum = 1, maximum = 9007199254740991_u64)]
    pub(super) version: Option<u64>,
}

/// All active routes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RouteList {
    pub(super) routes: Vec<Route>,
}

/// One channel that holds messages.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChannelDepth {
    pub(super) channel: String,
    pub(super) depth: usize,
    /// Age of the oldest message.
    pub(super) oldest_ms: u64,
}

/// How full the channel layer is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LayerDepth {
    pub(super) channels: Vec<ChannelDepth>,
    /// Groups with members.
    pub(super) groups: usize,
    /// Messages that wait to be sent later.
    pub(super) delayed: usize,
}

/// An active version on a node.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NodeModule {
    pub(super) name: String,
    pub(super) version: u64,
    pub(super) digest: String,
    /// Why it is not the version that the store has.
    pub(super) fault: Option<String>,
}

/// One process.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Node {
    pub(super) node: String,
    /// The version of the host.
    pub(super) version: String,
    #[schema(value_type = String, format = DateTime)]
    pub(super) started_at: Moment,
    pub(super) connections: i64,
    /// Slots that run consumers there. None of an earlier release.
    pub(super) slots: Option<u64>,
    pub(super) modules: Vec<NodeModule>,
    /// Files that it is about to activate. All nodes prepare them before.
    pub(super) preparing: Vec<NodePreparing>,
    /// Files that it has prepared for others. None of an earlier release.
    pub(super) prepared: Option<Vec<NodePrepared>>,
}

/// A file that a node is about to activate.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NodePreparing {
    pub(super) module: String,
    /// SHA-256 of the file; empty while the node itself compiles it.
    pub(super) digest: String,
}

/// A file that a node was asked to prepare.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NodePrepared {
    /// SHA-256 of the file.
    pub(super) digest: String,
    /// Why the node cannot run it.
    pub(super) fault: Option<String>,
}

impl From<NodeReport> for Node {
    fn from(report: NodeReport) -> Self {
        let NodeReport { node, version, started_at, connections, slots, .. } = report;
        let NodeReport { modules, preparing, prepared, .. } = report;
        let module = |it: registry::store::ModuleReport| {
            let registry::store::ModuleReport { name, version, digest, fault, .. } = it;
            NodeModule { name, version, digest, fault }
        };
        let to_prepare =
            |registry::store::Preparing { module, digest, .. }| NodePreparing { module, digest };
        let prepared_there =
            |registry::store::Prepared { digest, fault, .. }| NodePrepared { digest, fault };
        Self {
            node,
            version,
            started_at: Moment(started_at),
            connections,
            slots,
            modules: modules.into_iter().map(module).collect(),
            preparing: preparing.into_iter().map(to_prepare).collect(),
            prepared: prepared.map(|all| all.into_iter().map(prepared_there).collect()),
        }
    }
}

/// All processes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NodeList {
    pub(super) nodes: Vec<Node>,
}

/// A line that a consumer logged or printed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LogLine {
    /// `trace`, `debug`, `info`, `warn`, `error`, or `output` for what it printed.
    level: String,
    text: String,
}

/// The record of one invocation.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Record {
    id: String,
    module: String,
    version: u64,
    /// The version that failed at the task before, if this one ran as its fallback.
    in_place_of: Option<u64>,
    /// How often it was run, since data that it had read changed meanwhile; 0 if it was not run.
    attempts: u32,
    /// Keys that it read in the store.
    keys_read: usize,
    /// Keys that it wrote there.
    keys_written: usize,
    consumer: String,
    channel: String,
    /// `ok`, `gone`, or the kind of the fault.
    outcome: &'static str,
    /// The fault in words.
    detail: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    started_at: Moment,
    fuel: u64,
    wall_us: u64,
    memory_bytes: usize,
    /// Messages that it sent.
    sent: usize,
    correlation_id: String,
    log: Vec<LogLine>,
    log_truncated: bool,
}

/// Levels that begin a line which was logged, and not printed.
const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

impl From<&worker::Record> for Record {
    fn from(record: &worker::Record) -> Self {
        let line = |line: &str| match line.split_once(' ') {
            Some((level, text)) if LEVELS.contains(&level) => {
                LogLine { level: level.to_owned(), text: text.to_owned() }
            }
            _ => LogLine { level: "output".to_owned(), text: line.to_owned() },
        };
        Self {
            id: record.id.to_string(),
            module: record.module.as_str().to_owned(),
            version: record.version,
            in_place_of: record.in_place_of,
            attempts: record.attempts,
            keys_read: record.usage.keys_read,
            keys_written: record.usage.keys_written,
            consumer: record.consumer.as_ref().to_owned(),
            channel: record.channel.as_str().to_owned(),
            outcome: record.outcome(),
            detail: record.fault().map(ToString::to_string),
            started_at: Moment(record.started),
            fuel: record.usage.fuel,
            wall_us: u64::try_from(record.usage.wall.as_micros()).unwrap_or(u64::MAX),
            memory_bytes: record.usage.memory_peak,
            sent: record.usage.messages,
            correlation_id: record.correlation.to_string(),
            log: record.log.text.lines().map(line).collect(),
            log_truncated: record.log.truncated_bytes > 0,
        }
    }
}

/// The latest records, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecordList {
    pub(super) records: Vec<Record>,
}

/// A channel has taken a message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SentMessage {
    pub(super) channel: String,
    /// The records of the consumers that it leads to have the same.
    pub(super) correlation_id: String,
}

/// A message is on its way to a group.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GroupMessage {
    pub(super) group: String,
    /// Nodes with members and named channels that it went to.
    pub(super) reached: usize,
    /// Those that missed it since they were full.
    pub(super) missed: usize,
    /// The records of the consumers that it leads to have the same.
    pub(super) correlation_id: String,
}
