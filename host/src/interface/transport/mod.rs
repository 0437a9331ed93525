//! What comes before HTTP on a connection: the socket, the PROXY protocol, TLS, and which version of
//! HTTP is spoken.

mod endpoint;
mod linger;
mod proxy_protocol;
mod stall;
mod tls;
mod unix_access;
mod wire;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::either::Either;

pub(crate) use self::linger::read_out;
pub(super) use self::{
    endpoint::Listener,
    stall::Paced,
    tls::{Certificates, report, watch},
    wire::{Signs, Socket},
};
pub use self::{
    endpoint::{BindError, Endpoint, EndpointError},
    tls::{TlsConfig, TlsError},
    unix_access::{UnixAccess, UnixAccessError, UnixMode, UnixOwner},
};
use self::{proxy_protocol::ProxyError, wire::Wire};
use super::Timeouts;

/// What a client that knows of HTTP/2 begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a TCP connection may be silent before the kernel asks whether the peer is there.
const TCP_KEEP_ALIVE_DELAY: Duration = Duration::from_secs(60);
/// Between two such questions; after some without an answer the connection is over.
const TCP_KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// Stands for a client on the same machine, of which there is no address.
const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The two ends of a connection and what lies between.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// The far end: the client, or the last proxy before this process.
    pub(super) client: SocketAddr,
    /// The near end.
    pub(super) server: SocketAddr,
    /// Whether TLS ends here.
    pub(super) secure: bool,
    /// Whether it came through a Unix socket.
    pub(super) local: bool,
    /// What came, and what is still to come.
    pub(super) signs: Arc<Signs>,
}

impl Peer {
    pub(super) fn new(ends: Option<(SocketAddr, SocketAddr)>) -> Self {
        let (client, server) = ends.unwrap_or((LOCAL, LOCAL));
        Self { client, server, secure: false, local: ends.is_none(), signs: Arc::default() }
    }
}

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// The bytes of a connection, as HTTP sees them.
pub(super) type Stream = Either<Wire, Box<TlsStream<Wire>>>;

/// Why a connection ended before HTTP began.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("the PROXY protocol: {0}")]
    Proxy(#[from] ProxyError),
    #[error("TLS: {0}")]
    Tls(io::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A connection that was accepted, before its first byte is read.
pub(super) struct Raw {
    wire: Wire,
    pub(super) peer: Peer,
}

impl Raw {
    pub(super) fn new(socket: Socket, peer: Peer, timeouts: &Timeouts) -> Self {
        if let Either::Left(tcp) = &socket {
            // Replies are small and wait for nobody.
            drop(tcp.set_nodelay(true));
            let alive = TcpKeepalive::new()
                .with_time(TCP_KEEP_ALIVE_DELAY)
                .with_interval(TCP_KEEP_ALIVE_INTERVAL);
            // A peer that is gone without a word is noticed by this; without it, later.
            drop(SockRef::from(tcp).set_tcp_keepalive(&alive));
        }
        let wire = Wire::new(socket, timeouts, Arc::clone(&peer.signs));
        Self { wire, peer }
    }

    /// Reads the header of the PROXY protocol, which says who the client is.
    pub(super) async fn read_proxy_header(&mut self) -> Result<(), OpenError> {
        if let Some((client, server)) = proxy_protocol::read(&mut self.wire).await? {
            self.peer.client = client;
            self.peer.server = server;
            self.peer.local = false;
        }
        Ok(())
    }

    /// Goes on to where HTTP begins.
    pub(super) async fn open(
        self,
        tls: Option<TlsAcceptor>,
    ) -> Result<(Stream, Version, Peer), OpenError> {
        let Self { mut wire, mut peer } = self;
        let Some(tls) = tls else {
            let version = guess(&mut wire).await?;
            return Ok((Either::Left(wire), version, peer));
        };
        let stream = tls.accept(wire).await.map_err(OpenError::Tls)?;
        peer.secure = true;
        let version = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Version::Http2,
            _ => Version::Http1,
        };
        Ok((Either::Right(Box::new(stream)), version, peer))
    }
}

/// Without TLS a client that knows of HTTP/2 says so at once.
async fn guess(wire: &mut Wire) -> io::Result<Version> {
    loop {
        let ahead = wire.ahead();
        if ahead.starts_with(PREFACE) {
            return Ok(Version::Http2);
        }
        // The end, too, is told to HTTP/1.
        if !PREFACE.starts_with(ahead) || wire.read_ahead().await? == 0 {
            return Ok(Version::Http1);
        }
    }
}
