//! Several streams over one WebSocket.

use serde::{Deserialize, Serialize};
use tidegate_sdk::testing::{Denied, TestHost, TestSocket, json};
use tidegate_sdk::{
    Close, Context, Demultiplexer, Error, Frame, Group, Handshake, Json, OldState, Result, Socket,
    State, StreamConsumer, StreamSocket, StreamStates, Streams, export, http, websocket,
};

struct Live {
    room: String,
}

#[websocket("/live/{room}")]
impl Demultiplexer for Live {
    fn streams(&self) -> Streams<'_> {
        Streams::new().with("chat", Chat { room: &self.room }).with("notes", Notes)
    }

    fn connect(&self, socket: &mut Socket<StreamStates>) -> Result<Handshake> {
        socket.send(Frame::stream("live", &"welcome")?)?;
        Ok(if self.room == "locked" { Handshake::deny() } else { Handshake::accept() })
    }
}

struct Chat<'a> {
    room: &'a str,
}

#[derive(Serialize, Deserialize)]
struct Lines {
    count: u32,
}

impl State for Lines {}

impl StreamConsumer for Chat<'_> {
    type State = Lines;
    type Incoming = Json<String>;

    fn groups(&self) -> Vec<Group<'static>> {
        vec![self.room.to_owned().into()]
    }

    fn connect(&self, socket: &mut StreamSocket<'_, Lines>) -> Result<()> {
        match self.room {
            "full" => return Err(Error::not_found("no room left")),
            "broken" => return Err(Error::failed("broken")),
            _ => {}
        }
        socket.set_state(Lines { count: 0 })?;
        socket.send_json(&json!({ "joined": self.room }))
    }

    fn receive(
        &self,
        socket: &mut StreamSocket<'_, Lines>,
        Json(line): Json<String>,
    ) -> Result<()> {
        match line.as_str() {
            "close" => return Ok(socket.close(4001, "as you wish")?),
            "fault" => return Err(Error::failed("on purpose")),
            _ => {}
        }
        let count = socket.state().map_or(0, |lines| lines.count) + 1;
        socket.set_state(Lines { count })?;
        socket.group_send_json(self.room, &format!("{count}: {line}"))
    }

    fn disconnect(&self, socket: &mut StreamSocket<'_, Lines>, close: Close) -> Result<()> {
        let count = socket.state().map_or(0, |lines| lines.count);
        socket.info(format!("{} {} after {count}", socket.name(), close.code));
        Ok(())
    }
}

/// Keeps a text, and answers what it cannot read.
struct Notes;

#[derive(Serialize, Deserialize)]
struct Note {
    text: String,
}

impl State for Note {}

impl StreamConsumer for Notes {
    type State = Note;
    type Incoming = Result<Json<Note>, String>;

    fn receive(&self, socket: &mut StreamSocket<'_, Note>, note: Self::Incoming) -> Result<()> {
        let Ok(Json(note)) = note else { return socket.send_json(&"what?") };
        let before = socket.state().map(|note| note.text.len());
        let outcome = socket.set_state(note);
        let outcome = outcome.map_or_else(|error| error.to_string(), |()| "kept".to_owned());
        socket.send_json(&json!({ "before": before, "outcome": outcome }))
    }

    fn disconnect(&self, socket: &mut StreamSocket<'_, Note>, _: Close) -> Result<()> {
        socket.info(format!("{} ends", socket.name()));
        Ok(())
    }
}

#[http("POST /say/{room}")]
fn say(cx: &mut Context, room: &str) -> Result<&'static str> {
    cx.group_send(room, &Frame::stream("chat", &"from outside")?)?;
    Ok("said\n")
}

export! { Live, say }

fn open(host: &TestHost) -> TestSocket {
    let socket = host.websocket("/live/blue").connect().expect("the room is open");
    socket.expect_json(&json!({ "stream": "live", "payload": "welcome" }));
    socket.expect_json(&json!({ "stream": "chat", "payload": { "joined": "blue" } }));
    socket
}

fn note(bytes: usize) -> serde_json::Value {
    json!({ "stream": "notes", "payload": { "text": "x".repeat(bytes) } })
}

#[test]
fn each_stream_has_its_own_consumer_groups_and_state() {
    let host = TestHost::new(consumers());
    let (one, two) = (open(&host), open(&host));
    for count in 1..=2 {
        one.send_json(&json!({ "stream": "chat", "payload": "hi" }));
        for socket in [&one, &two] {
            let text = format!("{count}: hi");
            socket.expect_json(&json!({ "stream": "chat", "payload": text }));
        }
        let before = if count == 1 { None } else { Some(5) };
        one.send_json(&note(5));
        let payload = json!({ "before": before, "outcome": "kept" });
        one.expect_json(&json!({ "stream": "notes", "payload": payload }));
    }
    assert_eq!(host.request("POST", "/say/blue").send().status(), 200);
    two.expect_json(&json!({ "stream": "chat", "payload": "from outside" }));
    two.expect_nothing();
}

#[test]
fn every_stream_is_told_of_the_end() {
    let host = TestHost::new(consumers());
    let socket = open(&host);
    socket.send_json(&json!({ "stream": "chat", "payload": "close" }));
    assert_eq!(socket.expect_close(4001).reason, "as you wish");
    let logs: Vec<_> = host.logs().into_iter().map(|line| line.text).collect();
    assert_eq!(logs, ["chat 4001 after 0", "notes ends"]);
    assert_eq!(host.group("blue"), Vec::<String>::new());
}

