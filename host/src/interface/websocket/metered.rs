//! Counts the frames that a client sends, where the library counts whole messages: a message may come
//! in any number of fragments, and each costs work, even an empty one.

use std::{
    io,
    num::NonZeroU32,
    pin::Pin,
    task::{Context, Poll},
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// More frames came in a second than may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many frames in a second")]
pub(super) struct TooFast;

/// The bytes of a WebSocket whose frames are counted as they are read.
pub(super) struct Metered<S> {
    io: S,
    rate: Option<DefaultDirectRateLimiter>,
    place: Place,
    /// Set while more frames of a message are to come.
    is_divided: bool,
    /// Whether it stops at a frame that is one too many; asked for each.
    stops: Box<dyn Fn() -> bool + Send + Sync>,
    stopped: bool,
}

/// The bit of a frame's first byte that says that no more frames of its message follow.
const FINAL: u8 = 0x80;
/// The bit of its opcode that control frames have, which may stand between the frames of a message.
const CONTROL: u8 = 0x08;

/// Where in a frame the bytes have come to (RFC 6455, section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    /// The second byte, with the mask bit and the length or how long the length is.
    Length,
    /// The rest of the length: so many bytes of it are to come.
    MoreLength {
        left: u8,
        length: u64,
        mask: u64,
    },
    /// The mask and the payload: so many bytes are to come.
    Rest(u64),
}

impl<S> Metered<S> {
    pub(super) fn new(
        io: S,
        per_second: Option<NonZeroU32>,
        stops: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        let rate = per_second.map(|rate| RateLimiter::direct(Quota::per_second(rate)));
        let (place, is_divided) = (Place::Start, false);
        Self { io, rate, place, is_divided, stops: Box::new(stops), stopped: false }
    }

    /// Returns whether all bytes that were read are whole messages.
    pub(super) fn is_between_messages(&self) -> bool {
        self.place == Place::Start && !self.is_divided && !self.stopped
    }

    /// How many of these bytes may be read: all of them, or those before a frame too many.
    fn meter(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while let [first, ..] = rest {
            if self.place == Place::Start {
                let is_late = self.rate.as_ref().is_some_and(|rate| rate.check().is_err());
                if is_late && (self.stops)() {
                    self.stopped = true;
                    return bytes.len() - rest.len();
                }
                if first & CONTROL == 0 {
                    self.is_divided = first & FINAL == 0;
                }
            }
            rest = self.place.advance(rest);
        }
        bytes.len()
    }
}

impl Place {
    /// Goes past at least one byte, of which there is one; what is left of them.
    fn advance<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if let Self::Rest(left) = *self {
            let skip = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            *self = Self::rest(left - skip as u64);
            return bytes.get(skip..).unwrap_or_default();
        }
        let Some((&byte, rest)) = bytes.split_first() else { return bytes };
        *self = match *self {
            Self::Start => Self::Length,
            Self::Length => {
                let mask = if byte & 0x80 == 0 { 0 } else { 4 };
                match byte & 0x7f {
                    126 => Self::MoreLength { left: 2, length: 0, mask },
                    127 => Self::MoreLength { left: 8, length: 0, mask },
                    length => Self::rest(mask + u64::from(length)),
                }
            }
            Self::MoreLength { left, length, mask } => {
                let length = length << 8 | u64::from(byte);
                match left {
                    // No frame is as long: the library refuses it, and no other follows.
                    1 => Self::rest(length.saturating_add(mask)),
                    left => Self::MoreLength { left: left - 1, length, mask },
                }
            }
            Self::Rest(_) => *self,
        };
        rest
    }

    const fn rest(left: u64) -> Self {
        if left == 0 { Self::Start } else { Self::Rest(left) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.stopped) {
            // What follows is read for the sake of a close frame, and not counted.
            self.rate = None;
            return Poll::Ready(Err(io::Error::other(TooFast)));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        let passed = self.meter(buffer.filled().get(before..).unwrap_or_default());
        buffer.set_filled(before + passed);
        if self.stopped && passed == 0 {
            // To read nothing would be the end.
            return self.poll_read(context, buffer);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// A masked frame with so many bytes.
    fn frame(length: u64) -> Vec<u8> {
        let mut frame = vec![0];
        if let Ok(length @ 0..126) = u8::try_from(length) {
            frame.push(0x80 | length);
        } else if let Ok(length) = u16::try_from(length) {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        } else {
            frame.push(0x80 | 127);
            frame.extend(length.to_be_bytes());
        }
        frame.extend((0..4 + length).map(|_| 0xff));
        frame
    }

    /// How many frames begin in bytes that come in parts of a size, and where the last one ends.
    fn count(bytes: &[u8], part: usize) -> (usize, Place) {
        let (mut frames, mut place) = (0, Place::Start);
        for mut rest in bytes.chunks(part) {
            while !rest.is_empty() {
                frames += usize::from(place == Place::Start);
                rest = place.advance(rest);
            }
        }
        (frames, place)
    }

    #[test]
    fn frames_are_counted_however_long_they_are_and_however_they_come() {
        let lengths = [0, 1, 125, 126, 65_535, 65_536, 0, 0];
        let bytes: Vec<u8> = lengths.into_iter().flat_map(frame).collect();
        for part in [1, 2, 3, 7, 4_096, 1_000_000] {
            assert_eq!(count(&bytes, part), (8, Place::Start), "{part}");
        }
        let longest = [b"\x82\xff".as_slice(), &[0xff; 8], &[0; 100]].concat();
        assert_eq!(count(&longest, 5), (1, Place::Rest(u64::MAX - 100)));
    }

    #[tokio::test]
    async fn between_messages_no_part_of_one_was_read() {
        let (part, ping, last) = (b"\x01\x82abcdef", b"\x89\x80abcd", b"\x80\x80abcd");
        let bytes = [&part[..], ping, last].concat();
        let mut metered = Metered::new(&bytes[..], None, || true);
        let mut whole = Vec::new();
        for at in 1..=bytes.len() {
            metered.read_u8().await.unwrap();
            whole.extend(metered.is_between_messages().then_some(at));
        }
        assert_eq!(whole, [bytes.len()]);
    }

    #[tokio::test]
    async fn what_must_not_be_stopped_passes_and_what_follows_a_stop_is_not_counted() {
        let bytes = [frame(1), frame(1), frame(1), frame(1)].concat();
        let mut passing = Metered::new(&bytes[..], NonZeroU32::new(1), || false);
        let mut read = Vec::new();
        assert_eq!(passing.read_to_end(&mut read).await.unwrap(), bytes.len());
        let mut stopped = Metered::new(&bytes[..], NonZeroU32::new(1), || true);
        let mut buffer = [0; 9];
        assert_eq!(stopped.read(&mut buffer).await.unwrap(), 7, "what came before it");
        let error = stopped.read(&mut buffer).await.unwrap_err();
        assert!(error.get_ref().unwrap().is::<TooFast>());
        assert_eq!(stopped.read(&mut buffer).await.unwrap(), 9);
    }
}
