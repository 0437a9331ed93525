//! Accounts: registration, signing in with a password, and a page of the browsers in which one is signed in.

use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tidegate_sdk::{
    Close, Context, Form, Frame, Handshake, Response, Result, Socket, Stored, Throttle, User,
    Websocket, export, http, websocket,
};

mod password;

const PAGE: &str = include_str!("page.html");

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 32;
/// The group of the pages of a user. A name has no dot, so no name is within another.
const TABS: &str = "tabs";

/// Tries to sign in from one address.
const BY_ADDRESS: Throttle = Throttle::new("address", 30, Duration::from_secs(15 * 60));
/// Tries to sign in as one user, from wherever.
const BY_NAME: Throttle = Throttle::new("name", 10, Duration::from_secs(15 * 60));

/// What is kept of a user.
#[derive(Serialize, Deserialize)]
struct Account {
    /// The hash of the password, with its salt and parameters.
    password: String,
}

impl Stored for Account {}

/// The fields of the forms.
#[derive(Deserialize)]
struct Entry {
    name: String,
    password: String,
}

/// What the page is told of who looks at it.
#[derive(Serialize)]
struct Me {
    name: Option<String>,
    sessions: Vec<Shown>,
}

/// A session as the page shows it. Moments are milliseconds since 1970.
#[derive(Serialize)]
struct Shown {
    id: String,
    own: bool,
    created: u64,
    used: u64,
    address: String,
    agent: String,
}

#[http("GET /account")]
fn page() -> Response {
    Response::html(PAGE)
        .header("cache-control", "no-cache")
        .header("content-security-policy", "default-src 'self' 'unsafe-inline'; img-src data:")
}

/// Back to the page, which says in words what was wrong.
fn back(problem: Option<&str>) -> Response {
    let place =
        problem.map_or_else(|| "/account".to_owned(), |it| format!("/account?problem={it}"));
    Response::new(303).header("location", place)
}

fn key(name: &str) -> String {
    format!("user:{name}")
}

/// Names are compared byte for byte, so they have one form.
fn is_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_allowed)
}

/// Whether there were too many tries, for this name or from this address.
fn is_throttled(cx: &Context, name: &str) -> Result<bool> {
    let address = cx.scope().map(|scope| scope.client().0.to_owned()).unwrap_or_default();
    Ok(BY_ADDRESS.count(&address)?.is_some() || BY_NAME.count(name)?.is_some())
}

#[http("POST /account/register")]
fn register(cx: &mut Context, Form(entry): Form<Entry>) -> Result<Response> {
    let Entry { name, password } = entry;
    if !is_name(&name) {
        return Ok(back(Some("name")));
    }
    if !password::is_long_enough(&password) {
        return Ok(back(Some("password")));
    }
    if is_throttled(cx, &name)? {
        return Ok(back(Some("tries")));
    }
    // Part of the transaction: of two who register one name at once, one is told so.
    if cx.store().get::<Account>(&key(&name))?.is_some() {
        return Ok(back(Some("taken")));
    }
    let account = Account { password: password::hash(&password)? };
    cx.store().set(&key(&name), &account)?;
    enter(cx, &name)
}

/// Says the same of a wrong name and of a wrong password, after the same time.
#[http("POST /account/login")]
fn login(cx: &mut Context, Form(entry): Form<Entry>) -> Result<Response> {
    let Entry { name, password } = entry;
    if !is_name(&name) {
        return Ok(back(Some("wrong")));
    }
    if is_throttled(cx, &name)? {
        return Ok(back(Some("tries")));
    }
    let account = cx.store().get::<Account>(&key(&name))?;
    let hash = account.as_ref().map(|account| account.password.as_str());
    if !password::is_right(&password, hash) {
        return Ok(back(Some("wrong")));
    }
    BY_NAME.forget(&name)?;
    enter(cx, &name)
}

fn enter(cx: &mut Context, name: &str) -> Result<Response> {
    #[derive(Serialize)]
    struct Claims {}
    cx.sessions().sign_in(name, &Claims {})?;
    Ok(back(None))
}

#[http("POST /account/logout")]
fn logout(cx: &mut Context) -> Result<Response> {
    cx.sessions().sign_out()?;
    Ok(back(None))
}

#[http("GET /account/me")]
fn me(cx: &mut Context, user: Option<User>) -> Result<Response> {
    let millis = |moment: std::time::SystemTime| {
        let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    };
    let listed = user.as_ref().map(|user| cx.sessions().of(user.id())).transpose()?;
    let listed = listed.unwrap_or_default();
    let sessions = listed.iter().map(|session| Shown {
        id: session.id().to_owned(),
        own: session.is_own(),
        created: millis(session.created()),
        used: millis(session.used()),
        address: session.address().to_owned(),
        agent: session.agent().to_owned(),
    });
    let name = user.as_ref().map(|user| user.id().to_owned());
    let me = Me { name, sessions: sessions.collect() };
    Ok(Response::json(&me).header("cache-control", "no-store"))
}

#[derive(Deserialize)]
struct Which {
    id: String,
}

#[http("POST /account/end")]
fn end(cx: &mut Context, user: User, Form(which): Form<Which>) -> Result<Response> {
    // One of another user is left alone.
    Ok(match cx.sessions().end(user.id(), &which.id) {
        Ok(()) => back(None),
        Err(_) => back(Some("session")),
    })
}

#[http("POST /account/end-others")]
fn end_others(cx: &mut Context, user: User) -> Result<Response> {
    cx.sessions().end_others(user.id())?;
    Ok(back(None))
}

/// The pages that one user has open, in all browsers. Each says that it is here when one comes or goes.
struct Tabs;

/// What a page is told.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Told<'a> {
    /// One came or went: say that you are here.
    Roll,
    /// A page is here.
    Here { tab: &'a str },
}

fn group(socket: &Socket<()>) -> Option<String> {
    Some(format!("{TABS}.{}", socket.user()?.id()))
}

fn tell(socket: &mut Socket<()>, told: &Told<'_>) -> Result<()> {
    let Some(group) = group(socket) else { return Ok(()) };
    let frame = Frame::json(told)?;
    Ok(socket.group_send(group.as_str(), &frame)?)
}

#[websocket("/account/tabs")]
impl Websocket for Tabs {
    type State = ();
    type Incoming = String;

    fn connect(&self, socket: &mut Socket<()>) -> Result<Handshake> {
        if let Some(group) = group(socket) {
            socket.group_add(group.as_str())?;
        }
        tell(socket, &Told::Roll)?;
        Ok(Handshake::accept())
    }

    /// The name that a page has given itself.
    fn receive(&self, socket: &mut Socket<()>, tab: String) -> Result<()> {
        if tab.len() > 64 {
            return Ok(socket.close(4000, "a name has at most 64 bytes")?);
        }
        tell(socket, &Told::Here { tab: &tab })
    }

    fn disconnect(&self, socket: &mut Socket<()>, _: Close) -> Result<()> {
        tell(socket, &Told::Roll)
    }
}

export! {
    page,
    #[user(optional)]
    register,
    #[user(optional)]
    login,
    #[user(optional)]
    logout,
    #[user(optional)]
    me,
    #[user]
    end,
    #[user]
    end_others,
    #[user]
    Tabs,
}
