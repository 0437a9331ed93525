//! Two streams over one socket: one counts, one tells everybody.

use serde::{Deserialize, Serialize};
use tidegate_sdk::{
    Demultiplexer, Group, Json, Result, State, StreamConsumer, StreamSocket, Streams, export,
    websocket,
};

struct Both;

#[websocket("/both")]
impl Demultiplexer for Both {
    fn streams(&self) -> Streams<'_> {
        Streams::new().with("count", Count).with("tell", Tell)
    }
}

struct Count;

#[derive(Serialize, Deserialize)]
struct Counted {
    frames: u32,
}

impl State for Counted {}

impl StreamConsumer for Count {
    type State = Counted;
    type Incoming = Json<()>;

    fn receive(&self, socket: &mut StreamSocket<'_, Counted>, _: Json<()>) -> Result<()> {
        let frames = socket.state().map_or(0, |counted| counted.frames) + 1;
        socket.set_state(Counted { frames })?;
        socket.send_json(&frames)
    }
}

struct Tell;

impl StreamConsumer for Tell {
    type State = ();
    type Incoming = Json<String>;

    fn groups(&self) -> Vec<Group<'static>> {
        vec!["everybody".into()]
    }

    fn receive(&self, socket: &mut StreamSocket<'_, ()>, Json(text): Json<String>) -> Result<()> {
        socket.group_send_json("everybody", &text)
    }
}

export! { Both }

fn main() {}
