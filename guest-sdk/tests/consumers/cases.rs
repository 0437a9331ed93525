//! Cases that must fail, and what they say.

use tidegate_sdk::testing::{TestHost, cases};
use tidegate_sdk::{
    Frame, Handshake, Json, Request, Response, Result, Socket, Websocket, export, http, websocket,
};

#[http("POST /double")]
fn double(request: &Request) -> Result<Json<Vec<i64>>> {
    let numbers: Vec<i64> = request.json()?;
    Ok(Json(numbers.into_iter().map(|number| number * 2).collect()))
}

#[http("GET /text")]
fn text() -> Response {
    Response::text("some text").header("x-kind", "test")
}

#[http("GET /held/{seconds}")]
fn held(cx: &mut tidegate_sdk::Context, seconds: u64) -> tidegate_sdk::Reply {
    cx.hold(std::time::Duration::from_secs(seconds))
}

struct Echo;

#[websocket("/echo")]
impl Websocket for Echo {
    type State = ();
    type Incoming = Frame;

    fn connect(&self, socket: &mut Socket<()>) -> Result<Handshake> {
        let offered = socket.scope().map(|scope| scope.subprotocols().to_vec());
        let first = offered.unwrap_or_default().into_iter().next();
        Ok(first.map_or_else(Handshake::accept, |name| Handshake::accept().subprotocol(name)))
    }

    fn receive(&self, socket: &mut Socket<()>, frame: Frame) -> Result<()> {
        if frame == Frame::text("bye") {
            return Ok(socket.close(4000, "bye")?);
        }
        Ok(socket.send(frame)?)
    }
}

export! { double, text, held, Echo }

/// Runs one case with these steps and gives the error.
fn run(steps: &str) -> Result<(), String> {
    let json = format!(r#"[{{ "name": "it", "steps": [{steps}] }}]"#);
    cases::run(&json, &mut TestHost::new(consumers())).map_err(|error| error.to_string())
}

#[test]
fn what_holds_passes() {
    let table = [
        r#"{"request": {"path": "/text"}, "expect": {"headers": {"X-Kind": "test"}}}"#,
        r#"{"request": {"path": "/text"}}"#,
        r#"{"request": {"path": "/held/30"}, "expect": {"status": 504}}"#,
        r#"{"request": {"method": "POST", "path": "/double", "json": [1, 2]}, "expect": {"json": [2, "*"]}}"#,
        r#"{"open": "a", "path": "/echo", "subprotocols": ["x", "y"], "expect": {"subprotocol": "x"}},
           {"send": "a", "json": {"k": [1, {"v": "w"}]}},
           {"receive": "a", "json": {"k": [1, {"v": "*"}]}},
           {"send": "a", "text": "bye"},
           {"expect_close": "a", "code": 4000}"#,
        r#"{"open": "a", "path": "/nowhere", "expect": {"denied": 403}}"#,
    ];
    for steps in table {
        assert_eq!(run(steps), Ok(()), "{steps}");
    }
}

#[test]
fn what_does_not_hold_says_what_came_instead() {
    let open = r#"{"open": "a", "path": "/echo"}"#;
    let table = [
        (
            r#"{"request": {"path": "/text"}, "expect": {"status": 404}}"#.to_owned(),
            r#"step 1: expected status 404, got status 200 with body "some text""#,
        ),
        (
            r#"{"request": {"path": "/text"}, "expect": {"text": "other"}}"#.to_owned(),
            r#"step 1: expected the body "other", got status 200 with body "some text""#,
        ),
        (
            r#"{"request": {"path": "/text"}, "expect": {"headers": {"x-kind": "best"}}}"#.to_owned(),
            "step 1: expected the header x-kind: best",
        ),
        (r#"{"request": {"path": "/held/31"}}"#.to_owned(), "step 1: the request is on hold for more than 30s"),
        (
            r#"{"request": {"method": "POST", "path": "/double", "json": [1]}, "expect": {"json": [2, "*"]}}"#
                .to_owned(),
            r#"step 1: expected [2,"*"], got status 200 with body "[2]""#,
        ),
        (
            r#"{"open": "a", "path": "/nowhere"}"#.to_owned(),
            "step 1: expected an open connection, got Denied(403)",
        ),
        (
            format!(r#"{open}, {{"send": "a", "text": "1"}}, {{"receive": "a", "hex": "31"}}"#),
            r#"step 3: expected [49], got Text("1")"#,
        ),
        (format!(r#"{open}, {{"receive": "a", "text": "1"}}"#), "step 2: nothing comes"),
        (
            format!(r#"{open}, {{"expect_close": "a", "code": 1000}}"#),
            "step 2: nothing comes",
        ),
        (r#"{"send": "b", "text": "1"}"#.to_owned(), r#"step 1: there is no connection "b""#),
    ];
    for (steps, expected) in table {
        let error = run(&steps).unwrap_err();
        assert!(error.starts_with(&format!("case \"it\", {expected}")), "{steps}: {error}");
    }
}

#[test]
fn a_step_that_means_nothing_is_refused() {
    let table = [
        (r#"{"send": "a", "text": "1", "json": 1}"#, "exactly one of text, json and hex"),
        (r#"{"send": "a"}"#, "exactly one of text, json and hex"),
        (r#"{"send": "a", "hex": "123"}"#, "is not pairs of hexadecimal digits"),
        (r#"{"send": "a", "receive": "a", "text": "1"}"#, "a step has exactly one of"),
        (r#"{"text": "1"}"#, "a step has exactly one of"),
        (r#"{"open": "a"}"#, "needs a path"),
        (r#"{"expect_close": "a"}"#, "needs a code"),
        (r#"{"recieve": "a", "text": "1"}"#, "unknown field `recieve`"),
        (r#"{"request": {"path": "/", "verb": "GET"}}"#, "unknown field `verb`"),
        (r#"{"request": {"path": "/"}, "expect": {"body": "x"}}"#, "unknown field `body`"),
    ];
    for (steps, expected) in table {
        let error = run(steps).unwrap_err();
        assert!(error.contains(expected), "{steps}: {error}");
    }
    let mut host = TestHost::new(consumers());
    assert!(cases::run("[]", &mut host).is_err(), "a file without cases tests nothing");
}
