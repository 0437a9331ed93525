//! Spans, and lines of guests, for a collector of OpenTelemetry. Off unless the environment names one.
//!
//! Nothing waits for the collector: what is done goes into a bounded queue, and a thread of its own sends it. The trace of
//! a span is the correlation id. Metrics stay those of Prometheus.

mod client;
mod environment;
mod export;
mod losses;
mod queue;
mod span;

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use opentelemetry_sdk::trace::SpanData;
use tokio::{sync::oneshot, time::timeout};
use tokio_util::sync::CancellationToken;

use self::{environment::Sampling, losses::Losses, queue::Queue, span::LineData};
pub use self::{
    environment::{TracesConfig, VariableError},
    losses::{ByLoss, BySignal, TelemetryCounts},
    span::{Attributes, Line, Span, SpanKind},
};
use crate::message::{CorrelationId, TraceContext};

/// How long the end of the process waits for what is on its way to the collector.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);

/// Spans and lines cannot be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TracesError {
    /// The library refuses what the environment says.
    #[error("OTEL_EXPORTER_OTLP_*: {0}")]
    Exporter(String),
    /// There is no thread for it.
    #[error("the thread that sends spans cannot be started: {0}")]
    Thread(#[from] io::Error),
}

/// Takes spans and lines of guests for the collector. Clones are the same; the default takes nothing. With the last clone
/// the thread ends.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<Arc<Handle>>);

#[derive(Debug)]
struct Handle(Arc<Started>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.stop.cancel();
    }
}

#[derive(Debug)]
struct Started {
    sampling: Sampling,
    spans: Option<Queue<SpanData>>,
    lines: Option<Queue<LineData>>,
    stop: CancellationToken,
    /// Resolves when all is sent; taken by the first that waits.
    finished: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Traces {
    /// Starts to send. `instance` tells this process from others of the service.
    pub fn start(
        config: &TracesConfig,
        instance: &str,
        counts: &TelemetryCounts,
    ) -> Result<Self, TracesError> {
        let losses = |signal| Losses { signal, counts: counts.clone() };
        let (done, finished) = oneshot::channel();
        let started = Arc::new(Started {
            sampling: config.sampling,
            spans: config.spans.as_ref().map(|it| Queue::new(it.queue, it.batch, losses("spans"))),
            lines: config.lines.as_ref().map(|it| Queue::new(it.queue, it.batch, losses("lines"))),
            stop: CancellationToken::new(),
            finished: Mutex::new(Some(finished)),
        });
        export::start(config.clone(), instance, Arc::clone(&started), done)?;
        Ok(Self(Some(Arc::new(Handle(started)))))
    }

    fn started(&self) -> Option<&Started> {
        self.0.as_ref().map(|handle| &*handle.0)
    }

    /// Whether spans or lines are sent at all. Otherwise nothing needs to be read or made for them.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Makes the id of a span that begins, and decides whether it is sampled. None: there are no spans, or the id of the
    /// trace is zero, which collectors refuse.
    pub fn enter(
        &self,
        trace: CorrelationId,
        parent: Option<TraceContext>,
    ) -> Option<TraceContext> {
        let started = self.started().filter(|_| trace.to_bytes() != [0; 16])?;
        started.spans.as_ref()?;
        Some(TraceContext::random(started.sampling.takes(trace, parent)))
    }

    /// Takes a span that is over. It is made only if it is sampled.
    pub fn record(&self, own: TraceContext, make: impl FnOnce() -> Span) {
        let spans = self.started().and_then(|started| started.spans.as_ref());
        if let Some(spans) = spans.filter(|_| own.sampled) {
            spans.push(make().into_data(own));
        }
    }

    /// Whether lines of guests are sent.
    pub fn takes_lines(&self) -> bool {
        self.started().is_some_and(|started| started.lines.is_some())
    }

    /// Takes a line of a guest.
    pub fn line(&self, line: &Line<'_>) {
        if let Some(lines) = self.started().and_then(|started| started.lines.as_ref()) {
            lines.push(line.to_data());
        }
    }

    /// Sends what waits, for five seconds at most, and counts what is left as lost.
    pub async fn finish(&self) {
        let Some(started) = self.started() else { return };
        started.stop.cancel();
        let finished = started.finished.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(finished) = finished else { return };
        // A thread that has ended without a word has sent what it could.
        drop(timeout(FINISH_TIMEOUT, finished).await);
        let spans = started.spans.as_ref().map_or(0, Queue::give_up);
        let lines = started.lines.as_ref().map_or(0, Queue::give_up);
        if spans + lines > 0 {
            tracing::warn!(spans, lines, "the collector of telemetry does not get what is left");
        }
    }
}

/// The beginning of something that ends now.
pub fn began_before(span: Duration) -> SystemTime {
    let now = SystemTime::now();
    now.checked_sub(span).unwrap_or(now)
}
