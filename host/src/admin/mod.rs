//! The admin listener. Health, metrics and the page need no token: every client that reaches the address may read
//! them. The API needs a token, which the page asks for.

mod access;
mod api;
pub mod client;
mod page;
mod store;
mod token;

use std::{convert::Infallible, future::poll_fn, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{
    Method, Request, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, sleep_until, timeout},
};

pub use self::{
    access::{Role, RoleError, TokenName, TokenNameError, Tokens},
    api::Api,
    store::{
        Added, AdminStore, AdminStoreError, DirectoryAdminStore, Kept, ONCE_KEPT, RedisAdminStore,
        StoredToken, TOKENS_MAX, UsedToken,
    },
    token::AdminToken,
};
use crate::{
    capability::store::Store,
    interface::{BindError, read_out},
    layer::ChannelLayer,
    registry::{Deployments, Fleet},
    shutdown::Drain,
    telemetry::Metrics,
    worker::Records,
};

/// The path of the request to stop.
const DRAIN: &str = "/api/v1/drain";
/// The pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may go on sending after the answer.
const LINGER_TIMEOUT: Duration = Duration::from_secs(5);
/// Open connections; more wait to be accepted. Each takes a descriptor that clients of the application do not get.
const CONNECTIONS_MAX: usize = 256;
/// The media type of the text form of OpenMetrics.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers `/`, `/livez`, `/readyz`, `/metrics` and what is below `/api/v1/`.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
    state: Arc<State>,
}

/// The state of the process that the admin listener reads.
#[derive(Debug)]
pub struct State {
    /// Probed for `/readyz`.
    pub layer: Arc<dyn ChannelLayer>,
    /// The data of modules.
    pub data: Arc<dyn Store>,
    /// Written out for `/metrics`.
    pub metrics: Arc<Metrics>,
    /// Stopping means not ready.
    pub serving: Drain,
    /// Stopped when a client asks the process to stop.
    pub asked: Drain,
    /// The tokens of the API.
    pub tokens: Arc<Tokens>,
    /// The deployed modules.
    pub deployments: Arc<Deployments>,
    /// The records of past invocations.
    pub records: Arc<Records>,
    /// The process and those that share its store.
    pub fleet: Arc<Fleet>,
    /// The state of the API between requests.
    pub api: Api,
}

impl AdminServer {
    /// Opens the listener.
    pub async fn bind(address: SocketAddr, state: State) -> Result<Self, BindError> {
        let wrong = |source| BindError::new(address, source);
        let listener = TcpListener::bind(address).await.map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        Ok(Self { listener, address, state: Arc::new(state) })
    }

    /// The address that is listened on, with the real port.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts to accept.
    pub fn start(self, drain: &Drain) {
        drain.spawn("admin", accept(self.listener, self.state, drain.clone()));
    }
}

async fn accept(listener: TcpListener, state: Arc<State>, drain: Drain) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let next = async {
            let place = Arc::clone(&room).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = drain.stopping() => return,
            next = next => next,
        };
        let Ok((socket, peer)) = accepted else {
            sleep_until(Instant::now() + ACCEPT_PAUSE).await;
            continue;
        };
        let (state, tasks) = (Arc::clone(&state), drain.clone());
        // Requests for health at the very end are not waited for.
        drain.spawn_until_stopped("admin connection", async move {
            let _place = place;
            serve(socket, peer, state, tasks).await;
        });
    }
}

async fn serve(socket: TcpStream, peer: SocketAddr, state: Arc<State>, tasks: Drain) {
    let handle = service_fn(move |request| {
        let answering = answer(Arc::clone(&state), tasks.clone(), peer, request);
        Box::pin(async move { Ok::<_, Infallible>(answering.await) })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(socket), handle);
    if poll_fn(|context| connection.poll_without_shutdown(context)).await.is_ok() {
        // The client of a refused upload reads the answer only after the whole upload was read.
        let mut socket = connection.into_parts().io.into_inner();
        drop(timeout(LINGER_TIMEOUT, read_out(&mut socket)).await);
    }
}

async fn answer(
    state: Arc<State>,
    tasks: Drain,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> api::Answer {
    if request.uri().path().starts_with(api::PREFIX) {
        return api::answer(state, tasks, peer, request).await;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".into());
    }
    match request.uri().path() {
        "/livez" => text(StatusCode::OK, "alive\n".into()),
        "/readyz" => ready(&state).await,
        "/metrics" => metrics(&state).await,
        path => page::answer(path, request.headers()).unwrap_or_else(|| {
            let there = "there are /, /livez, /readyz, /metrics and /api/v1/openapi.json\n";
            text(StatusCode::NOT_FOUND, there.into())
        }),
    }
}

async fn metrics(state: &State) -> api::Answer {
    // While the layer is not reached, the state of its channels is unknown.
    let statistics = state.layer.statistics().await.unwrap_or_default();
    let channels = statistics.channels.into_iter();
    let channels =
        channels.map(|(channel, (messages, oldest))| (channel.to_string(), messages, oldest));
    state.metrics.set_channels(channels.collect());
    api::full(StatusCode::OK, METRICS_TYPE, state.metrics.render())
}

async fn ready(state: &State) -> api::Answer {
    if state.serving.is_stopping() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n".into());
    }
    match state.layer.probe().await {
        Ok(()) => text(StatusCode::OK, "ready\n".into()),
        Err(error) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}

fn text(status: StatusCode, body: String) -> api::Answer {
    api::full(status, "text/plain; charset=utf-8", body)
}
