//! Members of a group that stay connected, and those who send to them.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tests::Socket;
use tokio::runtime::Runtime;

use crate::load::ROUND;

/// Handshakes at the same time.
const HANDSHAKES: usize = 50;
/// Clients that send. Each has one message under way: the next one of a connection waits for the one before.
const SENDERS: usize = 16;
pub(crate) const TEXT: &str = "the tide comes in, and everybody hears of it";

/// Where the sockets are opened, and what they say.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) member: String,
    pub(crate) sender: String,
    pub(crate) says: String,
    /// Whether a member is told something when it has joined.
    pub(crate) is_greeted: bool,
}

impl Stage {
    async fn join(&self, address: SocketAddr) -> Socket {
        let mut member = Socket::open(address, &self.member).await;
        if self.is_greeted {
            member.text().await;
        }
        member
    }
}

/// Members of a group.
#[derive(Debug)]
pub(crate) struct Audience {
    senders: Vec<Socket>,
    /// The member whose messages say how far the others are.
    first: Socket,
    members: u64,
    received: Arc<AtomicU64>,
    says: String,
}

impl Audience {
    pub(crate) async fn gather(address: SocketAddr, members: usize, stage: &Stage) -> Self {
        let received = Arc::new(AtomicU64::new(0));
        let mut open = 1;
        while open < members {
            let some = HANDSHAKES.min(members - open);
            let some = (0..some).map(|_| stage.join(address));
            for member in futures_util::future::join_all(some).await {
                tests::background(listen(member, Arc::clone(&received)));
                open += 1;
            }
        }
        let first = stage.join(address).await;
        let senders = (0..SENDERS).map(|_| Socket::open(address, &stage.sender));
        let senders = futures_util::future::join_all(senders).await;
        Self { senders, first, members: members as u64, received, says: stage.says.clone() }
    }

    /// Sends for a while. Returns deliveries in a second, and how many there were.
    #[expect(clippy::cast_precision_loss, reason = "a count of messages")]
    pub(crate) async fn broadcast(&mut self, round: Duration) -> (f64, f64) {
        let (started, before) = (Instant::now(), self.received.load(Ordering::Relaxed));
        let mut sent = 0;
        for sender in &mut self.senders {
            sender.send(self.says.clone()).await;
            sent += 1;
        }
        while started.elapsed() < round {
            for sender in &mut self.senders {
                self.first.text().await;
                // It is told that it was heard.
                sender.text().await;
                sender.send(self.says.clone()).await;
                sent += 1;
            }
        }
        for sender in &mut self.senders {
            self.first.text().await;
            sender.text().await;
        }
        while self.received.load(Ordering::Relaxed) - before < sent * (self.members - 1) {
            tokio::task::yield_now().await;
        }
        let deliveries = (sent * self.members) as f64;
        (deliveries / started.elapsed().as_secs_f64(), deliveries)
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

/// Sends to members of a group, who stay from round to round, and gives rate and number of deliveries.
pub(crate) fn broadcast(
    clients: &Runtime,
    members: usize,
    stage: Stage,
) -> impl FnMut(SocketAddr) -> (f64, f64) {
    let mut gathered = None;
    move |address| {
        let audience = gathered
            .get_or_insert_with(|| clients.block_on(Audience::gather(address, members, &stage)));
        clients.block_on(audience.broadcast(ROUND))
    }
}
