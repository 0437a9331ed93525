//! The chunked coding.

use super::{Row, post, row};

/// A `POST` with a body in chunks.
fn chunked(body: impl AsRef<[u8]>) -> Vec<u8> {
    post("Transfer-Encoding: chunked\r\n", body)
}

/// The end of a body in chunks.
const END: &str = "0\r\n\r\n";

pub(super) fn rows() -> Vec<Row> {
    [sizes(), ends(), extensions(), trailers()].into_iter().flatten().collect()
}

fn sizes() -> Vec<Row> {
    let size = |size: &str| chunked(format!("{size}\r\nabc\r\n{END}"));
    vec![
        row("two chunks", "7.1", chunked(format!("1\r\na\r\n2\r\nbc\r\n{END}")), &[200, 200])
            .shows("[abc]"),
        row(
            "a size in capitals, with zeros",
            "7.1",
            chunked(format!("0000A\r\n0123456789\r\n{END}")),
            &[200, 200],
        )
        .shows("[0123456789]"),
        row("a negative size", "7.1", size("-3"), &[400]),
        row("a size with a sign", "7.1", size("+3"), &[400]),
        row("a size with 0x", "7.1", size("0x3"), &[400]),
        row("no size", "7.1", size(""), &[400]),
        row("white space before a size", "7.1", size(" 3"), &[400]),
        row("white space within a size", "7.1", size("0 3"), &[400]),
        // RFC 9112 has no white space there; it changes nothing about what is read.
        row("white space after a size", "7.1", size("3 "), &[200, 200]).shows("[abc]"),
        row("a size that is no number", "7.1", size("three"), &[400]),
        row("a size beyond 64 bits", "7.1", size("10000000000000003"), &[400]),
        row("the largest size", "7.1", size("ffffffffffffffff"), &[408]),
        row(
            "a body that is too large",
            "RFC 9110 15.5.14",
            chunked(format!("10001\r\n{}", "a".repeat(0x10001))),
            &[413],
        ),
    ]
}

fn ends() -> Vec<Row> {
    vec![
        row("bare LF after a size", "7.1", chunked(format!("3\nabc\r\n{END}")), &[400]),
        row("bare CR after a size", "7.1", chunked(format!("3\rabc\r\n{END}")), &[400]),
        row("bare LF after the data", "7.1", chunked(format!("3\r\nabc\n{END}")), &[400]),
        row("more data than said", "7.1", chunked(format!("3\r\nabcd\r\n{END}")), &[400]),
        row("less data than said", "7.1", chunked(format!("4\r\nabc\r\n{END}")), &[400]),
        row("no end of line after the data", "7.1", chunked(format!("3\r\nabc{END}")), &[400]),
        row("bare LF after the last chunk", "7.1", chunked("3\r\nabc\r\n0\n\r\n"), &[400]),
        // The library takes what follows, up to an empty line, for trailers that it forgets: what
        // is hidden there is never answered.
        row("bare LF ends the body", "7.1", chunked("3\r\nabc\r\n0\r\n\n"), &[200]),
        row("no last chunk", "7.1", chunked("3\r\nabc\r\n"), &[400]),
    ]
}

fn extensions() -> Vec<Row> {
    let with = |extension: &str| chunked(format!("3{extension}\r\nabc\r\n{END}"));
    let long = format!(";a={}", "b".repeat(20_000));
    vec![
        row("an extension", "7.1.1", with(";a=b"), &[200, 200]).shows("[abc]"),
        row("an extension in quotes", "7.1.1", with(";a=\"b;c\""), &[200, 200]).shows("[abc]"),
        row("an empty extension", "7.1.1", with(";"), &[200, 200]).shows("[abc]"),
        row("a NUL in an extension", "7.1.1", with(";a=\0"), &[200, 200]).shows("[abc]"),
        row("bare LF in an extension", "7.1.1", with(";a\nb"), &[400]),
        row("bare CR in an extension", "7.1.1", with(";a\rb"), &[400]),
        row("an extension without a semicolon", "7.1.1", with("a=b"), &[400]),
        row("an extension of 20,000 bytes", "7.1.1", with(&long), &[400]),
    ]
}

/// Trailers are read to the end of the body, and then forgotten.
fn trailers() -> Vec<Row> {
    let with = |lines: &str| chunked(format!("3\r\nabc\r\n0\r\n{lines}\r\n"));
    let many: String = (0..101).map(|at| format!("X-{at}: a\r\n")).collect();
    let long = format!("X-A: {}\r\n", "a".repeat(80_000));
    vec![
        row("a trailer", "7.1.2", with("X-A: b\r\n"), &[200, 200])
            .shows("transfer-encoding: chunked\n[abc]"),
        row("a length as trailer", "RFC 9110 6.5.1", with("Content-Length: 99\r\n"), &[200, 200])
            .shows("transfer-encoding: chunked\n[abc]"),
        row("a Host as trailer", "RFC 9110 6.5.1", with("Host: b\r\n"), &[200, 200])
            .shows("POST /mirror\nhost: a\n"),
        row(
            "a coding as trailer",
            "RFC 9110 6.5.1",
            with("Transfer-Encoding: gzip\r\n"),
            &[200, 200],
        )
        .shows("[abc]"),
        row("a trailer without a colon", "7.1.2", with("X-A\r\n"), &[400]),
        row("a space before a trailer's colon", "7.1.2", with("X-A : b\r\n"), &[400]),
        row("a folded trailer", "7.1.2", with("X-A: b\r\n c\r\n"), &[400]),
        row("a NUL in a trailer", "7.1.2", with("X-A: \0\r\n"), &[400]),
        row("101 trailers", "7.1.2", with(&many), &[400]),
        row("a trailer of 80,000 bytes", "7.1.2", with(&long), &[400]),
    ]
}
