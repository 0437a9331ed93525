//! HTTP: a request becomes an event, replies become the response.

mod answer;
mod body;
mod exchange;

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use hyper::{Request, Response, StatusCode, body::Incoming, header};
use tokio::time::Instant;

pub(super) use self::answer::{ResponseBody, empty, plain};
use self::{body::BodyError, exchange::Exchange};
use super::{Hub, access, connections::Registration, websocket};
use crate::{
    layer::SendError,
    message::{CorrelationId, EventKind, Protocol, Scope},
    routing::{Found, Head, Resolution, decode},
};

/// What is known of a request before its route.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
    pub(super) correlation: CorrelationId,
}

/// Answers one request.
pub(super) async fn handle(
    hub: Arc<Hub>,
    client: SocketAddr,
    server: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let started = Instant::now();
    let arrival = Arrival { client, server, correlation: CorrelationId::random() };
    let correlation = arrival.correlation;
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = if hub.drain.is_stopping() {
        plain(StatusCode::SERVICE_UNAVAILABLE, "shutting down", correlation)
    } else if websocket::is_upgrade(&request) {
        websocket::open(&hub, &arrival, request).await
    } else {
        answer(&hub, &arrival, request).await
    };
    let status = response.status().as_u16();
    access::response(&hub, (method.as_str(), &path, client), status, started, correlation);
    Ok(response)
}

async fn answer(
    hub: &Arc<Hub>,
    arrival: &Arrival,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let id = arrival.correlation;
    let routes = hub.routes.snapshot();
    let head = Head::of(request.uri(), request.headers());
    let found = match routes.http(request.method().as_str(), request.uri().path(), &head) {
        Resolution::Found(found) => found,
        Resolution::NotFound => {
            return plain(StatusCode::NOT_FOUND, "no consumer serves this path", id);
        }
        Resolution::BadPath => {
            return plain(StatusCode::BAD_REQUEST, "the path is not UTF-8", id);
        }
        Resolution::WrongMethod(allowed) => {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "not with this method", id);
            if let Ok(allow) = header::HeaderValue::from_str(&allowed.join(", ")) {
                response.headers_mut().insert(header::ALLOW, allow);
            }
            return response;
        }
    };
    drop(routes);
    let (head, incoming) = request.into_parts();
    let body = match body::read(incoming, &head.headers, &hub.config).await {
        Ok(body) => body,
        Err(error) => return refuse_body(&error, id),
    };
    let Found { route, params } = found;
    let registration = Registration::new(hub, Protocol::Http);
    let request = Request::from_parts(head, ());
    let Some(scope) = scope(Protocol::Http, arrival, &request, params, &registration) else {
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

fn refuse_body(error: &BodyError, id: CorrelationId) -> Response<ResponseBody> {
    let status = match error {
        BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
        BodyError::Broken => StatusCode::BAD_REQUEST,
    };
    let mut response = plain(status, &error.to_string(), id);
    // What is left of the body is not read, so the connection is of no more use.
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    response
}

/// The facts of a connection. None if the path is no text.
pub(super) fn scope<B>(
    protocol: Protocol,
    arrival: &Arrival,
    request: &Request<B>,
    path_params: Vec<crate::message::PathParam>,
    registration: &Registration,
) -> Option<Scope> {
    let raw_path = request.uri().path().to_owned();
    let has_underscore = |name: &header::HeaderName| name.as_str().contains('_');
    Some(Scope {
        reply_channel: registration.channel.clone(),
        correlation: arrival.correlation,
        protocol,
        method: request.method().as_str().to_owned(),
        http_version: match request.version() {
            hyper::Version::HTTP_10 => "1.0",
            _ => "1.1",
        },
        path: decode(&raw_path).ok()?.into_owned(),
        raw_path,
        query_string: request.uri().query().unwrap_or_default().to_owned(),
        path_params,
        headers: request
            .headers()
            .iter()
            .filter(|(name, _)| !has_underscore(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        client: arrival.client,
        server: arrival.server,
        root_path: String::new(),
        subprotocols: Vec::new(),
    })
}
