//! Bodies of requests, bounded in bytes and in time.

use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::{HeaderMap, StatusCode, body::Incoming, header};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::problem::Problem;
use crate::setting::by_name;

/// The largest body of JSON.
const JSON_BYTES_MAX: usize = 64 * 1024;
/// The largest message as JSON. The channel layer has a limit of its own.
const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The largest body with one value of a module: the value itself has a limit of the store.
const VALUE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The longest line of an import, in bytes.
const LINE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long a body may pause.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a body may take in all.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(600);

/// Reads a body of at most so many bytes.
pub(super) async fn read(
    headers: &HeaderMap,
    mut body: Incoming,
    most: usize,
    setting: &str,
) -> Result<Bytes, Box<Problem>> {
    let too_large = |found: usize| {
        let text = format!("the body has more than {most} bytes; send less{setting}");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", text)
            .with_numbers(Some((found as u64, most as u64)))
    };
    // Rejects on `content-length` alone; the actual length is checked as well.
    let said = headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
    if let Some(said) = said.filter(|&said: &usize| said > most) {
        return Err(too_large(said));
    }
    let end = Instant::now() + UPLOAD_TIMEOUT;
    let mut bytes = BytesMut::new();
    loop {
        let until = end.min(Instant::now() + READ_TIMEOUT);
        let frame = match timeout_at(until, body.frame()).await {
            Ok(None) => return Ok(bytes.freeze()),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => {
                return Err(cut_off());
            }
            Err(_) => {
                if until != end {
                    return Err(paused());
                }
                let text = format!(
                    "the upload did not finish within {UPLOAD_TIMEOUT:?}; use a faster connection or a smaller file"
                );
                return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "too-slow", text));
            }
        };
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > most {
            return Err(too_large(bytes.len() + data.len()));
        }
        bytes.extend_from_slice(&data);
    }
}

fn cut_off() -> Box<Problem> {
    Problem::bad("cut-off", "the body ends in the middle; send it again")
}

fn paused() -> Box<Problem> {
    let text = format!("no data arrived for {READ_TIMEOUT:?}; send it again");
    Problem::new(StatusCode::REQUEST_TIMEOUT, "too-slow", text)
}

/// A body that is read line by line, however long it is.
#[derive(Debug)]
pub(super) struct Lines {
    body: Incoming,
    bytes: BytesMut,
    /// How many of them are known to have no line feed.
    seen: usize,
    ended: bool,
}

impl Lines {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, bytes: BytesMut::new(), seen: 0, ended: false }
    }

    /// Returns the next line, none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Box<Problem>> {
        loop {
            let new = self.bytes.get(self.seen..).unwrap_or_default();
            let end = new.iter().position(|byte| *byte == b'\n').map(|at| self.seen + at);
            let length = end.unwrap_or(self.bytes.len());
            if length > LINE_BYTES_MAX {
                let text = format!("it has more than {LINE_BYTES_MAX} bytes");
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", text)
                    .with_numbers(Some((length as u64, LINE_BYTES_MAX as u64))));
            }
            if let Some(end) = end {
                let line = self.bytes.split_to(end).freeze();
                self.bytes.advance(1);
                self.seen = 0;
                return Ok(Some(line));
            }
            if self.ended {
                self.seen = 0;
                let rest = self.bytes.split().freeze();
                return Ok((!rest.is_empty()).then_some(rest));
            }
            self.seen = length;
            match timeout_at(Instant::now() + READ_TIMEOUT, self.body.frame()).await {
                Ok(None) => self.ended = true,
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.bytes.extend_from_slice(&data);
                    }
                }
                Ok(Some(Err(_))) => return Err(cut_off()),
                Err(_) => return Err(paused()),
            }
        }
    }
}

/// Reads a body of JSON.
pub(super) async fn json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Incoming,
    code: &'static str,
) -> Result<T, Box<Problem>> {
    parse(&read(headers, body, JSON_BYTES_MAX, "").await?, code)
}

/// Reads a message: an object of JSON, which is not parsed yet.
pub(super) async fn message(headers: &HeaderMap, body: Incoming) -> Result<Bytes, Box<Problem>> {
    read(headers, body, MESSAGE_BYTES_MAX, "").await
}

/// Reads a value of a module.
pub(super) async fn value<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Incoming,
) -> Result<T, Box<Problem>> {
    parse(&read(headers, body, VALUE_BYTES_MAX, "").await?, "value")
}

/// Reads JSON with the names of its fields.
pub(super) fn parse<T: DeserializeOwned>(
    bytes: &[u8],
    code: &'static str,
) -> Result<T, Box<Problem>> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = by_name(&mut reader).and_then(|value| reader.end().map(|()| value));
    read.map_err(|error| Problem::json(code, &error))
}
