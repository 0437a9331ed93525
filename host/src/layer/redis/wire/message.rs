//! Entries of channels.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Blob, VERSION, WireError, encode, event::WireEvent};
use crate::message::{Content, CorrelationId, Message, Payload, TraceContext};

/// Bytes before the map: version, how often it was taken before, expiry, time of sending.
pub(super) const HEADER: usize = 18;

/// `{"correlation": ..., "event": {...}}` or `{"correlation": ..., "content": ...}`
#[derive(Debug, Serialize, Deserialize)]
struct WireMessage {
    correlation: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    traceparent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    event: Option<Box<WireEvent>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    content: Option<Blob>,
}

/// The map of a message, without the header that Redis itself puts before it.
pub(in super::super) fn seal(message: &Message) -> Vec<u8> {
    let (event, content) = match &message.payload {
        Payload::Event(event) => (Some(Box::new(WireEvent::from(&**event))), None),
        Payload::Custom(content) => (None, Some(Blob(content.as_bytes().clone()))),
    };
    let correlation = message.correlation.to_string();
    let id = message.id.map(|id| id.to_string());
    let traceparent = message.trace.map(|trace| trace.trace_parent(message.correlation));
    encode(&WireMessage { correlation, id, traceparent, event, content })
}

/// A decoded entry of a channel.
#[derive(Debug)]
pub(in super::super) struct Envelope {
    pub(in super::super) message: Message,
    pub(in super::super) waited: Duration,
    /// How often it was taken before.
    pub(in super::super) attempt: u32,
}

/// When an entry was sent and when it expires, in microseconds of the server.
pub(in super::super) fn times(entry: &[u8]) -> Option<(u64, u64)> {
    let (header, _) = entry.split_at_checked(HEADER)?;
    let number =
        |at: std::ops::Range<usize>| Some(u64::from_be_bytes(header.get(at)?.try_into().ok()?));
    Some((number(10..18)?, number(2..10)?))
}

/// Reads an entry of a channel. `now` is the server's time in microseconds.
pub(in super::super) fn open(entry: &[u8], now: u64) -> Result<Envelope, WireError> {
    let (header, map) = entry.split_at_checked(HEADER).ok_or(WireError::Short)?;
    let [version, attempt, times @ ..] = header else { return Err(WireError::Short) };
    if *version != VERSION {
        return Err(WireError::Version(*version));
    }
    let sent = times.get(8..).and_then(|sent| sent.try_into().ok()).map_or(now, u64::from_be_bytes);
    let wire: WireMessage = rmp_serde::from_slice(map)?;
    let correlation = wire.correlation.parse();
    let correlation: CorrelationId =
        correlation.map_err(|error| WireError::field("correlation")(&error))?;
    let payload = match (wire.event, wire.content) {
        (Some(event), None) => Payload::Event(Box::new(event.into_event(correlation)?)),
        (None, Some(content)) => Payload::Custom(parse(content.0)?),
        _ => return Err(WireError::field("event")(&"there is either an event or a content")),
    };
    // One that is not ours is no reason to lose the message.
    let id = wire.id.and_then(|id| id.parse().ok());
    // Nor is one of another trace.
    let trace = wire.traceparent.and_then(|text| TraceContext::parse(&text));
    let trace = trace.filter(|(of, _)| *of == correlation).map(|(_, trace)| trace);
    let message = Message { payload, correlation, id, trace, expires_after: None };
    let waited = Duration::from_micros(now.saturating_sub(sent));
    Ok(Envelope { message, waited, attempt: u32::from(*attempt) })
}

pub(super) fn parse(content: Bytes) -> Result<Content, WireError> {
    Content::parse(content).map_err(|error| WireError::field("content")(&error))
}