#[test]
fn a_handshake_is_denied_by_the_demultiplexer_or_by_a_stream() {
    for (room, status, faults) in [("locked", 403, 0), ("full", 403, 0), ("broken", 500, 1)] {
        let host = TestHost::new(consumers());
        let denied = host.websocket(&format!("/live/{room}")).connect().unwrap_err();
        assert_eq!(denied, Denied { status }, "{room}");
        assert_eq!(host.faults().len(), faults, "{room}");
        assert_eq!(host.group(room), Vec::<String>::new(), "{room}");
    }
}

#[test]
fn what_is_no_frame_of_a_stream_closes_without_a_fault() {
    let table = [
        (Frame::text("{"), 4400, "EOF"),
        (Frame::text(r#"["chat", "hi"]"#), 4400, "expected a JSON object"),
        (Frame::text(""), 4400, "expected a JSON object"),
        (Frame::binary(*b"{}"), 4400, "expected a text message"),
        (Frame::text(r#"{"stream": "chat"}"#), 4400, "missing field `payload`"),
        (Frame::text(r#"{"payload": "hi"}"#), 4400, "missing field `stream`"),
        (Frame::text(r#"{"stream": 1, "payload": "hi"}"#), 4400, "invalid type"),
        (Frame::text(r#"{"stream": "chat", "payload": "hi", "id": 1}"#), 4400, "unknown field"),
        (Frame::text(r#"{"stream": "chat", "payload": 1}"#), 4400, "stream \"chat\": invalid type"),
        (Frame::text(r#"{"stream": "tea", "payload": 1}"#), 4404, "there is no stream \"tea\""),
        (Frame::text(format!(r#"{{"stream": "{}", "payload": 1}}"#, "ä".repeat(99))), 4404, "ä"),
    ];
    for (frame, code, reason) in table {
        let host = TestHost::new(consumers());
        let socket = open(&host);
        socket.send(frame.clone());
        let close = socket.expect_close(code);
        assert!(close.reason.contains(reason), "{frame:?}: {}", close.reason);
        assert_eq!(host.faults(), [], "{frame:?}");
    }
}

#[test]
fn a_stream_may_answer_what_does_not_read() {
    let host = TestHost::new(consumers());
    let socket = open(&host);
    socket.send_json(&json!({ "stream": "notes", "payload": null }));
    socket.expect_json(&json!({ "stream": "notes", "payload": "what?" }));
}

#[test]
fn a_fault_of_one_stream_ends_the_connection() {
    let host = TestHost::new(consumers());
    let socket = open(&host);
    socket.send_json(&json!({ "stream": "chat", "payload": "fault" }));
    socket.expect_close(1011);
    assert_eq!(host.faults()[0].text, "on purpose");
}

#[test]
fn the_states_of_all_streams_share_16_kib() {
    let host = TestHost::new(consumers());
    let socket = open(&host);
    let outcome = |bytes| {
        socket.send_json(&note(bytes));
        let told: serde_json::Value = socket.receive_json();
        told["payload"]["outcome"].as_str().unwrap().to_owned()
    };
    assert_eq!(outcome(16_000), "kept");
    let refused = outcome(16_384 - 60);
    assert!(refused.ends_with("bytes, and the limit is 16384"), "{refused}");
    // What was there is still there.
    socket.send_json(&note(0));
    let payload = json!({ "before": 16_000, "outcome": "kept" });
    socket.expect_json(&json!({ "stream": "notes", "payload": payload }));
}

#[test]
#[should_panic(expected = "two streams are named \"chat\"")]
fn two_streams_cannot_have_one_name() {
    drop(Streams::new().with("chat", Chat { room: "" }).with("chat", Notes));
}

/// Another version: `chat` has another state, and `notes` is gone.
mod next {
    use super::*;

    pub(super) struct Live;

    #[websocket("/live")]
    impl Demultiplexer for Live {
        fn streams(&self) -> Streams<'_> {
            Streams::new().with("chat", Chat)
        }
    }

    struct Chat;

    #[derive(Serialize, Deserialize)]
    struct Total {
        total: u64,
    }

    impl State for Total {
        const SCHEMA: u32 = 2;

        fn migrate(_: u32, old: OldState<'_>) -> Result<Self> {
            let Lines { count } = old.read()?;
            Ok(Self { total: u64::from(count) * 100 })
        }
    }

    impl StreamConsumer for Chat {
        type State = Total;
        type Incoming = Json<String>;

        fn receive(&self, socket: &mut StreamSocket<'_, Total>, _: Json<String>) -> Result<()> {
            let total = socket.state().map_or(0, |state| state.total) + 1;
            socket.set_state(Total { total })?;
            socket.send_json(&total)
        }
    }

    tidegate_sdk::export! { Live }
}

#[test]
fn each_stream_migrates_its_state_and_one_that_is_gone_keeps_it() {
    let host = TestHost::new(consumers());
    let socket = open(&host);
    socket.send_json(&note(7));
    assert!(socket.receive().is_some());
    socket.send_json(&json!({ "stream": "chat", "payload": "hi" }));
    assert!(socket.receive().is_some());
    host.replace(next::consumers());
    socket.send_json(&json!({ "stream": "chat", "payload": "hi" }));
    socket.expect_json(&json!({ "stream": "chat", "payload": 101 }));
    // A rollback: the first version finds its notes, and cannot read the newer lines.
    host.replace(consumers());
    socket.send_json(&note(0));
    let payload = json!({ "before": 7, "outcome": "kept" });
    socket.expect_json(&json!({ "stream": "notes", "payload": payload }));
    socket.send_json(&json!({ "stream": "chat", "payload": "hi" }));
    socket.expect_close(1012);
}
