//! HTTP: a request becomes an event, replies become the response.

mod answer;
mod arrival;
mod body;
mod directory;
mod exchange;
mod files;
mod place;

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{
    Method, Request, Response, StatusCode, Version,
    body::{Body as _, Incoming},
    header,
};
use tokio::time::{Instant, timeout};

#[cfg(feature = "fuzzing")]
pub(super) use self::answer::of;
pub(super) use self::{
    answer::{Guarded, ResponseBody, empty, last, plain},
    arrival::Arrival,
};
use self::{body::BodyError, exchange::Exchange, files::Wanted};
use super::{
    Hub, access_log,
    connection::{Busy, Connection},
    entry,
    limits_log::Reason,
    proxies::REQUEST_ID,
    registration::Registration,
    spans::{self, Traced, Unanswered},
    strictness, websocket,
};
use crate::{
    layer::SendError,
    message::{CorrelationId, EventKind, Protocol, Scope},
    routing::{Found, Head, Resolution, Route},
    telemetry::DropReason,
};

/// How long the connection is kept (RFC 2068, section 19.7.1.1).
const KEEP_ALIVE: header::HeaderName = header::HeaderName::from_static("keep-alive");

/// Answers one request.
pub(super) async fn handle(
    hub: Arc<Hub>,
    connection: Arc<Connection>,
    mut request: Request<Incoming>,
) -> Result<Response<Guarded>, Infallible> {
    let started = Instant::now();
    let mut busy = connection.begin();
    connection.leaves_unread(!request.body().is_end_stream());
    let checked = strictness::check(&mut request);
    let mut arrival = Arrival::new(&hub, connection, &mut request);
    let (correlation, client, pace) = (arrival.correlation, arrival.client, arrival.pace.clone());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let persists = persists(&request);
    let is_socket = websocket::is_asked_for(&request);
    let span = arrival.trace.clone().map(|trace| {
        let (method, path) = (method.clone(), path.clone());
        let asked = spans::Asked { correlation, method, path, client, is_socket, started };
        Unanswered::new(Arc::clone(&hub), trace, asked)
    });
    if !is_socket {
        take_turn(&hub, &arrival, &mut busy).await;
    }
    let mut response = if hub.drain.is_stopping() {
        plain(StatusCode::SERVICE_UNAVAILABLE, "shutting down", correlation)
    } else if let Err(refusal) = checked.and_then(|()| arrival.admit(&hub, &request)) {
        last(refusal, request.version(), correlation)
    } else if let Some(text) = awaited(&hub, &arrival, &request) {
        plain(StatusCode::SERVICE_UNAVAILABLE, &text, correlation)
    } else if is_socket {
        websocket::open(&hub, arrival, request).await
    } else {
        answer(&hub, arrival, request).await
    };
    response.headers_mut().insert(REQUEST_ID, id_value(correlation));
    announce(&mut response, persists, hub.config.timeouts.keep_alive);
    // Over HTTP/2 an accepted handshake has the status 200 (RFC 8441, section 5).
    let is_open = is_socket && response.status().is_success();
    let status = if is_open { StatusCode::SWITCHING_PROTOCOLS } else { response.status() }.as_u16();
    access_log::response(&hub, (method.as_str(), &path, client), status, started, correlation);
    if let Some(span) = span {
        span.answered(status);
    }
    Ok(response.map(|body| Guarded::new(body, pace, busy)))
}

/// Waits until the request may be served beside the others of its HTTP/2 connection, or the process
/// stops. WebSockets do not count: they stay for hours.
async fn take_turn(hub: &Hub, arrival: &Arrival, busy: &mut Busy) {
    // A dry run makes nobody wait. Other streams of the connection come at the same moment.
    if hub.config.limits.dry_run {
        if !busy.try_take_turn() {
            hub.refuse(Reason::Streams, arrival.client.ip());
        }
        return;
    }
    tokio::select! {
        () = busy.take_turn() => {}
        () = hub.drain.stopping() => {}
    }
}

/// Whether an HTTP/1 connection goes on after this request, as far as its client says.
fn persists<B>(request: &Request<B>) -> bool {
    let says = |word: &str| {
        let lines = request.headers().get_all(header::CONNECTION).iter();
        let mut words =
            lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
        words.any(|said| said.trim().eq_ignore_ascii_case(word))
    };
    match request.version() {
        Version::HTTP_11 => !says("close"),
        Version::HTTP_10 => says("keep-alive"),
        _ => false,
    }
}

/// Announces how long an idle connection of HTTP/1 is kept, so that a balancer ends it first.
fn announce(response: &mut Response<ResponseBody>, persists: bool, keep_alive: Duration) {
    let has_end = response.status() == StatusCode::SWITCHING_PROTOCOLS
        || response.headers().contains_key(header::CONNECTION);
    if !persists || has_end {
        return;
    }
    if let Ok(value) = header::HeaderValue::try_from(format!("timeout={}", keep_alive.as_secs())) {
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, header::HeaderValue::from_static("keep-alive"));
        headers.insert(KEEP_ALIVE, value);
    }
}

