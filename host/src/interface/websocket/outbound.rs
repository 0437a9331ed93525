//! Frames on their way to the client.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use crate::interface::encoded::EncodedFrame;

/// Written out before more is taken, so that a client that keeps up is given credit for it.
const FLUSH_BYTES: usize = 16 * 1024;
/// Frames that a socket keeps room for while none waits.
const KEPT_FRAMES: usize = 4;
/// Bytes of pongs and of the close frame that wait. More pongs replace each other.
pub(super) const CONTROL_BYTES: usize = 4 * 1024;

thread_local! {
    /// The buffer for writing of all sockets that this thread polls. So idle sockets need none.
    static JOINED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Frames in order, and how many bytes of the mailbox they stand for.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    frames: VecDeque<EncodedFrame>,
    /// Bytes of the first frame that the socket has taken.
    sent: usize,
    /// The costs of `frames`.
    cost: usize,
    /// The cost of frames that the socket has taken and that are not flushed.
    taken: usize,
    /// Bytes in `frames` that the library wrote.
    control_bytes: usize,
    needs_flush: bool,
}

impl Outbound {
    pub(super) fn push(&mut self, frame: EncodedFrame) {
        self.cost += frame.cost();
        self.frames.push_back(frame);
    }

    /// Asks the client for a sign of life.
    pub(super) fn push_ping(&mut self, content: Bytes) {
        self.push(EncodedFrame::ping(content));
    }

    /// Takes whole frames that the library wrote. False if too many of them wait.
    pub(super) fn push_control(&mut self, frames: &[u8]) -> bool {
        let has_room = self.control_bytes < CONTROL_BYTES;
        if has_room {
            self.control_bytes += frames.len();
            self.push(EncodedFrame::raw(frames));
        }
        has_room
    }

    /// Drops frames that will not be sent. One that was begun is sent to its end. Returns the bytes of the mailbox that
    /// the others stood for.
    pub(super) fn clear(&mut self) -> usize {
        self.frames.truncate(usize::from(self.sent > 0));
        let left = self.frames.front().map_or(0, EncodedFrame::cost);
        self.control_bytes = 0;
        std::mem::replace(&mut self.cost, left) - left
    }

    /// The bytes of the mailbox that the frames stand for, and those that are taken and not flushed.
    pub(super) const fn cost(&self) -> usize {
        self.cost + self.taken
    }

    pub(super) fn is_idle(&self) -> bool {
        self.frames.is_empty() && !self.needs_flush
    }

    /// Whether more frames may join those that wait for one write.
    pub(super) const fn has_room(&self) -> bool {
        self.cost < FLUSH_BYTES
    }

    /// Writes until all or much is out, as much as there is in one call; returns the bytes that are.
    pub(super) fn poll_write<S>(
        &mut self,
        context: &mut Context<'_>,
        socket: &mut S,
    ) -> Poll<io::Result<usize>>
    where
        S: AsyncWrite + Unpin,
    {
        while !self.frames.is_empty() && self.taken < FLUSH_BYTES {
            let written = ready!(self.poll_write_some(context, Pin::new(&mut *socket)))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.needs_flush = true;
            self.advance(written);
        }
        ready!(Pin::new(socket).poll_flush(context))?;
        self.needs_flush = false;
        Poll::Ready(Ok(std::mem::take(&mut self.taken)))
    }

    fn poll_write_some<S>(
        &self,
        context: &mut Context<'_>,
        socket: Pin<&mut S>,
    ) -> Poll<io::Result<usize>>
    where
        S: AsyncWrite,
    {
        if let Some(([], payload)) = self.frames.front().map(|frame| frame.rest(self.sent))
            && payload.len() >= FLUSH_BYTES
        {
            // Nothing is gained by copying it.
            return socket.poll_write(context, payload);
        }
        // Taken, not borrowed: whatever the socket does finds a whole value there.
        let mut joined = JOINED.take();
        joined.clear();
        let mut sent = self.sent;
        for frame in &self.frames {
            let (header, payload) = frame.rest(sent);
            joined.extend_from_slice(header);
            let room = FLUSH_BYTES.saturating_sub(joined.len());
            joined.extend_from_slice(payload.get(..room).unwrap_or(payload));
            if joined.len() >= FLUSH_BYTES {
                break;
            }
            sent = 0;
        }
        let written = socket.poll_write(context, &joined);
        JOINED.set(joined);
        written
    }

