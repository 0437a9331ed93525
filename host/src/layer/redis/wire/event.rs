//! Events with the facts of their connection, in one flat map as ASGI has them.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::WireError;
use crate::message::{
    Blob, ChannelName, Close, Content, CorrelationId, Event, EventKind, Frame, PathParam, Protocol,
    Scope, Session, SessionData, SessionKey, SessionLookup, User,
};

/// A user, in a map of its own: `claims` is MessagePack within.
#[derive(Debug, Serialize, Deserialize)]
struct WireUser {
    id: String,
    claims: Blob,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    expires: Option<u64>,
}

/// A session, in a map of its own: empty where there is none.
#[derive(Debug, Default, Serialize, Deserialize)]
struct WireSession {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    key: Option<Blob>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    data: Option<Blob>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    expires: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireEvent {
    #[serde(rename = "type")]
    kind: String,
    reply_channel: String,
    #[serde(default)]
    consumer: String,
    #[serde(default)]
    order: u64,
    #[serde(rename = "version", default)]
    activation: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    done: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    state: Option<Blob>,
    scheme: String,
    method: String,
    http_version: String,
    path: String,
    raw_path: Blob,
    query_string: Blob,
    #[serde(default)]
    root_path: String,
    headers: Vec<(Blob, Blob)>,
    client: (String, u16),
    server: (String, u16),
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    path_params: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    subprotocols: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    user: Option<WireUser>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    session: Option<WireSession>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    body: Option<Blob>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    bytes: Option<Blob>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    reason: Option<String>,
}

impl From<&Event> for WireEvent {
    fn from(event: &Event) -> Self {
        let scope = &event.scope;
        let blob = |text: &str| Blob(Bytes::copy_from_slice(text.as_bytes()));
        let header = |(name, value): &(HeaderName, HeaderValue)| {
            (blob(name.as_str()), Blob(Bytes::copy_from_slice(value.as_bytes())))
        };
        let place = |address: SocketAddr| (address.ip().to_string(), address.port());
        let mut wire = Self {
            kind: event.kind.channel().to_owned(),
            reply_channel: scope.reply_channel.to_string(),
            consumer: event.consumer.to_string(),
            order: event.order,
            activation: event.activation,
            done: event.wants_done,
            state: event.state.clone().map(Blob),
            scheme: scope.scheme().to_owned(),
            method: scope.method.clone(),
            http_version: scope.http_version.to_owned(),
            path: scope.path.clone(),
            raw_path: blob(&scope.raw_path),
            query_string: blob(&scope.query_string),
            root_path: scope.root_path.clone(),
            headers: scope.headers.iter().map(header).collect(),
            client: place(scope.client),
            server: place(scope.server),
            path_params: scope
                .path_params
                .iter()
                .map(|param| (param.name.clone(), param.value.clone()))
                .collect(),
            subprotocols: scope.subprotocols.clone(),
            user: scope.user.as_deref().map(|user| WireUser {
                id: user.id().to_owned(),
                claims: Blob(user.claims().as_bytes().clone()),
                expires: user.expires(),
            }),
            session: scope.session.as_ref().map(WireSession::from),
            body: None,
            text: None,
            bytes: None,
            code: None,
            reason: None,
        };
        match &event.kind {
            EventKind::HttpRequest(body) => wire.body = Some(Blob(body.clone())),
            EventKind::WebsocketReceive(Frame::Text(text)) => wire.text = Some(text.clone()),
            EventKind::WebsocketReceive(Frame::Binary(bytes)) => {
                wire.bytes = Some(Blob(bytes.clone()));
            }
            EventKind::WebsocketDisconnect(close) => {
                (wire.code, wire.reason) = (Some(close.code), Some(close.reason.clone()));
            }
            EventKind::HttpDisconnect | EventKind::WebsocketConnect => {}
        }
        wire
    }
}

impl WireEvent {
    pub(super) fn into_event(mut self, correlation: CorrelationId) -> Result<Event, WireError> {
        let kind = self.kind()?;
        let consumer = self.consumer.as_str().into();
        let (order, activation) = (self.order, self.activation);
        let wants_done = self.done;
        let state = self.state.take().map(|state| state.0);
        let scope = Arc::new(self.into_scope(correlation)?);
        if scope.protocol != kind.protocol() {
            return Err(WireError::field("scheme")(&"it is that of the other protocol"));
        }
        Ok(Event { scope, consumer, order, kind, state, activation, wants_done })
    }

