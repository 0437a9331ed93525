//! A request as it arrives: what proxies say of it, whether it is within limits, and the scope that
//! its consumer sees.

use std::{net::SocketAddr, sync::Arc};

use hyper::{Request, StatusCode, Version, header::HeaderName};

use crate::{
    interface::{
        Hub, admission::Share, connection::Connection, connections::Registration,
        limits_log::Reason, proxies::Origin, strictness::Refusal,
    },
    message::{CorrelationId, PathParam, Protocol, Scope},
    routing::{decode, strip_root},
};

/// What is known of a request before its route.
#[derive(Debug)]
pub(in crate::interface) struct Arrival {
    pub(in crate::interface) connection: Arc<Connection>,
    pub(in crate::interface) client: SocketAddr,
    /// Whether the client speaks TLS.
    pub(in crate::interface) secure: bool,
    pub(in crate::interface) correlation: CorrelationId,
    /// What a proxy took off the path.
    prefix: String,
    /// Whether other clients share the connection.
    proxied: bool,
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
        let correlation = request_id.unwrap_or_else(CorrelationId::random);
        Self { connection, client, secure, correlation, prefix, proxied, share: None }
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
            headers: request
                .headers()
                .iter()
                .filter(|(name, _)| !has_underscore(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            client: self.client,
            server: self.connection.peer.server,
            root_path,
            subprotocols: Vec::new(),
        })
    }
}
