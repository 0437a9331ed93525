//! The metrics of a process, in one place so that names and labels stay alike.
//!
//! Label values are names that an operator chose or words from a fixed list, never client input.

mod drop_reason;
mod log;
mod rate_limit;
mod traces;

use std::{sync::atomic::AtomicU64, time::Duration};

pub use drop_reason::{ByDropReason, DropReason};
pub use log::{Log, LogFormat};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, text::encode},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

pub use rate_limit::WarnLimit;
pub use traces::{
    Attributes, ByLoss, BySignal, Line, Span, SpanKind, TelemetryCounts, Traces, TracesConfig,
    TracesError, VariableError, began_before,
};

/// Labels of a count by reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByReason {
    /// A word from a fixed list.
    pub reason: &'static str,
}

/// Labels of a count by result.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByResult {
    /// A word from a fixed list.
    pub result: &'static str,
}

/// Labels of a count by module.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByModule {
    /// The module's name.
    pub module: String,
}

/// Labels of the count of requests to servers outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FetchResult {
    /// The module's name.
    pub module: String,
    /// `answered`, `unknown`, or why it failed: a word from a fixed list.
    pub result: &'static str,
}

/// Labels of the count of requests to servers outside that the grants do not allow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutsideRefusal {
    /// The module's name.
    pub module: String,
    /// The part of the request that is refused: a word from a fixed list.
    pub reason: &'static str,
    /// `refused`, or `dry_run` for one that was made nevertheless.
    pub action: &'static str,
}

/// Labels of the count of invocations.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByOutcome {
    /// The module's name.
    pub module: String,
    /// `ok` or the kind of the fault.
    pub outcome: &'static str,
}

/// Labels of what is counted by protocol.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByProtocol {
    /// `http` or `websocket`.
    pub protocol: &'static str,
}

/// Labels of the count of HTTP responses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByStatus {
    /// The status.
    pub status: u16,
}

/// Labels of the count of what was refused to clients.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByRefusal {
    /// Which limit or rule it was: a word from a fixed list.
    pub reason: &'static str,
    /// `refused`; `allowed` in a dry run; `ignored` where a header field was taken off.
    pub action: &'static str,
}

/// Labels of what is said of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByChannel {
    /// The channel's name, or `(others)` for all beyond the hundred fullest.
    pub channel: String,
}

/// Labels of the count of closed WebSockets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByCode {
    /// A close code that the host chose, or `application` or `client`.
    pub code: &'static str,
}

/// Channels that have metrics of their own.
const NAMED_CHANNELS: usize = 100;

