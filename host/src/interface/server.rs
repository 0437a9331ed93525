//! Listens, accepts, and stops in order.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Hub, InterfaceConfig, connections::Connections, http, inbox, line::Lines, mailbox::Mail,
};
use crate::{
    layer::{ChannelLayer, LayerError},
    message::{NodeName, Protocol},
    routing::Routes,
    shutdown::Drain,
    telemetry::Metrics,
};

/// How long to wait after an accept that failed: the process may be out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// At shutdown sockets are closed at least this often, however long the grace period is.
const SLOWEST_CLOSE: Duration = Duration::from_millis(10);

/// A listener that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

impl BindError {
    /// Says which address it was.
    pub const fn new(address: SocketAddr, source: io::Error) -> Self {
        Self { address, source }
    }
}

/// Serves HTTP and WebSocket on one address.
#[derive(Debug)]
pub struct InterfaceServer {
    listener: TcpListener,
    address: SocketAddr,
    hub: Arc<Hub>,
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    hub: Arc<Hub>,
    reader: Drain,
}

impl InterfaceServer {
    /// Opens the listener. Nothing is accepted yet.
    pub async fn bind(
        address: SocketAddr,
        config: InterfaceConfig,
        layer: Arc<dyn ChannelLayer>,
        routes: Routes,
        metrics: Arc<Metrics>,
    ) -> Result<Self, BindError> {
        let wrong = |source| BindError { address, source };
        let listener = TcpListener::bind(address).await.map_err(wrong)?;
        let bound = listener.local_addr().map_err(wrong)?;
        let hub = Hub {
            config,
            node: NodeName::random(),
            layer,
            routes,
            connections: Connections::default(),
            lines: Lines::default(),
            metrics,
            drain: Drain::new(Handle::current()),
        };
        Ok(Self { listener, address: bound, hub: Arc::new(hub) })
    }

    /// The address that is listened on, with the real port.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts to accept.
    pub async fn start(self) -> Result<Running, LayerError> {
        let Self { listener, hub, .. } = self;
        hub.layer.open_inbox(&hub.node).await?;
        let reader = Drain::new(Handle::current());
        let (reading, stop) = (Arc::clone(&hub), reader.clone());
        reader.spawn("inbox", async move {
            tokio::select! {
                () = inbox::read(reading) => {}
                () = stop.stopping() => {}
            }
        });
        hub.drain.spawn("accept", accept(listener, Arc::clone(&hub)));
        Ok(Running { hub, reader })
    }
}

impl Running {
    /// Accepts no more, lets requests finish, closes WebSockets with 1001 one after the other, and
    /// waits until consumers know; all within the grace period. Returns how many connections were
    /// left.
    pub async fn stop(self) -> usize {
        let Self { hub, reader } = self;
        let grace = hub.config.grace;
        hub.drain.stop();
        let work = async {
            for mailbox in hub.connections.of(Protocol::Http) {
                mailbox.put(Mail::Drain);
            }
            let sockets = hub.connections.of(Protocol::Websocket);
            // The last fifth of the time is for disconnect events.
            let pause = grace.mul_f32(0.8).checked_div(u32::try_from(sockets.len()).unwrap_or(0));
            let pause = pause.unwrap_or_default().min(SLOWEST_CLOSE);
            let mut next = Instant::now();
            for mailbox in sockets {
                mailbox.put(Mail::Drain);
                next += pause;
                sleep_until(next).await;
            }
            hub.drain.finished().await;
        };
        let left = match timeout(grace, work).await {
            Ok(()) => 0,
            Err(_) => {
                hub.connections.of(Protocol::Http).len()
                    + hub.connections.of(Protocol::Websocket).len()
            }
        };
        reader.stop();
        hub.layer.close_inbox(&hub.node).await;
        reader.finished().await;
        left
    }
}

async fn accept(listener: TcpListener, hub: Arc<Hub>) {
    loop {
        let accepted = tokio::select! {
            () = hub.drain.stopping() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, client)) => {
                let connection = serve(socket, client, Arc::clone(&hub));
                hub.drain.spawn("connection", connection);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep_until(Instant::now() + ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One TCP connection, until it ends or becomes a WebSocket.
async fn serve(socket: TcpStream, client: SocketAddr, hub: Arc<Hub>) {
    // Replies are small and wait for nobody.
    drop(socket.set_nodelay(true));
    let Ok(server) = socket.local_addr() else { return };
    let handle = {
        let hub = Arc::clone(&hub);
        service_fn(move |request| http::handle(Arc::clone(&hub), client, server, request))
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(hub.config.header_timeout)
        .serve_connection(TokioIo::new(socket), handle)
        .with_upgrades();
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = hub.drain.stopping() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, %client, "a connection ended early");
    }
}
