//! Clients of the benchmarks of the whole.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::Semaphore};
use tokio_tungstenite::{connect_async, tungstenite::Message};

/// How long clients of one round send.
pub(crate) const ROUND: Duration = Duration::from_secs(2);

/// WebSockets that are opened at the same time: as many as wait for a consumer at most.
const HANDSHAKES: usize = 50;

/// What the clients of a round share.
#[derive(Debug)]
pub(crate) struct Load {
    done: AtomicU64,
    stop: AtomicBool,
    handshakes: Semaphore,
}

impl Load {
    /// Counts one, and says whether to go on.
    pub(crate) fn count(&self) -> bool {
        self.done.fetch_add(1, Ordering::Relaxed);
        !self.stop.load(Ordering::Relaxed)
    }
}

pub(crate) async fn throughput<F>(clients: usize, client: impl Fn(Arc<Load>) -> F) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    let load = Arc::new(Load {
        done: AtomicU64::default(),
        stop: AtomicBool::default(),
        handshakes: Semaphore::new(HANDSHAKES),
    });
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..clients {
        running.spawn(client(Arc::clone(&load)));
    }
    let started = Instant::now();
    tokio::time::sleep(ROUND).await;
    let done = load.done.load(Ordering::Relaxed);
    let took = started.elapsed();
    load.stop.store(true, Ordering::Relaxed);
    running.join_all().await;
    #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
    let done = done as f64;
    done / took.as_secs_f64()
}

pub(crate) async fn http_client(address: SocketAddr, load: Arc<Load>) {
    let socket = TcpStream::connect(address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    loop {
        let request = Request::get("/hello/ann").header("host", "localhost");
        let response = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await;
        let body = response.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!(&body[..], b"Hello, ann!\n");
        if !load.count() {
            return;
        }
    }
}

pub(crate) async fn websocket_client(address: SocketAddr, load: Arc<Load>) {
    let turn = load.handshakes.acquire().await.unwrap();
    let (mut socket, _) = connect_async(format!("ws://{address}/echo")).await.unwrap();
    drop(turn);
    loop {
        socket.send(Message::Text("the tide comes in".into())).await.unwrap();
        let answer = socket.next().await.unwrap().unwrap();
        assert_eq!(answer.to_text().unwrap(), "the tide comes in");
        if !load.count() {
            break;
        }
    }
    socket.close(None).await.unwrap();
    while socket.next().await.is_some() {}
}
