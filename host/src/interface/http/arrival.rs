//! A request as it arrives: what proxies say of it, whether it is within limits, and the scope that
//! its consumer sees.

use std::{net::SocketAddr, sync::Arc};

use bytes::BytesMut;
use hyper::{
    HeaderMap, Request, StatusCode, Version,
    header::{self, HeaderName, HeaderValue},
};

use crate::{
    interface::{
        Hub,
        admission::Share,
        connection::Connection,
        limits_log::Reason,
        pace::StreamPace,
        proxies::Origin,
        registration::Registration,
        spans::{self, Traced},
        strictness::Refusal,
    },
    message::{CorrelationId, Header, PathParam, Protocol, Scope},
    routing::{Files, decode, strip_root},
};

/// What is known of a request before its route.
#[derive(Debug)]
pub(in crate::interface) struct Arrival {
    pub(in crate::interface) connection: Arc<Connection>,
    pub(in crate::interface) client: SocketAddr,
    /// Whether the client speaks TLS.
    pub(in crate::interface) secure: bool,
    pub(in crate::interface) correlation: CorrelationId,
    /// Its span, if there are spans.
    pub(in crate::interface) trace: Option<Traced>,
    /// What a proxy took off the path.
    prefix: String,
    /// Whether other clients share the connection.
    proxied: bool,
    /// Whether its stream waits for the client; none over HTTP/1.
    pub(in crate::interface) pace: Option<Arc<StreamPace>>,
    /// Counts the client where the connection does not.
    pub(in crate::interface) share: Option<Share>,
}

impl Arrival {
    /// Hears proxies, and takes off header fields that nobody vouches for.
    pub(in crate::interface) fn new<B>(
        hub: &Hub,
        connection: Arc<Connection>,
        request: &mut Request<B>,
    ) -> Self {
        let (origin, ignored) = hub.config.proxies.hear(&connection.peer, request.headers_mut());
        let Origin { client, secure, prefix, request_id, proxied } = origin;
        if ignored {
            hub.refuse(Reason::ForwardedHeader, client.ip());
        }
        let (correlation, trace) =
            spans::enter(hub, &connection.peer, request.headers(), request_id);
        Self {
            connection,
            client,
            secure,
            correlation,
            trace,
            prefix,
            proxied,
            pace: StreamPace::current(),
            share: None,
        }
    }

    /// Whether the request may be looked at; if not, the status and why.
    pub(in crate::interface) fn admit<B>(
        &mut self,
        hub: &Hub,
        request: &Request<B>,
    ) -> Result<(), Refusal> {
        let (limits, client) = (&hub.config.limits, self.client.ip());
        let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
        if target > limits.uri_bytes && hub.refuse(Reason::UriBytes, client) {
            return Err((StatusCode::URI_TOO_LONG, "the target of the request is too long"));
        }
        let fields = request.headers();
        let bytes: usize =
            fields.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let is_large = fields.len() > limits.header_count || bytes > limits.header_bytes;
        if is_large && hub.refuse(Reason::RequestHead, client) {
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return Err((status, "the header fields are too many or too large"));
        }
        if self.proxied {
            let (share, beyond) = hub.admission.share(client);
            if beyond.is_some_and(|reason| hub.refuse(reason, client)) {
                return Err((StatusCode::TOO_MANY_REQUESTS, "too many at once from one address"));
            }
            self.share = Some(share);
        }
        Ok(())
    }

