//! WebSocket clients of the test host.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use crate::host::types::{Event, Handshake, Header, WebsocketConnect, WebsocketReceive};
use crate::host::users::User;
use crate::{Close, Frame};

use super::call::settle;
use super::connection::{Connection, Kind, Phase, Websocket};
use super::http::scope;
use super::routes::{self, Asked, Found};
use super::sessions::Lookup;
use super::users;
use super::world::Job;
use super::{SharedWorld, TestResponse};

/// A handshake that is being made.
#[derive(Debug)]
#[must_use = "connect it"]
pub struct TestHandshake {
    world: SharedWorld,
    path: String,
    headers: Vec<Header>,
    subprotocols: Vec<String>,
    user: Option<User>,
}

/// The handshake was turned down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied {
    /// 401 without a user where one is asked for, 403 when the user has other claims, the consumer denied it
    /// or there is none, 500 after a fault.
    pub status: u16,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the handshake was denied with status {}", self.status)
    }
}

impl std::error::Error for Denied {}

impl TestHandshake {
    pub(super) fn new(world: SharedWorld, path: &str) -> Self {
        let (headers, subprotocols) = (Vec::new(), Vec::new());
        Self { world, path: path.to_owned(), headers, subprotocols, user: None }
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

    /// Offers a subprotocol. The first is the client's favourite.
    pub fn subprotocol(mut self, name: &str) -> Self {
        self.subprotocols.push(name.to_owned());
        self
    }

    /// Brings the cookies that a response has set, as a browser does.
    ///
    /// # Panics
    /// When there is no response yet.
    #[track_caller]
    pub fn cookies_of(self, response: &TestResponse) -> Self {
        response.cookies().into_iter().fold(self, |test, cookie| test.header("cookie", cookie))
    }

    /// Adds a header field.
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(Header { name: name.to_ascii_lowercase(), value: value.into() });
        self
    }

    /// Sends it.
    ///
    /// # Errors
    /// When the handshake is denied.
    pub fn connect(self) -> Result<TestSocket, Denied> {
        let Self { world, path, mut headers, subprotocols, user } = self;
        let channel = {
            let mut world = world.borrow_mut();
            let id = world.next_id();
            let channel = format!("test!{id}");
            let (user, lookup) = world.look_up(&mut headers, user);
            let mut scope = scope(&channel, "GET", "ws", &path, headers);
            scope.subprotocols = subprotocols;
            let asked = Asked { raw_path: &scope.raw_path, headers: &scope.headers };
            let found = routes::websocket(world.consumers.entries(), asked);
            let Found::Route(entry, params) = found else {
                return Err(Denied { status: 403 });
            };
            let user = users::admit(entry, user).map_err(|status| Denied { status })?;
            scope.path_params = params;
            let event = Event::WebsocketConnect(WebsocketConnect { scope: scope.clone() });
            let kind = Kind::Websocket(Websocket::default());
            let session = if entry.access.is_some() { lookup } else { Lookup::NotAsked };
            let connection = Connection { entry: Some(entry), scope, user, session, kind };
            world.connections.insert(channel.clone(), connection);
            world.queue.push_back(Job::of_connection(entry, event, &channel, id));
            channel
        };
        settle(&world);
        let socket = TestSocket { world, channel };
        match socket.with(|websocket| websocket.phase.clone()) {
            Phase::Denied(status) => Err(Denied { status }),
            Phase::Handshake => Err(Denied { status: 403 }),
            Phase::Open(_) | Phase::Closed(_) => Ok(socket),
        }
    }
}

/// A WebSocket client. Dropping it breaks the connection: the consumer is told close code 1006.
#[derive(Debug)]
pub struct TestSocket {
    world: SharedWorld,
    channel: String,
}

impl TestSocket {
    fn with<T>(&self, read: impl FnOnce(&mut Websocket) -> T) -> T {
        let mut world = self.world.borrow_mut();
        let connection = world.connections.get_mut(&self.channel);
        read(connection.and_then(Connection::websocket).expect("the test host keeps every socket"))
    }

