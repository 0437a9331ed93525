//! The state of a connection while it is served, and the time that its client has for each phase.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep_until, timeout},
};

use super::{
    InterfaceConfig, Timeouts,
    admission::{Place, Share},
    transport::Peer,
    unsent::Unsent,
};

/// The state of a connection, which its requests and sockets share. It counts as open while one of them holds it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: Peer,
    /// What its streams share; none over HTTP/1, where one response comes after the other.
    pub(super) streams: Option<Streams>,
    requests: AtomicUsize,
    /// All requests that have come.
    begun: AtomicUsize,
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
    pub(super) fn new(config: &InterfaceConfig) -> Self {
        let requests = Arc::new(Semaphore::new(config.limits.streams as usize));
        Self { unsent: Unsent::new(config.http_unsent), requests }
    }

    /// Waits until fewer requests are served than may be. Dropping the future gives up the place in line.
    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.requests).acquire_owned().await.ok()
    }

    /// Takes a turn if fewer requests are served than may be.
    fn try_turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.requests).try_acquire_owned().ok()
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
        let begun = AtomicUsize::new(0);
        let changed = Notify::const_new();
        Self { peer, streams, requests, begun, sockets, changed, _place: place, _share: share }
    }

    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
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
    pub(super) async fn idle(&self, span: Duration) {
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
    pub(super) async fn unused(&self, timeouts: &Timeouts) {
        let first = self.changed.notified();
        if self.requests.load(Ordering::Relaxed) == 0
            && timeout(timeouts.header, first).await.is_err()
        {
            return;
        }
        self.idle(timeouts.keep_alive).await;
    }

    /// What the connection waits for, and how many requests have begun.
    pub(super) fn stage(&self) -> Stage {
        let signs = &self.peer.signs;
        let begun = self.begun.load(Ordering::Relaxed);
        let phase =
            if self.requests.load(Ordering::Relaxed) > 0 || signs.closing.load(Ordering::Relaxed) {
                Phase::Answering
            } else if signs.heard.load(Ordering::Relaxed) {
                Phase::Head
            } else {
                Phase::Idle
            };
        Stage { phase, begun }
    }
}

impl Busy {
    /// Waits until the request may be served beside the others of its connection.
    pub(super) async fn take_turn(&mut self) {
        if let Some(streams) = &self.connection.streams {
            self._turn = streams.turn().await;
        }
    }

    /// Counts the request among those that are served on its connection. False if they are as many as may be:
    /// then it is not counted.
    pub(super) fn try_take_turn(&mut self) -> bool {
        self._turn = self.connection.streams.as_ref().and_then(Streams::try_turn);
        self._turn.is_some() || self.connection.streams.is_none()
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
pub(super) enum Phase {
    /// A request, of which nothing has come.
    Idle,
    /// The rest of a head.
    Head,
    /// The answer, or the end.
    Answering,
}

/// Where an HTTP/1 connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stage {
    phase: Phase,
    /// Counts requests. One may come and be answered between two looks.
    begun: usize,
}

/// Watches how long a client of HTTP/1 takes for each phase. The task of the connection polls it after
/// the connection itself, so that it sees what has just come.
pub(super) struct PhaseTimer<'a> {
    timeouts: &'a Timeouts,
    stage: Stage,
    timer: Pin<Box<Sleep>>,
}

impl<'a> PhaseTimer<'a> {
    pub(super) fn new(timeouts: &'a Timeouts) -> Self {
        let timer = Box::pin(sleep_until(Instant::now() + timeouts.header));
        Self { timeouts, stage: Stage { phase: Phase::Idle, begun: 0 }, timer }
    }

    /// Resolves to the phase that takes too long.
    pub(super) fn poll(&mut self, stage: Stage, context: &mut Context<'_>) -> Poll<Phase> {
        let Stage { phase, begun } = stage;
        if stage != self.stage {
            self.stage = stage;
            if phase != Phase::Answering {
                // A new connection has less time.
                let is_kept_alive = phase == Phase::Idle && begun > 0;
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::FutureExt as _;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_comes_and_is_answered_between_two_looks_begins_the_time_anew() {
        let timeouts = Timeouts {
            header: Duration::from_secs(1),
            keep_alive: Duration::from_secs(5),
            ..Timeouts::default()
        };
        let mut timer = PhaseTimer::new(&timeouts);
        let mut late = |phase, begun| {
            poll_fn(|context| timer.poll(Stage { phase, begun }, context)).now_or_never()
        };
        assert_eq!(late(Phase::Idle, 0), None);
        advance(Duration::from_millis(900)).await;
        assert_eq!(late(Phase::Idle, 1), None);
        advance(Duration::from_millis(4_900)).await;
        assert_eq!(late(Phase::Idle, 1), None, "it is kept alive");
        assert_eq!(late(Phase::Idle, 2), None, "it was used again");
        advance(Duration::from_millis(4_900)).await;
        assert_eq!(late(Phase::Idle, 2), None);
        advance(Duration::from_millis(200)).await;
        assert_eq!(late(Phase::Idle, 2), Some(Phase::Idle));
        assert_eq!(late(Phase::Head, 2), None);
        advance(Duration::from_millis(900)).await;
        assert_eq!(late(Phase::Head, 3), None, "the head of the next one");
        advance(Duration::from_millis(900)).await;
        assert_eq!(late(Phase::Head, 3), None);
        advance(Duration::from_millis(200)).await;
        assert_eq!(late(Phase::Head, 3), Some(Phase::Head));
        assert_eq!(late(Phase::Answering, 4), None);
    }
}
