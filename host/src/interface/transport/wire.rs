//! The bytes of a connection: what was read ahead comes first, and a client that takes nothing is
//! given up.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    time::{Instant, Sleep, sleep_until},
};
use tokio_util::either::Either;

/// A socket as it was accepted.
pub(in crate::interface) type Socket = Either<TcpStream, UnixStream>;

/// A socket, what was read ahead of it, and how long a write may wait.
pub(in crate::interface) struct Wire {
    socket: Socket,
    ahead: BytesMut,
    write_timeout: Duration,
    /// Set whenever bytes come.
    heard: Arc<AtomicBool>,
    /// Set while the socket takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    pub(super) fn new(socket: Socket, write_timeout: Duration, heard: Arc<AtomicBool>) -> Self {
        Self { socket, ahead: BytesMut::new(), write_timeout, heard, stalled: None }
    }

    /// What was read ahead and belongs to nobody yet.
    pub(super) fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Takes away the first bytes of what was read ahead.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.ahead.advance(bytes.min(self.ahead.len()));
    }

    /// Reads more ahead. Returns how many bytes came; 0 at the end.
    pub(super) async fn read_ahead(&mut self) -> io::Result<usize> {
        self.ahead.reserve(512);
        self.socket.read_buf(&mut self.ahead).await
    }

    /// An answer of the socket to a write: progress, or a wait that must not take too long.
    fn paced<T>(
        &mut self,
        context: &mut Context<'_>,
        answer: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if answer.is_ready() {
            self.stalled = None;
            return answer;
        }
        let until = Instant::now() + self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep_until(until)));
        match stalled.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            let before = buffer.filled().len();
            let read = Pin::new(&mut self.socket).poll_read(context, buffer);
            if buffer.filled().len() > before {
                self.heard.store(true, Ordering::Relaxed);
            }
            return read;
        }
        self.heard.store(true, Ordering::Relaxed);
        let bytes = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.ahead.split_to(bytes));
        if self.ahead.is_empty() {
            // An idle connection keeps no memory here.
            self.ahead = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let answer = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.paced(context, answer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let answer = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.paced(context, answer)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
