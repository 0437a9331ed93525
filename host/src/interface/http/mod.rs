//! HTTP: a request becomes an event, replies become the response.

mod answer;
mod arrival;
mod beneath;
mod body;
mod exchange;
mod files;

use std::{convert::Infallible, sync::Arc};

use hyper::{Method, Request, Response, StatusCode, body::Incoming, header};
use tokio::time::Instant;

pub(super) use self::{
    answer::{Guarded, ResponseBody, empty, last, plain},
    arrival::Arrival,
};
use self::{body::BodyError, exchange::Exchange};
use super::{
    Hub, access, connection::Connection, connections::Registration, proxies::REQUEST_ID,
    refusal::Reason, rules, websocket,
};
use crate::{
    layer::SendError,
    message::{CorrelationId, EventKind, Protocol},
    routing::{Found, Head, Resolution},
};

/// Answers one request.
pub(super) async fn handle(
    hub: Arc<Hub>,
    connection: Arc<Connection>,
    mut request: Request<Incoming>,
) -> Result<Response<Guarded>, Infallible> {
    let started = Instant::now();
    let busy = connection.begin();
    let checked = rules::check(&mut request);
    let mut arrival = Arrival::new(&hub, connection, &mut request);
    let (correlation, client) = (arrival.correlation, arrival.client);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = if hub.drain.is_stopping() {
        plain(StatusCode::SERVICE_UNAVAILABLE, "shutting down", correlation)
    } else if let Err(refusal) = checked.and_then(|()| arrival.admit(&hub, &request)) {
        last(refusal, request.version(), correlation)
    } else if websocket::is_asked_for(&request) {
        websocket::open(&hub, arrival, request).await
    } else {
        answer(&hub, arrival, request).await
    };
    response.headers_mut().insert(REQUEST_ID, id_value(correlation));
    let status = response.status().as_u16();
    access::response(&hub, (method.as_str(), &path, client), status, started, correlation);
    Ok(response.map(|body| Guarded::new(body, busy)))
}

async fn answer(
    hub: &Arc<Hub>,
    mut arrival: Arrival,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let id = arrival.correlation;
    let Found { route, params } = match find(hub, &arrival, &request) {
        Ok(found) => found,
        Err(refused) if refused.status() == StatusCode::NOT_FOUND => {
            return file(hub, &arrival, &request).await.unwrap_or(*refused);
        }
        Err(refused) => return *refused,
    };
    let (head, incoming) = request.into_parts();
    let body = match body::read(incoming, &head.headers, &hub.config).await {
        Ok(body) => body,
        Err(error) => return refuse_body(hub, &error, &arrival, head.version),
    };
    let registration = Registration::new(hub, Protocol::Http, arrival.share.take());
    let request = Request::from_parts(head, ());
    let Some(scope) = arrival.scope(Protocol::Http, &request, params, &registration) else {
        return plain(StatusCode::BAD_REQUEST, "the path is not UTF-8", id);
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
    version: hyper::Version,
) -> Response<ResponseBody> {
    let (status, reason) = match error {
        BodyError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, Some(Reason::BodyBytes)),
        BodyError::TooSlow => (StatusCode::REQUEST_TIMEOUT, Some(Reason::BodyTime)),
        BodyError::Broken => (StatusCode::BAD_REQUEST, None),
    };
    if let Some(reason) = reason {
        hub.refuse(reason, arrival.client.ip());
    }
    // What is left of the body is not read, so the connection is of no more use.
    last((status, &error.to_string()), version, arrival.correlation)
}

fn id_value(id: CorrelationId) -> header::HeaderValue {
    header::HeaderValue::from_str(&id.to_string()).expect("hexadecimal digits are a valid value")
}
