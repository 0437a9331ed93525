use tidegate_sdk::{Frame, Result, Socket, Websocket, websocket};

struct NoField;

#[websocket("/a/{room}")]
impl Websocket for NoField {
    type State = ();
    type Incoming = Frame;

    fn receive(&self, _: &mut Socket<()>, _: Frame) -> Result<()> {
        Ok(())
    }
}

struct OtherField {
    seat: u32,
}

#[websocket("/b")]
impl Websocket for OtherField {
    type State = ();
    type Incoming = Frame;

    fn receive(&self, _: &mut Socket<()>, _: Frame) -> Result<()> {
        Ok(())
    }
}

struct Method;

#[websocket("GET /c")]
impl Websocket for Method {
    type State = ();
    type Incoming = Frame;

    fn receive(&self, _: &mut Socket<()>, _: Frame) -> Result<()> {
        Ok(())
    }
}

fn main() {}
