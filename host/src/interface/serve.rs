//! One connection, from its first byte to its last: admitted, opened, then served as HTTP/1 or HTTP/2.

use std::{
    future::{Future, poll_fn},
    net::IpAddr,
    sync::Arc,
};

use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::{
    Hub, InterfaceConfig,
    admission::{Place, Share},
    config::AbuseLimits,
    connection::{Connection, Phase, PhaseTimer, Streams},
    http,
    limits_log::Reason,
    pace::{ConnectionPace, StreamPace, watched},
    transport::{OpenError, Peer, Raw, Stream, Version},
};

/// Header fields that hyper keeps on its stack; more cost an allocation for each request.
const HEADERS_ON_STACK: usize = 100;
/// The factor by which a dry run raises the limits of the libraries.
const DRY_RUN_FACTOR: u8 = 8;
/// hyper's smallest buffer.
const BUFFER_BYTES_MIN: usize = 8 * 1024;
/// Bytes of one stream that the library keeps for a socket that is full.
const STREAM_SEND_BUFFER_BYTES: usize = 64 * 1024;
/// Bytes that an HTTP/2 client may send on a stream ahead of the reader.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// The same for all requests of a connection.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

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
    let streams = (version == Version::Http2).then(|| Streams::new(&hub.config));
    let connection = Arc::new(Connection::new(peer, streams, place, share));
    let ended = match version {
        Version::Http1 => serve_http1(stream, &connection, &hub).await,
        Version::Http2 => serve_http2(stream, &connection, &hub).await,
    };
    if let Err(error) = ended {
        if let Some(reason) = reason_of(&error) {
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
        // A timer of the connection tells idle ones from those that have begun a head.
        .header_read_timeout(None)
        .max_header_size(head_bytes)
        .max_buf_size(head_bytes.max(BUFFER_BYTES_MIN));
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
    let mut timer = PhaseTimer::new(&hub.config.timeouts);
    let mut is_stopping = false;
    loop {
        tokio::select! {
            biased;
            ended = serving.as_mut() => return ended,
            () = hub.drain.stopping(), if !is_stopping => {
                is_stopping = true;
                serving.as_mut().graceful_shutdown();
            }
            late = poll_fn(|context| timer.poll(connection.stage(), context)) => {
                if late == Phase::Head {
                    hub.refuse(Reason::HeaderTime, connection.peer.client.ip());
                    return Ok(());
                }
                serving.as_mut().graceful_shutdown();
                // One that is idle has nothing left to say.
                let closing = timeout(hub.config.timeouts.close, serving).await;
                return closing.unwrap_or(Ok(()));
            }
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
    let spawner = Spawner {
        hub: Arc::clone(hub),
        client: connection.peer.client.ip(),
        pace: ConnectionPace::new(hub.config.timeouts.write),
    };
    let streams = limits.streams.saturating_add(limits.sockets);
    let mut builder = http2::Builder::new(spawner);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams.saturating_mul(factor(limits).into()))
        .max_send_buf_size(STREAM_SEND_BUFFER_BYTES)
        .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
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
        () = connection.unused(&hub.config.timeouts) => {}
    }
    serving.as_mut().graceful_shutdown();
    // A client that does not go when its requests are answered is not waited for.
    tokio::select! {
        ended = serving.as_mut() => ended,
        () = connection.idle(hub.config.timeouts.close) => Ok(()),
    }
}

/// Runs the streams of an HTTP/2 connection where shutdown waits for them, each in the time it has.
#[derive(Clone)]
struct Spawner {
    hub: Arc<Hub>,
    client: IpAddr,
    pace: Arc<ConnectionPace>,
}

impl<F> hyper::rt::Executor<F> for Spawner
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        let Self { hub, client, pace } = self.clone();
        // The task of an upgraded stream is started by the one that answered the handshake.
        let before = StreamPace::current();
        let drain = hub.drain.clone();
        let too_slow = move || {
            hub.refuse(Reason::WriteTime, client);
        };
        drain.spawn("stream", watched(pace, before, task, too_slow));
    }
}

fn reason_of(error: &hyper::Error) -> Option<Reason> {
    if error.is_parse_too_large() {
        return Some(Reason::RequestHead);
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
