//! Offers of `permessage-deflate` (RFC 7692): none is accepted, and frames stay as they are.

use tests::{Host, Wire, answers};

/// As browsers and libraries offer it, and as none should.
const OFFERS: &[&str] = &[
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; client_max_window_bits=15",
    "permessage-deflate; client_max_window_bits=\"10\"",
    "permessage-deflate; server_max_window_bits=10; client_max_window_bits",
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    "permessage-deflate;server_no_context_takeover;server_max_window_bits=8",
    "permessage-deflate; client_max_window_bits, permessage-deflate",
    "permessage-deflate; server_max_window_bits=10, permessage-deflate; client_max_window_bits",
    "PerMessage-Deflate",
    "x-webkit-deflate-frame",
    "permessage-bzip2; x=1, permessage-deflate",
    "permessage-deflate\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    "permessage-deflate; server_max_window_bits=99",
    "permessage-deflate; server_max_window_bits",
    "permessage-deflate; server_no_context_takeover=1",
    "permessage-deflate; client_max_window_bits; client_max_window_bits",
    "permessage-deflate; unknown=1",
    "permessage-deflate;",
    "permessage-deflate=1",
];

/// `hi` in a frame of a client, masked with zeros.
const HI: &[u8] = b"\x81\x82\0\0\0\0hi";
/// The same with the bit that says that it is compressed.
const COMPRESSED_HI: &[u8] = b"\xc1\x82\0\0\0\0hi";

fn handshake(offer: &str) -> String {
    format!(
        "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Extensions: {offer}\r\n\r\n"
    )
}

/// Reads the echo of [`HI`].
async fn echo(wire: &mut Wire) {
    wire.send(HI).await.unwrap();
    let mut frame = Vec::new();
    while frame.len() < 4 {
        frame.extend(wire.read().await);
    }
    assert_eq!(frame, b"\x81\x02hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_offer_of_compression_is_accepted_and_the_socket_works_without() {
    let host = Host::builder().example("echo").start().await;
    for offer in OFFERS {
        let mut wire = Wire::connect(host.address()).await;
        wire.send(handshake(offer)).await.unwrap();
        let head = wire.until("\r\n\r\n").await;
        let found = answers(&head);
        let [answer] = found.as_slice() else { panic!("{offer}: {found:?}") };
        assert_eq!(answer.status, 101, "{offer}");
        assert_eq!(answer.header("sec-websocket-extensions"), None, "{offer}");
        echo(&mut wire).await;
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_frame_closes_with_1002_since_nothing_was_agreed() {
    let host = Host::builder().example("echo").start().await;
    let mut wire = Wire::connect(host.address()).await;
    wire.send(handshake("permessage-deflate")).await.unwrap();
    wire.until("\r\n\r\n").await;
    echo(&mut wire).await;
    wire.send(COMPRESSED_HI).await.unwrap();
    let close = wire.rest().await;
    assert_eq!((close[0], &close[2..4]), (0x88, &1002_u16.to_be_bytes()[..]), "{close:?}");
    host.stop().await;
}
