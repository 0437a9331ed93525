//! WebSocket connections: handshakes, messages, ends.

use serde::Deserialize;
use tidegate_sdk::testing::{Denied, TestHost};
use tidegate_sdk::{
    Close, Error, Frame, Handshake, Json, Result, Socket, Websocket, export, websocket,
};

/// Does what it is told.
struct Puppet {
    how: String,
    number: u8,
}

#[websocket("/puppet/{how}/{number}")]
impl Websocket for Puppet {
    type State = ();
    type Incoming = String;

    fn connect(&self, socket: &mut Socket<()>) -> Result<Handshake> {
        socket.group_add("all")?;
        socket.send("welcome")?;
        match self.how.as_str() {
            "accept" => Ok(Handshake::accept().header("x-number", self.number.to_string())),
            "subprotocol" => Ok(Handshake::accept().subprotocol("v2")),
            "close" => {
                socket.close(4000, "not today")?;
                Ok(Handshake::accept())
            }
            "deny" => Ok(Handshake::deny()),
            "not-found" => Err(Error::not_found("no such room")),
            "fault" => Err(Error::failed("broken")),
            _ => panic!("unknown"),
        }
    }

    fn receive(&self, socket: &mut Socket<()>, text: String) -> Result<()> {
        socket.send(format!("got {text}"))?;
        match text.as_str() {
            "close" => socket.close(4001, "as you wish")?,
            "bad-code" => socket.close(1001, "")?,
            "long-reason" => socket.close(4000, "x".repeat(124))?,
            "leave" => socket.group_discard("all")?,
            "say" => socket.group_send("all", &Frame::text("to all"))?,
            "close-all" => socket.group_send("all", &Close::new(4002, "everybody out"))?,
            "fault" => return Err(Error::failed("broken")),
            "not-found" => return Err(Error::not_found("nobody waits for this")),
            "panic" => panic!("on purpose"),
            _ => {}
        }
        Ok(())
    }

    fn disconnect(&self, socket: &mut Socket<()>, close: Close) -> Result<()> {
        socket.send("too late")?;
        let in_scope = socket.scope().and_then(|scope| scope.param("how")).unwrap_or_default();
        socket.info(format!("{in_scope} {} {}", close.code, close.reason));
        Ok(())
    }
}

#[derive(Deserialize)]
struct Point {
    x: i32,
}

struct Strict;

#[websocket("/strict")]
impl Websocket for Strict {
    type State = ();
    type Incoming = Json<Point>;

    fn receive(&self, socket: &mut Socket<()>, Json(point): Json<Point>) -> Result<()> {
        socket.send_json(&(point.x + 1))
    }
}

struct Lenient;

#[websocket("/lenient")]
impl Websocket for Lenient {
    type State = ();
    type Incoming = Result<Json<Point>, String>;

    fn receive(&self, socket: &mut Socket<()>, point: Self::Incoming) -> Result<()> {
        socket.send(point.map_or_else(|error| error, |Json(point)| point.x.to_string()))?;
        Ok(())
    }
}

export! { Puppet, Strict, Lenient }

fn host() -> TestHost {
    TestHost::new(consumers())
}

#[test]
fn what_is_sent_while_connecting_follows_the_acceptance() {
    let host = host();
    let socket = host.websocket("/puppet/accept/7").connect().unwrap();
    assert_eq!(socket.header("x-number").as_deref(), Some("7"));
    socket.expect_text("welcome");
    socket.expect_nothing();
}

#[test]
fn a_close_while_connecting_reaches_the_client_with_its_code() {
    let host = host();
    let socket = host.websocket("/puppet/close/7").connect().unwrap();
    socket.expect_text("welcome");
    assert_eq!(socket.expect_close(4000).reason, "not today");
}

#[test]
fn handshakes_are_denied() {
    let table = [
        ("/puppet/deny/7", 403, 0),
        ("/puppet/not-found/7", 403, 0),
        ("/puppet/accept/300", 403, 0),
        ("/puppet/accept", 403, 0),
        ("/puppet/fault/7", 500, 1),
        ("/puppet/panic/7", 500, 1),
        // The client has not offered it.
        ("/puppet/subprotocol/7", 500, 1),
    ];
    for (path, status, faults) in table {
        let host = host();
        assert_eq!(host.websocket(path).connect().unwrap_err(), Denied { status }, "{path}");
        assert_eq!(host.faults().len(), faults, "{path}");
        assert_eq!(host.group("all"), Vec::<String>::new(), "{path}");
        assert_eq!(host.logs(), [], "a connection that never was has no end: {path}");
    }
}

