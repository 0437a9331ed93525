//! Behaves, behind guards and prefixes, with whatever a request brings.

use std::collections::BTreeMap;

use test_guests::ok;
use tidegate_sdk::{
    Context, Cookies, Error, Form, Frame, Handshake, Json, Multipart, Problem, Query, Response,
    Result, Socket, Websocket, export, http, websocket,
};

#[http("GET /guarded", host = "127.0.0.1")]
fn here() -> &'static str {
    "here"
}

#[http("GET /guarded", host = "127.0.0.1", header("x-version", "2"))]
fn here_second() -> &'static str {
    "here, second"
}

#[http("GET /guarded", header("x-version", "2"))]
fn second() -> &'static str {
    "second"
}

#[http("GET|PUT /elsewhere", host = "*.example.com")]
fn elsewhere() -> &'static str {
    "elsewhere"
}

#[http("DELETE /elsewhere", header("x-version", "2"))]
fn delete() -> &'static str {
    "deleted"
}

type Pairs = BTreeMap<String, String>;

#[http("POST /form")]
fn form(cx: &mut Context, Query(query): Query<Pairs>, Form(form): Form<Pairs>) -> String {
    format!("{query:?} {form:?} under {}", cx.prefix())
}

#[http("POST /json")]
fn json(Json(pairs): Json<Pairs>) -> Result<String, Problem> {
    match pairs.get("name") {
        Some(name) => Ok(name.clone()),
        None => Err(Problem::new(422, "A name is needed").with("has", &pairs.len())),
    }
}

#[http("POST /parts")]
fn parts(form: Multipart<2, 1000>) -> String {
    form.parts().map(|part| format!("{} {};", part.name(), part.bytes().len())).collect()
}

#[http("POST /login")]
fn login(cookies: Cookies) -> Result<Response> {
    match cookies.get("user") {
        Some(user) => Ok(Response::text(user).cookie(("user", user))),
        None => Err(Error::bad_request("who are you?")),
    }
}

struct Second;

#[websocket("/ws", header("x-version", "2"))]
impl Websocket for Second {
    type State = ();
    type Incoming = Frame;

    fn connect(&self, socket: &mut Socket<()>) -> Result<Handshake> {
        socket.send("second")?;
        Ok(Handshake::accept())
    }

    fn receive(&self, _: &mut Socket<()>, _: Frame) -> Result<()> {
        Ok(())
    }
}

export! {
    ok, here, here_second, second, elsewhere, delete,
    "/in" => { form, json, "/deep" => { parts, login, Second } },
}

fn main() {}
