//! The contract's rules about names, headers, status and close codes.

use crate::host::layer::{SendError, SizeLimit};
use crate::host::reply::ReplyError;
use crate::host::types::Header;

use super::value;

/// What the layer takes by default: a body of 1 MiB and 64 KiB for the rest.
pub(super) const MAX_CONTENT: usize = (1024 + 64) * 1024;
pub(super) const MAX_STATE: usize = 16 * 1024;
pub(super) const MAX_OUTBOX: usize = 1_000;
pub(super) const MAX_OUTBOX_BYTES: usize = 8 * 1024 * 1024;
pub(super) const MAX_HOLD: u64 = 60 * 60 * 1000;
pub(super) const MAX_DELAY: u64 = 24 * 60 * 60 * 1000;

const MAX_NAME: usize = 99;
const MAX_REASON: usize = 123;

pub(super) fn name(text: &str) -> Result<(), SendError> {
    let wrong = |what: String| Err(SendError::InvalidName(format!("name {text:?}: {what}")));
    if text.is_empty() || text.len() > MAX_NAME {
        return wrong(format!("has {} bytes, and 1 to {MAX_NAME} are allowed", text.len()));
    }
    match text.chars().find(|&c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
        Some(bad) => wrong(format!("{bad:?} is not one of a-z A-Z 0-9 . _ -")),
        None => Ok(()),
    }
}

/// A channel: a name, or a reply channel with one `!` in it.
pub(super) fn channel(text: &str) -> Result<(), SendError> {
    match text.split_once('!') {
        None => name(text),
        Some((node, local)) if text.len() <= MAX_NAME => name(node).and_then(|()| name(local)),
        Some(_) => name(text),
    }
}

/// What a module may be called.
pub(super) fn is_module(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(fits)
}

pub(super) fn content(bytes: &[u8]) -> Result<(), SendError> {
    if bytes.len() > MAX_CONTENT {
        let size = SizeLimit { bytes: bytes.len() as u64, limit: MAX_CONTENT as u64 };
        return Err(SendError::TooLarge(size));
    }
    value::read(bytes).map(drop).map_err(SendError::InvalidContent)
}

pub(super) fn status(status: u16) -> Result<(), ReplyError> {
    if (200..600).contains(&status) {
        return Ok(());
    }
    Err(ReplyError::Invalid(format!("status {status} is not from 200 to 599")))
}

pub(super) fn headers(headers: &[Header]) -> Result<(), ReplyError> {
    headers.iter().try_for_each(header)
}

fn header(header: &Header) -> Result<(), ReplyError> {
    let name = &header.name;
    let wrong = |what: &str| Err(ReplyError::Invalid(format!("header {name:?}: {what}")));
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(is_token) {
        return wrong("the name is no token");
    }
    let of_connection = [
        "connection",
        "transfer-encoding",
        "upgrade",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "content-length",
    ];
    if of_connection.iter().any(|field| name.eq_ignore_ascii_case(field)) {
        return wrong("belongs to the connection, which is the host's");
    }
    if header.value.iter().any(|&b| (b < 0x20 && b != b'\t') || b == 0x7f) {
        return wrong("the value has a control character");
    }
    let is_space = |b: Option<&u8>| b.is_some_and(u8::is_ascii_whitespace);
    if is_space(header.value.first()) || is_space(header.value.last()) {
        return wrong("the value starts or ends with white space");
    }
    Ok(())
}

pub(super) fn close(code: u16, reason: &str) -> Result<(), ReplyError> {
    if code != 1000 && !(3000..=4999).contains(&code) {
        let text = format!("close code {code} is neither 1000 nor from 3000 to 4999");
        return Err(ReplyError::Invalid(text));
    }
    if reason.len() > MAX_REASON {
        let text = format!("a close reason of {} bytes is over {MAX_REASON}", reason.len());
        return Err(ReplyError::Invalid(text));
    }
    Ok(())
}
