//! The thread that sends spans and lines.

use std::{
    sync::{Arc, mpsc},
    thread,
};

use opentelemetry::{
    KeyValue,
    logs::{Logger as _, LoggerProvider as _},
};
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, Protocol as Otlp, SpanExporter, WithExportConfig as _,
    WithHttpConfig as _, WithTonicConfig as _, tonic_types::transport::ClientTlsConfig,
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{LogBatch, LogExporter as _, SdkLogRecord, SdkLogger, SdkLoggerProvider},
    trace::{SpanData, SpanExporter as _},
};
use tokio::{
    runtime::Builder,
    sync::oneshot,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Started, TracesConfig, TracesError,
    client::Client,
    environment::{Batching, Protocol},
    queue::Queue,
    span::{LineData, scope},
};
use crate::outage::Outage;

/// Starts the thread, and returns when its exporters are made.
pub(super) fn start(
    config: TracesConfig,
    instance: &str,
    started: Arc<Started>,
    done: oneshot::Sender<()>,
) -> Result<(), TracesError> {
    let resource = resource(instance);
    let (made, ready) = mpsc::channel();
    let run = move || {
        let runtime = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(made.send(Err(error.into()))),
        };
        runtime.block_on(async {
            let exporters = match Exporters::new(&config, &resource) {
                Ok(exporters) => exporters,
                Err(error) => return drop(made.send(Err(error))),
            };
            // Whoever starts it waits.
            drop(made.send(Ok(())));
            exporters.run(&config, &started).await;
            // Whoever waits hears of it.
            drop(done);
        });
    };
    thread::Builder::new().name("tidegate-traces".to_owned()).spawn(run)?;
    ready.recv().unwrap_or_else(|_| Err(TracesError::Exporter("its thread has ended".to_owned())))
}

/// What is true of all spans and lines of this process: what the environment says, the name of the service where it says
/// none, its version and its instance.
fn resource(instance: &str) -> Resource {
    let own = [
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", instance.to_owned()),
    ];
    let told = Resource::builder().build();
    let name = told.get(&"service.name".into()).map(|name| name.to_string());
    let is_named = name.is_some_and(|name| !name.starts_with("unknown_service"));
    let builder = Resource::builder_empty().with_attributes(own);
    let builder = builder
        .with_attributes(told.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())));
    if is_named { builder.build() } else { builder.with_service_name("tidegate").build() }
}

struct Exporters {
    spans: Option<SpanExporter>,
    lines: Option<Lines>,
}

/// The exporter of lines, and what makes empty records.
struct Lines {
    exporter: LogExporter,
    logger: SdkLogger,
}

/// Makes the exporter of a signal. The exporters of the library and their builders have no trait for it in common.
macro_rules! exporter {
    ($exporter:ident, $batching:expr, $resource:expr) => {{
        let (builder, timeout) = ($exporter::builder(), $batching.request_timeout);
        let made = match $batching.protocol {
            Protocol::Http => {
                let builder = builder.with_http().with_protocol(Otlp::HttpBinary);
                builder.with_http_client(client($batching)?).with_timeout(timeout).build()
            }
            Protocol::Grpc if $batching.is_secure => {
                builder.with_tonic().with_tls_config(tls()).with_timeout(timeout).build()
            }
            Protocol::Grpc => builder.with_tonic().with_timeout(timeout).build(),
        };
        let refused = |error: ExporterBuildError| TracesError::Exporter(error.to_string());
        made.map_err(refused).map(|mut exporter| {
            exporter.set_resource($resource);
            exporter
        })
    }};
}

impl Exporters {
    fn new(config: &TracesConfig, resource: &Resource) -> Result<Self, TracesError> {
        let spans =
            config.spans.as_ref().map(|batching| exporter!(SpanExporter, batching, resource));
        let lines = config.lines.as_ref().map(|batching| {
            let exporter = exporter!(LogExporter, batching, resource)?;
            let logger = SdkLoggerProvider::builder().build().logger("tidegate");
            Ok::<_, TracesError>(Lines { exporter, logger })
        });
        Ok(Self { spans: spans.transpose()?, lines: lines.transpose()? })
    }

    /// Sends what comes until the process ends, and what waits then.
    async fn run(&self, config: &TracesConfig, started: &Started) {
        let spans = async {
            if let (Some(exporter), Some(batching), Some(queue)) =
                (&self.spans, &config.spans, &started.spans)
            {
                let send = async |batch: Vec<SpanData>| exporter.export(batch).await;
                serve(queue, batching, started, send).await;
            }
        };
        let lines = async {
            if let (Some(lines), Some(batching), Some(queue)) =
                (&self.lines, &config.lines, &started.lines)
            {
                let send = async |batch: Vec<LineData>| lines.export(batch).await;
                serve(queue, batching, started, send).await;
            }
        };
        tokio::join!(spans, lines);
    }
}

impl Lines {
    async fn export(&self, batch: Vec<LineData>) -> OTelSdkResult {
        let scope = scope();
        let records: Vec<SdkLogRecord> = batch
            .into_iter()
            .map(|line| {
                let mut record = self.logger.create_log_record();
                line.fill(&mut record);
                record
            })
            .collect();
        let records: Vec<_> = records.iter().map(|record| (record, &scope)).collect();
        self.exporter.export(LogBatch::new(&records)).await
    }
}

fn client(batching: &Batching) -> Result<Client, TracesError> {
    let made = Client::new(batching.is_secure, batching.request_timeout);
    made.map_err(|error| TracesError::Exporter(error.to_string()))
}

fn tls() -> ClientTlsConfig {
    ClientTlsConfig::new().with_native_roots()
}

/// Sends what is in a queue: whole batches at once, others after a while.
async fn serve<T>(
    queue: &Queue<T>,
    batching: &Batching,
    started: &Started,
    send: impl AsyncFn(Vec<T>) -> OTelSdkResult,
) {
    let mut outage = Outage::default();
    loop {
        let is_last = tokio::select! {
            () = sleep_until(Instant::now() + batching.delay) => false,
            () = queue.whole.notified() => false,
            () = started.stop.cancelled() => true,
        };
        loop {
            let batch = queue.take();
            if batch.is_empty() {
                break;
            }
            let sent = match timeout(batching.timeout, send(batch)).await {
                Ok(sent) => sent.map_err(|error| error.to_string()),
                Err(_) => Err(format!("it took longer than {:?}", batching.timeout)),
            };
            match sent {
                Ok(()) => {
                    queue.sent();
                    if outage.ends() {
                        tracing::info!(
                            signal = queue.signal(),
                            "the collector takes what is sent again"
                        );
                    }
                }
                Err(error) => {
                    let lost = queue.lost();
                    if let Some(failures) = outage.fails() {
                        tracing::warn!(
                            %error, failures, signal = queue.signal(), lost,
                            "the collector of telemetry does not take what is sent"
                        );
                    }
                }
            }
        }
        if is_last {
            return;
        }
    }
}
