//! Request targets: their four forms, and paths.

use super::{Row, row};

/// A request with this method and target.
fn target(text: impl AsRef<[u8]>) -> Vec<u8> {
    [text.as_ref(), b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat()
}

pub(super) fn rows() -> Vec<Row> {
    [forms(), paths()].into_iter().flatten().collect()
}

fn forms() -> Vec<Row> {
    vec![
        row("absolute form", "3.2.2", target("GET http://a/mirror?x"), &[200, 200])
            .shows("GET /mirror?x\nhost: a\n"),
        row(
            "absolute form goes before Host",
            "3.2.2",
            target("GET http://b:8/mirror"),
            &[200, 200],
        )
        .shows("GET /mirror\nhost: b:8\n"),
        row("absolute form with a user", "RFC 9110 4.2.4", target("GET http://u@a/mirror"), &[400]),
        row("absolute form without a host", "RFC 9110 4.2.1", target("GET http:///mirror"), &[400]),
        row("absolute form of another scheme", "3.2.2", target("GET ftp://a/mirror"), &[400]),
        row("authority form without CONNECT", "3.2.3", target("GET a:80"), &[400]),
        row("authority form", "3.2.3", target("CONNECT a:80"), &[501]),
        row("CONNECT with a path", "3.2.3", target("CONNECT /mirror"), &[501]),
        row("asterisk form", "3.2.4", target("OPTIONS *"), &[204, 200]),
        row("asterisk form without OPTIONS", "3.2.4", target("GET *"), &[400]),
        row("OPTIONS of a path", "RFC 9110 9.3.7", target("OPTIONS /mirror"), &[200, 200]),
        row("TRACE", "RFC 9110 9.3.8", target("TRACE /mirror"), &[200, 200]),
        row("no slash first", "3.2.1", target("GET mirror"), &[400]),
        row("a query and no path", "3.2.1", target("GET ?x"), &[400]),
        // The library drops it: the consumer never sees it either.
        row("a fragment", "3.2", target("GET /mirror#x"), &[200, 200]).shows("GET /mirror\n"),
    ]
}

fn paths() -> Vec<Row> {
    let long = |bytes: usize| target(format!("GET /mirror?{}", "a".repeat(bytes)));
    vec![
        row("a byte that is no UTF-8", "RFC 3986 2", target(b"GET /mirror/\xff"), &[400]),
        row(
            "escaped bytes that are no UTF-8",
            "RFC 3986 2.5",
            target("GET /mirror/%ff"),
            &[400, 200],
        )
        .shows("the path is not UTF-8"),
        row("raw UTF-8", "RFC 3986 2", target("GET /mirror/\u{e9}"), &[200, 200])
            .shows("GET /mirror/\u{e9}\n"),
        row("a NUL", "RFC 3986 2", target(b"GET /mirror/\0"), &[400]),
        row("an escaped NUL", "RFC 3986 7.3", target("GET /mirror/a%00b"), &[400]),
        row("an escape cut short", "RFC 3986 2.1", target("GET /mirror/%4"), &[200, 200])
            .shows("GET /mirror/%4\n"),
        row("an escaped slash", "RFC 3986 2.2", target("GET /mirror%2Fa"), &[404, 200]),
        // Nothing is normalized, so no path becomes another one.
        row("dot segments", "RFC 3986 5.2.4", target("GET /mirror/../ok"), &[200, 200])
            .shows("GET /mirror/../ok\n"),
        row("escaped dot segments", "RFC 3986 5.2.4", target("GET /a/%2e%2e/ok"), &[404, 200]),
        row("two slashes", "RFC 3986 3.3", target("GET //mirror"), &[404, 200]),
        row("a target of 8,000 bytes", "3", long(8_000), &[200, 200]),
        row("a target of 60,000 bytes", "3", long(60_000), &[414]),
        row("a target of 70,000 bytes", "3", long(70_000), &[414]),
        row("a target of 1 MiB", "3", long(1024 * 1024), &[431]),
    ]
}
