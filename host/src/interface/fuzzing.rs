//! What `fuzz/` reaches: bytes of a client to the scopes that consumers see, and replies to the bytes
//! that a client sees. The same functions as in service, without sockets.

use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncWriteExt as _, duplex},
    runtime::{Builder, Runtime},
    time::timeout,
};

use super::{
    Hub, InterfaceConfig, InterfaceServer, Parts, connection::Connection, http, serve::http1,
    strictness, transport::Peer, websocket,
};
use crate::{
    layer::{LayerConfig, MemoryLayer},
    message::{self, NodeName, Scope},
    routing::Routes,
    telemetry::{Metrics, Traces},
};

/// Nothing waits for anything, so no time passes.
const EDGE_TIMEOUT: Duration = Duration::from_secs(10);
/// More than any response here has.
const RESPONSE_BYTES_MAX: usize = 1024 * 1024;

/// An interface server without sockets.
pub struct Edge {
    runtime: Runtime,
    hub: Arc<Hub>,
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge").finish_non_exhaustive()
    }
}

impl Edge {
    /// With the default settings.
    pub fn new(routes: Routes) -> Self {
        let runtime = Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime without sockets needs nothing of the system");
        let metrics = Arc::new(Metrics::default());
        let layer = Arc::new(MemoryLayer::new(LayerConfig::default(), Arc::clone(&metrics)));
        let config = InterfaceConfig::default();
        let (traces, node) = (Traces::default(), NodeName::random());
        let parts =
            Parts { config, layer, routes, auth: None, sessions: None, metrics, traces, node };
        let server = runtime.block_on(async { InterfaceServer::new(parts, None) });
        let hub = server.expect("there is no certificate that could be wrong").hub;
        Self { runtime, hub }
    }

    /// The scopes and bodies of the requests and handshakes that a client's bytes hold, as far as
    /// they are served.
    pub fn events(&self, bytes: &[u8]) -> Vec<(Scope, Bytes)> {
        let events = Arc::new(Mutex::new(Vec::new()));
        let place = self.hub.admission.enter().0;
        let connection = Arc::new(Connection::new(Peer::new(None), None, place, None));
        let service = service_fn(|request| {
            let (hub, events) = (Arc::clone(&self.hub), Arc::clone(&events));
            let connection = Arc::clone(&connection);
            async move {
                let (event, status) = match ask(&hub, connection, request).await {
                    Ok(event) => (Some(event), StatusCode::NO_CONTENT),
                    Err(status) => (None, status),
                };
                events.lock().expect("nothing panics with it").extend(event);
                let mut response = Response::new(Empty::<Bytes>::new());
                *response.status_mut() = status;
                Ok::<_, Infallible>(response)
            }
        });
        self.runtime.block_on(async {
            let (mut client, server) = duplex(bytes.len().max(1) + RESPONSE_BYTES_MAX);
            client.write_all(bytes).await.expect("there is room for all of it");
            client.shutdown().await.expect("the other end is there");
            let serving = http1(&self.hub.config).serve_connection(TokioIo::new(server), service);
            // What is malformed is an error.
            drop(
                timeout(EDGE_TIMEOUT, serving)
                    .await
                    .expect("a client that has left is not waited for"),
            );
        });
        std::mem::take(&mut events.lock().expect("nothing panics with it"))
    }

    /// What a client sees of a response that a consumer has sent.
    pub fn response(&self, response: message::Response) -> Response<Bytes> {
        let response = Mutex::new(Some(http::of(response)));
        let service = service_fn(|_| {
            let response = response.lock().expect("nothing panics with it").take();
            async { Ok::<_, Infallible>(response.expect("there is one request")) }
        });
        self.runtime.block_on(async {
            let (client, server) = duplex(RESPONSE_BYTES_MAX);
            let serving = http1(&self.hub.config).serve_connection(TokioIo::new(server), service);
            let asking = async {
                let client = hyper::client::conn::http1::Builder::new()
                    .max_headers(1_000)
                    .handshake::<_, Empty<Bytes>>(TokioIo::new(client))
                    .await;
                let (mut sender, connection) = client.expect("a client that has said nothing");
                let request = Request::get("/").header("host", "a.example").body(Empty::new());
                let asking = async move {
                    let request = request.expect("a request as any");
                    let response = sender.send_request(request).await.expect("a response");
                    let (head, body) = response.into_parts();
                    let body = body.collect().await.expect("the whole body").to_bytes();
                    Response::from_parts(head, body)
                };
                let (response, closed) = tokio::join!(asking, connection);
                closed.expect("a client that has heard all");
                response
            };
            let both = async { tokio::join!(asking, serving) };
            let (response, served) = timeout(EDGE_TIMEOUT, both).await.expect("nothing waits");
            served.expect("a response that can be sent");
            response
        })
    }
}

/// As in `http::handle`, up to where the event is sent.
async fn ask(
    hub: &Arc<Hub>,
    connection: Arc<Connection>,
    mut request: Request<Incoming>,
) -> Result<(Scope, Bytes), StatusCode> {
    let checked = strictness::check(&mut request);
    let mut arrival = http::Arrival::new(hub, connection, &mut request);
    let admitted = checked.and_then(|()| arrival.admit(hub, &request));
    admitted.map_err(|(status, _)| status)?;
    if websocket::is_asked_for(&request) {
        let asked = websocket::ask(hub, &mut arrival, request).await;
        return asked.map(|asked| (asked.scope, Bytes::new())).map_err(|refused| refused.status());
    }
    let asked = http::ask(hub, arrival, request).await;
    asked.map(|asked| (asked.scope, asked.body)).map_err(|refused| refused.status())
}
