//! `wasi:http/outgoing-handler`: requests that a run makes itself, and waits for.
//!
//! A request goes out on a runtime of its own, with the client of the module and behind its guard. The wait counts
//! against the deadline, which drops the request.

use std::{future::Future, sync::Arc, time::Duration};

use http_body_util::BodyExt as _;
use tokio::{runtime::Handle, time::timeout};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use crate::{
    capability::outside::{AnswerBody, Client, ClientError, Clients, FailureReason, ForwardError},
    engine::instance::Run,
    message::Cause,
};

/// Bytes that the header fields of one message may take in memory.
const FIELDS_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a body that a guest writes at once. Two such parts wait on the host.
const CHUNK_BYTES_MAX: usize = 64 * 1024;
/// How long a run waits for an answer unless it says otherwise. Its deadline is sooner.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

/// What the host keeps for the requests of a run.
pub(in crate::engine) struct HttpCalls {
    context: WasiHttpCtx,
    hooks: Hooks,
}

impl HttpCalls {
    /// Whether the run has made a request: a second run would make it again.
    pub(in crate::engine) const fn has_sent(&self) -> bool {
        self.hooks.has_sent
    }
}

impl WasiHttpView for Run {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let Self { http, table, clients, job, .. } = self;
        let calls = http.get_or_insert_with(|| {
            let mut context = WasiHttpCtx::new();
            context.set_field_size_limit(FIELDS_BYTES_MAX);
            let means = clients.as_ref().zip(job.as_ref()).and_then(|(clients, job)| {
                let client = clients.of(&job.lent.module, &job.lent.grants);
                Means::new(clients, client, job.trace.map(|_| job.cause()))
            });
            Box::new(HttpCalls { context, hooks: Hooks { means, has_sent: false } })
        });
        WasiHttpCtxView { ctx: &mut calls.context, hooks: &mut calls.hooks, table }
    }
}

/// A client, and where its requests run.
#[derive(Clone)]
struct Means {
    client: Client,
    runtime: Handle,
    /// The span of the run, if it has one.
    trace: Option<Cause>,
}

impl Means {
    fn new(
        clients: &Arc<Clients>,
        client: Result<Client, ClientError>,
        trace: Option<Cause>,
    ) -> Option<Self> {
        let client = client.inspect_err(|error| tracing::error!(%error, "no requests of runs"));
        let runtime = clients.waiting();
        let runtime = runtime.inspect_err(|error| tracing::error!(%error, "no requests of runs"));
        Some(Self { client: client.ok()?, runtime: runtime.ok()?, trace })
    }
}

struct Hooks {
    /// None while routes are read, and where no client can be made.
    means: Option<Means>,
    has_sent: bool,
}

/// The work that goes on beside a response: none, since the client has its own.
type Beside = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Hooks {
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES_MAX
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _fut: Beside,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Beside), Error>> + Send> {
        self.has_sent = true;
        let means = self.means.clone();
        Box::new(async move {
            let Means { client, runtime, trace } = means.ok_or(Error::HttpRequestDenied)?;
            let wait = options.and_then(|it| it.first_byte_timeout).unwrap_or(WAIT_MAX);
            let mut sending =
                Sending(runtime.spawn(async move { client.forward(request, trace).await }));
            let sent = timeout(wait, &mut sending.0).await;
            let sent = sent.map_err(|_| Error::ConnectionReadTimeout)?;
            let sent = sent.map_err(|error| Error::InternalError(Some(error.to_string())))?;
            let response = sent.map_err(|error| told(&error))?;
            let body =
                |body: AnswerBody| body.map_err(|_| Error::HttpResponseIncomplete).boxed_unsync();
            let beside: Beside = Box::new(async { Ok(()) });
            Ok((response.map(body), beside))
        })
    }
}

/// A request on its runtime. Dropping it ends the request.
struct Sending<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Sending<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The guest gets a code, and no text but that of the guard, which names the setting.
fn told(error: &ForwardError) -> Error {
    let failure = match error {
        ForwardError::Failed(failure) => failure,
        refused => return Error::InternalError(Some(refused.to_string())),
    };
    match failure.reason {
        FailureReason::Refused => Error::DestinationIpProhibited,
        FailureReason::Resolve => Error::DnsError { rcode: None, info_code: None },
        FailureReason::Connect => Error::ConnectionRefused,
        FailureReason::Tls => Error::TlsCertificateError,
        FailureReason::Timeout => Error::ConnectionReadTimeout,
        FailureReason::TooLarge => Error::HttpResponseBodySize(None),
        FailureReason::Broken | FailureReason::Redirects => Error::HttpProtocolError,
    }
}
