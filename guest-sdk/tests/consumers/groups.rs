//! Groups by declaration.

use tidegate_sdk::testing::{Denied, TestHost, json};
use tidegate_sdk::{
    Close, Context, Error, Frame, Group, Handshake, Json, Result, Socket, Websocket, export, http,
    websocket,
};

struct Room {
    name: String,
    how: String,
}

#[websocket("/room/{name}/{how}")]
impl Websocket for Room {
    type State = ();
    type Incoming = Json<String>;

    fn groups(&self) -> Vec<Group<'static>> {
        // A name that is refused tells that somebody tried to join.
        let name = match self.how.as_str() {
            "bad-name" | "deny" | "not-found" => "no spaces, please",
            _ => &self.name,
        };
        vec![name.to_owned().into(), "everybody".into(), Group::named("alerts.all")]
    }

    fn connect(&self, socket: &mut Socket<()>) -> Result<Handshake> {
        socket.group_send(&self.name, &Frame::text("somebody comes"))?;
        socket.send("welcome")?;
        match self.how.as_str() {
            "deny" => Ok(Handshake::deny()),
            "not-found" => Err(Error::not_found("no such room")),
            "fault" => Err(Error::failed("broken")),
            "close" => {
                socket.close(4000, "not today")?;
                Ok(Handshake::accept())
            }
            _ => Ok(Handshake::accept()),
        }
    }

    fn receive(&self, socket: &mut Socket<()>, Json(line): Json<String>) -> Result<()> {
        match line.as_str() {
            "leave" => Ok(socket.group_discard(&self.name)?),
            _ => socket.group_send_json(&self.name, &json!({ "said": line })),
        }
    }

    fn disconnect(&self, socket: &mut Socket<()>, _: Close) -> Result<()> {
        socket.group_send(&self.name, &Frame::text("somebody leaves"))?;
        Ok(())
    }
}

#[http("POST /alert")]
fn alert(cx: &mut Context) -> Result<&'static str> {
    cx.group_send(Group::named("alerts.all"), &Frame::text("storm"))?;
    Ok("sent\n")
}

export! { Room, alert }

fn host() -> TestHost {
    TestHost::new(consumers()).granted("alerts.all")
}

#[test]
fn who_is_let_in_is_in_the_groups_until_the_end() {
    let host = host();
    let one = host.websocket("/room/blue/in").connect().unwrap();
    one.expect_text("welcome");
    let two = host.websocket("/room/blue/in").connect().unwrap();
    // The one that comes is no member yet.
    one.expect_text("somebody comes");
    two.expect_text("welcome");
    two.send_json(&"ahoy");
    one.expect_json(&json!({ "said": "ahoy" }));
    two.expect_json(&json!({ "said": "ahoy" }));
    assert_eq!(host.request("POST", "/alert").send().status(), 200);
    one.expect_text("storm");
    two.expect_text("storm");
    two.close(1000);
    one.expect_text("somebody leaves");
    for group in [Group::from("blue"), "everybody".into(), Group::named("alerts.all")] {
        assert_eq!(host.group(group), [one.reply_channel()]);
    }
    drop(one);
    assert_eq!(host.group("everybody"), Vec::<String>::new());
}

#[test]
fn a_group_that_was_joined_by_declaration_can_be_left() {
    let host = host();
    let socket = host.websocket("/room/blue/in").connect().unwrap();
    socket.send_json(&"leave");
    assert_eq!(host.group("blue"), Vec::<String>::new());
    assert_eq!(host.group("everybody").len(), 1);
}

#[test]
fn a_handshake_that_is_not_accepted_joins_nothing() {
    let table = [("deny", 403, 0), ("not-found", 403, 0), ("fault", 500, 1), ("bad-name", 500, 1)];
    for (how, status, faults) in table {
        let host = host();
        let denied = host.websocket(&format!("/room/blue/{how}")).connect().unwrap_err();
        assert_eq!(denied, Denied { status }, "{how}");
        assert_eq!(host.faults().len(), faults, "{how}");
        for group in ["blue", "everybody"] {
            assert_eq!(host.group(group), Vec::<String>::new(), "{how}");
        }
    }
}

#[test]
fn a_connection_that_is_closed_at_once_is_in_no_group() {
    let host = host();
    let socket = host.websocket("/room/blue/close").connect().unwrap();
    socket.expect_text("welcome");
    assert_eq!(socket.expect_close(4000).reason, "not today");
    assert_eq!(host.group("blue"), Vec::<String>::new());
}
