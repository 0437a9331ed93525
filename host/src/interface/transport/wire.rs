//! The bytes of a connection: what was read ahead comes first, a client that takes nothing is given
//! up, and one that still sends at the end is waited for.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_util::either::Either;

use super::{
    linger::{Linger, Patience},
    stall::Stall,
};
use crate::interface::Timeouts;

/// A socket as it was accepted.
pub(in crate::interface) type Socket = Either<TcpStream, UnixStream>;

/// What a connection's bytes and its requests know of each other.
#[derive(Debug, Default)]
pub(in crate::interface) struct Signs {
    /// Whether bytes came since this was last reset.
    pub(in crate::interface) heard: AtomicBool,
    /// Whether the body of a request may still come, although nobody reads it.
    pub(in crate::interface) unread: AtomicBool,
    /// Whether this side has said its last.
    pub(in crate::interface) closing: AtomicBool,
}

/// A socket, what was read ahead of it, and how long a client may take.
pub(in crate::interface) struct Wire {
    socket: Socket,
    ahead: BytesMut,
    patience: Patience,
    signs: Arc<Signs>,
    /// Whether the client has closed its side.
    ended: bool,
    stall: Stall,
    /// Set once this side is closed.
    linger: Option<Linger>,
}

impl Wire {
    pub(super) fn new(socket: Socket, timeouts: &Timeouts, signs: Arc<Signs>) -> Self {
        Self {
            socket,
            ahead: BytesMut::new(),
            patience: Patience { quiet: timeouts.close, whole: timeouts.body },
            signs,
            ended: false,
            stall: Stall::new(timeouts.write),
            linger: None,
        }
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
                self.signs.heard.store(true, Ordering::Relaxed);
            } else if matches!(read, Poll::Ready(Ok(()))) && buffer.remaining() > 0 {
                self.ended = true;
            }
            return read;
        }
        self.signs.heard.store(true, Ordering::Relaxed);
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
        self.stall.paced(context, answer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let answer = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.stall.paced(context, answer)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { socket, patience, signs, ended, linger, .. } = &mut *self;
        signs.closing.store(true, Ordering::Relaxed);
        if linger.is_none() {
            ready!(Pin::new(&mut *socket).poll_shutdown(context))?;
            let set = |sign: &AtomicBool| sign.load(Ordering::Relaxed);
            if *ended || !(set(&signs.heard) || set(&signs.unread)) {
                return Poll::Ready(Ok(()));
            }
        }
        let linger = linger.get_or_insert_with(|| Linger::new(*patience));
        linger.poll(context, Pin::new(socket)).map(Ok)
    }
}
