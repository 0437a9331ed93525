//! Reports a run: to the counts, to the log, and to the circuit breaker of its module.

use std::time::SystemTime;

use super::{
    Record, Shared,
    breaker::{Pass, Verdict},
    host_log,
};
use crate::{
    engine::Fault,
    registry::Rest,
    telemetry::{ByModule, ByOutcome, OutsideRefusal},
};

/// Counts a run and says what went wrong in it. Its fault counts for the breaker if it is the last run of its
/// message: no other version runs in its place.
pub(super) fn report(
    shared: &Shared,
    record: &Record,
    activation: u64,
    (pass, is_last): (Pass, bool),
) {
    let fault = record.fault();
    let module = record.module.as_str().to_owned();
    let outcome = fault.map_or("ok", Fault::kind);
    let metrics = &shared.metrics;
    metrics.run_time.observe(record.usage.wall.as_secs_f64());
    if record.usage.sends_refused > 0 {
        let by = ByModule { module: module.clone() };
        metrics.sends_refused.get_or_create(&by).inc_by(record.usage.sends_refused);
    }
    for (reason, count) in record.usage.outside_refusals.iter() {
        let module = module.clone();
        let by = OutsideRefusal { module, reason: reason.label(), action: "refused" };
        metrics.outside_refusals.get_or_create(&by).inc_by(count);
    }
    metrics.invocations.get_or_create(&ByOutcome { module, outcome }).inc();
    host_log::write(record);
    if let Some(fault) = fault {
        tracing::warn!(
            module = %record.module, version = record.version, consumer = %record.consumer,
            channel = %record.channel, correlation = %record.correlation, kind = fault.kind(),
            "{fault}"
        );
    }
    let verdict = match fault {
        None => Verdict::Good,
        // Neither state of another version nor the host says anything about the code.
        Some(_) if !is_last => Verdict::None,
        Some(Fault::StateUnreadable(_)) => Verdict::None,
        Some(fault) if !fault.is_of_code() => Verdict::None,
        Some(_) => Verdict::Bad,
    };
    let note = shared.breakers.note(&record.module, activation, pass, verdict);
    if let Some(pause) = note {
        let rest = Rest {
            until: SystemTime::now() + pause,
            fault: fault.map(ToString::to_string).unwrap_or_default(),
        };
        shared.registry.note_rest(&record.module, activation, rest);
        tracing::error!(
            module = %record.module, ?pause,
            "too many faults: events of this module are answered without running it"
        );
    }
}
