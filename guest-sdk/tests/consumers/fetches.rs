//! Requests to servers outside, in a test host.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_sdk::testing::{TestFetch, TestHost};
use tidegate_sdk::{
    Context, Error, Fetch, FetchError, FetchFailure, Fetched, Request, Result, channel, export,
    http,
};

const URL: &str = "https://api.example.com/a?b";

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Item {
    id: u64,
}

fn asked(request: &Request) -> Fetch {
    let of = |name: &str| request.query(name);
    let method = of("method").unwrap_or_else(|| "GET".to_owned());
    let url = of("url").unwrap_or_else(|| URL.to_owned());
    let mut fetch = Fetch::new(method, url).value(&Item { id: 7 });
    if let Some(key) = of("key") {
        fetch = fetch.idempotency_key(key);
    }
    if let Some(retries) = of("retries") {
        fetch = fetch.retries(retries.parse().expect("a number"));
    }
    if let Some(millis) = of("timeout") {
        fetch = fetch.timeout(Duration::from_millis(millis.parse().expect("a number")));
    }
    fetch.then(of("then").unwrap_or_else(|| "shop.done".to_owned()))
}

#[http("POST /fetch")]
fn fetch(cx: &mut Context, request: &Request) -> Result<(u16, String)> {
    match cx.fetch(asked(request)) {
        Err(FetchError::Forbidden(text)) => return Ok((403, text)),
        Err(error) => return Ok((400, error.to_string())),
        Ok(()) => {}
    }
    match request.query("fails") {
        Some(_) => Err(Error::failed("on purpose")),
        None => Ok((200, "asked".to_owned())),
    }
}

#[channel("shop.done", retries = 5)]
fn done(cx: &mut Context, fetched: &Fetched<Item>) -> Result<()> {
    let told = match fetched.answer() {
        Ok(answer) => format!("{} {}", answer.status(), answer.text()),
        Err(FetchFailure::Unknown) => "unknown".to_owned(),
        Err(failure) => failure.to_string(),
    };
    cx.info(format!("{} {} {told}", fetched.value().id, fetched.attempts()));
    Ok(())
}

export! { fetch, done }

fn host() -> TestHost {
    TestHost::new(consumers()).reaching("api.example.com")
}

fn ask(host: &TestHost, query: &str) -> (u16, String) {
    let reply = host.request("POST", &format!("/fetch?{query}")).send();
    (reply.status(), reply.text())
}

fn last(host: &TestHost) -> String {
    host.logs().last().expect("a line").text.clone()
}

#[test]
fn each_end_of_a_request_comes_with_its_value() {
    let host = host();
    let name = format!("GET {URL}");
    let ends: [(&dyn Fn(TestFetch), &str); 4] = [
        (&|it| it.answer(200, "hello"), "7 1 200 hello"),
        (&|it| it.answer(503, "busy"), "7 1 503 busy"),
        (&|it| it.fail("tls"), "7 1 tls: as the test says"),
        (&|it| it.lose(), "7 1 unknown"),
    ];
    for (end, told) in ends {
        assert_eq!(ask(&host, "").0, 200);
        end(host.fetch(&name));
        assert_eq!(last(&host), told);
        assert_eq!(host.fetches(), Vec::<String>::new());
    }
}

#[test]
fn one_with_retries_waits_again_until_it_is_answered() {
    let host = host();
    assert_eq!(ask(&host, "retries=3").0, 200);
    let name = format!("GET {URL}");
    host.fetch(&name).answer(503, "");
    host.fetch(&name).fail("timeout");
    host.fetch(&name).lose();
    assert_eq!(host.logs().len(), 0);
    host.fetch(&name).answer(502, "busy");
    assert_eq!(last(&host), "7 4 502 busy");
}

#[test]
fn one_that_is_looked_at_still_waits() {
    let host = host();
    assert_eq!(ask(&host, "method=POST&key=k").0, 200);
    let name = format!("POST {URL}");
    assert_eq!(host.fetch(&name).header("Idempotency-Key"), Some("k"));
    assert_eq!(host.fetches(), [name]);
}

#[test]
fn a_run_that_fails_asks_for_nothing() {
    let host = host();
    assert_eq!(ask(&host, "fails").0, 500);
    assert_eq!(host.fetches(), Vec::<String>::new());
}

#[test]
fn what_the_host_refuses_is_refused() {
    let host = host().reaching("*.example.org").reaching("https://one.example");
    for (query, status, text) in [
        ("url=http://api.example.com:81/", 403, "http://api.example.com:81"),
        ("url=https://other.example/", 403, "grants.http"),
        ("url=http://one.example/", 403, "http://one.example"),
        ("url=https://example.org/", 403, "https://example.org"),
        ("url=ftp://api.example.com/", 400, "scheme"),
        ("url=https://me@api.example.com/", 400, "user name"),
        ("method=CONNECT", 400, "not a method"),
        ("method=POST&retries=1", 400, "idempotency-key"),
        ("retries=11", 400, "10 times at most"),
        ("timeout=0", 400, "at least 1 ms"),
        ("then=", 400, "goes nowhere"),
        ("then=other.work", 403, "not declared"),
        ("then=node!1", 403, "reply channel"),
    ] {
        let (got, told) = ask(&host, query);
        assert!(got == status && told.contains(text), "{query}: {got} {told}");
    }
    for url in ["https://a.b.example.org/", "https://one.example:443/", "http://API.example.com/"] {
        assert_eq!(ask(&host, &format!("url={url}")).0, 200, "{url}");
    }
}

#[test]
#[should_panic(expected = "no request \"GET https://api.example.com/\" waits; these do: [\"GET")]
fn a_request_that_nobody_made_is_told_with_those_that_wait() {
    let host = host();
    assert_eq!(ask(&host, "").0, 200);
    drop(host.fetch("GET https://api.example.com/"));
}

#[http("GET /now")]
fn now(cx: &mut Context, request: &Request) -> String {
    let url = request.query("url").unwrap_or_else(|| URL.to_owned());
    match cx.fetch_now(Fetch::post(url).header("x-a", "1").body("hello")) {
        Ok(answer) => format!("{} {}", answer.status(), answer.text()),
        Err(failure) => failure.to_string(),
    }
}

#[test]
fn a_run_that_waits_gets_the_answer_of_the_test() {
    let host = TestHost::new(waiting::consumers()).reaching("api.example.com");
    host.answers(&format!("POST {URL}"), 201, "made");
    host.fails(&format!("POST {URL}"), "tls");
    assert_eq!(host.get("/now").text(), "201 made");
    assert_eq!(host.get("/now").text(), "tls: as the test says");
    let refused = host.get("/now?url=https://other.example/").text();
    assert!(refused.starts_with("refused: ") && refused.contains("grants.http"), "{refused}");
    assert_eq!(host.get("/now").status(), 500);
    let fault = host.faults().pop().expect("nobody answers").text;
    assert!(fault.contains("host.answers"), "{fault}");
}

mod waiting {
    use super::now;

    tidegate_sdk::export! { now }
}
