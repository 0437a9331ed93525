//! Sends requests of one module, to servers that it may reach.

use std::{
    collections::HashMap,
    error::Error as StdError,
    fs, io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, header};
use http_body::{Frame, SizeHint};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    time::{Instant, timeout_at},
};
use tokio_rustls::rustls::{
    self, ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::{
    AnswerBody, Failure, FailureReason, Fetch, Fetched, OutsideGrant, Refusal, Target,
    counted::CountedGuard,
    redirect::{self, RedirectError},
    resolver::{CheckedResolver, Unresolved, resolving_for},
};
use crate::{
    capability::Grants,
    message::{Cause, ModuleName, TraceContext},
    telemetry::Metrics,
};

/// How long a connection waits for the next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections to one server that wait for the next request.
const IDLE_PER_SERVER_MAX: usize = 32;
const USER_AGENT: &str = concat!("tidegate/", env!("CARGO_PKG_VERSION"));
/// Says which request of ours a request of theirs belongs to, as the W3C's Trace Context has it.
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// The certificates of authorities cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It has no certificate.
    #[error("{path} has no certificate in PEM form: {reason}")]
    Empty {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Makes the clients of modules. Connections of a module serve no other. By default the authorities of the system are
/// trusted.
#[derive(Debug, Default)]
pub struct Clients {
    /// The authorities of a file; none for those of the system, which are read for the first client.
    roots: Option<RootCertStore>,
    tls: OnceLock<ClientConfig>,
    /// Those of active versions, with the grants that they were made for. Locked for single operations only.
    made: Mutex<HashMap<ModuleName, (Arc<Grants>, Client)>>,
    waiting: WaitingRuntime,
    metrics: Arc<Metrics>,
}

impl Clients {
    /// Trusts the authorities of a file, in PEM form; none for those of the system.
    pub fn new(roots: Option<&Path>, metrics: Arc<Metrics>) -> Result<Self, RootsError> {
        let roots = roots.map(read_roots).transpose()?;
        Ok(Self { roots, metrics, ..Self::default() })
    }

    /// Returns the client of a module with these grants.
    pub fn of(&self, module: &ModuleName, grants: &Arc<Grants>) -> Result<Client, ClientError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, client)) = made.get(module)
            && Arc::ptr_eq(of, grants)
        {
            return Ok(client.clone());
        }
        let guard = CountedGuard::new(Some(module), &grants.outside, Arc::clone(&self.metrics));
        let client = Client::new(&grants.outside, guard, self.tls())?;
        // Nobody else has the grants of a version that is gone.
        made.retain(|_, (of, _)| Arc::strong_count(of) > 1);
        made.insert(module.clone(), (Arc::clone(grants), client.clone()));
        Ok(client)
    }

    /// Makes a client that shares connections with no module.
    pub fn alone(&self, grant: &OutsideGrant) -> Result<Client, ClientError> {
        let guard = CountedGuard::new(None, grant, Arc::clone(&self.metrics));
        Client::new(grant, guard, self.tls())
    }

    fn tls(&self) -> ClientConfig {
        self.tls.get_or_init(|| tls(self.roots.clone().unwrap_or_else(system_roots))).clone()
    }

    /// The runtime of the requests that runs wait for: neither slots nor sockets have part in it.
    pub fn waiting(&self) -> io::Result<Handle> {
        self.waiting.handle()
    }
}

/// A runtime of one thread, which is made for the first request. Dropping it waits for nothing.
#[derive(Debug, Default)]
struct WaitingRuntime(Mutex<Option<Runtime>>);

impl WaitingRuntime {
    fn handle(&self) -> io::Result<Handle> {
        let mut runtime = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*runtime {
            return Ok(runtime.handle().clone());
        }
        let mut builder = Builder::new_multi_thread();
        let made =
            builder.worker_threads(1).thread_name("tidegate-outside").enable_all().build()?;
        Ok(runtime.insert(made).handle().clone())
    }
}

impl Drop for WaitingRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            runtime.shutdown_background();
        }
    }
}

