//! Channels of the application.

use serde::{Deserialize, Serialize};
use tidegate_sdk::testing::TestHost;
use tidegate_sdk::{Context, Error, Level, Result, channel, export, http};

#[derive(Serialize, Deserialize)]
struct Step {
    number: u32,
    next: Option<String>,
}

#[http("POST /start")]
fn start(cx: &mut Context) -> Result<&'static str> {
    cx.info("start");
    for number in 1..=2 {
        cx.send("first", &Step { number, next: Some("second".to_owned()) })?;
    }
    cx.info("started");
    Ok("started\n")
}

#[channel("first")]
fn first(cx: &mut Context, step: Step) -> Result<()> {
    cx.info(format!("first {} {}", step.number, cx.correlation_id()));
    if let Some(next) = step.next {
        cx.send(&next, &Step { number: step.number, next: None })?;
    }
    Ok(())
}

#[channel("second")]
fn second(step: &Step, cx: &mut Context) -> Result<(), std::num::ParseIntError> {
    cx.log(Level::Warn, format!("second {} {}", step.number, cx.correlation_id()));
    Ok(())
}

#[channel("failing")]
fn failing(cx: &mut Context) -> Result<()> {
    cx.send("second", &Step { number: 0, next: None })?;
    Err(Error::failed("on purpose"))
}

#[channel("no.content")]
fn no_content() {}

/// Names that the macros' own code might use.
#[http("GET /{request}/{cx}/{event}")]
fn request(cx: &str, event: &str, request: &str) -> String {
    format!("{cx} {event} {request}")
}

#[channel("content")]
fn content(cx: &mut Context, content: &Step) {
    cx.info(content.number.to_string());
}

#[http("GET /cx")]
fn cx(event: &mut Context) -> String {
    event.module().to_owned()
}

export! { request, content, cx, start, first, second, failing, no_content }

#[test]
fn messages_run_after_their_sender_in_the_order_sent_under_its_correlation_id() {
    let host = TestHost::new(consumers()).named("steps");
    assert_eq!(host.request("POST", "/start").send().status(), 200);
    let id = format!("{:032x}", 1);
    let logs: Vec<_> = host.logs().into_iter().map(|line| line.text).collect();
    let expected = ["start", "started", "first 1 ", "first 2 ", "second 1 ", "second 2 "];
    let expected: Vec<_> = expected
        .iter()
        .map(|text| if text.ends_with(' ') { format!("{text}{id}") } else { (*text).to_owned() })
        .collect();
    assert_eq!(logs, expected);
    assert_eq!(host.logs()[5].level, Level::Warn);
    assert_eq!(host.messages("second").len(), 2);
}

#[test]
fn a_message_that_fails_is_recorded_and_does_not_come_again() {
    let host = TestHost::new(consumers());
    let empty = std::collections::BTreeMap::<&str, u32>::new();
    host.send("failing", &empty).unwrap();
    assert_eq!(host.faults().len(), 1);
    assert_eq!(host.faults()[0].consumer, "failing");
    assert_eq!(host.messages("second"), []);
    host.send("no.content", &empty).unwrap();
    assert_eq!(host.faults().len(), 1);
}

#[test]
fn content_of_another_shape_is_a_fault_that_says_so() {
    let host = TestHost::new(consumers());
    host.send("first", &std::collections::BTreeMap::from([("number", "one")])).unwrap();
    let text = &host.faults()[0].text;
    assert!(text.contains("does not read as") && text.contains("Step"), "{text}");
}

#[test]
fn consumers_and_parameters_may_have_any_name() {
    let host = TestHost::new(consumers());
    assert_eq!(host.get("/1/2/3").text(), "2 3 1");
    assert_eq!(host.get("/cx").text(), "test");
    host.send("content", &Step { number: 5, next: None }).unwrap();
    assert_eq!(host.logs()[0].text, "5");
}