#[test]
fn a_subprotocol_is_one_that_the_client_offered() {
    let host = host();
    let handshake = host.websocket("/puppet/subprotocol/7").subprotocol("v1").subprotocol("v2");
    assert_eq!(handshake.connect().unwrap().subprotocol().as_deref(), Some("v2"));
}

#[test]
fn a_fault_closes_with_1011_and_sends_nothing() {
    for how in ["fault", "panic", "not-found", "bad-code", "long-reason"] {
        let host = host();
        let socket = host.websocket("/puppet/accept/7").connect().unwrap();
        socket.expect_text("welcome");
        socket.send(how);
        socket.expect_close(1011);
        assert_eq!(host.faults().len(), 1, "{how}");
        assert_eq!(host.logs()[0].text, "accept 1011 ", "{how}");
        assert_eq!(host.group("all"), Vec::<String>::new(), "{how}");
    }
}

#[test]
fn every_end_is_told_once() {
    let host = host();
    let open = || host.websocket("/puppet/accept/7").connect().unwrap();
    let socket = open();
    socket.send("close");
    socket.expect_text("welcome");
    socket.expect_text("got close");
    socket.expect_close(4001);
    socket.close(1000);
    drop(socket);
    open().close(4321);
    drop(open());
    let logs: Vec<_> = host.logs().into_iter().map(|line| line.text).collect();
    assert_eq!(logs, ["accept 4001 as you wish", "accept 4321 ", "accept 1006 "]);
}

#[test]
fn a_group_reaches_its_members_and_nobody_else() {
    let host = host();
    let open = || {
        let socket = host.websocket("/puppet/accept/7").connect().unwrap();
        socket.expect_text("welcome");
        socket
    };
    let (one, two, three) = (open(), open(), open());
    two.send("leave");
    two.expect_text("got leave");
    drop(three);
    one.send("say");
    one.expect_text("got say");
    one.expect_text("to all");
    two.expect_nothing();
    assert_eq!(host.group("all").len(), 1);
    two.send("close-all");
    assert_eq!(one.expect_close(4002).reason, "everybody out");
    two.expect_text("got close-all");
    two.expect_nothing();
}

#[test]
fn a_message_that_does_not_read_closes_without_a_fault() {
    for frame in [Frame::text("{"), Frame::text("{\"y\":1}"), Frame::binary(*b"{\"x\":1}")] {
        let host = host();
        let socket = host.websocket("/strict").connect().unwrap();
        socket.send("{\"x\":1}");
        socket.expect_json(&2);
        socket.send(frame);
        assert!(!socket.expect_close(4400).reason.is_empty());
        assert_eq!(host.faults(), []);
    }
}

#[test]
fn the_reason_of_a_close_is_cut_at_a_character() {
    let host = host();
    let socket = host.websocket("/strict").connect().unwrap();
    // The error repeats the text, and the limit is 123 bytes.
    socket.send(format!("{{\"x\":\"{}\"}}", "ä".repeat(100)));
    let reason = socket.expect_close(4400).reason;
    assert!(reason.len() <= 123 && reason.len() > 119, "{reason}");
}

#[test]
fn a_consumer_may_answer_what_does_not_read() {
    let host = host();
    let socket = host.websocket("/lenient").connect().unwrap();
    socket.send(Frame::binary([]));
    socket.expect_text("expected a text message");
    socket.send_json(&tidegate_sdk::testing::json!({ "x": 5 }));
    socket.expect_text("5");
}

#[test]
fn a_reply_channel_takes_the_forms_of_channels_1() {
    use std::collections::BTreeMap;
    let host = host();
    let socket = host.websocket("/puppet/accept/7").connect().unwrap();
    socket.expect_text("welcome");
    let send = |key: &str, value: serde_json::Value| {
        host.send(socket.reply_channel(), &BTreeMap::from([(key, value)])).unwrap();
    };
    send("text", "hello".into());
    socket.expect_text("hello");
    send("nonsense", 1.into());
    send("close", 999.into());
    assert_eq!(host.drops().len(), 2);
    send("close", 4003.into());
    socket.expect_close(4003);
    // What the consumer sent when it was told of the end, and what comes now.
    send("text", "anybody?".into());
    assert_eq!(host.drops().len(), 4);
}