/// A request for a consumer, with its whole body.
#[derive(Debug)]
pub(super) struct Asked {
    route: Arc<Route>,
    pub(super) scope: Scope,
    registration: Registration,
    pub(super) body: Bytes,
}

async fn answer(
    hub: &Arc<Hub>,
    arrival: Arrival,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let (id, trace) = (arrival.correlation, arrival.trace.as_ref().map(Traced::context));
    let connection = Arc::clone(&arrival.connection);
    let Asked { route, scope, registration, body } = match ask(hub, arrival, request).await {
        Ok(asked) => asked,
        Err(response) => return *response,
    };
    let expected = match &connection.streams {
        Some(streams) => {
            let size = hub.response_sizes.of(&route);
            let room = timeout(hub.config.timeouts.write, streams.unsent.expect(size)).await;
            let Ok(room) = room else {
                hub.refuse(Reason::Unsent, scope.client.ip());
                let text = "too much waits for this client already";
                return plain(StatusCode::SERVICE_UNAVAILABLE, text, id);
            };
            Some(room)
        }
        None => None,
    };
    let mut exchange = Exchange::new(route, scope, registration, expected).traced(trace);
    match exchange.send(EventKind::HttpRequest(body)).await {
        Ok(true) => exchange.response(id).await,
        Ok(false) => {
            hub.metrics.dropped(DropReason::ChannelFull);
            plain(StatusCode::SERVICE_UNAVAILABLE, "too many requests wait already", id)
        }
        Err(SendError::TooLarge { .. }) => {
            plain(StatusCode::PAYLOAD_TOO_LARGE, "the request is larger than a message", id)
        }
        Err(error) => {
            tracing::warn!(%error, correlation = %id, "a request is refused");
            plain(StatusCode::SERVICE_UNAVAILABLE, "the channel layer is not available", id)
        }
    }
}

/// The event of a request, or the response in its place.
pub(super) async fn ask(
    hub: &Arc<Hub>,
    mut arrival: Arrival,
    request: Request<Incoming>,
) -> Result<Asked, Box<Response<ResponseBody>>> {
    let Found { route, params } = match find(hub, &arrival, &request) {
        Ok(found) => found,
        Err(refused) if refused.status() == StatusCode::NOT_FOUND => {
            let file = file(hub, &arrival, &request).await;
            return Err(file.map_or_else(|| elsewhere(hub, &arrival, &request, refused), Box::new));
        }
        Err(refused) => return Err(refused),
    };
    if let Some(trace) = &arrival.trace {
        trace.served_by(&route);
    }
    let admitted = entry::admit(hub, &arrival, &request, (&route, Protocol::Http)).await?;
    let (head, incoming) = request.into_parts();
    let body = body::read(incoming, &head.headers, &hub.config).await;
    let body = body.map_err(|error| refuse_body(hub, &error, &arrival, head.version))?;
    arrival.connection.leaves_unread(false);
    let unsent = arrival.connection.streams.as_ref().map(|streams| Arc::clone(&streams.unsent));
    let registration = Registration::of_request(hub, unsent, arrival.share.take());
    let request = Request::from_parts(head, ());
    match arrival.scope(Protocol::Http, &request, params, &registration) {
        Some(mut scope) => {
            (scope.user, scope.session) = (admitted.user, admitted.session);
            hub.users.hide_tokens(&mut scope);
            Ok(Asked { route, scope, registration, body })
        }
        None => {
            let text = "the path is not UTF-8";
            Err(Box::new(plain(StatusCode::BAD_REQUEST, text, arrival.correlation)))
        }
    }
}

/// The route of a request, or the response in its place.
fn find(
    hub: &Hub,
    arrival: &Arrival,
    request: &Request<Incoming>,
) -> Result<Found, Box<Response<ResponseBody>>> {
    let refused = |status, text| Box::new(plain(status, text, arrival.correlation));
    let method = request.method();
    if *method == Method::CONNECT {
        return Err(refused(StatusCode::NOT_IMPLEMENTED, "this server is not a proxy"));
    }
    if *method == Method::OPTIONS && request.uri().path() == "*" {
        return Err(allow(StatusCode::NO_CONTENT, Response::new(empty()), Vec::new()));
    }
    let Some(path) = arrival.route_path(hub, request.uri().path()) else {
        return Err(refused(StatusCode::NOT_FOUND, "nothing is served outside the root path"));
    };
    match hub.routes.snapshot().http(method.as_str(), path, &Head::of(request.headers())) {
        Resolution::Found(found) => Ok(found),
        Resolution::NotFound => Err(refused(StatusCode::NOT_FOUND, "no consumer serves this path")),
        Resolution::BadPath => Err(refused(StatusCode::BAD_REQUEST, "the path is not UTF-8")),
        Resolution::WrongMethod(allowed) if *method == Method::OPTIONS => {
            Err(allow(StatusCode::NO_CONTENT, Response::new(empty()), allowed))
        }
        Resolution::WrongMethod(allowed) => {
            let response =
                plain(StatusCode::METHOD_NOT_ALLOWED, "not with this method", arrival.correlation);
            Err(allow(StatusCode::METHOD_NOT_ALLOWED, response, allowed))
        }
    }
}

