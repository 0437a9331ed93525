//! A client that takes nothing is given up: how long a write may make no progress.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// Ends writes that make no progress for a time.
#[derive(Debug)]
pub(super) struct Stall {
    timeout: Duration,
    /// Set while nothing is taken.
    since: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    pub(super) const fn new(timeout: Duration) -> Self {
        Self { timeout, since: None }
    }

    /// Takes the answer to a write: progress, or a wait that must not take too long.
    pub(super) fn paced<T>(
        &mut self,
        context: &mut Context<'_>,
        answer: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if answer.is_ready() {
            self.since = None;
            return answer;
        }
        let until = Instant::now() + self.timeout;
        let stalled = self.since.get_or_insert_with(|| Box::pin(sleep_until(until)));
        match stalled.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// A stream of HTTP/2 that has become a byte stream. The socket below knows nothing of its windows.
#[derive(Debug)]
pub(in crate::interface) struct Paced<S> {
    io: S,
    stall: Stall,
}

impl<S> Paced<S> {
    pub(in crate::interface) const fn new(io: S, write_timeout: Duration) -> Self {
        Self { io, stall: Stall::new(write_timeout) }
    }
}

/// Bytes that are written at once: the library copies all that it is given.
const WRITE_BYTES: usize = 16 * 1024;

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = bytes.get(..WRITE_BYTES).unwrap_or(bytes);
        let answer = Pin::new(&mut self.io).poll_write(context, bytes);
        self.stall.paced(context, answer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let answer = Pin::new(&mut self.io).poll_flush(context);
        self.stall.paced(context, answer)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
