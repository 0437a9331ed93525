//! Handshakes of WebSocket. The rules are sections of RFC 6455.

use super::{Row, row};

const CONNECTION: &str = "Connection: Upgrade\r\n";
const UPGRADE: &str = "Upgrade: websocket\r\n";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";

/// A handshake of these lines.
fn shake(lines: &[&str]) -> String {
    format!("GET /echo HTTP/1.1\r\nHost: a\r\n{}\r\n", lines.concat())
}

/// A good handshake with more lines.
fn with(lines: &str) -> String {
    shake(&[CONNECTION, UPGRADE, KEY, VERSION, lines])
}

pub(super) fn rows() -> Vec<Row> {
    [required(), lists(), others()].into_iter().flatten().collect()
}

fn required() -> Vec<Row> {
    let key = |key: &str| {
        shake(&[CONNECTION, UPGRADE, VERSION, &format!("Sec-WebSocket-Key: {key}\r\n")])
    };
    let version = |version: &str| {
        shake(&[CONNECTION, UPGRADE, KEY, &format!("Sec-WebSocket-Version: {version}\r\n")])
    };
    let head = |head: &str| with("").replace("GET /echo HTTP/1.1\r\nHost: a\r\n", head);
    vec![
        row("all that it takes", "4.2.1", with(""), &[101]),
        row("no key", "4.2.1", shake(&[CONNECTION, UPGRADE, VERSION]), &[400, 200]),
        row("an empty key", "4.2.1", key(""), &[400, 200]),
        row("a key of 3 bytes", "4.2.1", key("YWJj"), &[400, 200]),
        row("a key of 17 bytes", "4.2.1", key("MDEyMzQ1Njc4OTAxMjM0NTY="), &[400, 200]),
        row("a key that is no Base64", "4.2.1", key("????????????????????????"), &[400, 200]),
        row("two keys", "11.3.1", with(KEY), &[400]),
        row("no version", "4.2.1", shake(&[CONNECTION, UPGRADE, KEY]), &[426, 200]),
        row("version 8", "4.4", version("8"), &[426, 200]),
        row("two versions in a list", "4.4", version("13, 8"), &[426, 200]),
        row("two versions", "11.3.5", with("Sec-WebSocket-Version: 8\r\n"), &[400]),
        row("no Connection", "4.2.1", shake(&[UPGRADE, KEY, VERSION]), &[400, 200]),
        row(
            "another Connection",
            "4.2.1",
            shake(&["Connection: keep-alive\r\n", UPGRADE, KEY, VERSION]),
            &[400, 200],
        ),
        row("POST", "4.2.1", head("POST /echo HTTP/1.1\r\nHost: a\r\n"), &[400, 200]),
        row("HTTP/1.0", "4.2.1", head("GET /echo HTTP/1.0\r\nHost: a\r\n"), &[400]),
        row("no Host", "4.2.1", head("GET /echo HTTP/1.1\r\n"), &[400]),
        row("absolute form", "4.2.1", head("GET http://a/echo HTTP/1.1\r\nHost: a\r\n"), &[101]),
        row(
            "a path that nobody serves",
            "4.2.2",
            head("GET / HTTP/1.1\r\nHost: a\r\n"),
            &[403, 200],
        ),
    ]
}

fn lists() -> Vec<Row> {
    let protocol = |names: &str| with(&format!("Sec-WebSocket-Protocol: {names}\r\n"));
    vec![
        row(
            "Upgrade within a list",
            "4.2.1",
            shake(&["Connection: keep-alive, upgrade\r\n", UPGRADE, KEY, VERSION]),
            &[101],
        ),
        row(
            "Connection in two lines",
            "4.2.1",
            shake(&["Connection: keep-alive\r\n", CONNECTION, UPGRADE, KEY, VERSION]),
            &[101],
        ),
        row(
            "the protocol in other letters",
            "4.2.1",
            shake(&[CONNECTION, "Upgrade: WebSocket\r\n", KEY, VERSION]),
            &[101],
        ),
        // RFC 9110, section 7.8: an upgrade may be ignored. No browser offers two.
        row(
            "the protocol after another",
            "4.2.1",
            shake(&[CONNECTION, "Upgrade: h2c, websocket\r\n", KEY, VERSION]),
            &[426, 200],
        ),
        row("subprotocols", "11.3.4", protocol("a, b"), &[101]),
        row("a subprotocol that is no token", "4.1", protocol("a b"), &[400]),
        row("subprotocols without a name", "4.1", protocol(",,"), &[400]),
        row("a subprotocol twice", "4.1", protocol("a, a"), &[400]),
        row("a subprotocol that is no ASCII", "4.1", protocol("\u{e9}"), &[400]),
        row(
            "extensions that nobody knows",
            "9.1",
            with("Sec-WebSocket-Extensions: x-y; z\r\n"),
            &[101],
        ),
        row("extensions that are garbage", "9.1", with("Sec-WebSocket-Extensions: ;;\r\n"), &[101]),
    ]
}

fn others() -> Vec<Row> {
    let body = |lines: &str, body: &str| with(lines) + body;
    vec![
        row("a body", "4.1", body("Content-Length: 3\r\n", "abc"), &[400]),
        row("a body in chunks", "4.1", body("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), &[400]),
        row("a body of no bytes", "4.1", with("Content-Length: 0\r\n"), &[101]),
        row(
            "two lengths",
            "RFC 9112 6.3",
            with("Content-Length: 0\r\nContent-Length: 1\r\n"),
            &[400],
        ),
        row("an expectation", "4.1", with("Expect: 100-continue\r\n"), &[101]),
        row("a next line in a field", "RFC 9110 5.5", with("X-A: b\u{85}c\r\n"), &[400]),
    ]
}
