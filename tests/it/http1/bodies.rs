//! How long a body is: Content-Length, Transfer-Encoding, Expect.

use super::{Row, get, post, row};

/// A chunked body of three bytes.
const CHUNKED: &str = "3\r\nabc\r\n0\r\n\r\n";

pub(super) fn rows() -> Vec<Row> {
    [lengths(), codings(), expectations(), upgrades()].into_iter().flatten().collect()
}

/// A body of three bytes whose length is given like this.
fn length(value: &str) -> Vec<u8> {
    post(format!("Content-Length: {value}\r\n"), "abc")
}

fn lengths() -> Vec<Row> {
    let two = |first: &str, second: &str| {
        post(format!("Content-Length: {first}\r\nContent-Length: {second}\r\n"), "abc")
    };
    vec![
        row("a length", "6.2", length("3"), &[200, 200]).shows("[abc]"),
        row("leading zeros", "6.2", length("0003"), &[200, 200]).shows("[abc]"),
        row("a length in GET", "6.2", get("Content-Length: 0\r\n"), &[200, 200]),
        row("no length and a body", "6.3", post("", "abc"), &[200, 405]).shows("[]"),
        row("one length twice", "6.3", two("3", "3"), &[200, 200]).shows("content-length: 3\n["),
        row("two lengths", "6.3", two("3", "5"), &[400]),
        row("two lengths, one of them empty", "6.3", two("3", ""), &[400]),
        row("a list of one length", "6.3", length("3, 3"), &[400]),
        row("a list of two lengths", "6.3", length("3, 5"), &[400]),
        row("a length with a sign", "6.2", length("+3"), &[400]),
        row("a negative length", "6.2", length("-3"), &[400]),
        row("a length with a space", "6.2", length("3 3"), &[400]),
        row("a hexadecimal length", "6.2", length("0x3"), &[400]),
        row("a length with a fraction", "6.2", length("3.0"), &[400]),
        row("an empty length", "6.2", length(""), &[400]),
        row("a length beyond 64 bits", "6.2", length("18446744073709551619"), &[400]),
        row("the length of 64 bits", "6.2", length("18446744073709551615"), &[431]),
        row("a length of 2^63", "RFC 9110 15.5.14", length("9223372036854775808"), &[413]),
        row("a length that is no ASCII", "6.2", length("\u{ff13}"), &[400]),
        row(
            "a body that ends early",
            "RFC 9110 15.5.9",
            post("Content-Length: 999\r\n", "a"),
            &[408],
        ),
        row("a body that is too large", "RFC 9110 15.5.14", length("65537"), &[413]),
    ]
}

fn codings() -> Vec<Row> {
    let coded = |lines: &str| post(lines, CHUNKED);
    let coding = |value: &str| post(format!("Transfer-Encoding: {value}\r\n"), CHUNKED);
    vec![
        row("chunked", "7.1", coding("chunked"), &[200, 200]).shows("[abc]"),
        row("chunked in other letters", "7", coding("CHUNKED"), &[200, 200]).shows("[abc]"),
        row("white space around chunked", "5.1", coding("\t chunked \t"), &[200, 200])
            .shows("[abc]"),
        // Not refused, but nothing behind it is read.
        row(
            "a length, then chunked",
            "6.3",
            coded("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
            &[200],
        )
        .shows("[abc]"),
        row(
            "chunked, then a length",
            "6.3",
            coded("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
            &[200],
        )
        .shows("[abc]"),
        row(
            "chunked in HTTP/1.0",
            "6.1",
            format!("POST /mirror HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n{CHUNKED}"),
            &[400],
        ),
        row("chunked, then another", "6.3", coding("chunked, gzip"), &[400]),
        row("another, then chunked", "6.1", coding("gzip, chunked"), &[501]),
        row("another alone", "6.3", coding("gzip"), &[400]),
        row("identity", "6.1", coding("identity"), &[400]),
        row("chunked twice", "6.1", coding("chunked, chunked"), &[501]),
        row(
            "chunked in two lines",
            "6.1",
            coded("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            &[501],
        ),
        row(
            "chunked in one line and another in the next",
            "6.3",
            coded("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
            &[400],
        ),
        row("an empty coding, then chunked", "6.1", coding(", chunked"), &[501]),
        row("chunked with a comma", "6.1", coding("chunked,"), &[400]),
        row("xchunked", "6.1", coding("xchunked"), &[400]),
        row("chunked in quotes", "6.1", coding("\"chunked\""), &[400]),
        row("chunked with a parameter", "6.1", coding("chunked;q=1"), &[400]),
        row("chunked after a vertical tab", "RFC 9110 5.5", coding("\x0bchunked"), &[400]),
        row("chunked after a no-break space", "6.1", coding("\u{a0}chunked"), &[400]),
        row("no coding", "6.1", coding(""), &[400]),
        row("a space before the colon", "5.1", coded("Transfer-Encoding : chunked\r\n"), &[400]),
        // No such field, so no body: what follows is no request.
        row("an underscore", "6.1", coded("Transfer_Encoding: chunked\r\n"), &[200, 400])
            .shows("[]"),
    ]
}

fn expectations() -> Vec<Row> {
    const RULE: &str = "RFC 9110 10.1.1";
    let expect = |value: &str, length: &str| {
        post(format!("Expect: {value}\r\nContent-Length: {length}\r\n"), "abc")
    };
    vec![
        row("100-continue", RULE, expect("100-continue", "3"), &[100, 200, 200]),
        row("100-continue before too large a body", RULE, expect("100-continue", "65537"), &[413]),
        row("100-continue and no body", RULE, get("Expect: 100-continue\r\n"), &[200, 200]),
        row(
            "100-continue in HTTP/1.0",
            RULE,
            "POST /mirror HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
            &[200],
        ),
        row("an expectation that nobody knows", RULE, expect("a miracle", "3"), &[200, 200]),
    ]
}

fn upgrades() -> Vec<Row> {
    const RULE: &str = "RFC 9110 7.8";
    let upgrade = |lines: &str, body: &str| {
        post(format!("Connection: Upgrade\r\nUpgrade: {lines}Content-Length: 3\r\n"), body)
    };
    vec![
        row("an upgrade to HTTP/2", RULE, upgrade("h2c\r\n", "abc"), &[200, 200]).shows("[abc]"),
        row("an upgrade to nonsense", RULE, upgrade("tea/1.0, h2c\r\n", "abc"), &[200, 200]),
        row(
            "the preface of HTTP/2 behind a good request",
            "RFC 9113 3.4",
            [&get("")[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"].concat(),
            &[200],
        ),
    ]
}
