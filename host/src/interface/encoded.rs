//! Frames of WebSockets as they go over the wire (RFC 6455, section 5.2). A frame is encoded once, also
//! where many sockets send it: they share its bytes.

use bytes::Bytes;

use crate::message::{Frame, Reply};

/// The longest header of a frame without a mask: two bytes, and eight of the length.
const MAX_HEADER_BYTES: usize = 10;
/// The bit of a header that says that the frame is the last of its message.
const FINAL: u8 = 0x80;
const OPCODE_TEXT: u8 = 0x1;
const OPCODE_BINARY: u8 = 0x2;
const OPCODE_PING: u8 = 0x9;

/// A frame, or other bytes that the socket sends in one piece. Clones share the payload.
#[derive(Clone, Debug)]
pub(super) struct EncodedFrame {
    header: [u8; MAX_HEADER_BYTES],
    header_len: u8,
    payload: Bytes,
    /// The bytes that it adds to those that wait for a client.
    cost: usize,
}

impl EncodedFrame {
    /// Encodes a message for a client. Servers use no mask.
    pub(super) fn new(frame: Frame) -> Self {
        let cost = Reply::cost_of_frame(&frame);
        match frame {
            Frame::Text(text) => Self::of(OPCODE_TEXT, Bytes::from(text), cost),
            Frame::Binary(bytes) => Self::of(OPCODE_BINARY, bytes, cost),
        }
    }

    /// Encodes a ping. Its content, at most 125 bytes, comes back with the answer.
    pub(super) fn ping(content: Bytes) -> Self {
        Self::of(OPCODE_PING, content, 0)
    }

    /// The same frame, whose bytes do not count among those that wait in a mailbox.
    pub(super) fn uncounted(&self) -> Self {
        Self { cost: 0, ..self.clone() }
    }

    /// Returns the bytes of its content.
    pub(super) const fn content_len(&self) -> usize {
        self.payload.len()
    }

    /// Takes bytes that are encoded already.
    pub(super) fn raw(bytes: &[u8]) -> Self {
        let payload = Bytes::copy_from_slice(bytes);
        Self { header: [0; MAX_HEADER_BYTES], header_len: 0, payload, cost: 0 }
    }

    fn of(opcode: u8, payload: Bytes, cost: usize) -> Self {
        let first = FINAL | opcode;
        let mut header = [0; MAX_HEADER_BYTES];
        let length = payload.len();
        let header_len = if let Ok(length @ 0..126) = u8::try_from(length) {
            header[..2].copy_from_slice(&[first, length]);
            2
        } else if let Ok(length) = u16::try_from(length) {
            header[..2].copy_from_slice(&[first, 126]);
            header[2..4].copy_from_slice(&length.to_be_bytes());
            4
        } else {
            header[..2].copy_from_slice(&[first, 127]);
            header[2..].copy_from_slice(&(length as u64).to_be_bytes());
            10
        };
        Self { header, header_len, payload, cost }
    }

    /// Returns the bytes that it adds to those that wait for the client.
    pub(super) const fn cost(&self) -> usize {
        self.cost
    }

    /// Returns whether its bytes were encoded elsewhere.
    pub(super) const fn is_raw(&self) -> bool {
        self.header_len == 0
    }

    /// Returns its length in bytes, header and payload.
    pub(super) fn len(&self) -> usize {
        usize::from(self.header_len) + self.payload.len()
    }

    /// Returns the rest of header and payload behind the first bytes.
    pub(super) fn rest(&self, sent: usize) -> (&[u8], &[u8]) {
        let header = self.header.get(..usize::from(self.header_len)).unwrap_or_default();
        let of_payload = sent.saturating_sub(header.len());
        (header.get(sent..).unwrap_or_default(), self.payload.get(of_payload..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::{
        Message,
        protocol::{Role, WebSocket},
    };

    use super::*;

    fn bytes(frame: &EncodedFrame) -> Vec<u8> {
        let (header, payload) = frame.rest(0);
        assert_eq!(header.len() + payload.len(), frame.len());
        [header, payload].concat()
    }

    #[test]
    fn a_client_reads_frames_of_any_length_as_they_were() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 100_000] {
            let (text, binary) = ("x".repeat(length), Bytes::from(vec![0xff; length]));
            let frames = [
                EncodedFrame::new(Frame::Text(text.clone())),
                EncodedFrame::new(Frame::Binary(binary.clone())),
                EncodedFrame::ping(Bytes::from_static(b"17")),
            ];
            assert_eq!(frames[0].cost(), Reply::Send(Frame::Text(text.clone())).cost());
            let wire = std::io::Cursor::new(frames.iter().flat_map(bytes).collect::<Vec<u8>>());
            let mut client = WebSocket::from_raw_socket(wire, Role::Client, None);
            assert_eq!(client.read().unwrap(), Message::Text(text.into()));
            assert_eq!(client.read().unwrap(), Message::Binary(binary));
            assert_eq!(client.read().unwrap(), Message::Ping(Bytes::from_static(b"17")));
        }
    }

    #[test]
    fn the_rest_of_a_frame_begins_where_the_socket_stopped() {
        let frame = EncodedFrame::new(Frame::Binary(Bytes::from_static(b"abc")));
        let whole = bytes(&frame);
        for sent in 0..=whole.len() {
            let (header, payload) = frame.rest(sent);
            assert_eq!([header, payload].concat(), whole[sent..]);
        }
    }
}
