//! Spans and lines as the rest of the host makes them, and as the library of OpenTelemetry wants them.

use std::{borrow::Cow, time::SystemTime};

use opentelemetry::{
    InstrumentationScope, Key, KeyValue, Value,
    logs::{AnyValue, LogRecord as _, Severity},
    trace::{Link, SpanContext, SpanId, SpanKind as Kind, Status, TraceFlags, TraceId, TraceState},
};
use opentelemetry_sdk::{
    logs::SdkLogRecord,
    trace::{SpanData, SpanEvents, SpanLinks},
};

use crate::message::{CorrelationId, TraceContext};

/// Bytes that a span keeps of its name, of its error and of the text of each attribute.
const TEXT_BYTES_MAX: usize = 1024;
/// Bytes of a line that are sent. The record of the run has all.
const LINE_BYTES_MAX: usize = 4096;

/// The beginning of a text, as much as a span keeps.
fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}

/// The role of a span in its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// A request of a client is answered.
    Server,
    /// A message is worked on.
    Consumer,
    /// A server elsewhere is asked.
    Client,
    /// Something within the host.
    Internal,
}

/// What is known of a span or a line.
#[derive(Debug, Default)]
pub struct Attributes(Vec<KeyValue>);

impl Attributes {
    /// Adds a text, of which the first 1,024 bytes are kept.
    #[must_use]
    pub fn text(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.push(KeyValue::new(name, bounded(value.into())));
        self
    }

    /// Adds a whole number; one beyond 63 bits is the largest there is.
    #[must_use]
    pub fn number(mut self, name: &'static str, value: u64) -> Self {
        self.0.push(KeyValue::new(name, i64::try_from(value).unwrap_or(i64::MAX)));
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn float(mut self, name: &'static str, value: f64) -> Self {
        self.0.push(KeyValue::new(name, value));
        self
    }
}

/// Something that began and is over.
#[derive(Debug)]
pub struct Span {
    /// Its name, of which there are few.
    pub name: String,
    /// Its role.
    pub kind: SpanKind,
    /// Its trace.
    pub trace: CorrelationId,
    /// The span that it is a part of.
    pub parent: Option<TraceContext>,
    /// A span of the same trace that it belongs to without being a part of it.
    pub link: Option<TraceContext>,
    /// When it began.
    pub began: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// What is known of it.
    pub attributes: Attributes,
    /// What went wrong; none if nothing did.
    pub error: Option<String>,
}

impl Span {
    pub(super) fn into_data(self, own: TraceContext) -> SpanData {
        let Self { name, kind, trace, parent, link, began, ended, attributes, error } = self;
        let mut links = SpanLinks::default();
        links.links.extend(link.map(|link| Link::with_context(context(trace, link))));
        SpanData {
            span_context: context(trace, own),
            parent_span_id: parent.map_or(SpanId::INVALID, span_id),
            parent_span_is_remote: kind == SpanKind::Server,
            span_kind: match kind {
                SpanKind::Server => Kind::Server,
                SpanKind::Consumer => Kind::Consumer,
                SpanKind::Client => Kind::Client,
                SpanKind::Internal => Kind::Internal,
            },
            name: Cow::Owned(bounded(name)),
            start_time: began,
            // A clock that was set back makes no span of less than nothing.
            end_time: ended.max(began),
            attributes: attributes.0,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status: error.map_or(Status::Unset, |error| Status::error(bounded(error))),
            instrumentation_scope: scope(),
        }
    }
}

fn span_id(context: TraceContext) -> SpanId {
    SpanId::from_bytes(context.span.get().to_be_bytes())
}

fn flags(context: TraceContext) -> TraceFlags {
    TraceFlags::default().with_sampled(context.sampled)
}

fn context(trace: CorrelationId, of: TraceContext) -> SpanContext {
    let trace = TraceId::from_bytes(trace.to_bytes());
    SpanContext::new(trace, span_id(of), flags(of), false, TraceState::default())
}

/// The part of the program that makes spans and lines: the host.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("tidegate").with_version(env!("CARGO_PKG_VERSION")).build()
}

/// A line that a consumer logged or printed.
#[derive(Debug)]
pub struct Line<'a> {
    /// Its trace.
    pub trace: CorrelationId,
    /// The span of its run.
    pub span: Option<TraceContext>,
    /// When its run began.
    pub time: SystemTime,
    /// The line, of which the first 4,096 bytes are sent. A line that was logged begins with its level.
    pub text: &'a str,
    /// The module.
    pub module: &'a str,
    /// Its version.
    pub version: u64,
    /// The consumer.
    pub consumer: &'a str,
}

/// A line on its way.
#[derive(Debug)]
pub(super) struct LineData {
    trace: CorrelationId,
    span: Option<TraceContext>,
    time: SystemTime,
    text: String,
    attributes: [(&'static str, Value); 3],
}

/// The levels of lines, as they stand at their beginning.
const LEVELS: [(&str, Severity); 5] = [
    ("trace ", Severity::Trace),
    ("debug ", Severity::Debug),
    ("info ", Severity::Info),
    ("warn ", Severity::Warn),
    ("error ", Severity::Error),
];

impl Line<'_> {
    pub(super) fn to_data(&self) -> LineData {
        let (text, _) = self.text.split_at(self.text.floor_char_boundary(LINE_BYTES_MAX));
        let version = i64::try_from(self.version).unwrap_or(i64::MAX);
        LineData {
            trace: self.trace,
            span: self.span,
            time: self.time,
            text: text.to_owned(),
            attributes: [
                ("tidegate.module", self.module.to_owned().into()),
                ("tidegate.version", version.into()),
                ("tidegate.consumer", self.consumer.to_owned().into()),
            ],
        }
    }
}

impl LineData {
    /// Fills a record of the library.
    pub(super) fn fill(self, record: &mut SdkLogRecord) {
        let Self { trace, span, time, text, attributes } = self;
        let level = LEVELS.iter().find(|(word, _)| text.starts_with(word));
        let severity = level.map_or(Severity::Info, |(_, severity)| *severity);
        record.set_severity_number(severity);
        record.set_severity_text(severity.name());
        // With its level: a line that was printed may begin with the same word.
        record.set_body(AnyValue::from(text));
        record.set_timestamp(time);
        record.set_observed_timestamp(SystemTime::now());
        record.set_target("tidegate::guest");
        let span_id = span.map_or(SpanId::INVALID, span_id);
        record.set_trace_context(TraceId::from_bytes(trace.to_bytes()), span_id, span.map(flags));
        for (name, value) in attributes {
            let value = match value {
                Value::I64(number) => AnyValue::Int(number),
                other => AnyValue::from(other.to_string()),
            };
            record.add_attribute(Key::new(name), value);
        }
    }
}
