//! Spans of requests and WebSockets.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use hyper::{
    HeaderMap, Method,
    header::{HeaderName, HeaderValue},
};
use tokio::time::Instant;

use super::{Hub, transport::Peer};
use crate::{
    message::{Close, CorrelationId, Scope, TraceContext},
    routing::Route,
    telemetry::{Attributes, Span, SpanKind, began_before},
};

/// Names the span of a proxy that a request is a part of (W3C Trace Context, section 3.2).
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// The span of a request or handshake that is being answered.
#[derive(Clone, Debug)]
pub(super) struct Traced {
    own: TraceContext,
    parent: Option<TraceContext>,
    /// The route, once it is known.
    route: Arc<OnceLock<Arc<Route>>>,
}

impl Traced {
    /// Notes which consumer answers.
    pub(super) fn served_by(&self, route: &Arc<Route>) {
        // It is found once.
        drop(self.route.set(Arc::clone(route)));
    }

    /// The span, for what it causes.
    pub(super) const fn context(&self) -> TraceContext {
        self.own
    }
}

/// Chooses the id of a request, and begins its span. The trace of a proxy counts if the proxy is trusted, before the id of the
/// request; a stranger could give all requests one trace.
pub(super) fn enter(
    hub: &Hub,
    peer: &Peer,
    headers: &HeaderMap,
    request_id: Option<CorrelationId>,
) -> (CorrelationId, Option<Traced>) {
    let id = || request_id.unwrap_or_else(CorrelationId::random);
    if !hub.traces.is_on() {
        return (id(), None);
    }
    let said = if hub.config.proxies.trusts(peer) { said(headers) } else { None };
    let (correlation, parent) = said.map_or_else(|| (id(), None), |(id, span)| (id, Some(span)));
    let own = hub.traces.enter(correlation, parent);
    (correlation, own.map(|own| Traced { own, parent, route: Arc::default() }))
}

/// The span that a request says it is a part of. Where it says two, none counts.
fn said(headers: &HeaderMap) -> Option<(CorrelationId, TraceContext)> {
    let mut values = headers.get_all(TRACE_PARENT).iter();
    let (value, more) = (values.next()?, values.next());
    let text = |value: &HeaderValue| TraceContext::parse(value.to_str().ok()?);
    if more.is_some() { None } else { text(value) }
}

/// The facts of a request or handshake that its span tells.
pub(super) struct Asked {
    pub(super) correlation: CorrelationId,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) client: SocketAddr,
    pub(super) is_socket: bool,
    pub(super) started: Instant,
}

/// The span of a request or handshake until it is answered. Dropped before, it ends without a response: the connection is
/// over.
pub(super) struct Unanswered {
    hub: Arc<Hub>,
    traced: Traced,
    asked: Asked,
    status: Option<u16>,
}

impl Unanswered {
    pub(super) const fn new(hub: Arc<Hub>, traced: Traced, asked: Asked) -> Self {
        Self { hub, traced, asked, status: None }
    }

    /// Ends the span with the response, which begins now.
    pub(super) fn answered(mut self, status: u16) {
        self.status = Some(status);
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        let Self { hub, traced, asked, status } = self;
        hub.traces.record(traced.own, || span(traced, asked, *status));
    }
}

fn span(traced: &Traced, asked: &Asked, status: Option<u16>) -> Span {
    let Asked { correlation, method, path, client, is_socket, started } = asked;
    let method = known(method);
    let mut attributes = Attributes::default()
        .text("http.request.method", method.unwrap_or("_OTHER"))
        .text("url.path", path.as_str())
        .text("client.address", client.ip().to_string());
    if let Some(status) = status {
        attributes = attributes.number("http.response.status_code", u64::from(status));
    }
    let route = traced.route.get();
    if let Some(route) = route {
        attributes = attributes
            .text("http.route", route.pattern.to_string())
            .text("tidegate.module", route.module.as_str())
            .text("tidegate.consumer", &*route.consumer);
    }
    let word = if *is_socket { "WEBSOCKET" } else { method.unwrap_or("HTTP") };
    let error = match status {
        Some(status) => (status >= 500).then(|| format!("status {status}")),
        None => Some("the connection ended before the response".to_owned()),
    };
    Span {
        // Clients choose paths and methods; of patterns and known methods there are few.
        name: route.map_or_else(|| word.to_owned(), |it| format!("{word} {}", it.pattern)),
        kind: SpanKind::Server,
        trace: *correlation,
        parent: traced.parent,
        link: None,
        began: began_before(started.elapsed()),
        ended: SystemTime::now(),
        attributes,
        error,
    }
}

/// A method of RFC 9110 or RFC 5789. Others may be anything.
fn known(method: &Method) -> Option<&'static str> {
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
    methods.into_iter().find(|known| *known == method.as_str())
}

/// The span of a request or handshake, and when its conversation with a consumer began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Began {
    context: TraceContext,
    began: SystemTime,
}

impl Began {
    pub(super) fn new(context: TraceContext) -> Self {
        Self { context, began: SystemTime::now() }
    }

    /// The span, for what it causes.
    pub(super) const fn context(&self) -> TraceContext {
        self.context
    }

    /// Records a WebSocket that has ended.
    pub(super) fn ended(&self, hub: &Hub, scope: &Scope, close: &Close) {
        let own = TraceContext::random(self.context.sampled);
        hub.traces.record(own, || Span {
            name: "websocket".to_owned(),
            kind: SpanKind::Internal,
            trace: scope.correlation,
            parent: Some(self.context),
            link: None,
            began: self.began,
            ended: SystemTime::now(),
            attributes: Attributes::default()
                .text("url.path", scope.raw_path.as_str())
                .text("client.address", scope.client.ip().to_string())
                .number("tidegate.close_code", u64::from(close.code)),
            error: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_valid_value_counts_and_two_do_not() {
        let value = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut headers = HeaderMap::new();
        assert_eq!(said(&headers), None);
        headers.insert(TRACE_PARENT, HeaderValue::from_static(value));
        let (trace, span) = said(&headers).unwrap();
        assert_eq!(span.trace_parent(trace), value);
        headers.append(TRACE_PARENT, HeaderValue::from_static(value));
        assert_eq!(said(&headers), None);
        headers.insert(TRACE_PARENT, HeaderValue::from_bytes(b"00-\xff").unwrap());
        assert_eq!(said(&headers), None);
    }
}
