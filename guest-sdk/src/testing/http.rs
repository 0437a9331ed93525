//! HTTP requests to the test host.

use percent_encoding::percent_decode_str;
use serde::{Serialize, de::DeserializeOwned};

use crate::Response;
use crate::host::types::{Address, Event, Header, HttpRequest, PathParam, Scope};
use crate::host::users::User;

use super::SharedWorld;
use super::call::settle;
use super::connection::{Connection, Http, Kind};
use super::routes::{self, Asked, Found};
use super::sessions::Lookup;
use super::users;
use super::world::Job;

/// A request that is being made.
#[derive(Debug)]
#[must_use = "send it"]
pub struct TestRequest {
    world: SharedWorld,
    method: String,
    path: String,
    headers: Vec<Header>,
    body: Vec<u8>,
    user: Option<User>,
}

impl TestRequest {
    pub(super) fn new(world: SharedWorld, method: &str, path: &str) -> Self {
        Self {
            world,
            method: method.to_owned(),
            path: path.to_owned(),
            headers: vec![header("host", "localhost")],
            body: Vec::new(),
            user: None,
        }
    }

    /// Signs a user in, as a token with this `sub` and no other claims does.
    ///
    /// # Panics
    /// As [`Self::signed_in_with`].
    #[track_caller]
    pub fn signed_in(self, id: &str) -> Self {
        self.signed_in_with(id, &serde_json::json!({}))
    }

    /// Signs a user in with claims, a struct with named fields or a map.
    ///
    /// # Panics
    /// When the id or the claims break a rule of the host.
    #[track_caller]
    pub fn signed_in_with(mut self, id: &str, claims: &impl Serialize) -> Self {
        self.user = Some(users::user(id, claims));
        self
    }

    /// Adds a header field. `host` takes the place of the one there is, `localhost`. A second `cookie` is
    /// joined to the first, as the host does.
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        let name = name.to_ascii_lowercase();
        if name == "host" {
            self.headers.retain(|header| header.name != name);
        }
        let value = value.into();
        let first = self.headers.iter_mut().find(|header| header.name == name);
        match first.filter(|_| name == "cookie") {
            Some(first) => first.value = [&first.value[..], b"; ", &value].concat(),
            None => self.headers.push(Header { name, value }),
        }
        self
    }

    /// Brings the cookies that a response has set, as a browser does. Those that it took away are left out.
    ///
    /// # Panics
    /// When there is no response yet.
    #[track_caller]
    pub fn cookies_of(self, response: &TestResponse) -> Self {
        response.cookies().into_iter().fold(self, |test, cookie| test.header("cookie", cookie))
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets a JSON body.
    ///
    /// # Panics
    /// When JSON cannot hold the value.
    pub fn json(self, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("a test's value can be written as JSON");
        self.header("content-type", "application/json").body(body)
    }

    /// Sends it. Dropping the response before it is complete means that the client leaves.
    #[must_use]
    pub fn send(self) -> TestResponse {
        let Self { world, method, path, mut headers, body, user } = self;
        let channel = {
            let mut world = world.borrow_mut();
            let id = world.next_id();
            let channel = format!("test!{id}");
            let (mut user, lookup) = world.look_up(&mut headers, user);
            let mut session = Lookup::NotAsked;
            let mut scope = scope(&channel, &method, "http", &path, headers);
            let asked = Asked { raw_path: &scope.raw_path, headers: &scope.headers };
            let entries = world.consumers.entries();
            let found = routes::http(entries, &method, asked);
            let has_socket = matches!(routes::websocket(entries, asked), Found::Route(..));
            let mut http = Http::default();
            let mut entry = None;
            match found {
                Found::Route(route, params) => match users::admit(route, user.take()) {
                    Ok(admitted) => {
                        scope.path_params = params;
                        (entry, user) = (Some(route), admitted);
                        if route.access.is_some() {
                            session = lookup;
                        }
                    }
                    Err(status) => {
                        let response = match status {
                            401 => Response::text("sign in first\n")
                                .header("www-authenticate", "Bearer"),
                            _ => Response::text("this user may not do that\n"),
                        };
                        http.answer(response.status(status).0);
                    }
                },
                Found::WrongMethod(allowed) => {
                    let response = Response::text("method not allowed\n").status(405);
                    http.answer(response.header("allow", allowed.join(", ")).0);
                }
                Found::Nothing if has_socket => {
                    let response = Response::text("this path has a WebSocket\n").status(426);
                    http.answer(response.header("upgrade", "websocket").0);
                }
                Found::Nothing => http.answer(Response::text("not found\n").status(404).0),
                Found::BadPath => http.answer(Response::text("bad path\n").status(400).0),
            }
            if let Some(entry) = entry {
                let event = Event::HttpRequest(HttpRequest { scope: scope.clone(), body });
                world.queue.push_back(Job::of_connection(entry, event, &channel, id));
            }
            let connection = Connection { entry, scope, user, session, kind: Kind::Http(http) };
            world.connections.insert(channel.clone(), connection);
            channel
        };
        settle(&world);
        TestResponse { world, channel }
    }
}

