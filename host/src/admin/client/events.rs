//! Reads a stream of records: server-sent events, one by one.

use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::time::timeout;

use super::{AdminAddress, AskError, Record};

/// How long a host may be silent. It sends a part every 15 s.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(45);
/// The longest event that is read, in bytes: a record has 64 KiB of lines by default.
const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// An item of the stream.
#[derive(Clone, Debug)]
pub enum Heard {
    /// A record.
    Record(Box<Record>),
    /// So many records came too fast to be sent.
    Missed(u64),
}

/// Records of a host, from when it was asked. Dropping it ends the connection.
#[derive(Debug)]
pub struct RecordStream {
    address: AdminAddress,
    body: Incoming,
    lines: Lines,
}

#[derive(Deserialize)]
struct Missed {
    count: u64,
}

impl RecordStream {
    pub(super) fn new(address: AdminAddress, body: Incoming) -> Self {
        Self { address, body, lines: Lines::default() }
    }

    /// Returns the next item; none when the host has ended the stream.
    pub async fn next(&mut self) -> Result<Option<Heard>, AskError> {
        loop {
            while let Some(event) = self.lines.next() {
                if let Some(heard) = self.read(&event)? {
                    return Ok(Some(heard));
                }
            }
            if self.lines.bytes() > EVENT_BYTES_MAX {
                return Err(
                    self.unreadable(format!("an event has more than {EVENT_BYTES_MAX} bytes"))
                );
            }
            let address = || self.address.clone();
            let frame = timeout(SILENCE_TIMEOUT, self.body.frame())
                .await
                .map_err(|_| AskError::Silent { address: address(), patience: SILENCE_TIMEOUT })?;
            match frame {
                None => return Ok(None),
                Some(Err(reason)) => return Err(AskError::Broken { address: address(), reason }),
                Some(Ok(frame)) => self.lines.add(frame.into_data().unwrap_or_default()),
            }
        }
    }

    fn read(&self, event: &Event) -> Result<Option<Heard>, AskError> {
        let wrong = |error: serde_json::Error| self.unreadable(error.to_string());
        Ok(match event.kind.as_str() {
            "record" => Some(Heard::Record(serde_json::from_str(&event.data).map_err(wrong)?)),
            "missed" => {
                let Missed { count } = serde_json::from_str(&event.data).map_err(wrong)?;
                Some(Heard::Missed(count))
            }
            // A newer host may send more.
            _ => None,
        })
    }

    fn unreadable(&self, reason: String) -> AskError {
        AskError::Unreadable { address: self.address.clone(), path: "records".to_owned(), reason }
    }
}

/// A server-sent event.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    kind: String,
    data: String,
}

/// Cuts bytes into events, as the HTML standard says (section 9.2.6); lines end with a line feed.
#[derive(Debug, Default)]
struct Lines {
    bytes: BytesMut,
    /// How many of them are known to have no line feed.
    seen: usize,
    event: Event,
}

impl Lines {
    fn add(&mut self, bytes: Bytes) {
        self.bytes.extend(bytes);
    }

    /// The bytes of an unfinished event.
    fn bytes(&self) -> usize {
        self.bytes.len() + self.event.data.len()
    }

    fn next(&mut self) -> Option<Event> {
        while let Some(line) = self.line() {
            let line = line.strip_suffix('\r').unwrap_or(&line);
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                if !event.data.is_empty() {
                    return Some(event);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.event.kind),
                "data" => {
                    if !self.event.data.is_empty() {
                        self.event.data.push('\n');
                    }
                    self.event.data.push_str(value);
                }
                // Comments, ids, unknown fields.
                _ => {}
            }
        }
        None
    }

    fn line(&mut self) -> Option<String> {
        let new = self.bytes.get(self.seen..).unwrap_or_default();
        let Some(at) = new.iter().position(|byte| *byte == b'\n') else {
            self.seen = self.bytes.len();
            return None;
        };
        let line = self.bytes.split_to(self.seen + at);
        self.bytes.advance(1);
        self.seen = 0;
        Some(String::from_utf8_lossy(&line).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_cut_however_the_bytes_come() {
        let text = ": keep-alive\n\nevent: record\nid: 7\ndata: {\"a\":1}\n\nevent:missed\r\n\
                    data:one\r\ndata: two\r\n\r\nevent: none\n\nevent: record\ndata: unfinished";
        let event = |kind: &str, data: &str| Event { kind: kind.into(), data: data.into() };
        let expected = [event("record", "{\"a\":1}"), event("missed", "one\ntwo")];
        for size in [1, 2, 7, text.len()] {
            let mut lines = Lines::default();
            let mut found = Vec::new();
            for part in text.as_bytes().chunks(size) {
                lines.add(Bytes::copy_from_slice(part));
                while let Some(event) = lines.next() {
                    found.push(event);
                }
            }
            assert_eq!(found, expected, "in parts of {size}");
            assert_eq!(lines.bytes(), "data: unfinished".len());
        }
    }
}
