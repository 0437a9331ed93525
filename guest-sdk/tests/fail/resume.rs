//! Mistakes with `#[resume]`.

use tidegate_sdk::{Frame, Result, Socket, Websocket, export, http, resume, websocket};

struct Room;

#[websocket("/room")]
impl Websocket for Room {
    type State = ();
    type Incoming = Frame;

    fn receive(&self, _: &mut Socket<()>, _: Frame) -> Result<()> {
        Ok(())
    }
}

#[http("GET /")]
fn page() -> &'static str {
    "text"
}

mod on_http {
    tidegate_sdk::export! {
        #[resume]
        super::page,
    }
}

export! {
    #[resume(2)]
    #[resume("2 minutes")]
    Room,
    #[resume]
    "/api" => { page },
}

#[resume]
struct Other;

fn main() {}