    /// The path that routes know; none if the request is for something outside the root path.
    pub(in crate::interface) fn route_path<'a>(&self, hub: &Hub, path: &'a str) -> Option<&'a str> {
        strip_root(&hub.config.root_path, path)
    }

    /// The path as clients see it of a directory that a module serves.
    pub(super) fn mount(&self, hub: &Hub, files: &Files) -> String {
        format!("{}{}{}", self.prefix, hub.config.root_path, files.prefix)
    }

    /// The facts of the connection. None if the path is no text.
    pub(in crate::interface) fn scope<B>(
        &self,
        protocol: Protocol,
        request: &Request<B>,
        path_params: Vec<PathParam>,
        registration: &Registration,
    ) -> Option<Scope> {
        let raw_path = format!("{}{}", self.prefix, request.uri().path());
        let has_underscore = |name: &HeaderName| name.as_str().contains('_');
        let root_path = format!("{}{}", self.prefix, registration.hub().config.root_path);
        let headers = with_one_cookie(request.headers()).filter(|(name, _)| !has_underscore(name));
        Some(Scope {
            reply_channel: registration.channel.clone(),
            correlation: self.correlation,
            protocol,
            secure: self.secure,
            method: request.method().as_str().to_owned(),
            http_version: match request.version() {
                Version::HTTP_10 => "1.0",
                Version::HTTP_2 => "2",
                _ => "1.1",
            },
            path: decode(&raw_path).ok()?.into_owned(),
            raw_path,
            query_string: request.uri().query().unwrap_or_default().to_owned(),
            path_params,
            headers: match protocol {
                Protocol::Http => headers.collect(),
                Protocol::Websocket => detached(headers.collect()),
            },
            client: self.client,
            server: self.connection.peer.server,
            root_path,
            subprotocols: Vec::new(),
            user: None,
            session: None,
        })
    }
}

/// The header fields of a request. Over HTTP/2 each cookie may have a field of its own; an application
/// sees one for all of them (RFC 9113, section 8.2.3).
fn with_one_cookie(headers: &HeaderMap) -> impl Iterator<Item = Header> {
    let cookies: Vec<&[u8]> =
        headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    let mut joined = match cookies.as_slice() {
        [] | [_] => None,
        several => HeaderValue::from_bytes(&several.join(&b"; "[..])).ok(),
    };
    let is_divided = joined.is_some();
    headers.iter().filter_map(move |(name, value)| {
        if is_divided && name == header::COOKIE {
            // In the place of the first.
            return joined.take().map(|joined| (name.clone(), joined));
        }
        Some((name.clone(), value.clone()))
    })
}

/// The same header fields, with their values in memory of their own. The values of a request are parts of the
/// buffer that it was read to, which must not be kept as long as a WebSocket is open.
fn detached(headers: Vec<Header>) -> Vec<Header> {
    let bytes = headers.iter().map(|(_, value)| value.len()).sum();
    let mut values = BytesMut::with_capacity(bytes);
    headers.iter().for_each(|(_, value)| values.extend_from_slice(value.as_bytes()));
    let mut values = values.freeze();
    let mut fields = Vec::with_capacity(headers.len());
    fields.extend(headers.into_iter().map(|(name, value)| {
        let own = HeaderValue::from_maybe_shared(values.split_to(value.len()));
        (name, own.unwrap_or(value))
    }));
    fields
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn the_fields_of_a_socket_are_the_same_and_share_nothing_with_the_request() {
        let request = Bytes::from(vec![b'v'; 8_192]);
        let value = |range| HeaderValue::from_maybe_shared(request.slice(range)).unwrap();
        let name = HeaderName::from_static;
        let fields =
            vec![(name("a"), value(0..3)), (name("b"), value(3..3)), (name("c"), value(5..9))];
        let detached = detached(fields.clone());
        assert_eq!(detached, fields);
        drop(fields);
        assert!(request.is_unique(), "nobody keeps the buffer");
        assert_eq!(detached[2].1, "vvvv");
    }

    #[test]
    fn cookies_in_several_fields_are_one_in_the_place_of_the_first() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("a", "1"),
            ("cookie", "a=1"),
            ("b", "2"),
            ("cookie", "s=\u{fc}"),
            ("cookie", "c=3; d=4"),
        ] {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(HeaderName::from_static(name), value);
        }
        let seen: Vec<_> = with_one_cookie(&headers)
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
            .collect();
        assert_eq!(seen.len(), 3, "{seen:?}");
        assert!(seen.contains(&"cookie: a=1; s=\u{fc}; c=3; d=4".to_owned()), "{seen:?}");
    }
}
