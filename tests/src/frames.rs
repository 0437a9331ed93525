//! HTTP/2 frames made and read by hand (RFC 9113, section 4), for what no client would send.

/// What a client begins with, and settings without a change.
pub fn opening() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &[])].concat()
}

/// `DATA`
pub const DATA: u8 = 0;
/// `HEADERS`
pub const HEADERS: u8 = 1;
/// `RST_STREAM`
pub const RESET: u8 = 3;
/// `SETTINGS`
pub const SETTINGS: u8 = 4;
/// `PING`
pub const PING: u8 = 6;
/// `GOAWAY`
pub const GOAWAY: u8 = 7;
/// `WINDOW_UPDATE`
pub const WINDOW: u8 = 8;
/// `CONTINUATION`
pub const CONTINUATION: u8 = 9;

/// The flag `END_STREAM`.
pub const END_STREAM: u8 = 1;
/// The flag `END_HEADERS`.
pub const END_HEADERS: u8 = 4;

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame of a test is small");
    let [_, a, b, c] = length.to_be_bytes();
    [&[a, b, c, kind, flags][..], &stream.to_be_bytes(), payload].concat()
}

/// A header field as a literal that is not indexed (RFC 7541, section 6.2.2), at most 16 KiB.
pub fn field(name: &str, value: &str) -> Vec<u8> {
    [&[0][..], &text(name), &text(value)].concat()
}

/// A text without Huffman code (RFC 7541, section 5.2).
fn text(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    match text.len() {
        short @ 0..127 => bytes.push(u8::try_from(short).expect("it is below 127")),
        long => {
            bytes.push(127);
            let mut rest = long - 127;
            while rest >= 128 {
                bytes.push(u8::try_from(rest % 128 + 128).expect("it is below 256"));
                rest /= 128;
            }
            bytes.push(u8::try_from(rest).expect("it is below 128"));
        }
    }
    bytes.extend(text.as_bytes());
    bytes
}

/// The pseudo header fields of a request.
pub fn request(method: &str, path: &str) -> Vec<u8> {
    [
        field(":method", method),
        field(":scheme", "http"),
        field(":path", path),
        field(":authority", "a.example"),
    ]
    .concat()
}

/// A `GET` as one frame.
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", path))
}

/// A frame that came: kind, stream and payload.
pub type Frame = (u8, u32, Vec<u8>);

/// The whole frames at the beginning of bytes.
pub fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut found = Vec::new();
    while let [a, b, c, kind, _, e, f, g, h, rest @ ..] = bytes {
        let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).expect("24 bits fit");
        let Some((payload, behind)) = rest.split_at_checked(length) else { break };
        found.push((*kind, u32::from_be_bytes([*e, *f, *g, *h]), payload.to_vec()));
        bytes = behind;
    }
    found
}

/// The code of the first frame of a kind, `GOAWAY` or `RST_STREAM`, that tells an error.
pub fn code(frames: &[Frame], kind: u8) -> Option<u32> {
    let at = if kind == GOAWAY { 4 } else { 0 };
    let of = |(its, _, payload): &Frame| {
        let code = payload.get(at..at + 4).filter(|_| *its == kind)?;
        let code = u32::from_be_bytes(code.try_into().ok()?);
        (code != 0).then_some(code)
    };
    frames.iter().find_map(of)
}
