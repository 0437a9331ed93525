//! One connection, from its first byte to its last: admitted, opened, then served as HTTP/1 or HTTP/2.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{sync::Notify, time::timeout};
use tokio_rustls::TlsAcceptor;

use super::{
    Hub, InterfaceConfig,
    admission::{Place, Share},
    config::AbuseLimits,
    http,
    limits_log::Reason,
    transport::{OpenError, Peer, Raw, Stream, Version},
};
use crate::shutdown::Drain;

/// Header fields that hyper keeps on its stack; more cost an allocation for each request.
const HEADERS_ON_STACK: usize = 100;
/// What the libraries let pass in a dry run: so many times the limits.
const DRY_RUN_FACTOR: u8 = 8;
/// hyper's smallest buffer.
const SMALLEST_BUFFER: usize = 8 * 1024;
/// What an HTTP/2 client may send before it is asked for less.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same for all requests of a connection.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// What is known of a connection by all that happens on it. It counts as open while anybody has it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: Peer,
    requests: AtomicUsize,
    changed: Notify,
    _place: Place,
    _share: Option<Share>,
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Busy {
    connection: Arc<Connection>,
    /// How many there were at the same time when it began, itself included.
    pub(super) number: usize,
}

impl Connection {
    pub(super) const fn new(peer: Peer, place: Place, share: Option<Share>) -> Self {
        let (requests, changed) = (AtomicUsize::new(0), Notify::const_new());
        Self { peer, requests, changed, _place: place, _share: share }
    }

    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        self.peer.signs.heard.store(false, Ordering::Relaxed);
        self.changed.notify_one();
        Busy { connection: Arc::clone(self), number }
    }

    /// Whether the body of a request may still come although nobody reads it.
    pub(super) fn leaves_unread(&self, is_unread: bool) {
        self.peer.signs.unread.store(is_unread, Ordering::Relaxed);
    }

    /// Resolves when there was no request for some time.
    async fn idle(&self, span: Duration) {
        loop {
            let changed = self.changed.notified();
            if self.requests.load(Ordering::Relaxed) > 0 {
                changed.await;
            } else if timeout(span, changed).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Connection { requests, peer, changed, .. } = &*self.connection;
        requests.fetch_sub(1, Ordering::Relaxed);
        peer.signs.heard.store(false, Ordering::Relaxed);
        changed.notify_one();
    }
}

/// Serves a connection that has a place, until it ends or has become a WebSocket.
pub(super) async fn serve(raw: Raw, place: Place, tls: Option<TlsAcceptor>, hub: Arc<Hub>) {
    let client = raw.peer.client;
    let opened = timeout(hub.config.timeouts.handshake, open(raw, tls, &hub)).await;
    let (stream, version, peer, share) = match opened {
        Ok(Ok(Some(opened))) => opened,
        Ok(Ok(None)) => return,
        Ok(Err(error)) => {
            let reason = match error {
                OpenError::Proxy(_) => Some(Reason::ProxyHeader),
                OpenError::Tls(_) => Some(Reason::Tls),
                OpenError::Io(_) => None,
            };
            if let Some(reason) = reason {
                hub.refuse(reason, client.ip());
            }
            tracing::debug!(%error, %client, "a connection ended before HTTP began");
            return;
        }
        Err(_) => {
            hub.refuse(Reason::HandshakeTime, client.ip());
            return;
        }
    };
    let connection = Arc::new(Connection::new(peer, place, share));
    let ended = match version {
        Version::Http1 => serve_http1(stream, &connection, &hub).await,
        Version::Http2 => serve_http2(stream, &connection, &hub).await,
    };
    if let Err(error) = ended {
        // A connection that is idle for long has done nothing wrong: no head was begun.
        let is_begun = connection.peer.signs.heard.load(Ordering::Relaxed);
        if let Some(reason) = reason_of(&error).filter(|&it| it != Reason::HeaderTime || is_begun) {
            hub.refuse(reason, client.ip());
        }
        tracing::debug!(%error, %client, "a connection ended early");
    }
}

