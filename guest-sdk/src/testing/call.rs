//! One invocation: runs a consumer, keeps its outbox, and commits or drops it.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;

use crate::Level;
use crate::host::connection::StateError;
use crate::host::consumer::Failure;
use crate::host::layer::{FlushError, FlushReason, SendError};
use crate::host::reply::ReplyError;
use crate::host::types::{Event, Frame, Handshake, Invocation, Response, Scope, StreamPart};
use crate::host::users::User;
use crate::host::{Host, log, with_host};
use crate::{Close, Response as SdkResponse};

use super::connection::{Connection, Kind, Phase};
use super::data::Transaction;
use super::forms::Reply;
use super::panics;
use super::rules;
use super::world::{Item, Job, JobFacts};
use super::{Fault, LogLine, SharedWorld};

mod history;
mod invocation;
mod online;
mod outside;
mod presence;
mod sessions;
mod store;
mod timers;

use store::Conflict;

/// How often an event is run whose data changes meanwhile.
const ATTEMPTS_MAX: u32 = 10;

/// Runs events until none is left.
pub(super) fn settle(world: &SharedWorld) {
    loop {
        let job = world.borrow_mut().queue.pop_front();
        match job {
            Some(job) => run(world, &job),
            // What is to be announced may have consumers of its own.
            None if world.borrow_mut().announce() => {}
            None => return,
        }
    }
}

fn run(world: &SharedWorld, job: &Job) {
    let logs = world.borrow().logs.len();
    for number in 1..=ATTEMPTS_MAX {
        let call = Rc::new(RefCell::new(Call::new(world, job)));
        let outcome = attempt(&call, job);
        let mut call = call.borrow_mut();
        let outcome = outcome.and_then(|()| call.check_sessions().map_err(Stop::Failed));
        match call.settle_data(outcome) {
            Ok(()) => return call.succeed(),
            Err(Stop::Conflict(_)) if number < ATTEMPTS_MAX && !call.is_final => {
                // The record is that of the last attempt.
                world.borrow_mut().logs.truncate(logs);
            }
            Err(stop) => {
                call.fail(stop.into_failure());
                return world.borrow_mut().deliver_again(job);
            }
        }
    }
}

/// Why an attempt has no effect.
enum Stop {
    Failed(Failure),
    /// Something that the run read has changed: the text names it.
    Conflict(String),
}

impl Stop {
    fn into_failure(self) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            Self::Conflict(what) => Failure::Failed(format!(
                "{what} changed while the run used it, each time that it was tried; read fewer keys, \
                 or use `add`, or let one channel do the work in turn"
            )),
        }
    }
}

/// Calls the consumer.
fn attempt(call: &Rc<RefCell<Call>>, job: &Job) -> Result<(), Stop> {
    let (consumers, module) = {
        let call = call.borrow();
        let world = call.world.borrow();
        (world.consumers, world.module.clone())
    };
    let invocation = Invocation {
        module,
        consumer: job.entry.name.to_owned(),
        correlation_id: job.correlation.clone(),
    };
    let event = job.event.clone();
    let host = Box::new(SharedCall(Rc::clone(call)));
    let outcome =
        with_host(host, || catch_unwind(AssertUnwindSafe(|| consumers.run(invocation, event))));
    match outcome {
        Ok(outcome) => outcome.map_err(Stop::Failed),
        Err(panic) => Err(match panic.downcast::<Conflict>() {
            Ok(conflict) => Stop::Conflict(conflict.0),
            Err(panic) => Stop::Failed(Failure::Failed(panic_text(&*panic))),
        }),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    if let Some(Limit(text)) = panic.downcast_ref() {
        return text.clone();
    }
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    let place = panics::place().map(|place| format!(" at {place}")).unwrap_or_default();
    format!("panicked{place}: {}", text.unwrap_or("with something that is no text"))
}

/// A limit was exceeded; travels as a panic, since the real host ends the guest there.
struct Limit(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EventKind {
    HttpRequest,
    HttpDisconnect,
    Connect,
    Receive,
    Disconnect,
    Message,
}

impl EventKind {
    fn of(event: &Event) -> Self {
        match event {
            Event::HttpRequest(_) => Self::HttpRequest,
            Event::HttpDisconnect(_) => Self::HttpDisconnect,
            Event::WebsocketConnect(_) => Self::Connect,
            Event::WebsocketReceive(_) => Self::Receive,
            Event::WebsocketDisconnect(_) => Self::Disconnect,
            Event::ChannelMessage(_) => Self::Message,
        }
    }

    fn takes(self) -> &'static str {
        match self {
            Self::HttpRequest => "an HTTP request takes respond, stream and hold",
            Self::HttpDisconnect => "the client is gone",
            Self::Connect => "a handshake takes accept and close, then send",
            Self::Receive | Self::Disconnect => "a WebSocket takes send and close",
            Self::Message => "a message on a channel has nobody to answer",
        }
    }
}

/// How far the answer to the own connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    None,
    Streaming,
    Done,
}