/// Everything that is counted. Cheap to use from any thread.
#[derive(Debug)]
pub struct Metrics {
    /// Messages that a channel took.
    pub messages_sent: Counter,
    /// Messages that a worker took from a channel.
    pub messages_received: Counter,
    /// Messages that were lost, by reason.
    pub messages_dropped: Family<ByDropReason, Counter>,
    /// Messages that came again: their consumer failed, or the worker that had them is gone.
    pub messages_redelivered: Counter,
    /// Messages that went to the channel for what cannot be done.
    pub messages_dead_lettered: Counter,
    /// Messages that wait in the fullest channels.
    pub channel_messages: Family<ByChannel, Gauge>,
    /// How long the first of them has waited, in seconds.
    pub channel_oldest: Family<ByChannel, Gauge<f64, AtomicU64>>,
    /// Sends of guests that the host refused.
    pub sends_refused: Family<ByModule, Counter>,
    /// Runs of consumers, by module and outcome.
    pub invocations: Family<ByOutcome, Counter>,
    /// Events that were answered without a run since the module's circuit breaker was open.
    pub breaker_refusals: Family<ByModule, Counter>,
    /// Versions that failed on probation and were rolled back, by module.
    pub rollbacks: Family<ByModule, Counter>,
    /// Commits of data, by module.
    pub store_commits: Family<ByModule, Counter>,
    /// Runs that were thrown away since data that they had read changed, by module.
    pub store_conflicts: Family<ByModule, Counter>,
    /// Runs of messages that another run had done before, by module: nothing of them counts.
    pub store_repeats: Family<ByModule, Counter>,
    /// Joins of groups that are remembered: `new` without a position, `complete`, and `gap` where messages were gone.
    pub history_joins: Family<ByReason, Counter>,
    /// Connections that were told that messages of a group are gone.
    pub history_gaps: Counter,
    /// Reads of histories for members that lacked a message.
    pub history_fills: Counter,
    /// Messages that schedules have sent.
    pub schedule_messages: Family<ByModule, Counter>,
    /// Moments that were left out since the run of the one before was not over.
    pub schedule_moments_skipped: Family<ByModule, Counter>,
    /// Time from the moment of a schedule until its message was stored.
    pub schedule_lag: Histogram,
    /// Requests to servers outside that the grants do not allow.
    pub outside_refusals: Family<OutsideRefusal, Counter>,
    /// Requests to servers outside, by module and result.
    pub fetches: Family<FetchResult, Counter>,
    /// Those that are made now.
    pub fetches_in_flight: Gauge,
    /// Time that each attempt took, in seconds.
    pub fetch_time: Histogram,
    /// From the end of a run to the end of its commit.
    pub store_commit_time: Histogram,
    /// Threads of slots that ended by a panic of the host and were replaced.
    pub slot_panics: Counter,
    /// Slots that run a consumer now.
    pub slots_busy: Gauge,
    /// Instances that were made ahead of need and wait for their first run.
    pub instances_ready: Gauge,
    /// Slots there are.
    pub slots: Gauge,
    /// Open connections, by protocol.
    pub connections: Family<ByProtocol, Gauge>,
    /// Requests that wait without a slot.
    pub holds: Gauge,
    /// Events whose done mark did not come in time.
    pub events_lost: Counter,
    /// What clients did beyond a limit or against a rule.
    pub refusals: Family<ByRefusal, Counter>,
    /// Requests and handshakes whose token was missing, refused or left aside, by reason.
    pub auth_refusals: Family<ByReason, Counter>,
    /// Runs that signed somebody in or out, or began or ended a session.
    pub session_changes: Counter,
    /// Time that checking a token took, in seconds.
    pub auth_time: Histogram,
    /// Clients that asked for a connection they had before, by what came of it.
    pub resumes: Family<ByResult, Counter>,
    /// Connections that are kept for clients that were lost.
    pub lost_clients: Gauge,
    /// Connections that were ended since messages to their groups may have been missed, by what happened.
    pub gap_closes: Family<ByReason, Counter>,
    /// How often Redis was found to be older than it was.
    pub store_went_back: Counter,
    /// Interface servers whose lease ended.
    pub nodes_lost: Counter,
    /// The WebSockets that they had.
    pub sockets_lost: Counter,
    /// HTTP responses, by status.
    pub responses: Family<ByStatus, Counter>,
    /// WebSockets closed, by code.
    pub closes: Family<ByCode, Counter>,
    /// Time from sending a message to the start of its consumer, in seconds.
    pub queue_wait: Histogram,
    /// Time that consumers ran, in seconds.
    pub run_time: Histogram,
    /// Spans, and lines of guests, that went to the collector or did not.
    pub telemetry: TelemetryCounts,
    registry: Registry,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Counters at zero.
    pub fn new() -> Self {
        // From 10 µs to 40 s.
        let histogram = || Histogram::new(exponential_buckets(0.000_01, 4.0, 12));
        let mut metrics = Self {
            messages_sent: Counter::default(),
            messages_received: Counter::default(),
            messages_dropped: Family::default(),
            messages_redelivered: Counter::default(),
            messages_dead_lettered: Counter::default(),
            channel_messages: Family::default(),
            channel_oldest: Family::default(),
            sends_refused: Family::default(),
            outside_refusals: Family::default(),
            invocations: Family::default(),
            breaker_refusals: Family::default(),
            rollbacks: Family::default(),
            store_commits: Family::default(),
            store_conflicts: Family::default(),
            store_repeats: Family::default(),
            history_joins: Family::default(),
            history_gaps: Counter::default(),
            history_fills: Counter::default(),
            schedule_messages: Family::default(),
            schedule_moments_skipped: Family::default(),
            schedule_lag: histogram(),
            fetches: Family::default(),
            fetches_in_flight: Gauge::default(),
            fetch_time: histogram(),
            store_commit_time: histogram(),
            slot_panics: Counter::default(),
            slots_busy: Gauge::default(),
            instances_ready: Gauge::default(),
            slots: Gauge::default(),
            connections: Family::default(),
            holds: Gauge::default(),
            events_lost: Counter::default(),
            refusals: Family::default(),
            auth_refusals: Family::default(),
            session_changes: Counter::default(),
            auth_time: histogram(),
            resumes: Family::default(),
            lost_clients: Gauge::default(),
            gap_closes: Family::default(),
            store_went_back: Counter::default(),
            nodes_lost: Counter::default(),
            sockets_lost: Counter::default(),
            responses: Family::default(),
            closes: Family::default(),
            queue_wait: histogram(),
            run_time: histogram(),
            telemetry: TelemetryCounts::default(),
            registry: Registry::with_prefix("tidegate"),
        };
        metrics.register();
        metrics.register_auth();
        metrics.register_losses();
        metrics.register_telemetry();
        metrics
    }

