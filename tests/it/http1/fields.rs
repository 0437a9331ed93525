//! Header fields.

use super::{Row, get, row};

/// A value with this byte in it.
fn value(byte: u8) -> Vec<u8> {
    get([b"X-A: b", &[byte][..], b"c\r\n"].concat())
}

/// A name with this byte in it.
fn name(byte: u8) -> Vec<u8> {
    get([b"X-", &[byte][..], b"A: b\r\n"].concat())
}

/// A request with these lines and no other.
fn bare(lines: &str) -> String {
    format!("GET /mirror HTTP/1.1\r\n{lines}\r\n")
}

pub(super) fn rows() -> Vec<Row> {
    [forms(), controls(), names(), hosts(), sizes()].into_iter().flatten().collect()
}

fn forms() -> Vec<Row> {
    vec![
        row("a folded value", "5.2", get("X-A: b\r\n c\r\n"), &[400]),
        row("a value folded with a tab", "5.2", get("X-A: b\r\n\tc\r\n"), &[400]),
        row("white space before the colon", "5.1", get("X-A : b\r\n"), &[400]),
        row("a tab before the colon", "5.1", get("X-A\t: b\r\n"), &[400]),
        row("no name", "5", get(": b\r\n"), &[400]),
        row("no colon", "5", get("X-A\r\n"), &[400]),
        row("no value", "5", get("X-A:\r\n"), &[200, 200]).shows("x-a: \n"),
        row("white space around a value", "5.1", get("X-A: \t b c \t\r\n"), &[200, 200])
            .shows("x-a: b c\n"),
        row("a tab within a value", "RFC 9110 5.5", get("X-A: b\tc\r\n"), &[200, 200]),
        row("bare LF ends a field", "2.2", get("X-A: b\nX-B: c\r\n"), &[200, 200])
            .shows("x-a: b\nx-b: c\n"),
        row("a field twice, in order", "RFC 9110 5.3", get("X-A: b\r\nX-A: c\r\n"), &[200, 200])
            .shows("x-a: b\nx-a: c\n"),
        // Elsewhere `X_A` could pass for `X-A`: consumers never see it.
        row("a name with an underscore", "RFC 9110 5.1", get("X_A: b\r\n"), &[200, 200])
            .shows("GET /mirror\nhost: a\n[]"),
    ]
}

/// No value may be divided where Python's `str.splitlines` divides it (CVE-2026-44546), be it read
/// as Latin-1 or as UTF-8.
fn controls() -> Vec<Row> {
    const RULE: &str = "RFC 9110 5.5";
    vec![
        row("NUL in a value", RULE, value(0), &[400]),
        row("bare CR in a value", RULE, value(b'\r'), &[400]),
        row("vertical tab in a value", RULE, value(0x0b), &[400]),
        row("form feed in a value", RULE, value(0x0c), &[400]),
        row("file separator in a value", RULE, value(0x1c), &[400]),
        row("group separator in a value", RULE, value(0x1d), &[400]),
        row("record separator in a value", RULE, value(0x1e), &[400]),
        row("escape in a value", RULE, value(0x1b), &[400]),
        row("delete in a value", RULE, value(0x7f), &[400]),
        row("next line in a value, in Latin-1", RULE, value(0x85), &[400]),
        row("next line in a value, in UTF-8", RULE, get("X-A: b\u{85}c\r\n"), &[400]),
        row("line separator in a value", RULE, get("X-A: b\u{2028}c\r\n"), &[400]),
        row("paragraph separator in a value", RULE, get("X-A: b\u{2029}c\r\n"), &[400]),
        row("Latin-1 in a value", RULE, value(0xe9), &[200, 200]).shows("x-a: b\\xe9c\n"),
        row("UTF-8 in a value", RULE, get("X-A: \u{1f30a}\r\n"), &[200, 200])
            .shows("x-a: \\xf0\\x9f\\x8c\\x8a\n"),
    ]
}

fn names() -> Vec<Row> {
    const RULE: &str = "RFC 9110 5.1";
    vec![
        row("NUL in a name", RULE, name(0), &[400]),
        row("bare CR in a name", RULE, name(b'\r'), &[400]),
        row("bare LF in a name", RULE, name(b'\n'), &[400]),
        row("a space in a name", RULE, name(b' '), &[400]),
        row("a bracket in a name", RULE, name(b'('), &[400]),
        row("Latin-1 in a name", RULE, name(0xe9), &[400]),
        row("UTF-8 in a name", RULE, get("X-\u{e9}: b\r\n"), &[400]),
    ]
}

fn hosts() -> Vec<Row> {
    const RULE: &str = "3.2";
    vec![
        row("no Host", RULE, bare(""), &[400]),
        row("no Host in HTTP/1.0", RULE, "GET /mirror HTTP/1.0\r\n\r\n", &[200]),
        row("two Hosts", RULE, get("Host: b\r\n"), &[400]),
        row("one Host twice", RULE, get("Host: a\r\n"), &[400]),
        row("a Host with a port", RULE, bare("Host: a:80\r\n"), &[200, 200]).shows("host: a:80\n"),
        row("a Host of IPv6", RULE, bare("Host: [::1]:80\r\n"), &[200, 200]),
        row("a Host with a space", RULE, bare("Host: a b\r\n"), &[400]),
        row("a Host with a path", RULE, bare("Host: a/b\r\n"), &[400]),
        row("a Host with a user", RULE, bare("Host: u@a\r\n"), &[400]),
        row("a list of Hosts", RULE, bare("Host: a, b\r\n"), &[400]),
        row("a Host whose port is no number", RULE, bare("Host: a:b\r\n"), &[400]),
        row("a Host that is a URI", RULE, bare("Host: http://a\r\n"), &[400]),
        row("an empty Host", RULE, bare("Host:\r\n"), &[200, 200]),
    ]
}

fn sizes() -> Vec<Row> {
    let many = |count: usize| -> String { (0..count).map(|at| format!("X-{at}: a\r\n")).collect() };
    let long = |bytes: usize| format!("X-A: {}\r\n", "a".repeat(bytes));
    vec![
        row("100 fields", "RFC 9110 5.4", get(many(99)), &[200, 200]),
        row("101 fields", "RFC 9110 5.4", get(many(100)), &[431]),
        row("a field of 16 KiB", "RFC 9110 5.4", get(long(16 * 1024)), &[200, 200]),
        row("a field of 1 MiB", "RFC 9110 5.4", get(long(1024 * 1024)), &[431]),
    ]
}
