//! `tidegate:channels/reply`: answers to the event's own connection.

use std::time::Duration;

use wasmtime::component::HasData;

use crate::{
    engine::{
        Entry, Limits, Outbox,
        bindings::tidegate::channels::{
            reply::{Host, ReplyError},
            types::{Frame, Handshake, Response, StreamPart},
        },
        convert,
        instance::{Job, Run},
    },
    message::{Close, Event, EventKind, Protocol, Reply},
};

/// The longest hold.
const LONGEST_HOLD: Duration = Duration::from_secs(3600);

/// Sees the event and the outbox.
pub(in crate::engine) struct ReplyCalls<'a> {
    event: Option<&'a Event>,
    outbox: &'a mut Outbox,
    limits: &'a Limits,
}

impl HasData for ReplyCalls<'static> {
    type Data<'a> = ReplyCalls<'a>;
}

impl Run {
    pub(in crate::engine) fn reply_calls(&mut self) -> ReplyCalls<'_> {
        ReplyCalls {
            event: self.job.as_ref().and_then(Job::event),
            outbox: &mut self.outbox,
            limits: &self.limits,
        }
    }
}

type Answered = wasmtime::Result<Result<(), ReplyError>>;

fn refused(rule: impl Into<String>) -> Answered {
    Ok(Err(ReplyError::Invalid(rule.into())))
}

impl ReplyCalls<'_> {
    fn put(&mut self, reply: Reply) -> Answered {
        self.outbox.push(Entry::Reply(reply), self.limits)?;
        Ok(Ok(()))
    }

    fn takes(&self, fits: impl Fn(&Event) -> bool, what: &str) -> Result<(), ReplyError> {
        match self.event {
            Some(event) if fits(event) => Ok(()),
            Some(event) => {
                Err(ReplyError::WrongEvent(format!("{what}; this is {}", event.kind.channel())))
            }
            None => Err(ReplyError::WrongEvent(format!(
                "{what}; a message on a channel has no connection of its own, \
                 send to a reply channel that it names"
            ))),
        }
    }

    fn takes_response(&self) -> Result<(), ReplyError> {
        let fits = |event: &Event| matches!(event.kind, EventKind::HttpRequest(_));
        self.takes(fits, "responses answer http.request")
    }

    fn takes_frames(&self) -> Result<(), ReplyError> {
        let fits = |event: &Event| event.scope.protocol == Protocol::Websocket;
        self.takes(fits, "frames and close answer WebSocket events")
    }
}

impl Host for ReplyCalls<'_> {
    fn respond(&mut self, response: Response) -> Answered {
        if let Err(error) = self.takes_response() {
            return Ok(Err(error));
        }
        match convert::response(response) {
            Ok(response) => self.put(Reply::Respond(response)),
            Err(rule) => refused(rule),
        }
    }

    fn stream(&mut self, part: StreamPart) -> Answered {
        if let Err(error) = self.takes_response() {
            return Ok(Err(error));
        }
        match part {
            StreamPart::Start(head) => match convert::response_head(head) {
                Ok(head) => self.put(Reply::StreamStart(head)),
                Err(rule) => refused(rule),
            },
            StreamPart::Chunk(chunk) => self.put(Reply::StreamChunk(chunk.into())),
            StreamPart::End => self.put(Reply::StreamEnd),
        }
    }

    fn hold(&mut self, timeout: u64, fallback: Option<Response>) -> Answered {
        if let Err(error) = self.takes_response() {
            return Ok(Err(error));
        }
        let timeout = Duration::from_millis(timeout);
        if timeout > LONGEST_HOLD {
            return refused(format!("a hold lasts at most {LONGEST_HOLD:?}"));
        }
        match fallback.map(convert::response).transpose() {
            Ok(fallback) => self.put(Reply::Hold { timeout, fallback }),
            Err(rule) => refused(rule),
        }
    }

    fn accept(&mut self, handshake: Handshake) -> Answered {
        let fits = |event: &Event| matches!(event.kind, EventKind::WebsocketConnect);
        if let Err(error) = self.takes(fits, "accept answers websocket.connect") {
            return Ok(Err(error));
        }
        let offered = self.event.map_or(&[][..], |event| &event.scope.subprotocols);
        match convert::handshake(handshake, offered) {
            Ok(handshake) => self.put(Reply::Accept(handshake)),
            Err(rule) => refused(rule),
        }
    }

    fn send(&mut self, frame: Frame) -> Answered {
        match self.takes_frames() {
            Ok(()) => self.put(Reply::Send(convert::frame(frame))),
            Err(error) => Ok(Err(error)),
        }
    }

    fn close(&mut self, code: u16, reason: String) -> Answered {
        if let Err(error) = self.takes_frames() {
            return Ok(Err(error));
        }
        match Close::checked(code, reason) {
            Ok(close) => self.put(Reply::Close(close)),
            Err(rule) => refused(rule.to_string()),
        }
    }
}
