use tidegate_sdk::{Frame, Result, Socket, Websocket, http, websocket};

#[http("GET /port", host = "api.example.com:8000")]
fn port() -> &'static str {
    ""
}

#[http("GET /url", host = "https://example.com")]
fn url() -> &'static str {
    ""
}

#[http("GET /hosts", host = "a.example.com", host = "b.example.com")]
fn hosts() -> &'static str {
    ""
}

#[http("GET /name", header("x version", "2"), header("x_version", "2"), header("Host", "a"))]
fn name() -> &'static str {
    ""
}

#[http("GET /twice", header("x-version", "1"), header("X-Version", "2 "))]
fn twice() -> &'static str {
    ""
}

#[http("GET /value", header("x-version"))]
fn value() -> &'static str {
    ""
}

#[http("GET /more", header("x-version", "2", "3"))]
fn more() -> &'static str {
    ""
}

struct Unknown;

#[websocket("/unknown", method = "GET")]
impl Websocket for Unknown {
    type State = ();
    type Incoming = Frame;

    fn receive(&self, _: &mut Socket<()>, _: Frame) -> Result<()> {
        Ok(())
    }
}

struct Star;

#[websocket("/star", host = "*example.com")]
impl Websocket for Star {
    type State = ();
    type Incoming = Frame;

    fn receive(&self, _: &mut Socket<()>, _: Frame) -> Result<()> {
        Ok(())
    }
}

fn main() {}
