//! Spans of runs, and lines of runs, for a collector.

use std::time::{Duration, SystemTime};

use super::{Record, host_log};
use crate::{
    capability::outside::{Fetch, Fetched},
    message::{Cause, CorrelationId, EventKind, Message, Payload, TraceContext},
    telemetry::{Attributes, Line, Span, SpanKind, Traces, began_before},
};

/// The place of a run, or of a request to a server outside, in its trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The span that the run makes.
    own: TraceContext,
    /// The span that caused it.
    cause: Option<TraceContext>,
    /// Whether it is a part of that one. The events of a WebSocket that is open are not parts of its handshake, which is
    /// over.
    is_part: bool,
    /// How long its message waited.
    waited: Duration,
}

impl Place {
    /// Chooses the place of what a message causes. None: there are no spans.
    pub(super) fn of(traces: &Traces, message: &Message, waited: Duration) -> Option<Self> {
        let own = traces.enter(message.correlation, message.trace)?;
        let is_part = match &message.payload {
            Payload::Custom(_) => true,
            Payload::Event(event) => {
                matches!(event.kind, EventKind::HttpRequest(_) | EventKind::WebsocketConnect)
            }
        };
        Some(Self { own, cause: message.trace, is_part, waited })
    }

    /// The span, for what it causes.
    pub(super) const fn context(&self) -> TraceContext {
        self.own
    }

    fn parent_and_link(&self) -> (Option<TraceContext>, Option<TraceContext>) {
        if self.is_part { (self.cause, None) } else { (None, self.cause) }
    }
}

/// The cause of what a message's run sends.
pub(super) fn cause(correlation: CorrelationId, place: Option<Place>) -> Cause {
    Cause { correlation, trace: place.map(|place| place.own) }
}

/// Records a run, and sends its first lines. Of a run in whose place another version runs nothing is sent, so that its span
/// causes nothing, and has an id of its own.
pub(super) fn report(traces: &Traces, record: &Record, place: Option<Place>, is_last: bool) {
    if !traces.is_on() {
        return;
    }
    let own = place.map(|place| match is_last {
        true => place.own,
        false => TraceContext::random(place.own.sampled),
    });
    if let (Some(place), Some(own)) = (place, own) {
        traces.record(own, || span(record, place));
    }
    if traces.takes_lines() {
        let (shown, _) = host_log::split(&record.log.text);
        for text in shown {
            traces.line(&Line {
                trace: record.correlation,
                span: own,
                time: record.started,
                text,
                module: record.module.as_str(),
                version: record.version,
                consumer: &record.consumer,
            });
        }
    }
}

fn span(record: &Record, place: Place) -> Span {
    let (parent, link) = place.parent_and_link();
    let mut attributes = Attributes::default()
        .text("messaging.system", "tidegate")
        .text("messaging.destination.name", record.channel.to_string())
        .text("tidegate.module", record.module.as_str())
        .number("tidegate.version", record.version)
        .text("tidegate.consumer", &*record.consumer)
        .text("tidegate.outcome", record.outcome())
        .number("tidegate.attempts", u64::from(record.attempts))
        .number("tidegate.fuel", record.usage.fuel)
        .float("tidegate.queue_wait_seconds", place.waited.as_secs_f64());
    if let Some(version) = record.in_place_of {
        attributes = attributes.number("tidegate.in_place_of", version);
    }
    Span {
        name: format!("run {}.{}", record.module, record.consumer),
        kind: SpanKind::Consumer,
        trace: record.correlation,
        parent,
        link,
        began: record.started,
        ended: record.started.checked_add(record.usage.wall).unwrap_or(record.started),
        attributes,
        error: record.fault().map(ToString::to_string),
    }
}

/// Records an attempt at a request to a server outside.
pub(super) fn fetched(
    traces: &Traces,
    (correlation, place): (CorrelationId, Option<Place>),
    (fetch, fetched): (&Fetch, &Fetched),
    took: Duration,
) {
    let Some(place) = place else { return };
    traces.record(place.own, || {
        let (parent, link) = place.parent_and_link();
        let url = url::Url::parse(&fetch.url).ok();
        let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or_default();
        let mut attributes = Attributes::default()
            .text("http.request.method", fetch.method.as_str())
            .text("server.address", host);
        let error = match fetched {
            Fetched::Answered { status, .. } => {
                attributes =
                    attributes.number("http.response.status_code", u64::from(status.as_u16()));
                (status.as_u16() >= 400).then(|| format!("status {status}"))
            }
            Fetched::Failed(failure) => {
                attributes = attributes.text("error.type", failure.reason.as_str());
                Some(failure.message.clone())
            }
            Fetched::Unknown => Some("it is not known whether it was answered".to_owned()),
        };
        Span {
            name: fetch.method.to_string(),
            kind: SpanKind::Client,
            trace: correlation,
            parent,
            link,
            began: began_before(took),
            ended: SystemTime::now(),
            attributes,
            error,
        }
    });
}