/// The text for a path that nobody serves while a module is awaited that may.
fn awaited(hub: &Hub, arrival: &Arrival, request: &Request<Incoming>) -> Option<Arc<String>> {
    let text = hub.routes.awaited()?;
    let path = arrival.route_path(hub, request.uri().path())?;
    let (table, head) = (hub.routes.snapshot(), Head::of(request.headers()));
    let is_free =
        matches!(table.http(request.method().as_str(), path, &head), Resolution::NotFound)
            && matches!(table.websocket(path, &head), Resolution::NotFound)
            && table.files(path).is_none();
    is_free.then_some(text)
}

/// What no consumer has may be a file.
async fn file(
    hub: &Hub,
    arrival: &Arrival,
    request: &Request<Incoming>,
) -> Option<Response<ResponseBody>> {
    let path = arrival.route_path(hub, request.uri().path())?;
    let (directory, rest) = hub.routes.snapshot().files(path)?;
    let wanted = Wanted {
        method: request.method(),
        headers: request.headers(),
        mount: &arrival.mount(hub, &directory),
        path: rest,
        query: request.uri().query(),
    };
    files::serve(&directory, wanted).await
}

/// The response to a request that nothing serves as it is: it says where something is near.
fn elsewhere(
    hub: &Hub,
    arrival: &Arrival,
    request: &Request<Incoming>,
    refused: Box<Response<ResponseBody>>,
) -> Box<Response<ResponseBody>> {
    let Some(path) = arrival.route_path(hub, request.uri().path()) else { return refused };
    let (routes, head) = (hub.routes.snapshot(), Head::of(request.headers()));
    let plain = |status, text: &str| Box::new(plain(status, text, arrival.correlation));
    if matches!(routes.websocket(path, &head), Resolution::Found(_)) {
        let text = "this path has a WebSocket and nothing else; open it with `new WebSocket(url)`";
        let mut response = plain(StatusCode::UPGRADE_REQUIRED, text);
        if request.version() < Version::HTTP_2 {
            let headers = response.headers_mut();
            headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
            headers.insert(header::CONNECTION, header::HeaderValue::from_static("upgrade"));
        }
        return response;
    }
    let other = match path.strip_suffix('/') {
        Some(without) => without.to_owned(),
        None => format!("{path}/"),
    };
    let method = request.method().as_str();
    let is_served = matches!(routes.http(method, &other, &head), Resolution::Found(_))
        || matches!(routes.websocket(&other, &head), Resolution::Found(_));
    if other.is_empty() || !is_served {
        return refused;
    }
    let slash = if other.ends_with('/') { "with" } else { "without" };
    let text = format!("no consumer serves this path; one serves it {slash} a slash at its end");
    plain(StatusCode::NOT_FOUND, &text)
}

/// A response that says which methods there are; `OPTIONS` is the host's where no consumer takes it.
fn allow(
    status: StatusCode,
    mut response: Response<ResponseBody>,
    mut methods: Vec<String>,
) -> Box<Response<ResponseBody>> {
    *response.status_mut() = status;
    methods.push(Method::OPTIONS.to_string());
    if let Ok(allow) = header::HeaderValue::from_str(&methods.join(", ")) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    Box::new(response)
}

fn refuse_body(
    hub: &Hub,
    error: &BodyError,
    arrival: &Arrival,
    version: Version,
) -> Box<Response<ResponseBody>> {
    let (status, reason) = match error {
        BodyError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, Some(Reason::BodyBytes)),
        BodyError::TooSlow => (StatusCode::REQUEST_TIMEOUT, Some(Reason::BodyTime)),
        BodyError::Broken => (StatusCode::BAD_REQUEST, None),
    };
    if let Some(reason) = reason {
        hub.refuse(reason, arrival.client.ip());
    }
    // What is left of the body is not read, so the connection is of no more use.
    Box::new(last((status, &error.to_string()), version, arrival.correlation))
}

fn id_value(id: CorrelationId) -> header::HeaderValue {
    header::HeaderValue::from_str(&id.to_string()).expect("hexadecimal digits are a valid value")
}
