//! A collector of OpenTelemetry, over HTTP or gRPC, which keeps what it gets.

use std::{
    convert::Infallible,
    io::Read as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use flate2::read::GzDecoder;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::Incoming,
    header::HeaderValue,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{KeyValue, any_value::Value},
    logs::v1::LogRecord,
    trace::v1::Span,
};
use prost::Message as _;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Notify,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::{Certificate, background, must};

/// What a collector does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// It takes what comes.
    All,
    /// It answers with 500.
    Nothing,
    /// It does not answer.
    Never,
}

/// Where bytes of OTLP begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http,
    Grpc,
}

#[derive(Debug)]
struct Shared {
    protocol: Protocol,
    taking: Mutex<Taking>,
    got: Mutex<Got>,
    came: Notify,
}

/// What a collector got.
#[derive(Clone, Debug, Default)]
pub struct Got {
    /// Spans.
    pub spans: Vec<Span>,
    /// Lines of guests.
    pub lines: Vec<LogRecord>,
    /// The attributes of the process that sent the last of them.
    pub resource: Vec<(String, String)>,
    /// The header fields of each request.
    pub heads: Vec<HeaderMap>,
    /// Requests, whether they were taken or not.
    pub requests: usize,
}

/// A collector on a free port of the loopback. Stopped when dropped.
#[derive(Debug)]
pub struct Collector {
    /// Where it listens.
    pub address: SocketAddr,
    /// The value of `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Collector {
    /// Takes OTLP over HTTP, as protobuf.
    pub async fn http() -> Self {
        Self::start(Protocol::Http, None).await
    }

    /// Takes OTLP over gRPC.
    pub async fn grpc() -> Self {
        Self::start(Protocol::Grpc, None).await
    }

    /// Takes OTLP over HTTP and TLS.
    pub async fn https(certificate: &Certificate) -> Self {
        Self::start(Protocol::Http, Some(certificate.acceptor())).await
    }

    /// Takes OTLP over gRPC and TLS.
    pub async fn grpc_tls(certificate: &Certificate) -> Self {
        Self::start(Protocol::Grpc, Some(certificate.acceptor_of(&["h2"]))).await
    }

