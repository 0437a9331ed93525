//! What the macros' code calls. No part of the API.

use std::str::FromStr;

use serde::de::DeserializeOwned;

pub use crate::consumers::{
    Access, ClaimValue, Consumer, Entry, Guards, Presence, Remembering, Schedule, Trigger, access,
    check, history, mount, presence, resume, schedule,
};
pub use crate::host::consumer::Failure;
pub use crate::host::types::{Event, PathParam};
use crate::host::{reply, types};
use crate::response::Answer;
use crate::{
    Close, Context, Error, Frame, FromFrame, FromRequest, IntoReply, Reply, Request, Result,
    Socket, Websocket, context, payload, scope, websocket,
};

#[cfg(target_family = "wasm")]
pub use crate::bindings;

/// What the macro's shim for an HTTP consumer is.
type Http = fn(&mut Context, Request) -> Result<Reply>;

/// Runs an HTTP consumer.
pub fn http(
    mut cx: Context,
    event: Event,
    consumer: Http,
    disconnect: Option<fn(&mut Context) -> Result<()>>,
) -> Result<(), Failure> {
    match (event, disconnect) {
        (Event::HttpRequest(types::HttpRequest { scope, body }), _) => {
            let scope = cx.set_scope(scope);
            let reply = match consumer(&mut cx, Request { scope, body }) {
                Ok(reply) => reply,
                Err(error) => error.into_response()?.into(),
            };
            answer(reply).map_err(refused)
        }
        (Event::HttpDisconnect(event), Some(disconnect)) => {
            cx.set_reply_channel(event.reply_channel);
            disconnect(&mut cx).map_err(Error::into_failure)
        }
        (event, _) => Err(wrong(&event)),
    }
}

fn answer(reply: Reply) -> Result<(), reply::ReplyError> {
    match reply.0 {
        Answer::Respond(response) => reply::respond(&response.0),
        Answer::Hold { timeout, fallback } => {
            let fallback = fallback.as_ref().map(|response| &response.0);
            reply::hold(context::milliseconds(timeout), fallback)
        }
        Answer::Streamed => Ok(()),
    }
}

/// Turns the answer of an HTTP consumer into a reply. A function of its own, so that a wrong return
/// type is reported at the return type.
pub fn into_reply(answer: impl IntoReply) -> Result<Reply> {
    answer.into_reply()
}

/// The path parameter `name` of a request. One that does not parse answers with status 404. One that
/// is not there means that another version, with another path, was asked for.
pub fn param<T: FromStr>(request: &Request, name: &str) -> Result<T> {
    let text = request
        .param(name)
        .ok_or_else(|| Error::failed(format!("path parameter `{name}` is not there")))?;
    text.parse().map_err(|_| Error::not_found("not found\n"))
}

/// What else a consumer takes from a request. A function of its own, so that a wrong type is reported
/// at the parameter.
pub fn extract<T: FromRequest>(request: &Request, cx: &mut Context) -> Result<T> {
    T::from_request(request, cx)
}

/// Runs a WebSocket consumer. `read` makes it from the path parameters.
pub fn websocket<W: Websocket>(
    mut cx: Context,
    event: Event,
    read: fn(&Params<'_>) -> Result<W, BadParam>,
) -> Result<(), Failure> {
    match event {
        Event::WebsocketConnect(types::WebsocketConnect { scope }) => {
            let scope = cx.set_scope(scope);
            connect(Socket::connecting(cx), || read(&Params(&scope.0.path_params)))
        }
        Event::WebsocketReceive(event) => {
            cx.set_reply_channel(event.reply_channel);
            let consumer = read(&Params(&event.path_params))?;
            let mut socket = Socket::open(cx).map_err(Error::into_failure)?;
            match W::Incoming::from_frame(Frame::from_wire(event.frame)) {
                Ok(incoming) => {
                    consumer.receive(&mut socket, incoming).map_err(Error::into_failure)
                }
                Err(reason) => socket.refuse(4400, &reason).map_err(Error::into_failure),
            }
        }
        Event::WebsocketDisconnect(event) => {
            cx.set_reply_channel(event.reply_channel);
            let consumer = read(&Params(&event.path_params))?;
            let mut socket = Socket::open(cx).map_err(Error::into_failure)?;
            let close = Close::new(event.code, event.reason);
            consumer.disconnect(&mut socket, close).map_err(Error::into_failure)
        }
        event => Err(wrong(&event)),
    }
}

fn connect<W: Websocket>(
    mut socket: Socket<W::State>,
    read: impl FnOnce() -> Result<W, BadParam>,
) -> Result<(), Failure> {
    let Ok(consumer) = read() else {
        return websocket::deny().map_err(Error::into_failure);
    };
    let answered = match consumer.connect(&mut socket) {
        Ok(handshake) => socket.answer(handshake, consumer.groups()),
        Err(error) => error.into_response().map(|_| websocket::deny())?,
    };
    answered.map_err(Error::into_failure)
}

/// The path parameters of a connection.
#[derive(Debug)]
pub struct Params<'a>(&'a [PathParam]);

impl Params<'_> {
    /// The parameter `name`.
    pub fn get<T: FromStr>(&self, name: &str) -> Result<T, BadParam> {
        let bad = |what| BadParam(format!("path parameter `{name}` {what}"));
        let text = scope::param(self.0, name).ok_or_else(|| bad("is not there"))?;
        text.parse().map_err(|_| bad("does not parse"))
    }
}

/// A path parameter that does not read, and why. It denies a handshake. Later it means that another
/// version, with another path or another type, opened the connection.
#[derive(Debug)]
pub struct BadParam(String);

impl From<BadParam> for Failure {
    fn from(BadParam(text): BadParam) -> Self {
        Self::StateUnreadable(text)
    }
}