/// A client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the client of requests cannot be made: {0}")]
pub struct ClientError(#[from] reqwest::Error);

fn tls(roots: RootCertStore) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    builder
        .with_safe_default_protocol_versions()
        .expect("ring has what TLS 1.2 and 1.3 need")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn read_roots(path: &Path) -> Result<RootCertStore, RootsError> {
    let file = |source| RootsError::File { path: path.to_owned(), source };
    let empty = |reason| RootsError::Empty { path: path.to_owned(), reason };
    let pem = fs::read(path).map_err(file)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| empty(error.to_string()))?;
        roots.add(certificate).map_err(|error| empty(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(empty("it has no BEGIN CERTIFICATE".to_owned()));
    }
    Ok(roots)
}

/// The authorities of the system. Those that cannot be read are left out, and told.
fn system_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "certificates of the system cannot be read");
    }
    let mut roots = RootCertStore::empty();
    let (_, ignored) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(authorities = roots.len(), ignored, "TLS to servers outside");
    roots
}

/// Sends requests of one module. Clones share connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    /// For runs: HTTP/1.1, and bodies as they come.
    plain: reqwest::Client,
    guard: Arc<CountedGuard>,
    timeout: Duration,
    response_bytes: usize,
}

impl Client {
    fn new(
        grant: &OutsideGrant,
        guard: CountedGuard,
        tls: ClientConfig,
    ) -> Result<Self, ClientError> {
        let guard = Arc::new(guard);
        let resolver = Arc::new(CheckedResolver::new(Arc::clone(&guard)));
        let builder = |mut tls: ClientConfig, protocols: &[&[u8]]| {
            tls.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls)
                .dns_resolver(Arc::clone(&resolver))
                // Each one is checked first.
                .redirect(reqwest::redirect::Policy::none())
                // Those who count the attempts make another one.
                .retry(reqwest::retry::never())
                // A proxy would resolve names again.
                .no_proxy()
                .pool_idle_timeout(IDLE_TIMEOUT)
                .pool_max_idle_per_host(IDLE_PER_SERVER_MAX)
        };
        let http = builder(tls.clone(), &[b"h2", b"http/1.1"]).user_agent(USER_AGENT).build()?;
        let plain = builder(tls, &[b"http/1.1"]).http1_only();
        let plain = plain.no_gzip().no_brotli().no_deflate().build()?;
        let (timeout, response_bytes) = (grant.timeout, grant.response_bytes);
        Ok(Self { http, plain, guard, timeout, response_bytes })
    }

    /// How long an attempt may take.
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Scheme, host and port of a request; none for one that is refused.
    pub fn server(&self, fetch: &Fetch) -> Option<String> {
        self.guard.server(&fetch.url)
    }

    /// Makes one attempt at a request, which ends at a moment at the latest. Dropping the future ends the attempt; the
    /// server may have got the request.
    pub async fn send(&self, fetch: &Fetch, cause: Cause, until: Instant) -> Fetched {
        let mut fetch = fetch.clone();
        if !fetch.headers.contains_key(TRACE_PARENT) {
            fetch.headers.insert(TRACE_PARENT, trace_parent(cause));
        }
        let span = fetch.timeout.unwrap_or(self.timeout).min(self.timeout);
        match timeout_at(until.min(Instant::now() + span), self.follow(fetch)).await {
            Ok(Ok(fetched)) => fetched,
            Ok(Err(error)) => error.into(),
            Err(_) => {
                Fetched::failed(FailureReason::Timeout, format!("it took longer than {span:?}"))
            }
        }
    }

    /// Makes a request of a run, which reads the answer as it comes. Redirects are the run's business. `trace` names the span of
    /// the run, if it has one, unless the run says something else.
    pub async fn forward<B>(
        &self,
        request: http::Request<B>,
        trace: Option<Cause>,
    ) -> Result<http::Response<AnswerBody>, ForwardError>
    where
        B: http_body::Body<Data = Bytes, Error: Into<Box<dyn StdError + Send + Sync>>>
            + Send
            + 'static,
    {
        let target = self.guard.check(&request.uri().to_string())?;
        let (mut parts, body) = request.into_parts();
        parts.headers.remove(header::HOST);
        if let Some(cause) = trace {
            parts.headers.entry(TRACE_PARENT).or_insert_with(|| trace_parent(cause));
        }
        let body = reqwest::Body::wrap(Shareable(Mutex::new(Box::pin(body))));
        let request = self.plain.request(parts.method, target.url().clone());
        let request = request.headers(parts.headers).body(body).send();
        let response = resolving_for(target, request).await;
        response.map(Into::into).map_err(|error| match of_http(&error) {
            Fetched::Failed(failure) => ForwardError::Failed(failure),
            _ => ForwardError::Failed(Failure::new(FailureReason::Broken, "no answer came")),
        })
    }

    /// Follows redirects to servers that the module may reach.
    async fn follow(&self, mut fetch: Fetch) -> Result<Fetched, SendError> {
        let mut hops = 0;
        loop {
            let target = self.guard.check(&fetch.url)?;
            let response = self.ask(&target, &fetch).await?;
            let Some(location) = redirect::location(&response) else {
                return self.read(response).await;
            };
            hops += 1;
            fetch = redirect::next(fetch, &target, location, hops)?;
        }
    }

    async fn ask(&self, target: &Target, fetch: &Fetch) -> reqwest::Result<reqwest::Response> {
        let request = self.http.request(fetch.method.clone(), target.url().clone());
        let request = request.headers(fetch.headers.clone()).body(fetch.body.clone());
        resolving_for(target.clone(), request.send()).await
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Fetched, SendError> {
        let limit = self.response_bytes;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > limit {
                let rule =
                    format!("the body of an answer has at most {limit} bytes; this one has more");
                return Ok(Fetched::failed(FailureReason::TooLarge, rule));
            }
            body.extend_from_slice(&chunk);
        }
        let headers = std::mem::take(response.headers_mut());
        Ok(Fetched::Answered { status: response.status(), headers, body: body.freeze() })
    }
}

