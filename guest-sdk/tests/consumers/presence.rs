//! Presence in groups, as the test host has it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tidegate_sdk::testing::{TestHost, TestSocket, json};
use tidegate_sdk::{Frame, Group, Handshake, Json, Result, Socket, Websocket, export, websocket};

type Facts = BTreeMap<String, f64>;

struct Room {
    name: String,
}

#[websocket("/room/{name}")]
impl Websocket for Room {
    type State = ();
    type Incoming = Json<(String, f64)>;

    fn connect(&self, socket: &mut Socket<()>) -> Result<Handshake> {
        socket.present("room", &self.name, &Facts::new())?;
        Ok(Handshake::accept())
    }

    /// Present in the group of that name, in full, with a fact.
    fn receive(&self, socket: &mut Socket<()>, Json((group, fact)): Self::Incoming) -> Result<()> {
        let facts = Facts::from([("n".to_owned(), fact * 2.0)]);
        let done = socket.present(Group::named(group), &self.name, &facts);
        if let Err(error) = done {
            socket.send(error.to_string())?;
        }
        Ok(())
    }
}

export! {
    #[presence("*", leave_after = "0s", interval = "10s")]
    Room,
}

fn told(socket: &TestSocket) -> Value {
    let mut told: Value = socket.receive_json();
    told.get_mut("presence").map(Value::take).unwrap_or_default()
}

#[test]
fn who_came_and_left_between_two_announcements_stays_with_nobody() {
    let host = TestHost::new(consumers());
    let ada = host.websocket("/room/ada").connect().unwrap();
    assert_eq!(told(&ada)["members"], json!({ "ada": {} }));
    host.advance(Duration::from_secs(1));
    assert_eq!(told(&ada)["joined"], json!({ "ada": {} }));
    let bob = host.websocket("/room/bob").connect().unwrap();
    let eve = host.websocket("/room/eve").connect().unwrap();
    assert_eq!(told(&eve)["members"], json!({ "ada": {}, "bob": {}, "eve": {} }));
    bob.close(1000);
    host.advance(Duration::from_secs(10));
    let change = told(&eve);
    assert_eq!((&change["joined"], &change["left"]), (&json!({ "eve": {} }), &json!(["bob"])));
    assert_eq!(host.members("room"), ["ada", "eve"]);
}

#[test]
fn facts_and_groups_have_the_rules_of_the_host() {
    let host = TestHost::new(consumers()).granted("other.room");
    let ada = host.websocket("/room/ada").connect().unwrap();
    told(&ada);
    host.advance(Duration::from_secs(1));
    told(&ada);
    for (group, fact, rule) in [
        ("test.room", "1e308", "the fact \"n\" has bytes, or a number that is not finite"),
        ("foreign.room", "1", "foreign.room"),
        ("_user.ada", "1", "one of the host's own"),
    ] {
        ada.send(format!("[{group:?}, {fact}]"));
        let Some(Frame::Text(text)) = ada.receive() else { panic!("{group}") };
        assert!(text.contains(rule), "{group}: {text}");
    }
    // How members of a group of another module are announced is up to that module.
    ada.send(r#"["other.room", 1]"#);
    host.advance(Duration::from_secs(60));
    assert_eq!(host.members(Group::named("other.room")), ["ada"]);
    ada.expect_nothing();
}
