//! The access log: one line for each request and for each end of a WebSocket.

use tokio::time::Instant;

use super::Hub;
use crate::{
    message::{Close, CorrelationId, Scope},
    telemetry::{ByCode, ByStatus},
};

/// Counts and logs a response. `bytes` is none while a body is still streamed.
pub(super) fn response(
    hub: &Hub,
    request: (&str, &str, std::net::SocketAddr),
    status: u16,
    started: Instant,
    correlation: CorrelationId,
) {
    let (method, path, client) = request;
    hub.metrics.responses.get_or_create(&ByStatus { status }).inc();
    tracing::info!(
        target: "tidegate::access",
        %client, method, path, status, seconds = started.elapsed().as_secs_f64(), %correlation,
        "response"
    );
}

/// Counts and logs the end of a WebSocket.
pub(super) fn websocket_end(hub: &Hub, scope: &Scope, close: &Close, by_host: bool) {
    // Codes that a client or a guest chose are not labels.
    let code = match close.code {
        1001 if by_host => "1001",
        1002 if by_host => "1002",
        1007 if by_host => "1007",
        1008 if by_host => "1008",
        1009 if by_host => "1009",
        1011 if by_host => "1011",
        1012 if by_host => "1012",
        1013 if by_host => "1013",
        4401 if by_host => "4401",
        _ if by_host => "application",
        _ => "client",
    };
    hub.metrics.closes.get_or_create(&ByCode { code }).inc();
    tracing::info!(
        target: "tidegate::access",
        client = %scope.client, path = %scope.raw_path, code = close.code,
        correlation = %scope.correlation,
        "websocket closed"
    );
}
