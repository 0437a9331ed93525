//! HTTP: a request becomes an event, replies become the response.

mod answer;
mod arrival;
mod body;
mod directory;
mod exchange;
mod files;

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use hyper::{
    Method, Request, Response, StatusCode, Version,
    body::{Body as _, Incoming},
    header,
};
use tokio::time::Instant;

#[cfg(feature = "fuzzing")]
pub(super) use self::answer::of;
pub(super) use self::{
    answer::{Guarded, ResponseBody, empty, last, plain},
    arrival::Arrival,
};
use self::{body::BodyError, exchange::Exchange};
use super::{
    AbuseLimits, Hub, access_log, connection::Connection, connections::Registration,
    limits_log::Reason, proxies::REQUEST_ID, strictness, websocket,
};
use crate::{
    layer::SendError,
    message::{CorrelationId, EventKind, Protocol, Scope},
    routing::{Found, Head, Resolution, Route},
};

/// Answers one request.
pub(super) async fn handle(
    hub: Arc<Hub>,
    connection: Arc<Connection>,
    mut request: Request<Incoming>,
) -> Result<Response<Guarded>, Infallible> {
    let started = Instant::now();
    let busy = connection.begin();
    connection.leaves_unread(!request.body().is_end_stream());
    let checked = strictness::check(&mut request);
    let mut arrival = Arrival::new(&hub, connection, &mut request);
    let (correlation, client) = (arrival.correlation, arrival.client);
    let AbuseLimits { streams, dry_run, .. } = hub.config.limits;
    // Where it is no dry run the library refuses them, before they come here.
    if dry_run && request.version() == Version::HTTP_2 && busy.number > streams as usize {
        hub.refuse(Reason::Streams, client.ip());
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = if hub.drain.is_stopping() {
        plain(StatusCode::SERVICE_UNAVAILABLE, "shutting down", correlation)
    } else if let Err(refusal) = checked.and_then(|()| arrival.admit(&hub, &request)) {
        last(refusal, request.version(), correlation)
    } else if let Some(text) = awaited(&hub, &arrival, &request) {
        plain(StatusCode::SERVICE_UNAVAILABLE, &text, correlation)
    } else if websocket::is_asked_for(&request) {
        websocket::open(&hub, arrival, request).await
    } else {
        answer(&hub, arrival, request).await
    };
    response.headers_mut().insert(REQUEST_ID, id_value(correlation));
    let status = response.status().as_u16();
    access_log::response(&hub, (method.as_str(), &path, client), status, started, correlation);
    Ok(response.map(|body| Guarded::new(body, busy)))
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
    let id = arrival.correlation;
    let Asked { route, scope, registration, body } = match ask(hub, arrival, request).await {
        Ok(asked) => asked,
        Err(response) => return *response,
    };
    let mut exchange = Exchange::new(route, scope, registration);
    match exchange.send(EventKind::HttpRequest(body)).await {
        Ok(true) => exchange.response(id).await,
        Ok(false) => {
            hub.metrics.dropped("full");
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
            return Err(file(hub, &arrival, &request).await.map_or(refused, Box::new));
        }
        Err(refused) => return Err(refused),
    };
    let (head, incoming) = request.into_parts();
    let body = body::read(incoming, &head.headers, &hub.config).await;
    let body = body.map_err(|error| refuse_body(hub, &error, &arrival, head.version))?;
    arrival.connection.leaves_unread(false);
    let registration = Registration::new(hub, Protocol::Http, arrival.share.take());
    let request = Request::from_parts(head, ());
    match arrival.scope(Protocol::Http, &request, params, &registration) {
        Some(scope) => Ok(Asked { route, scope, registration, body }),
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
        return Err(refused(StatusCode::NOT_IMPLEMENTED, "this is no proxy"));
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
    files::serve(&directory, rest, request.method(), request.headers()).await
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
