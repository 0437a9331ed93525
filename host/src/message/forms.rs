//! Reads the messages that may be sent to a reply channel: those of ASGI 3, told apart by `type`,
//! and the forms of Channels 1 (ASGI 1), which have none.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use rmpv::Value;

use super::{
    Close, Content, Frame, Handshake, Header, Reply, Response, ResponseHead, check_headers,
};

/// Why a message to a reply channel means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// The bytes could not be read.
    #[error("the message is not readable MessagePack")]
    Unreadable,
    /// A type that no connection takes.
    #[error("a connection takes no message of type {0:?}")]
    UnknownType(String),
    /// Neither a type nor a key of the Channels 1 forms.
    #[error(
        "the message has neither `type` nor a key of the Channels 1 forms (accept, text, bytes, close, status, content)"
    )]
    NoForm,
    /// A key has a value of the wrong type or range.
    #[error("`{0}` has the wrong type or is out of range")]
    Key(&'static str),
}

/// What a message to a reply channel asks for, in order.
pub fn replies_from(content: &Content) -> Result<Vec<Reply>, FormError> {
    let value = rmpv::decode::read_value(&mut &content.as_bytes()[..])
        .map_err(|_| FormError::Unreadable)?;
    let Value::Map(entries) = value else { return Err(FormError::Unreadable) };
    let mut fields = Fields(
        entries
            .into_iter()
            .filter_map(|(key, value)| key.as_str().map(|key| (key.to_owned(), value)))
            .filter(|(_, value)| !value.is_nil())
            .collect(),
    );
    match fields.text("type")? {
        Some(kind) => typed(&kind, &mut fields),
        None => channels_1(&mut fields),
    }
}

const NIL: &[u8] = b"\xc0";

/// Whether a message is only for connections that are there now: an end, or nothing that is sent. Whoever came later would be
/// ended, too, and has no place behind it.
pub fn is_for_those_present(content: &Content) -> bool {
    let sends_nothing = |reply: &Reply| {
        matches!(reply, Reply::Accept(_) | Reply::Deny | Reply::Close(_) | Reply::StreamEnd)
    };
    // Most messages are frames, of which nothing more needs to be read.
    let is_frame = |(key, value): (&str, &[u8])| matches!(key, "text" | "bytes") && value != NIL;
    !content.entries().any(is_frame)
        && replies_from(content).is_ok_and(|replies| replies.iter().all(sends_nothing))
}

/// How all contents begin that tell who comes and goes in a group: a map of two, the type first.
const PRESENCE: &[u8] = b"\x82\xa4type\xa8presence";

/// The same for a stream of server-sent events, if a message has another form there than for a WebSocket.
pub fn stream_replies_from(content: &Content) -> Option<Vec<Reply>> {
    if !content.as_bytes().starts_with(PRESENCE) {
        return None;
    }
    let (_, text) = content.entries().find(|(key, _)| *key == "text")?;
    let text: &str = rmp_serde::from_slice(text).ok()?;
    // JSON has no line breaks.
    Some(vec![Reply::StreamChunk(format!("event: presence\ndata: {text}\n\n").into())])
}

fn typed(kind: &str, fields: &mut Fields) -> Result<Vec<Reply>, FormError> {
    Ok(match kind {
        "websocket.accept" => vec![Reply::Accept(Handshake {
            subprotocol: fields.text("subprotocol")?,
            headers: fields.headers()?,
        })],
        "websocket.send" => vec![Reply::Send(fields.frame()?.ok_or(FormError::Key("text"))?)],
        "websocket.close" => {
            let code = fields.close_code("code")?.unwrap_or(1000);
            let reason = fields.text("reason")?.unwrap_or_default();
            if reason.len() > Close::REASON_BYTES_MAX {
                return Err(FormError::Key("reason"));
            }
            vec![Reply::Close(Close { code, reason })]
        }
        // Who comes and goes in a group, as clients of WebSockets get it.
        "presence" => {
            let text = fields.text("text")?.ok_or(FormError::Key("text"))?;
            vec![Reply::Send(Frame::Text(format!("{{\"presence\":{text}}}")))]
        }
        "http.response" => {
            let head = fields.head()?.ok_or(FormError::Key("status"))?;
            let body = fields.bytes("body")?.unwrap_or_default();
            vec![Reply::Respond(Response { head, body })]
        }
        "http.response.start" => {
            vec![Reply::StreamStart(fields.head()?.ok_or(FormError::Key("status"))?)]
        }
        "http.response.body" => {
            let chunk = fields.bytes("body")?.unwrap_or_default();
            stream(chunk, fields.flag("more_body")?.unwrap_or(false))
        }
        _ => return Err(FormError::UnknownType(kind.to_owned())),
    })
}

fn stream(chunk: Bytes, more: bool) -> Vec<Reply> {
    let mut replies = Vec::with_capacity(2);
    if !chunk.is_empty() {
        replies.push(Reply::StreamChunk(chunk));
    }
    if !more {
        replies.push(Reply::StreamEnd);
    }
    replies
}

