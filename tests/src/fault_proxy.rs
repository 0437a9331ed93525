//! A TCP proxy that does to its connections what networks do.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use crate::background;

/// What becomes of what is sent over connections, open ones and new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// It arrives.
    Works,
    /// It arrives so much later.
    Slow(Duration),
    /// Each connection is reset.
    Cut,
    /// It is taken and does not arrive, and nobody is told.
    HalfOpen,
    /// The server's side of each connection is closed, the client's stays open for as long as it likes.
    ClosesSlowly,
}

/// Passes connections on to a server. Gone when dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    accepted: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl FaultProxy {
    /// A proxy in front of a port of 127.0.0.1, which works at first.
    pub async fn before(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let network = watch::Sender::new(Network::Works);
        let (seen, accepted) = (network.subscribe(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&accepted);
        let accepting = background(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                drop(background(connection(client, port, seen.clone())));
            }
        });
        Self { address, network, accepted, accepting }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of database 0 of the Redis server behind it.
    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    /// From now on it behaves like this.
    pub fn set(&self, network: Network) {
        self.network.send_replace(network);
    }

    /// How many connections there have been.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn connection(client: TcpStream, port: u16, network: watch::Receiver<Network>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    let up = background(pump(client_reads, server_writes, network.clone()));
    pump(server_reads, client_writes, network).await;
    drop(up.await);
}

/// Passes on one direction. Ends when either side does.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut network: watch::Receiver<Network>,
) {
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    let mut now = *network.borrow_and_update();
    loop {
        match now {
            Network::Cut => return reset(&from, &to),
            // To the client it has ended; to the server nothing goes any more.
            Network::ClosesSlowly => drop(to.shutdown().await),
            Network::Works | Network::Slow(_) | Network::HalfOpen => {}
        }
        let read = tokio::select! {
            changed = network.changed() => {
                let before = now;
                now = *network.borrow_and_update();
                // What was dropped is missing: the connection is of no use any more.
                let is_whole = matches!(before, Network::Works | Network::Slow(_));
                if changed.is_err() || !is_whole {
                    return reset(&from, &to);
                }
                continue;
            }
            read = from.read_buf(&mut buffer) => read,
        };
        let Ok(1..) = read else { return };
        let bytes = buffer.split();
        match now {
            Network::Works | Network::Cut => {}
            Network::Slow(span) => sleep_until(Instant::now() + span).await,
            Network::HalfOpen | Network::ClosesSlowly => continue,
        }
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Both ends are reset when they are closed.
fn reset(from: &OwnedReadHalf, to: &OwnedWriteHalf) {
    for stream in [from.as_ref(), to.as_ref()] {
        // One that is gone already needs none.
        drop(stream.set_zero_linger());
    }
}
