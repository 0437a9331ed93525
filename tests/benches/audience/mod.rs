//! Members of a group that stay connected, and somebody who sends to them.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tests::Socket;

/// Handshakes at the same time.
const HANDSHAKES: usize = 50;
/// Messages that are under way at the same time.
const UNDER_WAY: usize = 16;
const TEXT: &str = "the tide comes in, and everybody hears of it";

/// Sockets in the group `watch` of the guest `actor`, which joins and sends as its clients say.
#[derive(Debug)]
pub(crate) struct Audience {
    sender: Socket,
    /// The member whose messages say how far the others are.
    first: Socket,
    members: u64,
    received: Arc<AtomicU64>,
}

impl Audience {
    pub(crate) async fn gather(address: SocketAddr, members: usize) -> Self {
        let received = Arc::new(AtomicU64::new(0));
        let mut open = 1;
        while open < members {
            let some = HANDSHAKES.min(members - open);
            let some = (0..some).map(|_| Socket::open(address, "/watch"));
            for member in futures_util::future::join_all(some).await {
                tests::background(listen(member, Arc::clone(&received)));
                open += 1;
            }
        }
        let first = Socket::open(address, "/watch").await;
        let sender = Socket::open(address, "/actor").await;
        Self { sender, first, members: members as u64, received }
    }

    /// Sends for a while. Returns deliveries in a second, and how many there were.
    #[expect(clippy::cast_precision_loss, reason = "a count of messages")]
    pub(crate) async fn broadcast(&mut self, round: Duration) -> (f64, f64) {
        let (started, before) = (Instant::now(), self.received.load(Ordering::Relaxed));
        for _ in 0..UNDER_WAY {
            self.send().await;
        }
        let mut sent = UNDER_WAY as u64;
        while started.elapsed() < round {
            self.first.text().await;
            self.sender.text().await;
            self.send().await;
            sent += 1;
        }
        for _ in 0..UNDER_WAY {
            self.first.text().await;
            self.sender.text().await;
        }
        while self.received.load(Ordering::Relaxed) - before < sent * (self.members - 1) {
            tokio::task::yield_now().await;
        }
        let deliveries = (sent * self.members) as f64;
        (deliveries / started.elapsed().as_secs_f64(), deliveries)
    }

    async fn send(&mut self) {
        self.sender.send(format!("publish watch {TEXT}")).await;
    }
}

async fn listen(mut member: Socket, received: Arc<AtomicU64>) {
    // `tests::must` would give up between two rounds.
    while let Some(message) = member.wait().await {
        if message.is_text() {
            received.fetch_add(1, Ordering::Relaxed);
        }
    }
}