fn channels_1(fields: &mut Fields) -> Result<Vec<Reply>, FormError> {
    let more = fields.flag("more_content")?.unwrap_or(false);
    if let Some(head) = fields.head()? {
        let body = fields.bytes("content")?.unwrap_or_default();
        if !more {
            return Ok(vec![Reply::Respond(Response { head, body })]);
        }
        let mut replies = vec![Reply::StreamStart(head)];
        replies.extend(stream(body, true));
        return Ok(replies);
    }
    if let Some(chunk) = fields.bytes("content")? {
        return Ok(stream(chunk, more));
    }
    let accept = fields.flag("accept")?;
    if accept == Some(false) {
        return Ok(vec![Reply::Deny]);
    }
    let frame = fields.frame()?;
    let close = fields.close()?;
    let mut replies = Vec::with_capacity(3);
    // Data before the handshake is answered accepts it.
    if accept.is_some() || frame.is_some() {
        replies.push(Reply::Accept(Handshake::default()));
    }
    replies.extend(frame.map(Reply::Send));
    replies.extend(close.map(Reply::Close));
    if replies.is_empty() { Err(FormError::NoForm) } else { Ok(replies) }
}

struct Fields(BTreeMap<String, Value>);

impl Fields {
    fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key)
    }

    fn text(&mut self, key: &'static str) -> Result<Option<String>, FormError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => text.into_str().map(Some).ok_or(FormError::Key(key)),
            Some(_) => Err(FormError::Key(key)),
        }
    }

    fn bytes(&mut self, key: &'static str) -> Result<Option<Bytes>, FormError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Binary(bytes)) => Ok(Some(bytes.into())),
            Some(_) => Err(FormError::Key(key)),
        }
    }

    fn flag(&mut self, key: &'static str) -> Result<Option<bool>, FormError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Boolean(flag)) => Ok(Some(flag)),
            Some(_) => Err(FormError::Key(key)),
        }
    }

    fn frame(&mut self) -> Result<Option<Frame>, FormError> {
        match (self.text("text")?, self.bytes("bytes")?) {
            (Some(_), Some(_)) => Err(FormError::Key("bytes")),
            (Some(text), None) => Ok(Some(Frame::Text(text))),
            (None, bytes) => Ok(bytes.map(Frame::Binary)),
        }
    }

    fn close_code(&mut self, key: &'static str) -> Result<Option<u16>, FormError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let code = value.as_u64().and_then(|code| u16::try_from(code).ok());
        match code.filter(|&code| Close::may_be_sent(code)) {
            Some(code) => Ok(Some(code)),
            None => Err(FormError::Key(key)),
        }
    }

    /// `close` of Channels 1: `true` stands for 1000, `false` for none.
    fn close(&mut self) -> Result<Option<Close>, FormError> {
        let code = match self.0.get("close") {
            Some(Value::Boolean(false)) => None,
            Some(Value::Boolean(true)) => Some(1000),
            _ => self.close_code("close")?,
        };
        Ok(code.map(|code| Close::new(code, "")))
    }

    fn head(&mut self) -> Result<Option<ResponseHead>, FormError> {
        let Some(value) = self.take("status") else { return Ok(None) };
        let status = value
            .as_u64()
            .and_then(|status| u16::try_from(status).ok())
            .and_then(ResponseHead::status_from)
            .ok_or(FormError::Key("status"))?;
        Ok(Some(ResponseHead { status, headers: self.headers()? }))
    }

    fn headers(&mut self) -> Result<Vec<Header>, FormError> {
        match self.take("headers") {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => {
                let fields = list.into_iter().map(field).collect::<Option<Vec<_>>>();
                let fields = fields.ok_or(FormError::Key("headers"))?;
                check_headers(fields).map_err(|_| FormError::Key("headers"))
            }
            Some(_) => Err(FormError::Key("headers")),
        }
    }
}

fn field(pair: Value) -> Option<(Vec<u8>, Bytes)> {
    let Value::Array(pair) = pair else { return None };
    let [Value::Binary(name), Value::Binary(value)] = <[Value; 2]>::try_from(pair).ok()? else {
        return None;
    };
    Some((name, value.into()))
}

/// Why an application may not close a WebSocket so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// The code is the protocol's, or nobody's.
    #[error("close code {0} is not 1000 or from 3000 to 4999")]
    Code(u16),
    /// The reason is too long.
    #[error("the reason has {0} bytes; a close frame has room for {max}", max = Close::REASON_BYTES_MAX)]
    Reason(usize),
}

impl Close {
    /// The longest reason, in bytes: RFC 6455 gives control frames 125, and 2 are the code.
    const REASON_BYTES_MAX: usize = 123;

    /// Checks what an application closes with.
    pub fn checked(code: u16, reason: String) -> Result<Self, CloseError> {
        if !Self::may_be_sent(code) {
            return Err(CloseError::Code(code));
        }
        if reason.len() > Self::REASON_BYTES_MAX {
            return Err(CloseError::Reason(reason.len()));
        }
        Ok(Self { code, reason })
    }

    /// Whether an application may send this code: 1000, or one from 3000 to 4999.
    pub const fn may_be_sent(code: u16) -> bool {
        code == 1000 || (code >= 3000 && code <= 4999)
    }
}

