//! One connection of the test host, and what replies do to it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Close;
use crate::consumers::Entry;
use crate::host::types::{Frame, Handshake, Header, Response, Scope};
use crate::host::users::User;

use super::forms::Reply;
use super::sessions::Lookup;

#[derive(Debug)]
pub(super) struct Connection {
    /// None for a request that found no consumer.
    pub(super) entry: Option<&'static Entry>,
    pub(super) scope: Scope,
    pub(super) user: Option<User>,
    pub(super) session: Lookup,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Http(Http),
    Websocket(Websocket),
}

#[derive(Debug, Default)]
pub(super) struct Http {
    pub(super) head: Option<(u16, Vec<Header>)>,
    pub(super) body: Vec<u8>,
    pub(super) is_complete: bool,
    pub(super) hold: Option<Hold>,
    /// The client left before the response was complete.
    pub(super) has_left: bool,
    /// Where it stands in the history of a group.
    position: Option<String>,
    has_gap: bool,
    /// Parts of a stream of events that came before its head.
    early: Vec<Vec<u8>>,
}

#[derive(Debug)]
pub(super) struct Hold {
    pub(super) until: Duration,
    pub(super) fallback: Option<Response>,
}

#[derive(Debug, Default)]
pub(super) struct Websocket {
    pub(super) phase: Phase,
    pub(super) state: Option<Vec<u8>>,
    pub(super) order: u64,
    pub(super) frames: VecDeque<Frame>,
    /// What came from the layer before the handshake was answered.
    waiting: Vec<Reply>,
}

#[derive(Debug, Default, Clone)]
pub(super) enum Phase {
    #[default]
    Handshake,
    Denied(u16),
    Open(Handshake),
    Closed(Close),
}

impl Http {
    pub(super) fn answer(&mut self, mut response: Response) {
        if let Some(position) = &self.position {
            let header =
                |name: &str, value: &str| Header { name: name.into(), value: value.into() };
            response.headers.push(header("tidegate-position", position));
            if self.has_gap {
                response.headers.push(header("tidegate-complete", "false"));
            }
        }
        self.head = Some((response.status, response.headers));
        self.body = response.body;
        self.is_complete = true;
    }

    fn apply(&mut self, reply: Reply, now: Duration) -> Result<(), &'static str> {
        if self.is_complete || self.has_left {
            return Err("the request is answered or gone");
        }
        match (reply, &self.head) {
            (Reply::Respond(response), None) => self.answer(response),
            (Reply::Start(head), None) => {
                self.head = Some((head.status, head.headers));
                if self.is_event_stream() {
                    self.body.extend(std::mem::take(&mut self.early).concat());
                }
            }
            (Reply::Chunk(chunk), Some(_)) => self.body.extend(chunk),
            (Reply::End, Some(_)) => self.is_complete = true,
            (Reply::Hold { timeout, fallback }, _) => {
                self.hold = Some(Hold { until: now + Duration::from_millis(timeout), fallback });
            }
            (Reply::Close(_), _) if self.hold.is_some() => self.expire(),
            _ => return Err("an HTTP request takes no such message now"),
        }
        Ok(())
    }

    /// What the host does when a consumer has returned.
    pub(super) fn after_consumer(&mut self) {
        if self.head.is_some() && self.hold.is_none() {
            self.is_complete = true;
        }
        if self.head.is_none() && self.hold.is_some() && self.has_gap {
            // It must not wait for the next message.
            self.answer(crate::Response::new(204).0);
        }
    }

    fn is_event_stream(&self) -> bool {
        let is_kind = |header: &Header| {
            header.name == "content-type" && header.value.starts_with(b"text/event-stream")
        };
        self.head.as_ref().is_some_and(|(_, headers)| headers.iter().any(is_kind))
    }

    /// Notes from where on it gets all messages of a group.
    pub(super) fn stand(&mut self, group: &str, position: String, complete: bool) {
        let event = match complete {
            true => format!("id: {position}\n\n"),
            false => format!("event: tidegate-gap\nid: {position}\ndata: {group}\n\n"),
        };
        self.position = Some(position);
        self.has_gap |= !complete;
        self.stream_event(event.into_bytes());
    }

    fn stream_event(&mut self, event: Vec<u8>) {
        if self.head.is_none() {
            self.early.push(event);
        } else if self.is_event_stream() && !self.is_complete {
            self.body.extend(event);
        }
    }

    /// Notes the position of a message. Returns what is left to do of it.
    pub(super) fn numbered(&mut self, reply: Reply, position: &str) -> Option<Reply> {
        match reply {
            Reply::Chunk(chunk) if self.head.is_none() || self.is_event_stream() => {
                self.stream_event([format!("id: {position}\n").into_bytes(), chunk].concat());
                None
            }
            reply => {
                if !self.is_complete {
                    self.position = Some(position.to_owned());
                }
                Some(reply)
            }
        }
    }

    pub(super) fn expire(&mut self) {
        match self.hold.take().and_then(|hold| hold.fallback) {
            _ if self.head.is_some() => self.is_complete = true,
            Some(fallback) => self.answer(fallback),
            None => self.answer(crate::Response::text("timed out\n").status(504).0),
        }
    }
}

impl Websocket {
    fn apply(&mut self, reply: Reply, from_group: bool) -> Result<(), &'static str> {
        match (&self.phase, reply) {
            (Phase::Handshake, Reply::Accept(handshake)) if !from_group => {
                self.phase = Phase::Open(handshake);
                for reply in std::mem::take(&mut self.waiting) {
                    self.apply(reply, false)?;
                }
            }
            (_, Reply::Accept(_)) => {}
            (Phase::Handshake, Reply::Deny | Reply::Close(_)) if !from_group => {
                self.phase = Phase::Denied(403);
            }
            (Phase::Handshake, reply @ (Reply::Send(_) | Reply::Close(_))) => {
                self.waiting.push(reply);
            }
            (Phase::Open(_), Reply::Send(frame)) => self.frames.push_back(frame),
            (Phase::Open(_), Reply::Close(close)) => self.phase = Phase::Closed(close),
            (Phase::Closed(_) | Phase::Denied(_), _) => return Err("the connection is closed"),
            _ => return Err("a WebSocket takes no such message now"),
        }
        Ok(())
    }
}

impl Connection {
    pub(super) fn apply(
        &mut self,
        reply: Reply,
        from_group: bool,
        now: Duration,
    ) -> Result<(), &'static str> {
        match &mut self.kind {
            Kind::Http(http) => http.apply(reply, now),
            Kind::Websocket(websocket) => websocket.apply(reply, from_group),
        }
    }

    pub(super) fn is_closed_websocket(&self) -> bool {
        matches!(&self.kind, Kind::Websocket(Websocket { phase: Phase::Closed(_), .. }))
    }

    pub(super) fn websocket(&mut self) -> Option<&mut Websocket> {
        match &mut self.kind {
            Kind::Websocket(websocket) => Some(websocket),
            Kind::Http(_) => None,
        }
    }

    pub(super) fn http(&mut self) -> Option<&mut Http> {
        match &mut self.kind {
            Kind::Http(http) => Some(http),
            Kind::Websocket(_) => None,
        }
    }
}
