//! One connection, from its first byte to its last: admitted, opened, then served as HTTP/1 or HTTP/2.

use std::{
    future::{Future, poll_fn},
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep_until, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    Hub, InterfaceConfig, Timeouts,
    admission::{Place, Share},
    config::AbuseLimits,
    http,
    limits_log::Reason,
    pace::{ConnectionPace, StreamPace, watched},
    transport::{OpenError, Peer, Raw, Stream, Version},
    unsent::Unsent,
};

/// Header fields that hyper keeps on its stack; more cost an allocation for each request.
const HEADERS_ON_STACK: usize = 100;
/// What the libraries let pass in a dry run: so many times the limits.
const DRY_RUN_FACTOR: u8 = 8;
/// hyper's smallest buffer.
const SMALLEST_BUFFER: usize = 8 * 1024;
/// Bytes of one stream that the library keeps for a socket that is full.
const STREAM_SEND_BUFFER: usize = 64 * 1024;
/// What an HTTP/2 client may send before it is asked for less.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same for all requests of a connection.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// What is known of a connection by all that happens on it. It counts as open while anybody has it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: Peer,
    /// What its streams share; none over HTTP/1, where one response comes after the other.
    pub(super) streams: Option<Streams>,
    requests: AtomicUsize,
    sockets: AtomicUsize,
    changed: Notify,
    _place: Place,
    _share: Option<Share>,
}

/// What the streams of an HTTP/2 connection share.
#[derive(Debug)]
pub(super) struct Streams {
    /// Responses that wait for the client.
    pub(super) unsent: Arc<Unsent>,
    /// Requests that are served at the same time; WebSockets do not count.
    requests: Arc<Semaphore>,
}

/// A request that is being answered, or an open WebSocket.
#[derive(Debug)]
pub(super) struct Busy {
    connection: Arc<Connection>,
    /// Held by requests over HTTP/2 only.
    _turn: Option<OwnedSemaphorePermit>,
}

/// A WebSocket or handshake of a connection.
#[derive(Debug)]
pub(super) struct SocketPlace {
    connection: Arc<Connection>,
    /// How many there were when it came, itself included.
    pub(super) number: usize,
}

impl Streams {
    fn new(config: &InterfaceConfig) -> Self {
        let requests = Arc::new(Semaphore::new(config.limits.streams as usize));
        Self { unsent: Unsent::new(config.http_unsent), requests }
    }

    /// Waits until fewer requests are served than may be. Dropping the future gives up the place in line.
    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.requests).acquire_owned().await.ok()
    }

    /// Whether more requests are served than may be.
    pub(super) fn are_all_in_use(&self) -> bool {
        self.requests.available_permits() == 0
    }
}

impl Connection {
    pub(super) const fn new(
        peer: Peer,
        streams: Option<Streams>,
        place: Place,
        share: Option<Share>,
    ) -> Self {
        let (requests, sockets) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let changed = Notify::const_new();
        Self { peer, streams, requests, sockets, changed, _place: place, _share: share }
    }

    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.peer.signs.heard.store(false, Ordering::Relaxed);
        self.changed.notify_one();
        Busy { connection: Arc::clone(self), _turn: None }
    }

    pub(super) fn enter_socket(self: &Arc<Self>) -> SocketPlace {
        let number = self.sockets.fetch_add(1, Ordering::Relaxed) + 1;
        SocketPlace { connection: Arc::clone(self), number }
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

    /// Resolves when a connection of HTTP/2 had no request for so long that it ends.
    async fn unused(&self, timeouts: &Timeouts) {
        let first = self.changed.notified();
        if self.requests.load(Ordering::Relaxed) == 0
            && timeout(timeouts.header, first).await.is_err()
        {
            return;
        }
        self.idle(timeouts.keep_alive).await;
    }

    fn phase(&self) -> Phase {
        let signs = &self.peer.signs;
        if self.requests.load(Ordering::Relaxed) > 0 || signs.closing.load(Ordering::Relaxed) {
            Phase::Answering
        } else if signs.heard.load(Ordering::Relaxed) {
            Phase::Head
        } else {
            Phase::Idle
        }
    }
}

impl Busy {
    /// Waits until the request may be served beside the others of its connection.
    pub(super) async fn take_turn(&mut self) {
        if let Some(streams) = &self.connection.streams {
            self._turn = streams.turn().await;
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

impl Drop for SocketPlace {
    fn drop(&mut self) {
        self.connection.sockets.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What an HTTP/1 connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A request, of which nothing has come.
    Idle,
    /// The rest of a head.
    Head,
    /// The answer, or the end.
    Answering,
}

/// Watches how long a client of HTTP/1 takes for each phase. The task of the connection polls it after
/// the connection itself, so that it sees what has just come.
struct PhaseTimer<'a> {
    connection: &'a Connection,
    timeouts: &'a Timeouts,
    phase: Phase,
    /// Whether a request has come. A new connection has less time.
    is_used: bool,
    timer: Pin<Box<Sleep>>,
}

impl<'a> PhaseTimer<'a> {
    fn new(connection: &'a Connection, timeouts: &'a Timeouts) -> Self {
        let timer = Box::pin(sleep_until(Instant::now() + timeouts.header));
        Self { connection, timeouts, phase: Phase::Idle, is_used: false, timer }
    }

    /// Resolves to the phase that takes too long.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Phase> {
        let phase = self.connection.phase();
        if phase != self.phase {
            self.phase = phase;
            self.is_used |= phase == Phase::Answering;
            if phase != Phase::Answering {
                let is_kept_alive = phase == Phase::Idle && self.is_used;
                let Timeouts { keep_alive, header, .. } = *self.timeouts;
                let span = if is_kept_alive { keep_alive } else { header };
                self.timer.as_mut().reset(Instant::now() + span);
            }
        }
        if phase == Phase::Answering {
            return Poll::Pending;
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(phase)
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
    let mut timer = PhaseTimer::new(connection, &hub.config.timeouts);
    let mut is_stopping = false;
    loop {
        tokio::select! {
            biased;
            ended = serving.as_mut() => return ended,
            () = hub.drain.stopping(), if !is_stopping => {
                is_stopping = true;
                serving.as_mut().graceful_shutdown();
            }
            late = poll_fn(|context| timer.poll(context)) => {
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
        .max_send_buf_size(STREAM_SEND_BUFFER)
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
