//! Messages that are sent later under a key.

use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tidegate_sdk::testing::TestHost;
use tidegate_sdk::{Context, Error, Request, Result, channel, export, http};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    text: String,
}

/// Sets a timer. The query says what else the run does.
#[http("POST /timers/{key}/{seconds}/{text}")]
fn set(
    cx: &mut Context,
    request: &Request,
    key: &str,
    seconds: u64,
    text: String,
) -> Result<&'static str> {
    if let Some(read) = request.query("read") {
        cx.store().counter(&read)?;
        cx.store().counter("another")?;
    }
    let channel = request.query("channel").unwrap_or_else(|| "test.notes".to_owned());
    let set = cx.timer(key).send_later(&channel, &Note { text }, Duration::from_secs(seconds));
    set.map_err(|error| Error::bad_request(error.to_string()))?;
    match request.query("then").as_deref() {
        Some("fail") => Err(Error::failed("on purpose")),
        Some("cancel") => {
            cx.timer(key).cancel()?;
            Ok("cancelled")
        }
        Some("flush") => {
            cx.flush()?;
            Err(Error::failed("after the flush"))
        }
        _ => Ok("set"),
    }
}

#[http("POST /moments/{seconds}/{text}")]
fn set_at(cx: &mut Context, seconds: u64, text: String) -> Result<&'static str> {
    let moment = UNIX_EPOCH + Duration::from_secs(seconds);
    cx.timer("moment").send_at("test.notes", &Note { text: text.clone() }, moment)?;
    cx.send_at("test.notes", &Note { text }, moment)?;
    Ok("set")
}

#[channel("test.notes")]
fn note(cx: &mut Context, note: Note) -> Result<()> {
    cx.info(note.text);
    Ok(())
}

export! { set, set_at, note }

fn post(host: &TestHost, path: &str) -> (u16, String) {
    let response = host.request("POST", path).send();
    (response.status(), response.text().to_owned())
}

fn host() -> TestHost {
    TestHost::new(consumers()).at(UNIX_EPOCH + Duration::from_secs(1_000))
}

fn notes(host: &TestHost) -> Vec<String> {
    host.messages("test.notes").iter().map(|sent| sent.read::<Note>().text).collect()
}

#[test]
fn the_last_call_of_a_key_counts_within_a_run_and_among_runs() {
    let host = host();
    for path in ["/timers/a/9/old", "/timers/b/5/other", "/timers/a/3/new"] {
        assert_eq!(post(&host, path).0, 200);
    }
    assert_eq!(post(&host, "/timers/c/1/gone?then=cancel").1, "cancelled");
    assert_eq!(host.timers(), ["a", "b"]);
    host.advance(Duration::from_secs(3));
    assert_eq!((notes(&host), host.timers()), (vec!["new".to_owned()], vec!["b".to_owned()]));
    host.advance(Duration::from_secs(60));
    assert_eq!(notes(&host), ["new", "other"]);
}

#[test]
fn a_fault_sets_no_timer_unless_it_was_flushed_before() {
    let host = host();
    assert_eq!(post(&host, "/timers/a/1/never?then=fail").0, 500);
    assert_eq!(host.timers(), Vec::<String>::new());
    assert_eq!(post(&host, "/timers/a/1/flushed?then=flush").0, 500);
    assert_eq!(host.timers(), ["a"]);
}

#[test]
fn a_run_that_is_done_again_sets_its_timer_once() {
    let host = host();
    host.data().set("seen", &1);
    host.conflict_once("seen");
    assert_eq!(post(&host, "/timers/a/1/once?read=seen").0, 200);
    host.advance(Duration::from_secs(2));
    assert_eq!(notes(&host), ["once"]);
}

#[test]
fn a_moment_is_one_of_the_clock_that_the_consumer_sees() {
    let host = host();
    assert_eq!(post(&host, "/moments/1060/later").0, 200);
    host.advance(Duration::from_secs(59));
    assert_eq!(notes(&host), Vec::<String>::new());
    host.advance(Duration::from_secs(1));
    assert_eq!(notes(&host), ["later", "later"]);
    assert_eq!(post(&host, "/moments/5/past").0, 200);
    host.advance(Duration::ZERO);
    assert_eq!(notes(&host).len(), 4);
}

#[test]
fn what_breaks_a_rule_is_refused_with_the_rule() {
    let host = host();
    let long = "k".repeat(513);
    let cases = [
        (format!("/timers/{long}/0/x"), "a key has at most 512 bytes; this one has 513"),
        ("/timers/a/31536001/x".to_owned(), "a timer is due in 31536000000 ms at most"),
        ("/timers/a/0/x?channel=other.work".to_owned(), "is not declared by module test"),
        ("/timers/a/0/x?channel=node!1".to_owned(), "is a reply channel"),
        ("/timers/a/0/x?channel=no%20name".to_owned(), "name \"no name\""),
    ];
    for (path, expected) in cases {
        let (status, text) = post(&host, &path);
        assert!(status == 400 && text.contains(expected), "{path}: {status} {text}");
    }
}
