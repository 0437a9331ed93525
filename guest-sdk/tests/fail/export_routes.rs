use tidegate_sdk::{Frame, Result, Socket, Websocket, http, websocket};

#[http("GET /api/{id}")]
fn one(id: u32) -> String {
    id.to_string()
}

#[http("GET|PUT /{id}")]
fn other(id: u32) -> String {
    id.to_string()
}

#[http("DELETE /api/{name}")]
fn other_name(name: String) -> String {
    name
}

#[http("GET /api/{id}", host = "example.com", header("x-a", "1"))]
fn guarded(id: u32) -> String {
    id.to_string()
}

#[http("GET /api/{id}", host = "Example.com", header("x-b", "1"))]
fn guarded_alike(id: u32) -> String {
    id.to_string()
}

struct Chat;

#[websocket("/api")]
impl Websocket for Chat {
    type State = ();
    type Incoming = Frame;

    fn receive(&self, _: &mut Socket<()>, _: Frame) -> Result<()> {
        Ok(())
    }
}

struct Root;

#[websocket("/")]
impl Websocket for Root {
    type State = ();
    type Incoming = Frame;

    fn receive(&self, _: &mut Socket<()>, _: Frame) -> Result<()> {
        Ok(())
    }
}

mod same {
    tidegate_sdk::export! { super::one, "/api" => { super::other } }
}

mod names {
    tidegate_sdk::export! { super::one, super::other_name }
}

mod guards {
    tidegate_sdk::export! { super::one, super::guarded, super::guarded_alike }
}

mod sockets {
    tidegate_sdk::export! { super::Chat, "/api" => { super::Root } }
}

fn main() {}
