//! Is present in groups, tells who is there, and what it was told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegate_sdk::{
    Context, Frame, Handshake, Json, PresenceChange, PresenceError, Reply, Response, Result,
    Socket, Websocket, channel, export, http, websocket,
};

type Facts = BTreeMap<String, serde_json::Value>;

struct Room {
    room: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Incoming {
    /// Change the facts.
    Facts(Facts),
    /// Become another member.
    Become(String),
    /// Facts with a text of so many bytes.
    Large(usize),
    /// A fact that is bytes.
    Bytes,
    /// A list of members after a cursor.
    List(Option<String>, u32),
    /// So many lists.
    Lists(u32),
    Count,
    /// Present in the group of a name in full.
    In(String),
    /// Leave the group.
    Leave,
    /// Fail after the call.
    Fail,
}

#[derive(Serialize)]
struct Blob(#[serde(serialize_with = "as_bytes")] ());

fn as_bytes<S: serde::Serializer>((): &(), serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_bytes(b"\x00")
}

impl Room {
    fn group(&self) -> String {
        format!("room.{}", self.room)
    }

    fn answer(
        &self,
        socket: &mut Socket<()>,
        done: std::result::Result<(), PresenceError>,
    ) -> Result<()> {
        let text = done.map_or_else(|error| error.to_string(), |()| "ok".to_owned());
        Ok(socket.send(text)?)
    }
}

#[websocket("/room/{room}/{name}")]
impl Websocket for Room {
    type State = ();
    type Incoming = Result<Json<Incoming>, String>;

    fn connect(&self, socket: &mut Socket<()>) -> Result<Handshake> {
        socket.present(self.group(), &self.name, &Facts::new())?;
        Ok(Handshake::accept())
    }

    fn receive(&self, socket: &mut Socket<()>, incoming: Self::Incoming) -> Result<()> {
        let Ok(Json(incoming)) = incoming else { return Ok(socket.send("what?")?) };
        let group = self.group();
        match incoming {
            Incoming::Facts(facts) => {
                let done = socket.present(group, &self.name, &facts);
                self.answer(socket, done)
            }
            Incoming::Become(name) => {
                let done = socket.present(group, &name, &Facts::new());
                self.answer(socket, done)
            }
            Incoming::Large(bytes) => {
                let done =
                    socket.present(group, &self.name, &BTreeMap::from([("x", "x".repeat(bytes))]));
                self.answer(socket, done)
            }
            Incoming::Bytes => {
                let done = socket.present(group, &self.name, &BTreeMap::from([("x", Blob(()))]));
                self.answer(socket, done)
            }
            Incoming::List(cursor, limit) => {
                match socket.members::<Facts>(group, cursor.as_deref(), limit) {
                    Ok(page) => {
                        let keys: Vec<_> = page.members.iter().map(|member| &member.key).collect();
                        socket.send_json(&(keys, page.count, &page.cursor))
                    }
                    Err(error) => self.answer(socket, Err(error)),
                }
            }
            Incoming::Lists(count) => {
                let done =
                    (0..count).try_for_each(|_| socket.member_count(group.clone()).map(drop));
                self.answer(socket, done)
            }
            Incoming::Count => {
                let count = socket.member_count(group)?;
                Ok(socket.send(count.to_string())?)
            }
            Incoming::In(name) => {
                let done = socket.present(tidegate_sdk::Group::named(&name), "x", &Facts::new());
                self.answer(socket, done)
            }
            Incoming::Leave => Ok(socket.group_discard(group)?),
            Incoming::Fail => {
                socket.present(group, "failed", &Facts::new())?;
                Err(tidegate_sdk::Error::failed("as asked"))
            }
        }
    }
}

/// The same as server-sent events.
#[http("GET /events/{room}/{name}")]
fn events(cx: &mut Context, room: &str, name: &str) -> Result<Reply> {
    cx.start_stream(Response::new(200).header("content-type", "text/event-stream"))?;
    cx.present(format!("room.{room}"), name, &Facts::new())?;
    Ok(cx.hold(std::time::Duration::from_secs(60)))
}

#[http("GET /members/{room}")]
fn members(cx: &mut Context, room: &str) -> Result<String> {
    let page = cx.members::<Facts>(format!("room.{room}"), None, 1_000)?;
    let members: BTreeMap<_, _> = page.members.into_iter().map(|it| (it.key, it.facts)).collect();
    Ok(serde_json::to_string(&members)?)
}

/// Tells whoever watches what the channel was told.
#[channel("presence.changes")]
fn changes(cx: &mut Context, change: PresenceChange<Facts>) -> Result<()> {
    cx.group_send("watchers", &Frame::json(&change)?)?;
    Ok(())
}

struct Watch;

#[websocket("/watch")]
impl Websocket for Watch {
    type State = ();
    type Incoming = String;

    fn groups(&self) -> Vec<tidegate_sdk::Group<'static>> {
        vec!["watchers".into()]
    }

    fn receive(&self, _: &mut Socket<()>, _: String) -> Result<()> {
        Ok(())
    }
}

export! {
    #[presence("room.*", leave_after = "2s", interval = "100ms", list = 3)]
    Room,
    #[presence("room.told", leave_after = "500ms", interval = "100ms", list = 3)]
    changes,
    events,
    members,
    Watch,
}

fn main() {}
