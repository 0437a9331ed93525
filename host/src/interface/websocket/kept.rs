//! Messages that a client may not have got, until it shows that it has.

use std::collections::VecDeque;

use crate::interface::encoded::EncodedFrame;

/// Bytes that a connection keeps of messages which its client may not have got.
const KEPT_BYTES: usize = 64 * 1024;
/// Beyond so many bytes the client is asked what it has got.
const ASKING_BYTES: usize = KEPT_BYTES / 2;
/// What a message takes besides its content.
const FRAME_BYTES: usize = size_of::<EncodedFrame>();

/// Messages that the client may not have got, by number.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) frames: VecDeque<EncodedFrame>,
    bytes: usize,
    /// The number of the next message: so many there were.
    pub(super) next: u64,
    /// Whether the client was asked what it has got, and has not answered.
    pub(super) is_asked: bool,
}

impl Kept {
    pub(super) fn push(&mut self, frame: &EncodedFrame) {
        self.next += 1;
        self.bytes += frame.content_len() + FRAME_BYTES;
        self.frames.push_back(frame.uncounted());
        while self.bytes > KEPT_BYTES && self.drop_first() {}
    }

    fn drop_first(&mut self) -> bool {
        let Some(first) = self.frames.pop_front() else { return false };
        self.bytes -= first.content_len() + FRAME_BYTES;
        if self.frames.is_empty() {
            // An idle connection keeps little memory here.
            self.frames = VecDeque::new();
        }
        true
    }

    /// The number of the first message that is kept.
    pub(super) fn first(&self) -> u64 {
        self.next - self.frames.len() as u64
    }

    /// The client has got all before a message.
    pub(super) fn got(&mut self, before: u64) {
        while self.first() < before.min(self.next) && self.drop_first() {}
    }

    /// Whether the client is to be asked what it has got.
    pub(super) const fn wants_sign(&self) -> bool {
        !self.is_asked && self.bytes > ASKING_BYTES
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::message::Frame;

    fn frame(bytes: usize) -> EncodedFrame {
        EncodedFrame::new(Frame::Binary(Bytes::from(vec![7; bytes])))
    }

    #[test]
    fn messages_are_kept_until_the_client_has_them_and_within_their_bytes() {
        let mut kept = Kept::default();
        for _ in 0..10 {
            kept.push(&frame(100));
        }
        kept.got(4);
        assert_eq!((kept.first(), kept.next), (4, 10));
        kept.got(3);
        assert_eq!(kept.first(), 4, "an older answer takes nothing back");
        kept.got(99);
        assert_eq!((kept.first(), kept.bytes), (10, 0));
        for _ in 0..100 {
            kept.push(&frame(1_000));
        }
        assert!(kept.bytes <= KEPT_BYTES && kept.bytes > KEPT_BYTES - 2_000, "{}", kept.bytes);
        assert_eq!(kept.next, 110);
        kept.push(&frame(KEPT_BYTES));
        assert_eq!((kept.first(), kept.next, kept.bytes), (111, 111, 0), "larger than all");
    }
}