struct Call {
    world: SharedWorld,
    consumer: &'static str,
    kind: EventKind,
    facts: JobFacts,
    outbox: Vec<Item>,
    bytes: usize,
    answer: Answer,
    state: Option<Vec<u8>>,
    /// None before the first call of the store.
    transaction: Option<Transaction>,
    /// What it asks for of sessions.
    changes: sessions::Changes,
    /// Parts of lists of members that were read.
    members_reads: u32,
    /// Whether a second run would do something twice.
    is_final: bool,
}

impl Call {
    fn new(world: &SharedWorld, job: &Job) -> Self {
        Self {
            world: Rc::clone(world),
            consumer: job.entry.name,
            kind: EventKind::of(&job.event),
            facts: JobFacts {
                connection: job.connection.clone(),
                correlation: job.correlation.clone(),
                delivery: job.delivery.clone(),
            },
            outbox: Vec::new(),
            bytes: 0,
            answer: Answer::None,
            state: None,
            transaction: None,
            changes: sessions::Changes::default(),
            members_reads: 0,
            is_final: false,
        }
    }

    fn put(&mut self, item: Item) {
        self.bytes += size(&item);
        self.outbox.push(item);
        let (items, bytes) = (self.outbox.len(), self.bytes);
        let limit = if items > rules::MAX_OUTBOX {
            format!("an outbox of {items} entries, and the limit is {}", rules::MAX_OUTBOX)
        } else if bytes > rules::MAX_OUTBOX_BYTES {
            format!("an outbox of {bytes} bytes, and the limit is {}", rules::MAX_OUTBOX_BYTES)
        } else {
            return;
        };
        resume_unwind(Box::new(Limit(limit)));
    }

    fn put_reply(&mut self, reply: Reply) -> Result<(), ReplyError> {
        self.put(Item::Reply(reply));
        Ok(())
    }

    fn wrong<T>(&self) -> Result<T, ReplyError> {
        Err(ReplyError::WrongEvent(self.kind.takes().to_owned()))
    }

    fn commit(&mut self) {
        let items = std::mem::take(&mut self.outbox);
        self.bytes = 0;
        self.world.borrow_mut().commit(items, &self.facts);
    }

    fn may_send(&self, channel: &str) -> Result<(), SendError> {
        rules::channel(channel)?;
        let world = self.world.borrow();
        let reserved = channel.starts_with("http.") || channel.starts_with("websocket.");
        if reserved {
            let text = format!("channel {channel} belongs to the interface server");
            return Err(SendError::Forbidden(text));
        }
        let own = channel.contains('!')
            || world.owner(channel).is_some()
            || world.granted.contains(channel);
        if own {
            return Ok(());
        }
        let text = format!("channel {channel} is not declared by module {}", world.module);
        Err(SendError::Forbidden(text))
    }

    fn may_use(&self, group: &str) -> Result<(), SendError> {
        rules::name(group)?;
        if ["_user.", "_session."].iter().any(|prefix| group.starts_with(prefix)) {
            let text =
                format!("group {group} is one of the host's own; connections_of reaches users");
            return Err(SendError::Forbidden(text));
        }
        let world = self.world.borrow();
        let rest = group.strip_prefix(&*world.module);
        if rest.is_some_and(|rest| rest.starts_with('.')) || world.granted.contains(group) {
            return Ok(());
        }
        let text = format!("group {group} is not under {}.", world.module);
        Err(SendError::Forbidden(text))
    }

    fn connection<T>(&self, read: impl FnOnce(&mut Connection) -> T) -> Option<T> {
        let channel = self.facts.connection.as_deref()?;
        self.world.borrow_mut().connections.get_mut(channel).map(read)
    }

    fn succeed(&mut self) {
        if !self.changes.is_empty() {
            self.apply_sessions();
        }
        self.commit();
        let state = self.state.take();
        let answered = self.answer != Answer::None;
        let kind = self.kind;
        let unanswered = self.connection(|connection| match &mut connection.kind {
            Kind::Http(http) if kind == EventKind::HttpRequest => {
                http.after_consumer();
                !answered && http.hold.is_none()
            }
            Kind::Websocket(websocket) => {
                websocket.state = state.or(websocket.state.take());
                if matches!(websocket.phase, Phase::Handshake) {
                    websocket.phase = Phase::Denied(403);
                }
                false
            }
            Kind::Http(_) => false,
        });
        if unanswered == Some(true) {
            self.fail(Failure::Failed("neither answered nor held the request".to_owned()));
        }
    }

