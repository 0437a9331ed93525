//! What proxies say of their clients, and which proxies are believed.
//!
//! Whoever can reach the port can send `x-forwarded-for`. It counts only from peers that an operator
//! named; from others it is taken off, so that no consumer takes it for true.

use std::net::{IpAddr, SocketAddr};

use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};
use ipnet::IpNet;
use rfc7239::NodeName;

use super::transport::Peer;
use crate::message::CorrelationId;

const X_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
/// Follows a request from proxy to log lines, and back in the response.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Which proxies are believed, and what they send.
#[derive(Clone, Debug, Default)]
pub struct ProxyConfig {
    /// Peers that are believed, by their addresses.
    pub trusted: Vec<IpNet>,
    /// Whether peers on Unix sockets are.
    pub trust_local: bool,
    /// The header fields that trusted proxies set.
    pub forwarding: Forwarding,
    /// Whether each connection begins with a header of the PROXY protocol.
    pub proxy_protocol: bool,
}

/// The header fields by which proxies tell of their clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forwarding {
    /// `x-forwarded-for`, `-proto`, `-host` and `-prefix`.
    #[default]
    XForwarded,
    /// `forwarded` of RFC 7239.
    Forwarded,
}

/// What is true of a request once trusted proxies were heard.
#[derive(Debug)]
pub(super) struct Origin {
    /// The client.
    pub(super) client: SocketAddr,
    /// Whether the client speaks TLS.
    pub(super) secure: bool,
    /// What a proxy took off the front of the path.
    pub(super) prefix: String,
    /// The id that the request has already.
    pub(super) request_id: Option<CorrelationId>,
    /// Whether a proxy stands between.
    pub(super) proxied: bool,
}

/// One step on the way, as the proxy behind it saw it.
#[derive(Debug, Default)]
struct Hop {
    client: Option<SocketAddr>,
    proto: Option<String>,
    host: Option<String>,
}

impl ProxyConfig {
    /// Whether a peer is believed.
    pub(super) fn trusts(&self, peer: &Peer) -> bool {
        if peer.local { self.trust_local } else { self.trusts_address(peer.client.ip()) }
    }

    fn trusts_address(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.trusted.iter().any(|network| network.contains(&ip))
    }

    /// Reads what a trusted peer says and takes off what nobody vouches for. Returns whether a stranger
    /// had something to say, too.
    pub(super) fn hear(&self, peer: &Peer, headers: &mut HeaderMap) -> (Origin, bool) {
        let mut origin = Origin {
            client: peer.client,
            secure: peer.secure,
            prefix: String::new(),
            request_id: None,
            proxied: false,
        };
        if !self.trusts(peer) {
            // Many clients send an id. It breaks no rule, so it does not count.
            headers.remove(&REQUEST_ID);
            let said = [header::FORWARDED, X_FOR, X_PROTO, X_HOST, X_PORT, X_PREFIX, X_REAL_IP];
            // Not an `any`: each is taken off.
            let ignored = said.iter().filter(|name| headers.remove(*name).is_some()).count();
            return (origin, ignored > 0);
        }
        origin.request_id = headers.get(&REQUEST_ID).and_then(|id| id.to_str().ok()?.parse().ok());
        let hops = match self.forwarding {
            Forwarding::XForwarded => {
                // A proxy that knows only one kind passes the other on as the client wrote it.
                headers.remove(header::FORWARDED);
                x_forwarded(headers)
            }
            Forwarding::Forwarded => {
                for name in [X_FOR, X_PROTO, X_HOST, X_PORT, X_PREFIX] {
                    headers.remove(name);
                }
                forwarded(headers)
            }
        };
        if let Some(prefix) = headers.get(&X_PREFIX).and_then(|value| value.to_str().ok()) {
            origin.prefix = as_prefix(prefix);
        }
        if let Some(hop) = self.first_stranger(hops) {
            origin.proxied = true;
            origin.client = hop.client.unwrap_or(origin.client);
            match hop.proto.as_deref() {
                Some("https" | "wss") => origin.secure = true,
                Some("http" | "ws") => origin.secure = false,
                _ => {}
            }
            if let Some(host) = hop.host.and_then(|host| HeaderValue::from_str(&host).ok()) {
                headers.insert(header::HOST, host);
            }
        }
        (origin, false)
    }

    /// From the nearest on: the first address that is no trusted proxy is the client. What stands
    /// before it anybody may have written.
    fn first_stranger(&self, mut hops: Vec<Hop>) -> Option<Hop> {
        let known = |hop: &Hop| hop.client.is_some_and(|at| self.trusts_address(at.ip()));
        while hops.len() > 1 && hops.last().is_some_and(known) {
            hops.pop();
        }
        hops.pop()
    }
}

/// Text that is put in front of a path: begins with a slash and does not end with one.
fn as_prefix(text: &str) -> String {
    let text = text.trim().trim_end_matches('/');
    if text.starts_with('/') { text.to_owned() } else { String::new() }
}

fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).collect()
}

fn x_forwarded(headers: &HeaderMap) -> Vec<Hop> {
    let clients = list(headers, &X_FOR);
    let (protos, hosts) = (list(headers, &X_PROTO), list(headers, &X_HOST));
    let count = clients.len().max(usize::from(!protos.is_empty() || !hosts.is_empty()));
    // Lists of different lengths: the nearest proxy wrote the last entry of each.
    let nth_last = |list: &[&str], from_end: usize| {
        let at = list.len().checked_sub(from_end + 1).or(list.len().checked_sub(1));
        at.and_then(|at| list.get(at)).map(|&text| text.to_owned())
    };
    let hop = |at: usize| Hop {
        client: clients.get(at).and_then(|text| address(text)),
        proto: nth_last(&protos, count - 1 - at).map(|proto| proto.to_ascii_lowercase()),
        host: nth_last(&hosts, count - 1 - at),
    };
    (0..count).map(hop).collect()
}

fn forwarded(headers: &HeaderMap) -> Vec<Hop> {
    let values = headers.get_all(header::FORWARDED).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(rfc7239::parse)
        .map(|hop| match hop {
            Ok(hop) => Hop {
                client: hop.forwarded_for.and_then(|node| match node.name {
                    NodeName::Ip(ip) => Some(SocketAddr::new(ip, node.port.unwrap_or(0))),
                    NodeName::Unknown | NodeName::Obfuscated(_) => None,
                }),
                proto: hop.protocol.map(str::to_ascii_lowercase),
                host: hop.host.map(str::to_owned),
            },
            Err(_) => Hop::default(),
        })
        .collect()
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`.
fn address(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    match bare.parse::<IpAddr>() {
        Ok(ip) => Some(SocketAddr::new(ip, 0)),
        Err(_) => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests;