    /// Takes off what the socket has taken.
    fn advance(&mut self, written: usize) {
        self.sent += written;
        while let Some(first) = self.frames.front() {
            let Some(more) = self.sent.checked_sub(first.len()) else { return };
            self.sent = more;
            self.cost -= first.cost();
            self.taken += first.cost();
            if first.is_raw() {
                self.control_bytes = self.control_bytes.saturating_sub(first.len());
            }
            self.frames.pop_front();
        }
        // All is out.
        if self.frames.capacity() > KEPT_FRAMES {
            self.frames = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use bytes::Bytes;

    use super::*;
    use crate::message::Frame;

    /// Takes so many bytes at a call, and then no more until it has room again.
    #[derive(Debug, Default)]
    struct Taking {
        at_once: usize,
        room: usize,
        bytes: Vec<u8>,
        calls: usize,
    }

    impl AsyncWrite for Taking {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(self.at_once).min(self.room);
            if taken == 0 {
                return Poll::Pending;
            }
            self.room -= taken;
            self.calls += 1;
            self.bytes.extend_from_slice(&bytes[..taken]);
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn frame(length: usize) -> EncodedFrame {
        EncodedFrame::new(Frame::Binary(Bytes::from(vec![7; length])))
    }

    fn wire(frames: &[EncodedFrame]) -> Vec<u8> {
        let bytes = |frame: &EncodedFrame| {
            let (header, payload) = frame.rest(0);
            [header, payload].concat()
        };
        frames.iter().flat_map(bytes).collect()
    }

    fn write(outbound: &mut Outbound, socket: &mut Taking) -> Poll<usize> {
        outbound.poll_write(&mut Context::from_waker(Waker::noop()), socket).map(Result::unwrap)
    }

    #[test]
    fn what_waits_is_written_in_one_call() {
        let mut socket = Taking { at_once: usize::MAX, room: usize::MAX, ..Taking::default() };
        let (mut outbound, frames) = (Outbound::default(), [frame(10), frame(200), frame(0)]);
        frames.iter().for_each(|frame| outbound.push(frame.clone()));
        let cost: usize = frames.iter().map(EncodedFrame::cost).sum();
        assert_eq!(write(&mut outbound, &mut socket), Poll::Ready(cost));
        assert_eq!((socket.calls, socket.bytes), (1, wire(&frames)));
        assert!(outbound.is_idle());
    }

    #[test]
    fn whatever_the_socket_takes_at_a_time_it_gets_the_same_bytes() {
        let frames = [frame(3), frame(70_000), frame(0), frame(300), frame(16_384), frame(1)];
        let whole = wire(&frames);
        for at_once in [1, 2, 3, 7, 1_000, 16_384, 16_387, 1_000_000] {
            let mut socket = Taking { at_once, ..Taking::default() };
            let mut outbound = Outbound::default();
            frames.iter().for_each(|frame| outbound.push(frame.clone()));
            let mut written = 0;
            while !outbound.is_idle() {
                // Full after each few calls.
                socket.room = at_once.saturating_mul(5);
                if let Poll::Ready(cost) = write(&mut outbound, &mut socket) {
                    written += cost;
                }
            }
            assert!(socket.bytes == whole, "{at_once} bytes at a time");
            assert_eq!(written, frames.iter().map(EncodedFrame::cost).sum::<usize>());
        }
    }

    #[test]
    fn a_frame_that_was_begun_is_sent_to_its_end() {
        let mut socket = Taking { at_once: 5, room: 5, ..Taking::default() };
        let (mut outbound, frames) = (Outbound::default(), [frame(10), frame(10)]);
        frames.iter().for_each(|frame| outbound.push(frame.clone()));
        assert_eq!(write(&mut outbound, &mut socket), Poll::Pending);
        outbound.clear();
        assert!(outbound.push_control(b"bye"));
        socket.room = 100;
        assert_eq!(write(&mut outbound, &mut socket), Poll::Ready(frames[0].cost()));
        assert_eq!(socket.bytes, [&wire(&frames[..1])[..], b"bye"].concat());
    }

    #[test]
    fn pongs_that_the_client_does_not_take_are_bounded_and_room_comes_back() {
        let mut outbound = Outbound::default();
        let taken = (0..1_000).take_while(|_| outbound.push_control(&[0; 127])).count();
        assert_eq!(taken, CONTROL_BYTES.div_ceil(127));
        let mut socket = Taking { at_once: usize::MAX, room: usize::MAX, ..Taking::default() };
        assert!(write(&mut outbound, &mut socket).is_ready());
        assert!(outbound.push_control(&[0; 127]));
        assert!(outbound.frames.capacity() <= KEPT_FRAMES, "room for many goes");
    }
}