    fn kind(&mut self) -> Result<EventKind, WireError> {
        Ok(match self.kind.as_str() {
            "http.request" => {
                EventKind::HttpRequest(self.body.take().map(|body| body.0).unwrap_or_default())
            }
            "http.disconnect" => EventKind::HttpDisconnect,
            "websocket.connect" => EventKind::WebsocketConnect,
            "websocket.receive" => {
                EventKind::WebsocketReceive(match (self.text.take(), self.bytes.take()) {
                    (Some(text), None) => Frame::Text(text),
                    (None, Some(bytes)) => Frame::Binary(bytes.0),
                    _ => return Err(WireError::field("text")(&"there is either text or bytes")),
                })
            }
            "websocket.disconnect" => EventKind::WebsocketDisconnect(Close {
                code: self.code.unwrap_or(1005),
                reason: self.reason.take().unwrap_or_default(),
            }),
            other => return Err(WireError::field("type")(&format!("{other:?} is not known"))),
        })
    }

    fn into_scope(self, correlation: CorrelationId) -> Result<Scope, WireError> {
        let (protocol, secure) = match self.scheme.as_str() {
            "http" => (Protocol::Http, false),
            "https" => (Protocol::Http, true),
            "ws" => (Protocol::Websocket, false),
            "wss" => (Protocol::Websocket, true),
            other => return Err(WireError::field("scheme")(&format!("{other:?} is not known"))),
        };
        let http_version = match self.http_version.as_str() {
            "1.0" => "1.0",
            "1.1" => "1.1",
            "2" => "2",
            other => {
                return Err(WireError::field("http_version")(&format!("{other:?} is not known")));
            }
        };
        let reply_channel = ChannelName::parse(&self.reply_channel)
            .map_err(|error| WireError::field("reply_channel")(&error))?;
        if !reply_channel.is_reply_channel() {
            return Err(WireError::field("reply_channel")(&"it has no `!`"));
        }
        let headers = self
            .headers
            .into_iter()
            .map(|(name, value)| {
                let name = HeaderName::from_bytes(&name.0)
                    .map_err(|error| WireError::field("headers")(&error))?;
                let value = HeaderValue::from_maybe_shared(value.0)
                    .map_err(|error| WireError::field("headers")(&error))?;
                Ok((name, value))
            })
            .collect::<Result<_, WireError>>()?;
        let params = self.path_params.into_iter().map(|(name, value)| PathParam { name, value });
        Ok(Scope {
            reply_channel,
            correlation,
            protocol,
            secure,
            method: self.method,
            http_version,
            path: self.path,
            raw_path: text("raw_path", &self.raw_path)?,
            query_string: text("query_string", &self.query_string)?,
            path_params: params.collect(),
            headers,
            client: address("client", &self.client)?,
            server: address("server", &self.server)?,
            root_path: self.root_path,
            subprotocols: self.subprotocols,
            user: self.user.map(user).transpose()?.map(Arc::new),
            session: self.session.map(session).transpose()?,
        })
    }
}

fn user(wire: WireUser) -> Result<User, WireError> {
    let WireUser { id, claims: Blob(claims), expires } = wire;
    let claims = Content::parse(claims).map_err(|error| WireError::field("user")(&error))?;
    User::new(&id, claims, expires).map_err(|error| WireError::field("user")(&error))
}

impl From<&SessionLookup> for WireSession {
    fn from(lookup: &SessionLookup) -> Self {
        let Some(session) = lookup.session() else { return Self::default() };
        Self {
            key: Some(Blob(Bytes::copy_from_slice(&session.key.0))),
            data: Some(Blob(Bytes::copy_from_slice(&session.data.0))),
            expires: Some(session.expires),
        }
    }
}

fn session(wire: WireSession) -> Result<SessionLookup, WireError> {
    let wrong = |_| WireError::field("session")(&"`key` has 32 bytes, and `data` 16");
    match wire {
        WireSession { key: None, data: None, expires: None } => Ok(SessionLookup::None),
        WireSession { key: Some(Blob(key)), data: Some(Blob(data)), expires: Some(expires) } => {
            let key = SessionKey(key[..].try_into().map_err(wrong)?);
            let data = SessionData(data[..].try_into().map_err(wrong)?);
            Ok(SessionLookup::Found(Session { key, data, expires }))
        }
        _ => {
            Err(WireError::field("session")(&"it has `key`, `data` and `expires`, or none of them"))
        }
    }
}

fn text(field: &'static str, bytes: &Blob) -> Result<String, WireError> {
    let text = std::str::from_utf8(&bytes.0).map_err(|error| WireError::field(field)(&error))?;
    Ok(text.to_owned())
}

fn address(field: &'static str, (ip, port): &(String, u16)) -> Result<SocketAddr, WireError> {
    let ip = ip.parse().map_err(|error| WireError::field(field)(&error))?;
    Ok(SocketAddr::new(ip, *port))
}
