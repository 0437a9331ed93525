//! HTTP/1 over bare TCP: malformed and unusual requests, each in a row with the rule that decides it.
//!
//! A well-formed request follows behind each row on the same connection. It is answered only where
//! the row's own end is beyond doubt: anything else is how requests are smuggled.

mod bodies;
mod chunks;
mod fields;
mod handshakes;
mod lines;
mod targets;

use tests::{Answer, Host, Wire, answers, background, must};

/// What follows behind each row.
const NEXT: &[u8] = b"GET /ok HTTP/1.1\r\nHost: next\r\nConnection: close\r\n\r\n";

/// Bytes, and what has to come of them.
struct Row {
    /// What is wrong or unusual.
    what: &'static str,
    /// The section that decides, of RFC 9112 if no other is named.
    rule: &'static str,
    /// The bytes.
    sent: Vec<u8>,
    /// The statuses of all answers up to the end of the connection.
    statuses: &'static [u16],
    /// Stands in the body of the first answer.
    shows: &'static str,
}

fn row(
    what: &'static str,
    rule: &'static str,
    sent: impl Into<Vec<u8>>,
    statuses: &'static [u16],
) -> Row {
    Row { what, rule, sent: sent.into(), statuses, shows: "" }
}

impl Row {
    /// The consumer sees this, or the refusal says it.
    fn shows(self, text: &'static str) -> Self {
        Self { shows: text, ..self }
    }
}

/// A `GET` with these lines after its `Host`.
fn get(lines: impl AsRef<[u8]>) -> Vec<u8> {
    [b"GET /mirror HTTP/1.1\r\nHost: a\r\n", lines.as_ref(), b"\r\n"].concat()
}

/// A `POST` with these lines after its `Host`, and a body.
fn post(lines: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Vec<u8> {
    [b"POST /mirror HTTP/1.1\r\nHost: a\r\n", lines.as_ref(), b"\r\n", body.as_ref()].concat()
}

/// A host that soon has enough of waiting.
async fn host() -> Host {
    Host::builder()
        .example("echo")
        .guest("mirror")
        .section(
            "[interface]\nheader_timeout = '2s'\nkeep_alive_timeout = '2s'\nbody_timeout = '500ms'\nclose_timeout = '200ms'\n\
             body_bytes = '64KiB'",
        )
        .start()
        .await
}

/// Sends each row to one host, and says of all which were wrong.
async fn run(rows: Vec<Row>) {
    let host = host().await;
    let address = host.address();
    let mut wrong = Vec::new();
    // All at once: some take as long as a limit.
    let sent: Vec<_> = rows
        .iter()
        .map(|row| {
            let bytes = [&row.sent[..], NEXT].concat();
            background(async move {
                let mut wire = Wire::connect(address).await;
                // Where the host has closed before all was sent, what it answered counts.
                drop(wire.send(bytes).await);
                answers(&wire.rest().await)
            })
        })
        .collect();
    for (row, sent) in rows.iter().zip(sent) {
        let answers = must("the end of a connection", sent).await.unwrap();
        wrong.extend(complaint(row, &answers));
        let alive = host.get("/ok").await;
        assert_eq!((alive.status, alive.text()), (200, "ok"), "after {}", row.what);
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    assert_eq!(host.stop().await, 0);
}

fn complaint(row: &Row, answers: &[Answer]) -> Option<String> {
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    let first = answers.first().map(|answer| answer.body.escape_ascii().to_string());
    let first = first.unwrap_or_default();
    if statuses == row.statuses && first.contains(&row.shows.as_bytes().escape_ascii().to_string())
    {
        return None;
    }
    let Row { what, rule, statuses: expected, shows, .. } = row;
    Some(format!("{what} ({rule}): {statuses:?}, not {expected:?}; {first:?}, not {shows:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_break_the_form_of_a_message_are_refused() {
    run(lines::rows()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_two_readers_could_read_in_two_ways_are_refused() {
    run(fields::rows()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_has_one_meaning_or_is_refused() {
    run(targets::rows()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_whose_end_is_in_doubt_is_refused_and_the_connection_closed() {
    run(bodies::rows()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_that_break_the_form_are_refused_and_the_connection_closed() {
    run(chunks::rows()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_is_whole_or_refused() {
    run(handshakes::rows()).await;
}
