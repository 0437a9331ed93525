//! Groups that are remembered, for each protocol.

use std::time::Duration;

use serde::Deserialize;
use tidegate_sdk::{
    Context, Error, Frame, Group, Handshake, Position, Reply, Request, Response, Result, Since,
    Socket, Websocket, export, http, sse, websocket,
};

/// From where a client says that it was, with so many of the latest in its place.
fn since<'a>(cx: &Context, group: impl Into<Group<'a>>) -> Since {
    let latest = cx.scope().and_then(|scope| scope.query("latest"));
    let latest = latest.and_then(|text| text.parse().ok()).unwrap_or(0);
    Since::position(cx.last_position(group)).or_latest(latest)
}

struct Room {
    name: String,
}

#[websocket("/room/{name}")]
impl Websocket for Room {
    type State = ();
    type Incoming = Frame;

    fn connect(&self, socket: &mut Socket<()>) -> Result<Handshake> {
        let group = format!("room.{}", self.name);
        let since = since(socket, &group);
        socket.group_join(&group, since)?;
        Ok(Handshake::accept())
    }

    fn receive(&self, socket: &mut Socket<()>, frame: Frame) -> Result<()> {
        match frame {
            // Once more, from where it says.
            Frame::Text(text) if text.starts_with("join ") || text.starts_with("again ") => {
                let (how, position) = text.split_once(' ').unwrap_or_default();
                let (position, group) = (Position::from(position), format!("room.{}", self.name));
                if how == "again" {
                    socket.group_discard(&group)?;
                }
                Ok(socket.group_join(&group, Since::position(Some(position)))?)
            }
            frame => Ok(socket.group_send(format!("room.{}", self.name), &frame)?),
        }
    }
}

struct Plain {
    name: String,
}

#[websocket("/plain/{name}")]
impl Websocket for Plain {
    type State = ();
    type Incoming = Frame;

    fn groups(&self) -> Vec<Group<'static>> {
        vec![format!("room.{}", self.name).into()]
    }

    fn receive(&self, _: &mut Socket<()>, _: Frame) -> Result<()> {
        Ok(())
    }
}

/// One of many, in a group that is remembered if it is one of `kept`.
struct Crowd {
    group: String,
}

#[websocket("/crowd/{group}")]
impl Websocket for Crowd {
    type State = ();
    type Incoming = Frame;

    fn connect(&self, socket: &mut Socket<()>) -> Result<Handshake> {
        match self.group.starts_with("kept.") {
            true => socket.group_join(&self.group, Since::now())?,
            false => socket.group_add(&self.group)?,
        }
        Ok(Handshake::accept())
    }

    fn receive(&self, _: &mut Socket<()>, _: Frame) -> Result<()> {
        Ok(())
    }
}

/// Sends to a group, and says so.
struct Crier {
    group: String,
}

#[websocket("/crier/{group}")]
impl Websocket for Crier {
    type State = ();
    type Incoming = Frame;

    fn receive(&self, socket: &mut Socket<()>, frame: Frame) -> Result<()> {
        socket.group_send(&self.group, &frame)?;
        Ok(socket.send("sent")?)
    }
}

#[http("POST /room/{name}")]
fn say(cx: &mut Context, name: String, request: &Request) -> Result<&'static str> {
    cx.group_send(format!("room.{name}"), &Frame::text(request.text()?))?;
    Ok("said\n")
}

#[http("GET /events/{name}")]
fn events(cx: &mut Context, name: String) -> Result<Reply> {
    let group = format!("events.{name}");
    // What was missed may come before the head: the host keeps it.
    let since = since(cx, &group);
    cx.group_join(&group, since)?;
    sse::start(cx)?;
    Ok(cx.hold(Duration::from_secs(60)))
}

#[http("POST /events/{name}")]
fn happen(cx: &mut Context, name: String, request: &Request) -> Result<&'static str> {
    cx.group_send(format!("events.{name}"), &sse::Event::data(request.text()?))?;
    Ok("happened\n")
}

#[http("GET /poll/{name}")]
fn poll(cx: &mut Context, name: String, request: &Request) -> Result<Reply> {
    let wait = request.query("wait").and_then(|text| text.parse().ok()).unwrap_or(60_000);
    let group = format!("news.{name}");
    let since = since(cx, &group);
    cx.group_join(&group, since)?;
    Ok(cx.hold(Duration::from_millis(wait)).or(Response::new(204)))
}

#[http("POST /poll/{name}")]
fn publish(cx: &mut Context, name: String, request: &Request) -> Result<&'static str> {
    cx.group_send(format!("news.{name}"), &Response::text(request.text()?))?;
    Ok("published\n")
}

#[derive(Deserialize)]
struct Said {
    text: String,
}

/// The history of any group, by its whole name.
#[http("GET /history/{group}")]
fn history(cx: &mut Context, group: String, request: &Request) -> Result<String> {
    let limit = request.query("limit").and_then(|text| text.parse().ok()).unwrap_or(100);
    let history = cx.history(Group::named(group));
    let page = match request.query("after") {
        None => history.latest(limit),
        Some(position) => history.after(&position.into(), limit),
    };
    let page = page.map_err(|error| Error::bad_request(format!("{error:?}\n")))?;
    let texts = page.messages().map(|message| Ok(message.read::<Said>()?.text));
    let texts = texts.collect::<Result<Vec<_>>>()?.join(" ");
    let (complete, more) = (page.is_complete(), page.has_more());
    Ok(format!("{texts} | complete {complete} more {more} {}", page.position()))
}

/// A group of the module as a stream that clients read.
#[http("GET|POST /stream/{group}")]
fn stream(cx: &mut Context, group: String, request: &Request) -> Result<Response> {
    if request.query("joined").is_some() {
        // It is a member already, of this group and of another one.
        cx.group_join(&group, Since::now())?;
        cx.group_join("news.other", Since::now())?;
    }
    let response = Response::durable_stream(&group).header("x-says", "the consumer");
    Ok(match request.query("but").as_deref() {
        Some("forbidden") => response.status(403),
        Some("twice") => response.header("tidegate-stream", group),
        Some("body") => response.body("text"),
        _ => response,
    })
}

/// A join that asks for too many messages.
#[http("POST /join/{group}")]
fn join(cx: &mut Context, group: String) -> Result<Reply> {
    let joined = cx.group_join(Group::named(group), Since::now().or_latest(1_001));
    Ok(Response::text(format!("{joined:?}\n")).into())
}

export! {
    #[history("room.*", messages = 5)]
    Room,
    #[history("room.long", messages = 1000)]
    Plain,
    #[history("kept.*", bytes = "1MiB")]
    Crowd,
    Crier,
    say,
    #[history("events.*")]
    events,
    happen,
    #[history("news.*")]
    poll,
    publish,
    history,
    stream,
    join,
}

fn main() {}
