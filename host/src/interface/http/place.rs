//! Where a request stands in the history of a group that it is a member of, and how its response says so.
//!
//! A whole response has a header field. An event of a stream of events has it as its id, which a browser sends back
//! when it connects anew.

use std::collections::VecDeque;

use bytes::Bytes;
use hyper::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};

use crate::{
    interface::conversation::{Happening, Standing},
    message::{Position, Response, ResponseHead},
};

/// The place behind the last message that the client got.
const POSITION: HeaderName = HeaderName::from_static("tidegate-position");
/// Present, and `false`, if messages behind the client's position are gone.
const COMPLETE: HeaderName = HeaderName::from_static("tidegate-complete");

/// Where a request stands.
#[derive(Debug, Default)]
pub(super) struct Place {
    position: Option<Position>,
    has_gap: bool,
    is_event_stream: bool,
    /// What came before the response had begun, for a stream.
    early: VecDeque<Happening>,
}

impl Place {
    /// Notes a message.
    pub(super) const fn at(&mut self, position: Position) {
        self.position = Some(position);
    }

    /// Notes from where on it gets all messages.
    pub(super) const fn from(&mut self, standing: &Standing) {
        self.position = Some(standing.position);
        self.has_gap |= !standing.is_complete;
    }

    /// Keeps what a stream may still take.
    pub(super) fn keep(&mut self, early: Happening) {
        self.early.push_back(early);
    }

    /// Takes what was kept.
    pub(super) fn early(&mut self) -> Option<Happening> {
        self.early.pop_front()
    }

    /// Says in the head of a whole response where the client stands.
    pub(super) fn mark(&self, head: &mut ResponseHead) {
        let Some(position) = self.position else { return };
        let value = HeaderValue::from_maybe_shared(Bytes::from(position.to_string()));
        head.headers.push((POSITION, value.expect("digits and a hyphen are a header value")));
        if self.has_gap {
            head.headers.push((COMPLETE, HeaderValue::from_static("false")));
        }
    }

    /// The answer to a held request from whose position on messages are gone: it must not wait for the next one.
    pub(super) fn gap(&self) -> Option<Response> {
        let head = ResponseHead { status: StatusCode::NO_CONTENT, headers: Vec::new() };
        self.has_gap.then_some(Response { head, body: Bytes::new() })
    }

    /// Notes what is streamed.
    pub(super) fn begin_stream(&mut self, head: &ResponseHead) {
        let of_events = |value: &HeaderValue| value.as_bytes().starts_with(b"text/event-stream");
        let mut kinds = head.headers.iter().filter(|(name, _)| *name == CONTENT_TYPE);
        self.is_event_stream = kinds.any(|(_, value)| of_events(value));
    }

    /// An event of a stream with its place as its id. One that the event has itself is behind it, and counts.
    pub(super) fn event(&self, position: Position, chunk: Bytes) -> Bytes {
        if !self.is_event_stream {
            return chunk;
        }
        [format!("id: {position}\n").as_bytes(), &chunk].concat().into()
    }

    /// What a stream of events says of the place from where on its client gets all messages.
    pub(super) fn standing(&self, standing: &Standing) -> Option<Bytes> {
        if !self.is_event_stream {
            return None;
        }
        let Standing { group, position, is_complete, .. } = standing;
        Some(Bytes::from(match is_complete {
            // Without data the client keeps the id, and nobody is told of an event.
            true => format!("id: {position}\n\n"),
            false => format!("event: tidegate-gap\nid: {position}\ndata: {group}\n\n"),
        }))
    }
}
