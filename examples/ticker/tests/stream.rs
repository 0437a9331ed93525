//! The streams, which a file of cases cannot describe: they do not end.

use std::time::Duration;

use tidegate_sdk::testing::{TestHost, TestResponse};

const SECOND: Duration = Duration::from_secs(1);

fn host() -> TestHost {
    TestHost::new(ticker::consumers()).named("ticker")
}

/// The ids of the ticks that have come.
fn ids(stream: &TestResponse) -> Vec<u64> {
    let text = stream.text();
    let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
    ids.map(|id| id.parse().expect("an id is a second")).collect()
}

fn after(host: &TestHost, last: u64) -> TestResponse {
    host.request("GET", "/ticker/events").header("last-event-id", last.to_string()).send()
}

fn assert_whole(ids: &[u64]) {
    assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ids:?}");
}

#[test]
fn a_stream_begins_with_this_second_and_goes_on() {
    let host = host();
    let stream = host.get("/ticker/events");
    assert_eq!(stream.header("content-type").as_deref(), Some("text/event-stream"));
    assert!(stream.text().starts_with("retry: 1000\n\nid: "), "{}", stream.text());
    assert_eq!(ids(&stream).len(), 1);
    host.advance(10 * SECOND);
    assert!(ids(&stream).len() > 10);
    assert_whole(&ids(&stream));
    assert_eq!(host.faults(), []);
}

#[test]
fn a_clock_that_is_started_many_times_ticks_once() {
    let host = host();
    let streams: Vec<_> = (0..20).map(|_| host.get("/ticker/events")).collect();
    host.advance(10 * SECOND);
    for stream in &streams {
        assert_whole(&ids(stream));
    }
    let sent = host.group_messages("watchers").len();
    assert_eq!(sent, ids(&streams[0]).len() - 1, "each tick was sent once");
    drop(streams);
    assert_eq!(host.faults(), []);
    assert_eq!(host.drops(), Vec::<String>::new());
}

#[test]
fn a_client_that_comes_back_gets_what_it_missed() {
    let host = host();
    let first = host.get("/ticker/events");
    let last = ids(&first)[0];
    drop(first);
    let back = after(&host, last - 3);
    let missed = ids(&back);
    assert_eq!(missed[..3], [last - 2, last - 1, last]);
    host.advance(3 * SECOND);
    assert!(ids(&back).len() > missed.len());
    assert_whole(&ids(&back));
    let anew = host.get(&format!("/ticker/events?after={}", last - 3));
    assert_eq!(ids(&anew)[..3], [last - 2, last - 1, last]);
    let lost = after(&host, last - 3600);
    assert!(lost.text().contains("event: missed\ndata: 354"), "{}", lost.text());
    assert_eq!(ids(&lost).len(), 60);
}

#[test]
fn a_stream_ends_after_its_hold() {
    let host = host();
    let stream = host.get("/ticker/events");
    host.advance(299 * SECOND);
    assert!(stream.is_pending());
    host.advance(SECOND);
    assert!(!stream.is_pending());
    assert_eq!(host.group("watchers"), Vec::<String>::new());
}
