//! HTTP requests: answers, streams, holds.

use std::time::Duration;

use tidegate_sdk::testing::TestHost;
use tidegate_sdk::{Chunk, Context, Json, Reply, Request, Response, Result, channel, export, http};

#[http("GET /users/{id}")]
fn user(id: u32) -> String {
    format!("user {id}")
}

#[http("GET /users/me")]
fn me() -> &'static str {
    "me"
}

#[http("GET|POST /both")]
fn both(request: Request) -> Response {
    let method = request.method().to_owned();
    Response::text(method).header("x-body", request.into_body())
}

#[http("GET /files/{*path}")]
fn files(_path: String, request: &Request) -> Path {
    Path(request.param("path").unwrap_or("none").to_owned())
}

/// A return type of the application.
struct Path(String);

impl tidegate_sdk::IntoReply for Path {
    fn into_reply(self) -> Result<Reply> {
        (203, self.0).into_reply()
    }
}

#[http("POST /json")]
fn json(request: &Request) -> Result<(u16, Json<Vec<u32>>)> {
    let mut numbers: Vec<u32> = request.json()?;
    numbers.reverse();
    Ok((201, Json(numbers)))
}

#[http("GET /header/{name}/{value}")]
fn header(name: String, value: String) -> Response {
    Response::new(200).header(name, value)
}

#[http("GET /status/{status}")]
fn status(status: u16) -> Response {
    Response::new(status)
}

#[http("GET /stream/{end}")]
fn stream(cx: &mut Context, end: bool) -> Result<Reply> {
    cx.start_stream(Response::text("a"))?;
    cx.write("b")?;
    cx.flush()?;
    cx.write("c")?;
    if end {
        return Ok(cx.end_stream()?);
    }
    Err(tidegate_sdk::Error::failed("broke off"))
}

#[http("GET /open-stream")]
fn open_stream(cx: &mut Context) -> Result<Reply> {
    cx.start_stream(Response::new(200))?;
    cx.write("first ")?;
    cx.group_add("waiting")?;
    Ok(cx.hold(Duration::from_secs(10)))
}

#[http("GET /answered-twice")]
fn answered_twice(cx: &mut Context) -> Result<Response> {
    cx.start_stream(Response::new(200))?;
    Ok(Response::text("again"))
}

#[http("GET /wait", disconnect = left)]
fn wait(cx: &mut Context) -> Result<Reply> {
    cx.group_add("waiting")?;
    Ok(cx.hold(Duration::from_secs(10)).or(Response::new(204)))
}

#[http("GET /wait-without-fallback")]
fn wait_without_fallback(cx: &mut Context) -> Reply {
    cx.hold(Duration::from_secs(10))
}

#[http("GET /wait-too-long")]
fn wait_too_long(cx: &mut Context) -> Reply {
    cx.hold(Duration::from_secs(60 * 60 + 1))
}

fn left(cx: &mut Context) -> Result<()> {
    assert!(cx.reply_channel().is_some());
    assert_eq!(cx.scope().map(|scope| scope.path()), Some("/wait"));
    cx.info("left");
    Ok(())
}

#[channel("answer")]
fn answer(cx: &mut Context) -> Result<()> {
    assert_eq!(cx.reply_channel(), None);
    assert_eq!(cx.scope(), None);
    assert!(cx.group_add("waiting").is_err(), "there is nobody to add");
    cx.group_send("waiting", &Response::text("late").status(201))?;
    Ok(())
}

/// Goes on with the streams of others, and ends them.
#[channel("go-on")]
fn go_on(cx: &mut Context) -> Result<()> {
    cx.group_send("waiting", &Chunk::new(""))?;
    cx.group_send("waiting", &Chunk::new("second "))?;
    cx.group_send("waiting", &Chunk::last("third"))?;
    cx.group_send("waiting", &Chunk::end())?;
    Ok(())
}

export! {
    user, me, both, files, json, header, status, stream, open_stream, answered_twice, wait,
    wait_without_fallback, wait_too_long, answer, go_on,
}

fn host() -> TestHost {
    TestHost::new(consumers())
}

fn answer_all(host: &TestHost) {
    host.send("answer", &std::collections::BTreeMap::<String, u32>::new())
        .expect("a valid message");
}

#[test]
fn a_literal_segment_goes_before_a_parameter() {
    assert_eq!(host().get("/users/me").text(), "me");
    assert_eq!(host().get("/users/%6De").text(), "me");
    assert_eq!(host().get("/users/7").text(), "user 7");
}

#[test]
fn a_parameter_that_does_not_parse_is_not_found() {
    for path in ["/users/seven", "/users/-1", "/users/4294967296"] {
        assert_eq!(host().get(path).status(), 404, "{path}");
    }
}

