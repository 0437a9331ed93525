//! The admin listener: health and metrics, without a token; whoever reaches the address may look. What
//! changes something needs the token.

pub mod client;
mod token;

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep_until},
};

pub use self::token::AdminToken;
use crate::{
    interface::BindError,
    layer::{self, ChannelLayer},
    shutdown::Drain,
    telemetry::Metrics,
};

/// Where a stop is asked for.
const DRAIN: &str = "/api/v1/drain";
/// How long to wait after an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What OpenMetrics calls its text form.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers `/livez`, `/readyz`, `/metrics` and `/api/v1/drain`.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
    state: Arc<State>,
}

/// What the admin listener knows of the process.
#[derive(Debug)]
pub struct State {
    /// Probed for `/readyz`.
    pub layer: Arc<dyn ChannelLayer>,
    /// Written out for `/metrics`.
    pub metrics: Arc<Metrics>,
    /// Stopping means not ready.
    pub serving: Drain,
    /// Stopped when somebody asks the process to stop.
    pub asked: Drain,
    /// What whoever changes something must know.
    pub token: AdminToken,
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
    loop {
        let accepted = tokio::select! {
            () = drain.stopping() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((socket, _)) = accepted else {
            sleep_until(Instant::now() + ACCEPT_PAUSE).await;
            continue;
        };
        let state = Arc::clone(&state);
        let stop = drain.clone();
        drain.spawn("admin connection", async move {
            let handle = service_fn(move |request| answer(Arc::clone(&state), request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(socket), handle);
            // Whoever asks for health at the very end is not waited for.
            tokio::select! {
                _ = connection => {}
                () = stop.stopping() => {}
            }
        });
    }
}

async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == DRAIN {
        return Ok(drain(&state, &request));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".into()));
    }
    Ok(match request.uri().path() {
        "/livez" => text(StatusCode::OK, "alive\n".into()),
        "/readyz" => ready(&state).await,
        "/metrics" => {
            let mut response = text(StatusCode::OK, state.metrics.render());
            let kind = header::HeaderValue::from_static(METRICS_TYPE);
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        _ => text(StatusCode::NOT_FOUND, "there are /livez, /readyz and /metrics\n".into()),
    })
}

/// Asks the process to stop as SIGTERM does.
fn drain(state: &State, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if *request.method() != Method::POST {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only POST\n".into());
    }
    if !state.token.is_in(request.headers()) {
        let rule = "the header field authorization must be \"Bearer\" and the token, which stands in \
                    the file admin-token of the data directory\n";
        return text(StatusCode::UNAUTHORIZED, rule.into());
    }
    tracing::info!("asked to stop over the admin listener");
    state.asked.stop();
    text(StatusCode::ACCEPTED, "draining\n".into())
}

async fn ready(state: &State) -> Response<Full<Bytes>> {
    if state.serving.is_stopping() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n".into());
    }
    match layer::probe(&*state.layer).await {
        Ok(()) => text(StatusCode::OK, "ready\n".into()),
        Err(error) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
