//! Signs users in and out, and keeps something for each session.

use serde::{Deserialize, Serialize};
use serde_json::json;
use test_guests::ok;
use tidegate_sdk::{
    Close, Context, Error, Frame, Handshake, Request, Response, Result, Session, SessionError,
    Socket, Stored, User, Websocket, channel, export, http, websocket,
};

#[derive(Default, Serialize, Deserialize)]
struct Basket {
    items: Vec<String>,
}

impl Stored for Basket {}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    role: String,
}

fn told(user: Option<&User>) -> Result<String> {
    let Some(user) = user else { return Ok("nobody".to_owned()) };
    Ok(format!("{} {}", user.id(), user.claims::<Claims>()?.role))
}

/// The word of an error.
fn word(error: &SessionError) -> &'static str {
    match error {
        SessionError::Invalid(_) => "invalid",
        SessionError::NoSession(_) => "no-session",
        SessionError::Forbidden(_) => "forbidden",
        SessionError::Unavailable(_) => "unavailable",
        _ => "store",
    }
}

fn answer(done: Result<(), SessionError>) -> Response {
    match done {
        Ok(()) => Response::text("done"),
        Err(error) => Response::text(format!("{}: {error}", word(&error))).status(409),
    }
}

#[http("GET|POST /login/{user}/{role}")]
fn login(cx: &mut Context, user: String, role: String) -> Response {
    answer(cx.sessions().sign_in(&user, &json!({ "role": role })))
}

/// Signs in without a guard, so without a session.
#[http("POST /bare/{user}")]
fn bare(cx: &mut Context, user: String) -> Response {
    answer(cx.sessions().sign_in(&user, &json!({})))
}

#[http("POST /logout")]
fn logout(cx: &mut Context) -> Response {
    answer(cx.sessions().sign_out())
}

/// Signs in and fails.
#[http("POST /fail/{user}")]
fn fail(cx: &mut Context, user: String) -> Result<Response> {
    cx.sessions().sign_in(&user, &json!({}))?;
    cx.store().add("failed", 1)?;
    Err(Error::failed("on purpose"))
}

/// Signs in and answers nothing.
#[http("POST /mute/{user}")]
fn mute(cx: &mut Context, user: String) -> Result<tidegate_sdk::Reply> {
    cx.sessions().sign_in(&user, &json!({}))?;
    cx.store().add("muted", 1)?;
    Ok(cx.hold(std::time::Duration::from_secs(1)))
}

/// Flushes before or after it signs in.
#[http("POST /flush/{when}")]
fn flush(cx: &mut Context, when: String) -> Result<String> {
    if when == "before" {
        cx.flush()?;
    }
    let entered = cx.sessions().sign_in("ada", &json!({}));
    let entered = entered.map_or_else(|error| word(&error), |()| "entered");
    let flushed = cx.flush().map_or("refused", |()| "flushed");
    Ok(format!("{entered} {flushed}"))
}

#[http("GET|POST /me")]
fn me(user: User) -> Result<String> {
    told(Some(&user))
}

#[http("GET|POST /home")]
fn home(user: Option<User>, request: Request) -> Result<String> {
    Ok(format!("{} {:?}", told(user.as_ref())?, request.header("cookie")))
}

#[http("GET /open")]
fn open(request: Request) -> String {
    format!("{:?}", request.header("cookie"))
}

#[http("GET /list/{user}")]
fn list(cx: &mut Context, user: String) -> Result<Response> {
    let listed = match cx.sessions().of(&user) {
        Ok(listed) => listed,
        Err(error) => return Ok(answer(Err(error))),
    };
    let lines = listed.iter().map(|it| {
        let own = if it.is_own() { "own" } else { "other" };
        format!("{} {own} {} {}", it.id(), it.address(), it.agent())
    });
    Ok(Response::text(lines.collect::<Vec<_>>().join("\n")))
}

#[http("POST /end/{user}/{id}")]
fn end(cx: &mut Context, user: String, id: String) -> Response {
    let done = match id.as_str() {
        "all" => cx.sessions().end_all(&user),
        "others" => cx.sessions().end_others(&user),
        id => cx.sessions().end(&user, id),
    };
    answer(done)
}

#[http("POST /ban/{user}")]
fn ban(cx: &mut Context, user: String) -> Result<&'static str> {
    cx.send("sessions.ban", &json!({ "user": user }))?;
    Ok("asked")
}

#[derive(Deserialize)]
struct Ban {
    user: String,
}

#[channel("sessions.ban")]
fn banned(cx: &mut Context, ban: Ban) -> Result<()> {
    cx.sessions().end_all(&ban.user)?;
    Ok(())
}

#[http("POST /basket/{item}")]
fn put(item: String, basket: Session<Basket>) -> Result<Response> {
    let put = basket.update(|basket| basket.items.push(item));
    Ok(answer(put))
}

#[http("GET /basket")]
fn show(basket: Session<Basket>) -> Result<String> {
    Ok(basket.get()?.items.join(","))
}

struct Room;

#[websocket("/room")]
impl Websocket for Room {
    type State = ();
    type Incoming = String;

    fn connect(&self, socket: &mut Socket<()>) -> Result<Handshake> {
        let wanted = socket.scope().and_then(|scope| scope.header("x-user").map(str::to_owned));
        if let Some(user) = wanted {
            socket.sessions().sign_in(&user, &json!({}))?;
        }
        Ok(Handshake::accept())
    }

    fn receive(&self, socket: &mut Socket<()>, text: String) -> Result<()> {
        if text == "bye" {
            socket.sessions().sign_out()?;
            return Ok(());
        }
        if let Some(item) = text.strip_prefix("put ") {
            let item = item.to_owned();
            let put = socket.session::<Basket>().update(|basket| basket.items.push(item));
            let word = put.map_or_else(|error| word(&error), |()| "put");
            return Ok(socket.send(word)?);
        }
        let items = socket.session::<Basket>().get()?.items.join(",");
        let line = format!("{}: {text} [{items}]", told(socket.user())?);
        Ok(socket.send(line)?)
    }

    fn disconnect(&self, socket: &mut Socket<()>, close: Close) -> Result<()> {
        let line = format!("{} left with {}", told(socket.user())?, close.code);
        Ok(socket.group_send("watch", &Frame::text(line))?)
    }
}

export! {
    #[user(optional)]
    login,
    #[user(optional)]
    logout,
    #[user(optional)]
    fail,
    #[user(optional)]
    mute,
    #[user(optional)]
    flush,
    #[user(optional)]
    home,
    #[user(optional)]
    list,
    #[user(optional)]
    end,
    #[user(optional)]
    ban,
    #[user(optional)]
    put,
    #[user(optional)]
    show,
    #[user(optional)]
    Room,
    #[user]
    me,
    bare,
    open,
    banned,
    test_guests::Watch,
    ok,
}

fn main() {}