    fn fail(&mut self, failure: Failure) {
        let (text, code) = match failure {
            Failure::StateUnreadable(text) => (text, 1012),
            Failure::Failed(text) => (text, 1011),
        };
        let mut world = self.world.borrow_mut();
        world.faults.push(Fault { consumer: self.consumer.to_owned(), text });
        let Some(channel) = self.facts.connection.clone() else { return };
        let Some(connection) = world.connections.get_mut(&channel) else { return };
        match &mut connection.kind {
            Kind::Http(http) if http.head.is_none() => {
                http.answer(SdkResponse::text("internal error\n").status(500).0);
            }
            Kind::Http(http) => http.is_complete = true,
            Kind::Websocket(websocket) => match websocket.phase {
                Phase::Handshake => websocket.phase = Phase::Denied(500),
                Phase::Open(_) => {
                    world.close(&channel, Close::new(code, ""));
                    return;
                }
                Phase::Denied(_) | Phase::Closed(_) => return,
            },
        }
        world.leave_groups(&channel);
    }
}

fn size(item: &Item) -> usize {
    match item {
        Item::Send { content, .. }
        | Item::SendLater { content, .. }
        | Item::GroupSend { content, .. }
        | Item::UserSend { content, .. } => content.len(),
        Item::Present { key, facts, .. } => key.len() + facts.len(),
        Item::GroupAdd { .. } | Item::GroupJoin { .. } | Item::GroupDiscard { .. } => 0,
        Item::Reply(Reply::Send(Frame::Text(text))) => text.len(),
        Item::Reply(Reply::Send(Frame::Binary(bytes)) | Reply::Chunk(bytes)) => bytes.len(),
        Item::Reply(Reply::Respond(response)) => response.body.len(),
        Item::Reply(_) => 0,
    }
}

struct SharedCall(Rc<RefCell<Call>>);

impl Host for SharedCall {
    fn send(&mut self, channel: &str, content: &[u8]) -> Result<(), SendError> {
        let mut call = self.0.borrow_mut();
        call.may_send(channel)?;
        rules::content(content)?;
        call.put(Item::Send { channel: channel.to_owned(), content: content.to_owned() });
        Ok(())
    }

    fn send_later(&mut self, channel: &str, content: &[u8], delay: u64) -> Result<(), SendError> {
        let mut call = self.0.borrow_mut();
        call.may_send(channel)?;
        rules::content(content)?;
        if delay > rules::MAX_DELAY {
            return Err(SendError::InvalidContent("a delay is at most 24 hours".to_owned()));
        }
        call.put(Item::SendLater {
            channel: channel.to_owned(),
            content: content.to_owned(),
            delay,
        });
        Ok(())
    }

    fn group_add(&mut self, group: &str, channel: &str) -> Result<(), SendError> {
        let mut call = self.0.borrow_mut();
        call.may_use(group)?;
        call.may_send(channel)?;
        call.put(Item::GroupAdd { group: group.to_owned(), channel: channel.to_owned() });
        Ok(())
    }

    fn group_discard(&mut self, group: &str, channel: &str) -> Result<(), SendError> {
        let mut call = self.0.borrow_mut();
        call.may_use(group)?;
        call.may_send(channel)?;
        call.put(Item::GroupDiscard { group: group.to_owned(), channel: channel.to_owned() });
        Ok(())
    }

    fn group_send(&mut self, group: &str, content: &[u8]) -> Result<(), SendError> {
        let mut call = self.0.borrow_mut();
        call.may_use(group)?;
        rules::content(content)?;
        call.put(Item::GroupSend { group: group.to_owned(), content: content.to_owned() });
        Ok(())
    }

    fn flush(&mut self) -> Result<(), FlushError> {
        let mut call = self.0.borrow_mut();
        if !call.changes.is_empty() {
            let rule = "the run has asked for something of sessions, which is done when it returns; \
                        flush before, or return";
            let reason = FlushReason::Refused(rule.to_owned());
            return Err(FlushError { index: 0, channel: String::new(), reason });
        }
        call.flush_data();
        call.is_final |= !call.outbox.is_empty();
        call.commit();
        Ok(())
    }

    fn respond(&mut self, response: &Response) -> Result<(), ReplyError> {
        let mut call = self.0.borrow_mut();
        if call.kind != EventKind::HttpRequest {
            return call.wrong();
        }
        rules::status(response.status)?;
        rules::headers(&response.headers)?;
        call.answer = Answer::Done;
        call.put_reply(Reply::Respond(response.clone()))
    }