    async fn start(protocol: Protocol, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (taking, got) = (Mutex::new(Taking::All), Mutex::default());
        let shared = Arc::new(Shared { protocol, taking, got, came: Notify::new() });
        let of = Arc::clone(&shared);
        let serving = background(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (of, tls) = (Arc::clone(&of), tls.clone());
                drop(background(async move {
                    match tls {
                        None => serve(of, socket).await,
                        // A client may refuse the certificate.
                        Some(tls) => {
                            let Ok(socket) = tls.accept(socket).await else { return };
                            serve(of, socket).await;
                        }
                    }
                }));
            }
        });
        Self { address, url: format!("{scheme}://{address}"), shared, serving }
    }

    /// Says what it does from now on.
    pub fn take(&self, taking: Taking) {
        *self.shared.taking.lock().unwrap() = taking;
    }

    /// What came so far.
    pub fn got(&self) -> Got {
        self.shared.got.lock().unwrap().clone()
    }

    /// Waits until something holds of what came.
    pub async fn until(&self, what: &str, holds: impl Fn(&Got) -> bool) -> Got {
        must(what, async {
            loop {
                let came = self.shared.came.notified();
                let got = self.got();
                if holds(&got) {
                    return got;
                }
                came.await;
            }
        })
        .await
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Serves a connection, which its client may end at any time.
async fn serve<S>(shared: Arc<Shared>, socket: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (protocol, io) = (shared.protocol, TokioIo::new(socket));
    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
    match protocol {
        Protocol::Http => drop(http1::Builder::new().serve_connection(io, service).await),
        Protocol::Grpc => {
            let builder = http2::Builder::new(TokioExecutor::new());
            drop(builder.serve_connection(io, service).await);
        }
    }
}

/// The message of a request. It may be compressed with gzip.
fn message(protocol: Protocol, headers: &HeaderMap, mut body: Bytes) -> Bytes {
    let is_compressed = match protocol {
        Protocol::Http => headers.contains_key("content-encoding"),
        // A byte that says so, and the length.
        Protocol::Grpc => {
            let is_compressed = body.get_u8() == 1;
            body.advance(4);
            is_compressed
        }
    };
    if !is_compressed {
        return body;
    }
    let mut whole = Vec::new();
    GzDecoder::new(&*body).read_to_end(&mut whole).unwrap();
    whole.into()
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<http_body_util::combinators::BoxBody<Bytes, Infallible>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let taking = *shared.taking.lock().unwrap();
    {
        let mut got = shared.got.lock().unwrap();
        got.requests += 1;
        if taking == Taking::All {
            got.add(head.uri.path(), message(shared.protocol, &head.headers, body));
        }
        got.heads.push(head.headers);
    }
    shared.came.notify_waiters();
    if taking == Taking::Never {
        return std::future::pending().await;
    }
    let is_taken = taking == Taking::All;
    Ok(match shared.protocol {
        Protocol::Http => {
            let mut response = Response::new(Full::new(Bytes::new()).boxed());
            if !is_taken {
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            }
            response
        }
        Protocol::Grpc => grpc(is_taken),
    })
}

/// An empty message with its status.
fn grpc(is_taken: bool) -> Response<http_body_util::combinators::BoxBody<Bytes, Infallible>> {
    let mut message = BytesMut::new();
    message.put_u8(0);
    message.put_u32(0);
    let mut trailers = HeaderMap::new();
    // 13: internal.
    let status = if is_taken { "0" } else { "13" };
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    let body = Full::new(message.freeze()).with_trailers(async move { Some(Ok(trailers)) });
    let mut response = Response::new(body.boxed());
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", kind);
    response
}

impl Got {
    fn add(&mut self, path: &str, message: Bytes) {
        match path {
            "/v1/traces" | "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => {
                for resource in ExportTraceServiceRequest::decode(message).unwrap().resource_spans {
                    self.resource = attributes(&resource.resource.unwrap().attributes);
                    let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                    self.spans.extend(spans);
                }
            }
            "/v1/logs" | "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => {
                for resource in ExportLogsServiceRequest::decode(message).unwrap().resource_logs {
                    self.resource = attributes(&resource.resource.unwrap().attributes);
                    let lines = resource.scope_logs.into_iter().flat_map(|scope| scope.log_records);
                    self.lines.extend(lines);
                }
            }
            other => panic!("{other} is no path of OTLP"),
        }
    }

    /// The only span with a name.
    pub fn span(&self, name: &str) -> Span {
        let found: Vec<_> = self.spans.iter().filter(|span| span.name == name).collect();
        let [span] = found.as_slice() else {
            let names: Vec<_> = self.spans.iter().map(|span| &span.name).collect();
            panic!("{} spans {name} of {names:?}", found.len())
        };
        (*span).clone()
    }

    /// How many spans with a name came.
    pub fn count(&self, name: &str) -> usize {
        self.spans.iter().filter(|span| span.name == name).count()
    }
}

/// Attributes as texts, by name.
fn attributes(of: &[KeyValue]) -> Vec<(String, String)> {
    of.iter()
        .map(|attribute| {
            let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
            let text = match value {
                Some(Value::StringValue(text)) => text.clone(),
                Some(Value::IntValue(number)) => number.to_string(),
                Some(Value::DoubleValue(number)) => number.to_string(),
                other => format!("{other:?}"),
            };
            (attribute.key.clone(), text)
        })
        .collect()
}

/// One attribute of a span or line.
pub fn attribute(of: &[KeyValue], name: &str) -> Option<String> {
    attributes(of).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// An id as it is written.
pub fn hexadecimal(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Nanoseconds since 1970.
pub fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos()).unwrap()
}
