//! Bodies of requests, bounded in bytes and in time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
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
                return Err(Problem::bad("cut-off", "the body ends in the middle; send it again"));
            }
            Err(_) => {
                let text = if until == end {
                    format!(
                        "the upload did not finish within {UPLOAD_TIMEOUT:?}; use a faster connection or a smaller file"
                    )
                } else {
                    format!("no data arrived for {READ_TIMEOUT:?}; send it again")
                };
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

/// Reads a body of JSON.
pub(super) async fn json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Incoming,
    code: &'static str,
) -> Result<T, Box<Problem>> {
    parse(&read(headers, body, JSON_BYTES_MAX, "").await?, code)
}

/// Reads a message: an object of JSON.
pub(super) async fn message<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Incoming,
) -> Result<T, Box<Problem>> {
    parse(&read(headers, body, MESSAGE_BYTES_MAX, "").await?, "message")
}

/// Reads a value of a module.
pub(super) async fn value<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Incoming,
) -> Result<T, Box<Problem>> {
    parse(&read(headers, body, VALUE_BYTES_MAX, "").await?, "value")
}

fn parse<T: DeserializeOwned>(bytes: &[u8], code: &'static str) -> Result<T, Box<Problem>> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = by_name(&mut reader).and_then(|value| reader.end().map(|()| value));
    read.map_err(|error| Problem::json(code, &error))
}
