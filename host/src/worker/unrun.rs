//! Counts, logs and records messages that failed without a run, so that their ids can be found.

use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::{Duration, SystemTime},
};

use super::{
    Record, RecordOutcome, Shared,
    spans::{self, Place},
};
use crate::{
    engine::{LogLines, Usage},
    message::{ChannelName, Message, ModuleName, Payload},
    telemetry::ByOutcome,
};

/// Counts, logs and records a message that no consumer ran for.
pub(super) fn note(
    shared: &Shared,
    (module, version): (ModuleName, u64),
    channel: ChannelName,
    message: &Message,
    outcome: RecordOutcome,
) {
    let consumer = match &message.payload {
        Payload::Event(event) => Arc::clone(&event.consumer),
        Payload::Custom(_) => channel.as_str().into(),
    };
    let record = Record {
        id: shared.records.next_id(),
        started: SystemTime::now(),
        correlation: message.correlation,
        module,
        version,
        in_place_of: None,
        attempts: 0,
        consumer,
        channel,
        outcome,
        usage: Usage::default(),
        log: LogLines::default(),
        messages_dropped: AtomicUsize::new(0),
    };
    let (module, outcome) = (record.module.as_str().to_owned(), record.outcome());
    shared.metrics.invocations.get_or_create(&ByOutcome { module, outcome }).inc();
    let gone = || "the active version has no such consumer".to_owned();
    let reason = record.fault().map_or_else(gone, ToString::to_string);
    tracing::warn!(
        module = %record.module, version = record.version, consumer = %record.consumer,
        channel = %record.channel, correlation = %record.correlation, kind = outcome,
        "{reason}"
    );
    let place = Place::of(&shared.traces, message, Duration::ZERO);
    spans::report(&shared.traces, &record, place, true);
    shared.records.add(Arc::new(record));
}