#[test]
fn paths_that_nobody_has() {
    for path in ["/", "/users", "/users/", "/users/7/", "/users//7", "/files/"] {
        assert_eq!(host().get(path).status(), 404, "{path}");
    }
    assert_eq!(host().get("/users/%ff").status(), 400);
}

#[test]
fn the_rest_of_a_path_keeps_its_slashes() {
    let response = host().get("/files/a/b%2Fc/?q=1");
    assert_eq!((response.status(), response.text().as_str()), (203, "a/b/c/"));
}

#[test]
fn methods_are_told_apart() {
    assert_eq!(host().request("POST", "/both").send().text(), "POST");
    let wrong = host().request("DELETE", "/both").send();
    assert_eq!((wrong.status(), wrong.header("allow").unwrap().as_str()), (405, "GET, POST, HEAD"));
    let head = host().request("HEAD", "/both").send();
    assert_eq!((head.status(), head.text().as_str()), (200, ""));
}

#[test]
fn a_body_that_does_not_read_is_the_clients_mistake() {
    let host = host();
    assert_eq!(host.request("POST", "/json").body("[1, 2]").send().text(), "[2,1]");
    let response = host.request("POST", "/json").body("[1, \"2\"]").send();
    assert_eq!(response.status(), 400);
    assert!(response.text().contains("column 7"), "{}", response.text());
    assert_eq!(host.faults(), []);
}

#[test]
fn a_response_that_may_not_be_sent_is_a_fault() {
    let paths = [
        "/header/connection/close",
        "/header/Content-Length/5",
        "/header/a%20b/c",
        "/header/a/b%0D%0Ac:%20d",
        "/header/a/%20b",
        "/status/199",
        "/status/600",
        "/wait-too-long",
    ];
    for path in paths {
        let host = host();
        assert_eq!(host.get(path).status(), 500, "{path}");
        assert_eq!(host.faults().len(), 1, "{path}");
    }
    assert_eq!(host().get("/header/x-a/b").header("X-A").as_deref(), Some("b"));
}

#[test]
fn a_stream_is_one_response() {
    let response = host().get("/stream/true");
    assert_eq!((response.status(), response.text().as_str()), (200, "abc"));
    assert!(!response.is_pending());
}

#[test]
fn the_first_answer_counts() {
    let host = host();
    let response = host.get("/answered-twice");
    assert_eq!((response.status(), response.text().as_str()), (200, ""));
    assert!(!response.is_pending());
    assert_eq!((host.drops().len(), host.faults().len()), (1, 0));
}

#[test]
fn a_fault_ends_a_stream_after_what_was_flushed() {
    let host = host();
    assert_eq!(host.get("/stream/false").text(), "ab");
    assert_eq!(host.faults()[0].text, "broke off");
}

#[test]
fn a_held_request_is_answered_by_somebody_else() {
    let host = host();
    let one = host.get("/wait");
    let other = host.get("/wait");
    assert!(one.is_pending() && other.is_pending());
    assert_eq!(host.group("waiting").len(), 2);
    answer_all(&host);
    assert_eq!((one.status(), one.text().as_str()), (201, "late"));
    assert_eq!(other.status(), 201);
    assert_eq!(host.group("waiting"), Vec::<String>::new());
    answer_all(&host);
    assert_eq!(host.drops(), Vec::<String>::new());
}

#[test]
fn a_hold_expires() {
    let host = host();
    let with = host.get("/wait");
    let without = host.get("/wait-without-fallback");
    host.advance(Duration::from_millis(9_999));
    assert!(with.is_pending() && without.is_pending());
    host.advance(Duration::from_millis(1));
    assert_eq!((with.status(), without.status()), (204, 504));
    assert_eq!(host.group("waiting"), Vec::<String>::new());
}

#[test]
fn a_held_stream_is_ended_when_the_hold_expires() {
    let host = host();
    let response = host.get("/open-stream");
    assert!(response.is_pending());
    assert_eq!((response.status(), response.text().as_str()), (200, "first "));
    host.advance(Duration::from_secs(10));
    assert!(!response.is_pending());
    assert_eq!(response.text(), "first ");
}

#[test]
fn a_held_stream_goes_on_and_ends_from_afar() {
    let host = host();
    let response = host.get("/open-stream");
    host.send("go-on", &std::collections::BTreeMap::<String, u32>::new()).expect("a valid message");
    assert!(!response.is_pending());
    assert_eq!(response.text(), "first second third", "what comes after the end is nothing");
}

#[test]
fn a_client_that_leaves_is_noticed_once_and_only_before_the_end() {
    let host = host();
    host.get("/wait").leave();
    assert_eq!(host.logs().len(), 1);
    assert_eq!(host.group("waiting"), Vec::<String>::new());
    let waiting = host.get("/wait");
    answer_all(&host);
    waiting.leave();
    host.get("/wait-without-fallback").leave();
    assert_eq!(host.logs().len(), 1);
    assert_eq!(host.faults(), []);
}