    /// Sends a message.
    ///
    /// # Panics
    /// When the connection is closed.
    #[track_caller]
    pub fn send(&self, frame: impl Into<Frame>) {
        if let Some(close) = self.closed() {
            panic!("the connection is closed with code {} {:?}", close.code, close.reason);
        }
        {
            let mut world = self.world.borrow_mut();
            let id = world.next_id();
            let Some(connection) = world.connections.get_mut(&self.channel) else { return };
            let (entry, scope) = (connection.entry, connection.scope.clone());
            let Some(websocket) = connection.websocket() else { return };
            websocket.order += 1;
            let event = Event::WebsocketReceive(WebsocketReceive {
                reply_channel: scope.reply_channel,
                path: scope.path,
                path_params: scope.path_params,
                order: websocket.order,
                frame: frame.into().into_wire(),
            });
            let Some(entry) = entry else { return };
            world.queue.push_back(Job::of_connection(entry, event, &self.channel, id));
        }
        settle(&self.world);
    }

    /// Sends a text message that holds `value` as JSON.
    ///
    /// # Panics
    /// When JSON cannot hold the value, or the connection is closed.
    #[track_caller]
    pub fn send_json(&self, value: &impl Serialize) {
        self.send(serde_json::to_string(value).expect("a test's value can be written as JSON"));
    }

    pub(super) fn has_frames(&self) -> bool {
        self.with(|websocket| !websocket.frames.is_empty())
    }

    /// The next message, if one has come.
    #[must_use]
    pub fn receive(&self) -> Option<Frame> {
        self.with(|websocket| websocket.frames.pop_front()).map(Frame::from_wire)
    }

    /// Takes the next message, which must be this text.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn expect_text(&self, text: &str) {
        assert_eq!(self.receive(), Some(Frame::text(text)), "the next message");
    }

    /// Takes the next message, which must be text that holds this JSON.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn expect_json(&self, expected: &impl Serialize) {
        let expected = serde_json::to_value(expected).expect("a test's value can be JSON");
        let got: serde_json::Value = self.receive_json();
        assert_eq!(got, expected, "the next message");
    }

    /// Takes the next message, which must be text that holds JSON.
    ///
    /// # Panics
    /// When it does not read as `T`.
    #[must_use]
    #[track_caller]
    pub fn receive_json<T: DeserializeOwned>(&self) -> T {
        match self.receive() {
            Some(Frame::Text(text)) => match serde_json::from_str(&text) {
                Ok(value) => value,
                Err(error) => panic!("the next message does not read as JSON: {error}: {text}"),
            },
            other => panic!("the next message is no text: {other:?}"),
        }
    }

    /// No message may have come.
    ///
    /// # Panics
    /// When one has.
    #[track_caller]
    pub fn expect_nothing(&self) {
        assert_eq!(self.receive(), None, "a message that nobody expected");
    }

    /// The module must have closed the connection with this code, after the messages that were
    /// received.
    ///
    /// # Panics
    /// When it has not.
    #[track_caller]
    pub fn expect_close(&self, code: u16) -> Close {
        if let Some(frame) = self.receive() {
            panic!("there is a message before the close: {frame:?}");
        }
        match self.closed() {
            Some(close) if close.code == code => close,
            other => panic!("expected close code {code}, got {other:?}"),
        }
    }

    /// Closes the connection.
    pub fn close(&self, code: u16) {
        self.end(Close::new(code, ""));
    }

    fn end(&self, close: Close) {
        self.world.borrow_mut().close(&self.channel, close);
        settle(&self.world);
    }

    /// How the connection ended, if it did.
    #[must_use]
    pub fn closed(&self) -> Option<Close> {
        match self.with(|websocket| websocket.phase.clone()) {
            Phase::Closed(close) => Some(close),
            Phase::Handshake | Phase::Denied(_) | Phase::Open(_) => None,
        }
    }

    /// The connection's own channel, for [`TestHost::send`](super::TestHost::send).
    #[must_use]
    pub fn reply_channel(&self) -> &str {
        &self.channel
    }

    /// The subprotocol that the module chose.
    #[must_use]
    pub fn subprotocol(&self) -> Option<String> {
        self.accepted()?.subprotocol
    }

    /// The first header field of that name in the handshake's response.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let headers = self.accepted()?.headers;
        let header = headers.into_iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        Some(String::from_utf8_lossy(&header.value).into_owned())
    }

    /// The answer to the handshake, while the connection is open.
    fn accepted(&self) -> Option<Handshake> {
        match self.with(|websocket| websocket.phase.clone()) {
            Phase::Open(handshake) => Some(handshake),
            Phase::Handshake | Phase::Denied(_) | Phase::Closed(_) => None,
        }
    }
}

impl Drop for TestSocket {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end(Close::new(1006, ""));
        }
    }
}