fn header(name: &str, value: &str) -> Header {
    Header { name: name.to_owned(), value: value.into() }
}

/// The facts of a connection from a test.
pub(super) fn scope(
    channel: &str,
    method: &str,
    scheme: &str,
    path: &str,
    headers: Vec<Header>,
) -> Scope {
    let (raw_path, query_string) = path.split_once('?').unwrap_or((path, ""));
    let params: Vec<PathParam> = Vec::new();
    let local = |port| Address { host: "127.0.0.1".to_owned(), port };
    Scope {
        reply_channel: channel.to_owned(),
        scheme: scheme.to_owned(),
        method: method.to_owned(),
        http_version: "1.1".to_owned(),
        path: percent_decode_str(raw_path).decode_utf8_lossy().into_owned(),
        raw_path: raw_path.to_owned(),
        query_string: query_string.to_owned(),
        path_params: params,
        headers,
        client: local(50_000),
        server: local(8000),
        root_path: String::new(),
        subprotocols: Vec::new(),
    }
}

/// The response to a request, as far as it has come. A request on hold has none yet; ask again after
/// what should answer it.
///
/// Dropping it before it is complete means that the client leaves.
///
/// ```
/// use std::time::Duration;
/// use tidegate_sdk::{Context, Reply, Response, Result, export, http, testing::TestHost};
///
/// #[http("GET /news")]
/// fn news(cx: &mut Context) -> Result<Reply> {
///     cx.group_add("waiting")?;
///     Ok(cx.hold(Duration::from_secs(30)).or(Response::new(204)))
/// }
///
/// #[http("POST /news")]
/// fn publish(cx: &mut Context) -> Result<&'static str> {
///     cx.group_send("waiting", &Response::text("it rains"))?;
///     Ok("published")
/// }
///
/// export! { news, publish }
///
/// let host = TestHost::new(consumers());
/// let reader = host.get("/news");
/// assert!(reader.is_pending());
/// assert_eq!(host.request("POST", "/news").send().text(), "published");
/// assert_eq!(reader.text(), "it rains");
///
/// let reader = host.get("/news");
/// host.advance(Duration::from_secs(30));
/// assert_eq!(reader.status(), 204);
/// ```
#[derive(Debug)]
pub struct TestResponse {
    world: SharedWorld,
    channel: String,
}

impl TestResponse {
    fn with<T>(&self, read: impl FnOnce(&mut Http) -> T) -> T {
        let mut world = self.world.borrow_mut();
        let connection = world.connections.get_mut(&self.channel);
        read(connection.and_then(Connection::http).expect("the test host keeps every request"))
    }

    /// Whether more is to come: nothing yet, or a stream that has not ended.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.with(|http| !http.is_complete)
    }

    /// The status.
    ///
    /// # Panics
    /// When there is no response yet.
    #[must_use]
    #[track_caller]
    pub fn status(&self) -> u16 {
        self.head().0
    }

    /// The first header field of that name, as text.
    ///
    /// # Panics
    /// When there is no response yet.
    #[must_use]
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<String> {
        let (_, headers) = self.head();
        let header = headers.into_iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        Some(String::from_utf8_lossy(&header.value).into_owned())
    }

    /// The cookies that it sets, `NAME=VALUE` each.
    #[track_caller]
    pub(super) fn cookies(&self) -> Vec<String> {
        let fields = self.headers().into_iter().filter(|(name, _)| *name == "set-cookie");
        let set = fields.filter(|(_, value)| !value.to_ascii_lowercase().contains("max-age=0"));
        set.filter_map(|(_, value)| Some(value.split(';').next()?.to_owned())).collect()
    }

    /// All header fields in order, values as text.
    ///
    /// # Panics
    /// When there is no response yet.
    #[must_use]
    #[track_caller]
    pub fn headers(&self) -> Vec<(String, String)> {
        let text =
            |header: Header| (header.name, String::from_utf8_lossy(&header.value).into_owned());
        self.head().1.into_iter().map(text).collect()
    }

    #[track_caller]
    fn head(&self) -> (u16, Vec<Header>) {
        match self.with(|http| http.head.clone()) {
            Some(head) => head,
            None => panic!("the request is not answered yet: it is on hold"),
        }
    }

    /// The body so far. Empty for a request with method HEAD.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let world = self.world.borrow();
        match world.connections.get(&self.channel) {
            Some(Connection { scope, kind: Kind::Http(http), .. }) if scope.method != "HEAD" => {
                http.body.clone()
            }
            _ => Vec::new(),
        }
    }

    /// The body so far, as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Reads the body as JSON.
    ///
    /// # Panics
    /// When it does not read as `T`.
    #[must_use]
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(&self.bytes()) {
            Ok(value) => value,
            Err(error) => panic!("the body does not read as JSON: {error}: {}", self.text()),
        }
    }

    /// The client goes away. A consumer that asked for it gets `http-disconnect`.
    pub fn leave(self) {}
}

impl Drop for TestResponse {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.world.borrow_mut().http_left(&self.channel);
        settle(&self.world);
    }
}
