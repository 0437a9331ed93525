//! What HTTP/2 lets a client do to a server, frame by frame: each attack is ended or bounded, and
//! others are served. Codes: RFC 9113, section 7.

use tests::{
    Host, Process, Wire,
    frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RESET, SETTINGS,
        WINDOW, code, field, frame, frames, get, opening, request,
    },
};

use crate::TIDEGATE;

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const REFUSED_STREAM: u32 = 7;
const CALM: u32 = 11;

async fn host() -> Host {
    Host::builder()
        .example("hello")
        .guest("hold")
        .section("[interface]\nheader_timeout = '500ms'\nkeep_alive_timeout = '500ms'\nclose_timeout = '100ms'")
        .start()
        .await
}

/// Sends bytes and returns the frames that come until the host closes, which it does in time.
async fn attack(host: &Host, bytes: &[u8]) -> Vec<tests::frames::Frame> {
    let mut wire = Wire::connect(host.address()).await;
    // The host may close before it has read all.
    drop(wire.send([opening(), bytes.to_vec()].concat()).await);
    let answer = frames(&wire.rest().await);
    assert_eq!(host.get("/hello/ann").await.status, 200, "others are served");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_break_the_protocol_end_the_connection_with_a_code() {
    let host = host().await;
    // Where RFC 9113 has a more exact code, for wrong lengths and undecodable fields, the library says
    // PROTOCOL_ERROR. The connection ends either way.
    let post = frame(HEADERS, END_HEADERS, 1, &request("POST", "/hello"));
    let table: Vec<(&str, Vec<u8>, u32)> = vec![
        (
            "a window that overflows",
            frame(WINDOW, 0, 0, &0x7fff_ffff_u32.to_be_bytes()),
            FLOW_CONTROL_ERROR,
        ),
        ("a window of nothing", frame(WINDOW, 0, 0, &[0; 4]), PROTOCOL_ERROR),
        ("data of no stream", frame(DATA, 0, 0, b"x"), PROTOCOL_ERROR),
        ("an even stream", get(2, "/hello/ann"), PROTOCOL_ERROR),
        ("a continuation of nothing", frame(CONTINUATION, 0, 1, b""), PROTOCOL_ERROR),
        (
            "headers broken in two by a ping",
            [frame(HEADERS, 0, 1, &request("GET", "/")), frame(PING, 0, 0, &[0; 8])].concat(),
            PROTOCOL_ERROR,
        ),
        (
            "a field that cannot be decoded",
            frame(HEADERS, END_HEADERS, 1, &[0xff; 8]),
            PROTOCOL_ERROR,
        ),
        ("an index that is not there", frame(HEADERS, END_HEADERS, 1, &[0xbe]), PROTOCOL_ERROR),
        ("settings with a wrong length", frame(SETTINGS, 0, 0, &[0; 5]), PROTOCOL_ERROR),
        ("a ping with a wrong length", frame(PING, 0, 0, &[0; 7]), PROTOCOL_ERROR),
        (
            "more than the window",
            [post, (0..40).flat_map(|_| frame(DATA, 0, 1, &[b'x'; 16_384])).collect()].concat(),
            FLOW_CONTROL_ERROR,
        ),
    ];
    for (name, bytes, expected) in table {
        let answer = attack(&host, &bytes).await;
        let told = code(&answer, GOAWAY).or_else(|| code(&answer, RESET));
        assert_eq!(told, Some(expected), "{name}: {answer:?}");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_breaks_a_rule_is_reset_and_the_connection_goes_on() {
    let host = host().await;
    let fields = |extra: Vec<u8>| [request("GET", "/hello/ann"), extra].concat();
    let without = |name: &str| {
        let all = [(":method", "GET"), (":scheme", "http"), (":path", "/hello/ann")];
        all.iter().filter(|(field, _)| *field != name).flat_map(|(n, v)| field(n, v)).collect()
    };
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("a name in upper case", fields(field("X-Upper", "a"))),
        ("a field of the connection", fields(field("connection", "close"))),
        ("a transfer coding", fields(field("transfer-encoding", "chunked"))),
        ("a pseudo field behind others", fields([field("x", "a"), field(":path", "/")].concat())),
        ("a pseudo field nobody knows", fields(field(":x", "a"))),
        ("a path twice", fields(field(":path", "/"))),
        ("no path", without(":path")),
        ("no method", without(":method")),
        ("a line break in a value", fields(field("x", "a\r\nb: c"))),
        ("a length that is none", fields(field("content-length", "+1"))),
    ];
    for (name, block) in table {
        let bytes = [frame(HEADERS, END_HEADERS | END_STREAM, 1, &block), get(3, "/hello/ann")];
        let answer = attack(&host, &bytes.concat()).await;
        let first = answer.iter().find(|(_, stream, _)| *stream == 1);
        let refused = match first {
            Some((RESET, _, _)) => code(&answer, RESET) == Some(PROTOCOL_ERROR),
            // The status of a response is its first field: 400 has the index 12 (RFC 7541, app. A).
            Some((HEADERS, _, payload)) => payload.first() == Some(&(0x80 | 12)),
            // The library may end the whole connection.
            _ => code(&answer, GOAWAY).is_some(),
        };
        assert!(refused, "{name}: {answer:?}");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_opens_and_resets_streams_is_sent_away() {
    let host = host().await;
    let streams = (0..2_000).map(|number| 2 * number + 1);
    let bytes: Vec<u8> = streams
        .flat_map(|stream| {
            [get(stream, "/hello/ann"), frame(RESET, 0, stream, &8_u32.to_be_bytes())]
        })
        .flatten()
        .collect();
    // CVE-2023-44487
    assert_eq!(code(&attack(&host, &bytes).await, GOAWAY), Some(CALM));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_streams_than_may_be_open_are_refused_and_no_more() {
    // The client neither leaves nor answers when the host stops.
    let settings = "[interface]\nstreams = 10\nsockets = 1\nclose_timeout = '50ms'";
    let host = Host::builder().guest("hold").section(settings).start().await;
    let mut wire = Wire::connect(host.address()).await;
    let gets: Vec<u8> = (0..12).flat_map(|number| get(2 * number + 1, "/hold")).collect();
    wire.send([opening(), gets].concat()).await.unwrap();
    let mut bytes = Vec::new();
    while code(&frames(&bytes), RESET).is_none() {
        bytes.extend(wire.read().await);
    }
    assert_eq!(code(&frames(&bytes), RESET), Some(REFUSED_STREAM));
    assert!(frames(&bytes).contains(&(RESET, 23, REFUSED_STREAM.to_be_bytes().to_vec())));
    host.until("the others are held", |host| host.app().metrics().holds.get() == 10).await;
    assert_eq!(host.stop().await, 0, "nobody waits for it");
}

/// A process of its own, so that its memory can be seen.
async fn process() -> Process {
    let module = format!("hello={}", tests::example("hello").display());
    let variables = [
        ("TIDEGATE_INTERFACE_HEADER_TIMEOUT", "1s"),
        ("TIDEGATE_INTERFACE_KEEP_ALIVE_TIMEOUT", "1s"),
        ("TIDEGATE_INTERFACE_CLOSE_TIMEOUT", "100ms"),
    ];
    let address = "127.0.0.1:0".parse().unwrap();
    Process::serve_with(address, TIDEGATE, &["--module", &module], &variables).await
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_cost_little_memory_and_end() {
    let host = process().await;
    let client = tests::Client::new(host.address);
    assert_eq!(client.get("/hello/ann").await.status, 200);
    let begun = [opening(), frame(HEADERS, 0, 1, &request("GET", "/hello/ann"))].concat();
    let posted = [opening(), frame(HEADERS, END_HEADERS, 1, &request("POST", "/hello"))].concat();
    let continuation = frame(CONTINUATION, 0, 1, &field("x", &"a".repeat(9_000)));
    // Settings and pings are answered one by one, until a connection without a request is closed.
    let (calm, bored) = (Some(CALM), None);
    let floods = [
        // CVE-2024-27316
        ("continuations", begun.clone(), continuation, calm),
        ("empty continuations", begun, frame(CONTINUATION, 0, 1, b""), calm),
        ("settings", opening(), frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9]), bored),
        ("pings", opening(), frame(PING, 0, 0, &[7; 8]), bored),
        ("empty data", posted, frame(DATA, 0, 1, b""), calm),
    ];
    for (name, first, again, expected) in floods {
        host.reset_peak_memory();
        let before = host.peak_memory();
        let mut wire = Wire::connect(host.address).await;
        wire.send(&first).await.unwrap();
        let burst = again.repeat((1_000_000 / again.len()).min(20_000));
        for _ in 0..10 {
            // Sent until the host closes, or takes no more.
            let sent = tokio::time::timeout(std::time::Duration::from_secs(1), wire.send(&burst));
            if !matches!(sent.await, Ok(Ok(()))) {
                break;
            }
        }
        let answer = frames(&wire.rest().await);
        assert_eq!(code(&answer, GOAWAY), expected, "{name}");
        let grown = host.peak_memory().saturating_sub(before);
        assert!(grown < 8 * 1024 * 1024, "{name}: {grown} bytes");
        assert_eq!(client.get("/hello/ann").await.status, 200, "{name}");
    }
    host.signal("TERM").await;
    assert_eq!(host.wait().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_small_on_the_wire_and_large_when_decoded_is_refused() {
    let host = host().await;
    // One large field goes into the table (RFC 7541, section 6.2.1), and is named again and again.
    let large = [&[0x40][..], &field("x", &"a".repeat(3_000))[1..]].concat();
    let block = [request("GET", "/hello/ann"), large, vec![0xbe; 10_000]].concat();
    let answer = attack(&host, &frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)).await;
    let is_431 = |payload: &[u8]| payload.windows(3).any(|three| three == b"431");
    let refused = answer.iter().any(|(kind, stream, payload)| {
        *stream == 1
            && (*kind == RESET || (*kind == HEADERS && (is_431(payload) || payload.len() < 200)))
    });
    assert!(refused || code(&answer, GOAWAY).is_some(), "{answer:?}");
    let served = answer.iter().any(|(kind, stream, _)| *stream == 1 && *kind == DATA);
    assert!(!served, "no consumer saw it: {answer:?}");
    host.stop().await;
}