impl ResponseHead {
    /// The status, if it may end a request: 1xx may not, nor what RFC 9110 leaves undefined.
    pub fn status_from(status: u16) -> Option<StatusCode> {
        (200..600).contains(&status).then(|| StatusCode::from_u16(status).ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(map: Vec<(&str, Value)>) -> Result<Vec<Reply>, FormError> {
        let entries = map.into_iter().map(|(key, value)| (Value::from(key), value)).collect();
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, &Value::Map(entries)).unwrap();
        replies_from(&Content::parse(bytes.into()).unwrap())
    }

    fn accept() -> Reply {
        Reply::Accept(Handshake::default())
    }

    fn text(text: &str) -> Reply {
        Reply::Send(Frame::Text(text.to_owned()))
    }

    fn close(code: u16) -> Reply {
        Reply::Close(Close::new(code, ""))
    }

    #[test]
    fn the_forms_of_channels_1_mean_what_daphne_did() {
        let table = [
            (vec![("accept", Value::from(true))], vec![accept()]),
            (vec![("accept", Value::from(false)), ("text", "x".into())], vec![Reply::Deny]),
            (vec![("text", "hi".into())], vec![accept(), text("hi")]),
            (vec![("close", true.into())], vec![close(1000)]),
            (vec![("close", 4001.into())], vec![close(4001)]),
            (
                vec![("text", "bye".into()), ("close", 4001.into())],
                vec![accept(), text("bye"), close(4001)],
            ),
            (vec![("accept", true.into()), ("close", true.into())], vec![accept(), close(1000)]),
        ];
        for (map, expected) in table {
            assert_eq!(replies(map.clone()).as_ref(), Ok(&expected), "{map:?}");
        }
    }

    #[test]
    fn presence_has_a_form_for_each_protocol() {
        let map = vec![("type", Value::from("presence")), ("text", "{\"count\":1}".into())];
        assert_eq!(replies(map.clone()), Ok(vec![text("{\"presence\":{\"count\":1}}")]));
        let content = |map: Vec<(&str, Value)>| {
            let entries = map.into_iter().map(|(key, value)| (Value::from(key), value)).collect();
            let mut bytes = Vec::new();
            rmpv::encode::write_value(&mut bytes, &Value::Map(entries)).unwrap();
            Content::parse(bytes.into()).unwrap()
        };
        let event = Reply::StreamChunk("event: presence\ndata: {\"count\":1}\n\n".into());
        assert_eq!(stream_replies_from(&content(map)), Some(vec![event]));
        let other = content(vec![("type", "websocket.send".into()), ("text", "x".into())]);
        assert_eq!(stream_replies_from(&other), None);
    }

    #[test]
    fn a_response_of_channels_1_may_come_in_parts() {
        let body = |text: &str| Value::Binary(text.into());
        let start =
            vec![("status", 200.into()), ("content", body("a")), ("more_content", true.into())];
        let got = replies(start).unwrap();
        assert!(matches!(&got[..], [Reply::StreamStart(head), Reply::StreamChunk(chunk)]
            if head.status == 200 && &chunk[..] == b"a"));
        let end = replies(vec![("content", body("b"))]).unwrap();
        assert!(matches!(&end[..], [Reply::StreamChunk(_), Reply::StreamEnd]));
    }

    #[test]
    fn what_may_not_be_sent_is_refused() {
        let status =
            |status: u64| vec![("type", "http.response".into()), ("status", status.into())];
        for wrong in [0, 101, 199, 600, 70_000] {
            assert_eq!(replies(status(wrong)), Err(FormError::Key("status")), "{wrong}");
        }
        for wrong in [0, 999, 1005, 1006, 2999, 5000, 65_536] {
            let map = vec![("close", Value::from(wrong))];
            assert_eq!(replies(map), Err(FormError::Key("close")), "{wrong}");
        }
        let both = vec![("text", "a".into()), ("bytes", Value::Binary(b"a".to_vec()))];
        assert_eq!(replies(both), Err(FormError::Key("bytes")));
        assert_eq!(replies(vec![("hello", "a".into())]), Err(FormError::NoForm));
        let unknown = vec![("type", "chat.message".into())];
        assert_eq!(replies(unknown), Err(FormError::UnknownType("chat.message".into())));
    }

    #[test]
    fn a_header_of_the_connection_or_with_a_line_break_is_refused() {
        let with = |name: &str, value: &str| {
            let pair = vec![Value::Binary(name.into()), Value::Binary(value.into())];
            let headers = Value::Array(vec![Value::Array(pair)]);
            replies(vec![
                ("type", "http.response".into()),
                ("status", 200.into()),
                ("headers", headers),
            ])
        };
        assert!(with("x-a", "b").is_ok());
        for (name, value) in
            [("Transfer-Encoding", "chunked"), ("x-a", "b\r\nx-c: d"), ("x a", "b"), ("", "b")]
        {
            assert_eq!(with(name, value), Err(FormError::Key("headers")), "{name}: {value}");
        }
    }
}