    fn register_histories(&mut self) {
        let r = &mut self.registry;
        r.register(
            "history_joins",
            "Joins of groups that are remembered: without a position, from one, and with a gap",
            self.history_joins.clone(),
        );
        r.register(
            "history_gaps",
            "Connections that were told that messages of a group are gone",
            self.history_gaps.clone(),
        );
        r.register(
            "history_fills",
            "Reads of histories for members that lacked a message",
            self.history_fills.clone(),
        );
    }

    fn register_store(&mut self) {
        let r = &mut self.registry;
        r.register("store_commits", "Commits of data", self.store_commits.clone());
        r.register(
            "store_conflicts",
            "Runs thrown away since data that they had read changed",
            self.store_conflicts.clone(),
        );
        r.register(
            "store_repeats",
            "Runs of messages that another run had done",
            self.store_repeats.clone(),
        );
        r.register(
            "store_commit_time_seconds",
            "Time that commits of data took",
            self.store_commit_time.clone(),
        );
    }

    fn register_schedules(&mut self) {
        let r = &mut self.registry;
        r.register(
            "schedule_moments_skipped",
            "Moments of schedules that were left out since the run before was not over",
            self.schedule_moments_skipped.clone(),
        );
        r.register(
            "schedule_messages",
            "Messages that schedules sent",
            self.schedule_messages.clone(),
        );
        r.register(
            "schedule_lag_seconds",
            "Time from the moment of a schedule until its message was stored",
            self.schedule_lag.clone(),
        );
    }

    fn register_fetches(&mut self) {
        let r = &mut self.registry;
        r.register("fetches", "Requests to servers outside, by result", self.fetches.clone());
        r.register(
            "outside_refusals",
            "Requests to servers outside that the grants do not allow",
            self.outside_refusals.clone(),
        );
        r.register(
            "fetches_in_flight",
            "Requests to servers outside that are made now",
            self.fetches_in_flight.clone(),
        );
        r.register(
            "fetch_time_seconds",
            "Time that attempts at requests to servers outside took",
            self.fetch_time.clone(),
        );
    }

    fn register(&mut self) {
        self.register_store();
        self.register_histories();
        self.register_schedules();
        self.register_fetches();
        let r = &mut self.registry;
        r.register("messages_sent", "Messages that a channel took", self.messages_sent.clone());
        r.register(
            "messages_received",
            "Messages that a worker took from a channel",
            self.messages_received.clone(),
        );
        r.register("messages_dropped", "Messages lost, by reason", self.messages_dropped.clone());
        r.register(
            "messages_redelivered",
            "Messages that came again after a fault or a worker's death",
            self.messages_redelivered.clone(),
        );
        r.register(
            "messages_dead_lettered",
            "Messages that could not be done",
            self.messages_dead_lettered.clone(),
        );
        r.register(
            "channel_messages",
            "Messages that wait in a channel",
            self.channel_messages.clone(),
        );
        r.register(
            "channel_oldest_seconds",
            "How long the first message of a channel has waited",
            self.channel_oldest.clone(),
        );
        r.register(
            "sends_refused",
            "Sends of guests that the host refused",
            self.sends_refused.clone(),
        );
        r.register("invocations", "Runs of consumers, by outcome", self.invocations.clone());
        r.register(
            "breaker_refusals",
            "Events answered without a run: circuit breaker open",
            self.breaker_refusals.clone(),
        );
        r.register("rollbacks", "New versions that failed", self.rollbacks.clone());
        r.register(
            "slot_panics",
            "Slot threads that ended by a panic of the host and were replaced",
            self.slot_panics.clone(),
        );
        r.register_collector(Box::new(LostLines));
        r.register("slots_busy", "Slots that run a consumer", self.slots_busy.clone());
        r.register(
            "instances_ready",
            "Instances made ahead of need that wait for a message",
            self.instances_ready.clone(),
        );
        r.register("slots", "Slots of this process", self.slots.clone());
        r.register("connections", "Open connections", self.connections.clone());
        r.register("holds", "Requests that wait without a slot", self.holds.clone());
        r.register("events_lost", "Events whose end was not heard of", self.events_lost.clone());
        r.register("refusals", "What was refused to clients, by reason", self.refusals.clone());
        r.register("responses", "HTTP responses, by status", self.responses.clone());
        r.register("closes", "WebSockets closed, by code", self.closes.clone());
        r.register(
            "queue_wait_seconds",
            "From sending a message to the start of its consumer",
            self.queue_wait.clone(),
        );
        r.register("run_time_seconds", "Time that consumers ran", self.run_time.clone());
    }