    fn stream(&mut self, part: &StreamPart) -> Result<(), ReplyError> {
        let mut call = self.0.borrow_mut();
        let reply = match (part, call.answer) {
            _ if call.kind != EventKind::HttpRequest => return call.wrong(),
            (StreamPart::Start(head), Answer::None) => {
                rules::status(head.status)?;
                rules::headers(&head.headers)?;
                call.answer = Answer::Streaming;
                Reply::Start(head.clone())
            }
            (StreamPart::Chunk(chunk), Answer::Streaming) => Reply::Chunk(chunk.clone()),
            (StreamPart::End, Answer::Streaming) => {
                call.answer = Answer::Done;
                Reply::End
            }
            _ => {
                let text = "a streamed response is one start, then chunks, then one end";
                return Err(ReplyError::WrongEvent(text.to_owned()));
            }
        };
        call.put_reply(reply)
    }

    fn hold(&mut self, timeout: u64, fallback: Option<&Response>) -> Result<(), ReplyError> {
        let mut call = self.0.borrow_mut();
        if call.kind != EventKind::HttpRequest || call.answer == Answer::Done {
            return call.wrong();
        }
        if timeout > rules::MAX_HOLD {
            return Err(ReplyError::Invalid("a hold is at most 1 hour".to_owned()));
        }
        if let Some(fallback) = fallback {
            rules::status(fallback.status)?;
            rules::headers(&fallback.headers)?;
        }
        call.put_reply(Reply::Hold { timeout, fallback: fallback.cloned() })
    }

    fn accept(&mut self, handshake: &Handshake) -> Result<(), ReplyError> {
        let mut call = self.0.borrow_mut();
        if call.kind != EventKind::Connect || call.answer != Answer::None {
            return call.wrong();
        }
        rules::headers(&handshake.headers)?;
        if let Some(chosen) = &handshake.subprotocol {
            let offered = call.connection(|connection| {
                connection.scope.subprotocols.iter().any(|offered| offered == chosen)
            });
            if offered != Some(true) {
                let text = format!("the client did not offer the subprotocol {chosen:?}");
                return Err(ReplyError::Invalid(text));
            }
        }
        call.answer = Answer::Streaming;
        call.put_reply(Reply::Accept(handshake.clone()))
    }

    fn send_frame(&mut self, frame: &Frame) -> Result<(), ReplyError> {
        let mut call = self.0.borrow_mut();
        match (call.kind, call.answer) {
            (EventKind::Receive | EventKind::Disconnect, _)
            | (EventKind::Connect, Answer::Streaming) => call.put_reply(Reply::Send(frame.clone())),
            _ => call.wrong(),
        }
    }

    fn close(&mut self, code: u16, reason: &str) -> Result<(), ReplyError> {
        let mut call = self.0.borrow_mut();
        if !matches!(call.kind, EventKind::Connect | EventKind::Receive | EventKind::Disconnect) {
            return call.wrong();
        }
        rules::close(code, reason)?;
        call.answer = Answer::Done;
        call.put_reply(Reply::Close(Close::new(code, reason)))
    }

    fn get_scope(&mut self) -> Option<Scope> {
        self.0.borrow().connection(|connection| connection.scope.clone())
    }

    fn current_user(&mut self) -> Option<User> {
        self.0.borrow().connection(|connection| connection.user.clone())?
    }

    fn get_state(&mut self) -> Option<Vec<u8>> {
        let call = self.0.borrow();
        let before = || call.connection(|connection| connection.websocket()?.state.clone());
        call.state.clone().or_else(|| before().flatten())
    }

    fn set_state(&mut self, state: &[u8]) -> Result<(), StateError> {
        let mut call = self.0.borrow_mut();
        if call.connection(|connection| connection.websocket().is_some()) != Some(true) {
            return Err(StateError::NoConnection);
        }
        if state.len() > rules::MAX_STATE {
            return Err(StateError::TooLarge(rules::MAX_STATE as u64));
        }
        call.state = Some(state.to_owned());
        Ok(())
    }

    fn log(&mut self, level: log::Level, message: &str) {
        let call = self.0.borrow();
        let level = match level {
            log::Level::Trace => Level::Trace,
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        let line = LogLine { consumer: call.consumer.to_owned(), level, text: message.to_owned() };
        call.world.borrow_mut().logs.push(line);
    }

    fn now(&self) -> SystemTime {
        self.0.borrow().world.borrow().clock()
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.0.borrow().world.borrow().environment.get(name).cloned()
    }

    fn path(&self, path: &Path) -> PathBuf {
        self.0.borrow().world.borrow().path(path)
    }
}