/// Goes on to where HTTP begins; none if the client may not have another connection.
async fn open(
    mut raw: Raw,
    tls: Option<TlsAcceptor>,
    hub: &Hub,
) -> Result<Option<(Stream, Version, Peer, Option<Share>)>, OpenError> {
    let proxies = &hub.config.proxies;
    if proxies.proxy_protocol {
        if !proxies.trusts(&raw.peer) {
            hub.refuse(Reason::ProxyHeader, raw.peer.client.ip());
            return Ok(None);
        }
        raw.read_proxy_header().await?;
    }
    // The connections of a proxy are those of many clients.
    let share = if proxies.trusts(&raw.peer) {
        None
    } else {
        let client = raw.peer.client.ip();
        let (share, beyond) = hub.admission.share(client);
        if beyond.is_some_and(|reason| hub.refuse(reason, client)) {
            return Ok(None);
        }
        Some(share)
    };
    let (stream, version, peer) = raw.open(tls).await?;
    Ok(Some((stream, version, peer, share)))
}

/// By what the limits of the libraries are larger.
const fn factor(limits: &AbuseLimits) -> u8 {
    if limits.dry_run { DRY_RUN_FACTOR } else { 1 }
}

/// Bytes and header fields of a head that is read at all; what is beyond the limits is refused later,
/// where it can be counted.
fn largest_head(limits: &AbuseLimits) -> (usize, usize) {
    let factor = usize::from(factor(limits));
    ((limits.uri_bytes + limits.header_bytes) * factor, limits.header_count * factor)
}

/// How HTTP/1 is read.
pub(super) fn http1(config: &InterfaceConfig) -> http1::Builder {
    let (head_bytes, header_count) = largest_head(&config.limits);
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(config.timeouts.header)
        .max_header_size(head_bytes)
        .max_buf_size(head_bytes.max(SMALLEST_BUFFER));
    if header_count != HEADERS_ON_STACK {
        builder.max_headers(header_count);
    }
    builder
}

async fn serve_http1(
    stream: Stream,
    connection: &Arc<Connection>,
    hub: &Arc<Hub>,
) -> hyper::Result<()> {
    let (shared, handler) = (Arc::clone(connection), Arc::clone(hub));
    let handle =
        service_fn(move |request| http::handle(Arc::clone(&handler), Arc::clone(&shared), request));
    let serving = http1(&hub.config).serve_connection(TokioIo::new(stream), handle).with_upgrades();
    tokio::pin!(serving);
    tokio::select! {
        ended = serving.as_mut() => ended,
        () = hub.drain.stopping() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    }
}

async fn serve_http2(
    stream: Stream,
    connection: &Arc<Connection>,
    hub: &Arc<Hub>,
) -> hyper::Result<()> {
    let (shared, handler) = (Arc::clone(connection), Arc::clone(hub));
    let limits = &hub.config.limits;
    let (head_bytes, _) = largest_head(limits);
    let mut builder = http2::Builder::new(Spawner(hub.drain.clone()));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams.saturating_mul(factor(limits).into()))
        .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(hub.config.liveness.ping_interval)
        .keep_alive_timeout(hub.config.liveness.ping_timeout)
        // WebSockets (RFC 8441).
        .enable_connect_protocol();
    let handle =
        service_fn(move |request| http::handle(Arc::clone(&handler), Arc::clone(&shared), request));
    let serving = builder.serve_connection(TokioIo::new(stream), handle);
    tokio::pin!(serving);
    tokio::select! {
        ended = serving.as_mut() => return ended,
        () = hub.drain.stopping() => {}
        () = connection.idle(hub.config.timeouts.header) => {}
    }
    serving.as_mut().graceful_shutdown();
    // A client that does not go when its requests are answered is not waited for.
    tokio::select! {
        ended = serving.as_mut() => ended,
        () = connection.idle(hub.config.timeouts.close) => Ok(()),
    }
}

/// Runs the requests of HTTP/2 connections where shutdown waits for them.
#[derive(Clone)]
struct Spawner(Drain);

impl<F> hyper::rt::Executor<F> for Spawner
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn("stream", task);
    }
}

fn reason_of(error: &hyper::Error) -> Option<Reason> {
    if error.is_parse_too_large() {
        return Some(Reason::RequestHead);
    }
    if error.is_timeout() {
        return Some(Reason::HeaderTime);
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let io = cause.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut) {
            return Some(Reason::WriteTime);
        }
        source = cause.source();
    }
    None
}