/// Runs a consumer of a channel.
pub fn channel(
    mut cx: Context,
    event: Event,
    consumer: fn(&mut Context, &[u8]) -> Result<()>,
) -> Result<(), Failure> {
    match event {
        Event::ChannelMessage(message) => {
            consumer(&mut cx, &message.content).map_err(Error::into_failure)
        }
        event => Err(wrong(&event)),
    }
}

/// Reads a message as the type that the consumer takes.
pub fn read<T: DeserializeOwned>(content: &[u8]) -> Result<T> {
    payload::decode(content).map_err(|error| {
        let type_name = std::any::type_name::<T>();
        Error::failed(format!("the message does not read as `{type_name}`: {error}"))
    })
}

/// What a consumer without an answer may return.
#[diagnostic::on_unimplemented(
    message = "a consumer that answers nobody cannot return `{Self}`",
    note = "return nothing, or a `Result<(), E>`"
)]
pub trait IntoDone {
    fn into_done(self) -> Result<()>;
}

impl IntoDone for () {
    fn into_done(self) -> Result<()> {
        Ok(())
    }
}

impl<E> IntoDone for Result<(), E>
where
    Error: From<E>,
{
    fn into_done(self) -> Result<()> {
        Ok(self?)
    }
}

/// As [`into_reply`], for consumers that answer nobody.
pub fn into_done(outcome: impl IntoDone) -> Result<()> {
    outcome.into_done()
}

fn refused(error: reply::ReplyError) -> Failure {
    Failure::Failed(crate::ReplyError::from(error).to_string())
}

fn wrong(event: &Event) -> Failure {
    let kind = match event {
        Event::HttpRequest(_) => "http.request",
        Event::HttpDisconnect(_) => "http.disconnect",
        Event::WebsocketConnect(_) => "websocket.connect",
        Event::WebsocketReceive(_) => "websocket.receive",
        Event::WebsocketDisconnect(_) => "websocket.disconnect",
        Event::ChannelMessage(_) => "a channel's message",
    };
    Failure::Failed(format!("the consumer is not made for {kind}"))
}

#[cfg(target_family = "wasm")]
pub use guest::{declare, handle, routes};

#[cfg(target_family = "wasm")]
mod guest {
    use std::collections::BTreeMap;

    use crate::Consumers;
    use crate::consumers::{ClaimValue, Entry, Guards, Presence, Remembering, Schedule, Trigger};
    use crate::host::consumer::{self, Failure};
    use crate::host::types::{Event, Header, Invocation};

    pub fn routes(consumers: Consumers) -> Vec<consumer::Route> {
        let route = |entry: &Entry| consumer::Route {
            consumer: entry.name.to_owned(),
            trigger: trigger(entry),
        };
        consumers.entries().iter().map(route).collect()
    }

    fn trigger(entry: &Entry) -> consumer::Trigger {
        match entry.trigger {
            Trigger::Http { methods, path, guards, disconnect } => {
                consumer::Trigger::Http(consumer::HttpTrigger {
                    methods: methods.iter().map(|&method| method.to_owned()).collect(),
                    path: entry.full(path),
                    guards: guards_of(guards),
                    disconnect,
                })
            }
            Trigger::Websocket { path, guards } => {
                consumer::Trigger::Websocket(consumer::WebsocketTrigger {
                    path: entry.full(path),
                    guards: guards_of(guards),
                })
            }
            Trigger::Channel { name, retries } => {
                let name = name.to_owned();
                consumer::Trigger::Channel(consumer::ChannelTrigger { name, retries })
            }
        }
    }

    /// The declarations about a consumer: each key is one that the host knows.
    #[derive(serde::Serialize)]
    struct Declared {
        #[serde(skip_serializing_if = "Option::is_none")]
        schedule: Option<Schedule>,
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        claims: Option<BTreeMap<&'static str, &'static [ClaimValue]>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        presence: Option<Presence>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        history: BTreeMap<&'static str, Kept>,
        #[serde(skip_serializing_if = "Option::is_none")]
        resume: Option<u64>,
    }

    /// How much of a group is kept.
    #[derive(serde::Serialize)]
    struct Kept {
        messages: u64,
        age: u64,
        bytes: u64,
    }

    /// A MessagePack map by consumer, of maps of declarations.
    pub fn declare(consumers: Consumers) -> Vec<u8> {
        let declared = |entry: &Entry| {
            let claims = entry.access.map(|access| access.claims).filter(|it| !it.is_empty());
            let declared = Declared {
                schedule: entry.schedule,
                user: entry.access.map(|access| access.user),
                claims: claims.map(|it| it.iter().copied().collect()),
                presence: entry.presence,
                history: (entry.histories.iter())
                    .map(|&Remembering { pattern, messages, age, bytes }| {
                        (pattern, Kept { messages, age, bytes })
                    })
                    .collect(),
                resume: entry.resume,
            };
            let declares = declared.schedule.is_some()
                || declared.user.is_some()
                || declared.presence.is_some()
                || declared.resume.is_some()
                || !declared.history.is_empty();
            declares.then_some((entry.name, declared))
        };
        let declared: BTreeMap<_, _> = consumers.entries().iter().filter_map(declared).collect();
        rmp_serde::to_vec_named(&declared).expect("maps of texts can be written")
    }

    fn guards_of(Guards { host, headers }: Guards) -> consumer::Guards {
        let header =
            |&(name, value): &(&str, &str)| Header { name: name.to_owned(), value: value.into() };
        consumer::Guards {
            host: host.map(str::to_owned),
            headers: headers.iter().map(header).collect(),
        }
    }

    pub fn handle(
        consumers: Consumers,
        invocation: Invocation,
        event: Event,
    ) -> Result<(), Failure> {
        consumers.run(invocation, event)
    }
}
