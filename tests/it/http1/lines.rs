//! Request lines and ends of lines.

use super::{Row, get, row};

/// A request with this line, and a `Host`.
fn line(line: impl AsRef<[u8]>) -> Vec<u8> {
    [line.as_ref(), b"\r\nHost: a\r\n\r\n"].concat()
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        row("bare LF ends lines", "2.2", "GET /mirror HTTP/1.1\nHost: a\n\n", &[200, 200]),
        row(
            "bare CR ends the request line",
            "2.2",
            "GET /mirror HTTP/1.1\rHost: a\r\n\r\n",
            &[400],
        ),
        row("bare CR within the target", "2.2", line("GET /mir\rror HTTP/1.1"), &[400]),
        row("an empty line first", "2.2", [b"\r\n", &get("")[..]].concat(), &[200, 200]),
        row("white space first", "2.2", line(" GET /mirror HTTP/1.1"), &[400]),
        row(
            "white space before the first field",
            "2.2",
            line("GET /mirror HTTP/1.1\r\n x: y"),
            &[400],
        ),
        row("two spaces before the target", "3", line("GET  /mirror HTTP/1.1"), &[400]),
        row("two spaces after the target", "3", line("GET /mirror  HTTP/1.1"), &[400]),
        row("a space within the target", "3", line("GET /mir ror HTTP/1.1"), &[400]),
        row("tabs instead of spaces", "3", line("GET\t/mirror\tHTTP/1.1"), &[400]),
        row("a space after the version", "3", line("GET /mirror HTTP/1.1 "), &[400]),
        row("no target", "3", line("GET HTTP/1.1"), &[400]),
        row("nothing but a method", "3", line("GET"), &[400]),
        row("HTTP/0.9", "Appendix A", "GET /mirror\r\n", &[400]),
        row("HTTP/1.0 closes", "9.3", "GET /mirror HTTP/1.0\r\nHost: a\r\n\r\n", &[200]),
        row(
            "HTTP/1.0 that keeps the connection",
            "9.3",
            "GET /mirror HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
            &[200, 200],
        ),
        row("HTTP/1.2", "2.3", line("GET /mirror HTTP/1.2"), &[400]),
        row("HTTP/2.0", "2.3", line("GET /mirror HTTP/2.0"), &[400]),
        row("HTTP/3", "2.3", line("GET /mirror HTTP/3"), &[400]),
        row("HTTP/1.1 with two more digits", "2.3", line("GET /mirror HTTP/1.111"), &[400]),
        row("a version in lower case", "2.3", line("GET /mirror http/1.1"), &[400]),
        row("another protocol", "2.3", line("GET /mirror ICY/1.1"), &[400]),
        row("a method in lower case", "RFC 9110 9.1", line("get /mirror HTTP/1.1"), &[405, 200]),
        row(
            "a method that nobody knows",
            "RFC 9110 9.1",
            line("STIR /mirror HTTP/1.1"),
            &[405, 200],
        ),
        row("a method of its own", "RFC 9110 9.1", line("BREW /mirror HTTP/1.1"), &[200, 200]),
        row("a method that is no token", "RFC 9110 9.1", line("G(E)T /mirror HTTP/1.1"), &[400]),
        row("a NUL in the method", "RFC 9110 9.1", line(b"G\0T /mirror HTTP/1.1"), &[400]),
        row(
            "a method of 1,000 letters",
            "RFC 9110 9.1",
            line([&[b'M'; 1_000], &b" /mirror HTTP/1.1"[..]].concat()),
            &[405, 200],
        ),
        row(
            "TLS where there is none",
            "2.2",
            b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
            &[400],
        ),
        row("a good request, twice more", "9.3.2", [get(""), get("")].concat(), &[200, 200, 200]),
    ]
}