/// Why a request of a run has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// The guard refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was not answered.
    #[error("{}", .0.message)]
    Failed(Failure),
}

/// A body that several threads may hold, though only its owner reads it.
struct Shareable<B>(Mutex<Pin<Box<B>>>);

impl<B: http_body::Body> http_body::Body for Shareable<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}

/// Names the span that makes a request; without spans one that nobody else knows. The correlation id is the id of the
/// trace.
fn trace_parent(Cause { correlation, trace }: Cause) -> HeaderValue {
    let span = trace.unwrap_or_else(|| TraceContext::random(true));
    HeaderValue::try_from(span.trace_parent(correlation))
        .expect("hexadecimal digits may stand in a header field")
}

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Redirect(#[from] RedirectError),
    #[error(transparent)]
    Http(#[from] reqwest::Error),
}

impl From<SendError> for Fetched {
    fn from(error: SendError) -> Self {
        match &error {
            SendError::Refused(refusal) => {
                Self::failed(FailureReason::Refused, refusal.to_string())
            }
            SendError::Redirect(error) => Self::failed(error.reason(), error.to_string()),
            SendError::Http(error) => of_http(error),
        }
    }
}

/// The texts of the library have the URL in them, whose path and query may be secret, so that only those of its
/// causes are told.
fn of_http(error: &reqwest::Error) -> Fetched {
    if let Some(refusal) = cause::<Refusal>(error) {
        return Fetched::failed(FailureReason::Refused, refusal.to_string());
    }
    if let Some(error) = cause::<Unresolved>(error) {
        return Fetched::failed(FailureReason::Resolve, error.to_string());
    }
    if let Some(error) = cause::<rustls::Error>(error) {
        return Fetched::failed(FailureReason::Tls, error.to_string());
    }
    let reason = match error.is_connect() {
        true => FailureReason::Connect,
        false => FailureReason::Broken,
    };
    let innermost = causes(error).last().map(ToString::to_string);
    Fetched::failed(reason, innermost.unwrap_or_else(|| "no answer came".to_owned()))
}

/// The causes of an error.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |error| next_cause(*error))
}

/// An error of input and output has another error in it, which its source leaves out.
fn next_cause<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    within.map(|error| error as &(dyn StdError + 'static)).or_else(|| error.source())
}

fn cause<E: StdError + 'static>(error: &reqwest::Error) -> Option<&E> {
    causes(error).find_map(|error| error.downcast_ref())
}
