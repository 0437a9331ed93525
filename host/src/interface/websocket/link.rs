//! A socket, and messages made of the bytes that come from it in any parts.

use std::{
    cell::RefCell,
    future::poll_fn,
    io::{self, Read, Write},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::{
    self, Message,
    protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext},
};

use super::{
    metered::Metered,
    outbound::{CONTROL_BYTES, Outbound},
};

/// Bytes that the library keeps for each socket, idle or not.
const LIBRARY_BUFFER_BYTES: usize = 512;
/// Bytes that are read from a socket at a time.
const READ_BYTES: usize = 16 * 1024;

thread_local! {
    /// The buffer for reading of all sockets that this thread polls. So idle sockets need none.
    static READ: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Reads as much as there is, and hands it on in parts of any size.
#[derive(Debug)]
pub(super) struct ReadAhead<S> {
    io: S,
    /// Bytes that were read; those from `next` on are not handed on yet.
    ahead: Vec<u8>,
    next: usize,
}

impl<S> ReadAhead<S> {
    pub(super) const fn new(io: S) -> Self {
        Self { io, ahead: Vec::new(), next: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { io, ahead, next } = &mut *self;
        if ahead.is_empty() {
            // Taken, not borrowed: whatever the socket does finds a whole value there.
            let mut bytes = READ.take();
            bytes.resize(READ_BYTES, 0);
            let mut read = ReadBuf::new(&mut bytes);
            let answer = Pin::new(io).poll_read(context, &mut read);
            let (now, later) = read.filled().split_at(buffer.remaining().min(read.filled().len()));
            buffer.put_slice(now);
            ahead.extend_from_slice(later);
            READ.set(bytes);
            return answer;
        }
        let rest = ahead.get(*next..).unwrap_or_default();
        let now = rest.get(..buffer.remaining()).unwrap_or(rest);
        buffer.put_slice(now);
        *next += now.len();
        if *next == ahead.len() {
            // An idle connection keeps no memory here.
            (*ahead, *next) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// A socket and the library's side of it, which makes messages of bytes and answers pings and close frames.
pub(super) struct Link<S> {
    io: Metered<S>,
    library: WebSocketContext,
    config: WebSocketConfig,
    /// Set when the library keeps more memory than an idle socket needs.
    has_grown: bool,
    ended: bool,
}

impl<S> Link<S> {
    /// Reads messages of at most so many bytes.
    pub(super) fn new(io: Metered<S>, message_bytes: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(LIBRARY_BUFFER_BYTES)
            // Its frames go to the queue at once. They wait in the library while there is no room.
            .write_buffer_size(0)
            .max_write_buffer_size(CONTROL_BYTES)
            .max_message_size(Some(message_bytes))
            .max_frame_size(Some(message_bytes));
        let library = WebSocketContext::new(Role::Server, Some(config));
        Self { io, library, config, has_grown: false, ended: false }
    }

    /// The socket itself.
    pub(super) const fn io(&mut self) -> &mut Metered<S> {
        &mut self.io
    }

    /// Frees the memory of a large message. The library keeps its largest buffer for good, which is empty
    /// between messages.
    fn shrink(&mut self) {
        if self.has_grown && self.io.is_between_messages() && self.library.can_write() {
            self.library = WebSocketContext::new(Role::Server, Some(self.config));
            self.has_grown = false;
        }
    }
}

impl<S: AsyncRead + Unpin> Link<S> {
    /// Polls for the next message; none at the end. Answers of the library go to `outbound`.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        outbound: &mut Outbound,
    ) -> Poll<Option<Result<Message, tungstenite::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let mut between = Between { io: &mut self.io, outbound, context };
        match self.library.read(&mut between) {
            Ok(message) => {
                self.has_grown |= message.len() > LIBRARY_BUFFER_BYTES;
                Poll::Ready(Some(Ok(message)))
            }
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                // An answer that had no room in the queue waits in the library.
                if outbound.is_idle() {
                    self.shrink();
                }
                Poll::Pending
            }
            Err(error) => {
                self.ended = true;
                Poll::Ready(match error {
                    tungstenite::Error::AlreadyClosed | tungstenite::Error::ConnectionClosed => {
                        None
                    }
                    error => Some(Err(error)),
                })
            }
        }
    }

    /// Writes the frames that are left and the close frame, and waits for the client's close frame.
    pub(super) async fn shake_hands(&mut self, outbound: &mut Outbound)
    where
        S: AsyncWrite,
    {
        if self.write_all(outbound).await.is_err() {
            return;
        }
        while let Some(Ok(_)) = poll_fn(|context| self.poll_next(context, outbound)).await {}
        // The library has answered the client's close frame.
        drop(self.write_all(outbound).await);
    }

    async fn write_all(&mut self, outbound: &mut Outbound) -> io::Result<()>
    where
        S: AsyncWrite,
    {
        while !outbound.is_idle() {
            poll_fn(|context| outbound.poll_write(context, &mut self.io)).await?;
        }
        Ok(())
    }

    /// Puts a close frame behind what waits. Messages are still read, up to the client's close frame.
    pub(super) fn close(&mut self, close: CloseFrame, outbound: &mut Outbound) {
        let context = &mut Context::from_waker(Waker::noop());
        let mut between = Between { io: &mut self.io, outbound, context };
        // Writing only fails where the client has not taken its pongs, and reading tries again.
        drop(self.library.close(&mut between, Some(close)));
    }
}

/// The stream of the library: it reads from the socket and writes to the queue of frames.
struct Between<'a, 'b, S> {
    io: &'a mut Metered<S>,
    outbound: &'a mut Outbound,
    context: &'a mut Context<'b>,
}

impl<S: AsyncRead + Unpin> Read for Between<'_, '_, S> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(bytes);
        match Pin::new(&mut *self.io).poll_read(self.context, &mut buffer) {
            Poll::Ready(read) => read.map(|()| buffer.filled().len()),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl<S> Write for Between<'_, '_, S> {
    /// The library hands over whole frames: it is never told that it was a part of them.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.outbound.push_control(bytes) {
            true => Ok(bytes.len()),
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
