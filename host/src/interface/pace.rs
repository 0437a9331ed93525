//! Progress of the streams of an HTTP/2 connection. A client may open no window and go on answering
//! pings, so that neither the socket nor the library ends what waits for it. Here a stream that waits for
//! its client for too long is given up, as a connection of HTTP/1 is.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::time::{Instant, Sleep, sleep_until};

tokio::task_local! {
    /// The stream that the task serves.
    static CURRENT: Arc<StreamPace>;
}

/// When any stream of a connection last made progress.
#[derive(Debug)]
pub(super) struct ConnectionPace {
    opened: Instant,
    /// Milliseconds since then.
    last_progress: AtomicU64,
    write_timeout: Duration,
}

/// Whether a stream waits for its client.
#[derive(Debug)]
pub(super) struct StreamPace {
    connection: Arc<ConnectionPace>,
    /// Set from a piece that was handed over to the next that is asked for. Locked for single
    /// operations only.
    waiting_since: Mutex<Option<Instant>>,
    /// Wakes the watch where another task changes the field above.
    watch: AtomicWaker,
}

impl ConnectionPace {
    pub(super) fn new(write_timeout: Duration) -> Arc<Self> {
        let (opened, last_progress) = (Instant::now(), AtomicU64::new(0));
        Arc::new(Self { opened, last_progress, write_timeout })
    }

    fn progress(&self) {
        let now = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_progress.store(now, Ordering::Relaxed);
    }

    fn last_progress(&self) -> Instant {
        self.opened + Duration::from_millis(self.last_progress.load(Ordering::Relaxed))
    }
}

impl StreamPace {
    fn new(connection: Arc<ConnectionPace>) -> Arc<Self> {
        let (waiting_since, watch) = (Mutex::default(), AtomicWaker::new());
        Arc::new(Self { connection, waiting_since, watch })
    }

    /// Returns the pace of the stream that this task serves; none over HTTP/1.
    pub(super) fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    fn waiting_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.waiting_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a piece of the response is handed over, for which the client must have room.
    pub(super) fn handed_over(&self) {
        *self.waiting_since() = Some(Instant::now());
    }

    /// Notes that the last piece has left, as the next is asked for.
    pub(super) fn taken(&self) {
        if self.waiting_since().take().is_some() {
            self.connection.progress();
        }
    }

    /// Notes that the response is over, written or given up. That is no progress: a client must not gain
    /// time by streams that are reset.
    pub(super) fn ended(&self) {
        *self.waiting_since() = None;
    }

    /// Notes that nothing more comes, and that the rest must leave in time.
    pub(super) fn finish(&self) {
        self.handed_over();
        self.watch.wake();
    }

    /// Returns when the stream is given up; none while it does not wait.
    fn deadline(&self) -> Option<Instant> {
        let since = (*self.waiting_since())?;
        // A stream may wait while its client reads others: so does a connection of HTTP/1 whose client
        // is slow.
        Some(since.max(self.connection.last_progress()) + self.connection.write_timeout)
    }
}

/// Runs the task of a stream until it ends or has waited for its client for too long. The task of an
/// upgraded stream is started by the one before it, and shares its pace.
pub(super) async fn watched<F>(
    connection: Arc<ConnectionPace>,
    before: Option<Arc<StreamPace>>,
    task: F,
    too_slow: impl FnOnce() + Send,
) where
    F: Future<Output: Send> + Send,
{
    let pace = before.unwrap_or_else(|| StreamPace::new(connection));
    let task = CURRENT.scope(Arc::clone(&pace), task);
    tokio::pin!(task);
    let mut timer = None;
    let is_over = std::future::poll_fn(|context| {
        if task.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        pace.watch.register(context.waker());
        poll_deadline(&pace, &mut timer, context).map(|()| false)
    });
    if !is_over.await {
        // Dropping the task resets the stream, and frees all that waits for it.
        too_slow();
    }
}

fn poll_deadline(
    pace: &StreamPace,
    timer: &mut Option<Pin<Box<Sleep>>>,
    context: &mut Context<'_>,
) -> Poll<()> {
    loop {
        let Some(deadline) = pace.deadline() else {
            *timer = None;
            return Poll::Pending;
        };
        let sleep = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() < deadline && sleep.is_elapsed() {
            sleep.as_mut().reset(deadline);
        }
        std::task::ready!(sleep.as_mut().poll(context));
        if pace.deadline().is_some_and(|deadline| deadline <= Instant::now()) {
            return Poll::Ready(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use tokio::time::{advance, timeout};

    use super::*;

    const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

    /// Runs a task as that of a stream; returns after how many seconds it was given up, if it was.
    async fn given_up_after(task: impl Future<Output = ()> + Send) -> Option<u64> {
        let started = Instant::now();
        let is_slow = AtomicBool::new(false);
        let connection = ConnectionPace::new(WRITE_TIMEOUT);
        let watched = watched(connection, None, task, || is_slow.store(true, Ordering::Relaxed));
        drop(timeout(Duration::from_secs(3_600), watched).await);
        is_slow.load(Ordering::Relaxed).then(|| started.elapsed().as_secs())
    }

    fn pace() -> Arc<StreamPace> {
        StreamPace::current().expect("the task is watched")
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_waits_for_its_client_is_given_up_and_one_that_waits_for_a_run_is_not() {
        let stuck = async {
            pace().handed_over();
            std::future::pending().await
        };
        assert_eq!(given_up_after(stuck).await, Some(30));
        assert_eq!(given_up_after(std::future::pending()).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn each_piece_that_leaves_gives_more_time() {
        let slow = async {
            for _ in 0..4 {
                pace().handed_over();
                advance(Duration::from_secs(20)).await;
                pace().taken();
            }
            pace().handed_over();
            std::future::pending().await
        };
        assert_eq!(given_up_after(slow).await, Some(110));
    }

    #[tokio::test(start_paused = true)]
    async fn an_upgraded_stream_is_given_up_from_another_task() {
        let upgraded = async {
            let pace = pace();
            tokio::join!(std::future::pending::<()>(), async move {
                advance(Duration::from_secs(5)).await;
                pace.finish();
            });
        };
        assert_eq!(given_up_after(upgraded).await, Some(35));
    }
}
