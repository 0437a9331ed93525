//! The content of a message to a reply channel up to the response that a client sees: what passes
//! the checks arrives, and nothing else does.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tidegate::{
    interface::fuzzing::Edge,
    message::{Close, Content, Frame, Header, Reply, Response, ResponseHead, replies_from},
    routing::Routes,
};

/// Header fields that the host adds where an application has not set them.
const OF_THE_HOST: [&str; 3] = ["date", "content-length", "connection"];

thread_local! {
    static EDGE: Edge = Edge::new(Routes::default());
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(content) = Content::parse(Bytes::copy_from_slice(bytes)) else { return };
    let Ok(replies) = replies_from(&content) else { return };
    assert!((1..=3).contains(&replies.len()) || replies.is_empty(), "{replies:?}");
    for reply in replies {
        assert!(reply.cost() > 0);
        match reply {
            Reply::Respond(response) => check(response),
            Reply::StreamStart(head) => check(Response { head, body: Bytes::new() }),
            Reply::Accept(handshake) => check_fields(&handshake.headers),
            Reply::Close(Close { code, reason }) => {
                assert!(code == 1000 || (3000..=4999).contains(&code), "{code}");
                // What a control frame has room for.
                assert!(reason.len() <= 123, "{reason:?}");
            }
            Reply::Send(Frame::Text(_) | Frame::Binary(_)) | Reply::Deny | Reply::StreamEnd => {}
            Reply::StreamChunk(chunk) => assert!(!chunk.is_empty(), "an empty chunk ends a body"),
            other @ Reply::Hold { .. } => panic!("no message asks for {other:?}"),
        }
    }
});

fn check(response: Response) {
    check_fields(&response.head.headers);
    let ResponseHead { status, headers } = response.head.clone();
    let body = response.body.clone();
    assert!((200..600).contains(&status.as_u16()));
    let seen = EDGE.with(|edge| edge.response(response));
    assert_eq!(seen.status(), status);
    // In any order among names, in the same order within one.
    for name in seen.headers().keys() {
        let sent: Vec<&[u8]> = headers
            .iter()
            .filter(|(sent, _)| sent == name)
            .map(|(_, value)| value.as_bytes().trim_ascii())
            .collect();
        let got: Vec<&[u8]> =
            seen.headers().get_all(name).iter().map(|value| value.as_bytes()).collect();
        assert!(got == sent || sent.is_empty() && OF_THE_HOST.contains(&name.as_str()), "{name}");
    }
    assert!(headers.iter().all(|(name, _)| seen.headers().contains_key(name)), "{headers:?}");
    let has_body = !matches!(status.as_u16(), 204 | 304);
    assert_eq!(*seen.body(), if has_body { body } else { Bytes::new() });
}

fn check_fields(headers: &[Header]) {
    for (name, value) in headers {
        let value = value.as_bytes();
        assert!(!value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')), "{name}: {value:?}");
    }
}