    fn register_auth(&mut self) {
        let r = &mut self.registry;
        r.register(
            "auth_refusals",
            "Requests and handshakes without a valid token where one counts, by reason",
            self.auth_refusals.clone(),
        );
        r.register(
            "session_changes",
            "Runs that began or ended sessions, or signed somebody in",
            self.session_changes.clone(),
        );
        r.register("auth_time_seconds", "Time that checking a token took", self.auth_time.clone());
    }

    fn register_losses(&mut self) {
        let r = &mut self.registry;
        r.register(
            "resumes",
            "Clients that asked for a connection they had before, by result",
            self.resumes.clone(),
        );
        r.register(
            "lost_clients",
            "Connections that are kept for clients that were lost",
            self.lost_clients.clone(),
        );
        r.register(
            "gap_closes",
            "Connections ended since they may have missed messages to groups, by reason",
            self.gap_closes.clone(),
        );
        r.register(
            "store_went_back",
            "Times that Redis was older than before",
            self.store_went_back.clone(),
        );
        r.register("nodes_lost", "Interface servers whose lease ended", self.nodes_lost.clone());
        r.register(
            "sockets_lost",
            "WebSockets of such servers: their disconnect does not run",
            self.sockets_lost.clone(),
        );
    }

    fn register_telemetry(&mut self) {
        let r = &mut self.registry;
        r.register(
            "telemetry_sent",
            "Spans, and lines of guests, that the collector took",
            self.telemetry.sent.clone(),
        );
        r.register(
            "telemetry_lost",
            "Spans, and lines of guests, that the collector did not get, by reason",
            self.telemetry.lost.clone(),
        );
    }

    /// Says how full channels are: names, messages, and the age of the oldest. The fullest have a name
    /// of their own; whoever makes up names does not make metrics without end.
    pub fn set_channels(&self, mut channels: Vec<(String, usize, Duration)>) {
        channels.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        self.channel_messages.clear();
        self.channel_oldest.clear();
        for (place, (name, messages, oldest)) in channels.into_iter().enumerate() {
            let is_named = place < NAMED_CHANNELS;
            let channel = if is_named { name } else { "(others)".to_owned() };
            let by = ByChannel { channel };
            let messages = i64::try_from(messages).unwrap_or(i64::MAX);
            self.channel_messages.get_or_create(&by).inc_by(messages);
            let gauge = self.channel_oldest.get_or_create(&by);
            gauge.set(gauge.get().max(oldest.as_secs_f64()));
        }
    }

    /// Counts a lost message.
    pub fn dropped(&self, reason: DropReason) {
        self.dropped_many(reason, 1);
    }

    /// Counts messages that were lost together.
    pub fn dropped_many(&self, reason: DropReason, messages: u64) {
        // A label appears with the first message that is lost.
        if messages > 0 {
            self.messages_dropped.get_or_create(&ByDropReason { reason }).inc_by(messages);
        }
    }

    /// How many messages were lost for a reason.
    pub fn dropped_count(&self, reason: DropReason) -> u64 {
        self.messages_dropped.get_or_create(&ByDropReason { reason }).get()
    }

    /// The text form that Prometheus reads.
    pub fn render(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a String cannot fail");
        text
    }
}

/// Lines that the log of the process lost.
#[derive(Debug)]
struct LostLines;

impl Collector for LostLines {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let counter = ConstCounter::new(log::lost_lines());
        let help = "Lines of the log that were lost: its queue was full or they were not writable";
        let metric =
            encoder.encode_descriptor("log_lines_lost", help, None, counter.metric_type())?;
        counter.encode(metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_channels_have_names_and_the_rest_has_one() {
        let metrics = Metrics::new();
        let channel = |number: u64| {
            let messages = usize::try_from(number).unwrap();
            (format!("c.{number}"), messages, Duration::from_secs(number))
        };
        metrics.set_channels((1..=150).map(channel).collect());
        let text = metrics.render();
        assert!(text.contains("tidegate_channel_messages{channel=\"c.150\"} 150\n"), "{text}");
        // 1 + 2 + ... + 50, of which the last has waited longest.
        assert!(text.contains("tidegate_channel_messages{channel=\"(others)\"} 1275\n"), "{text}");
        assert!(
            text.contains("tidegate_channel_oldest_seconds{channel=\"(others)\"} 50"),
            "{text}"
        );
        assert_eq!(text.matches("tidegate_channel_messages{").count(), 101);
        metrics.set_channels(Vec::new());
        assert!(!metrics.render().contains("tidegate_channel_messages{"), "an empty one is gone");
    }
}
