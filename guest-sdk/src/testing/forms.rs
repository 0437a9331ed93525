//! What a message to a reply channel asks for: the messages of ASGI 3 and the forms of Channels 1.

use crate::Close;
use crate::host::types::{Frame, Handshake, Header, Response, ResponseHead};

use super::rules;
use super::value::{self, Value};

/// Something that happens to a connection.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply {
    Accept(Handshake),
    Deny,
    Send(Frame),
    Close(Close),
    Respond(Response),
    Start(ResponseHead),
    Chunk(Vec<u8>),
    End,
    Hold { timeout: u64, fallback: Option<Response> },
}

/// The replies that the content of a message stands for.
pub(super) fn replies(content: &[u8]) -> Result<Vec<Reply>, String> {
    let mut fields = Fields(value::read(content)?);
    match fields.text("type")? {
        Some(kind) => typed(&kind, &mut fields),
        None => channels_1(&mut fields),
    }
}

/// Whether a message is only for connections that are there now: histories do not keep it.
pub(super) fn is_for_those_present(content: &[u8]) -> bool {
    let sends_nothing = |reply: &Reply| {
        matches!(reply, Reply::Accept(_) | Reply::Deny | Reply::Close(_) | Reply::End)
    };
    replies(content).is_ok_and(|replies| replies.iter().all(sends_nothing))
}

fn typed(kind: &str, fields: &mut Fields) -> Result<Vec<Reply>, String> {
    Ok(match kind {
        "websocket.accept" => vec![Reply::Accept(Handshake {
            subprotocol: fields.text("subprotocol")?,
            headers: fields.headers()?,
        })],
        "websocket.send" => vec![Reply::Send(fields.frame()?.ok_or("neither text nor bytes")?)],
        "websocket.close" => {
            let code = fields.number("code")?.unwrap_or(1000);
            let reason = fields.text("reason")?.unwrap_or_default();
            vec![Reply::Close(close(code, reason)?)]
        }
        "http.response" => {
            let ResponseHead { status, headers } = fields.head()?.ok_or("no status")?;
            let body = fields.bytes("body")?.unwrap_or_default();
            vec![Reply::Respond(Response { status, headers, body })]
        }
        "http.response.start" => vec![Reply::Start(fields.head()?.ok_or("no status")?)],
        "http.response.body" => {
            let chunk = fields.bytes("body")?.unwrap_or_default();
            stream(chunk, fields.flag("more_body")?.unwrap_or(false))
        }
        _ => return Err(format!("a connection takes no message of type {kind:?}")),
    })
}

fn stream(chunk: Vec<u8>, more: bool) -> Vec<Reply> {
    let mut replies = Vec::new();
    if !chunk.is_empty() {
        replies.push(Reply::Chunk(chunk));
    }
    if !more {
        replies.push(Reply::End);
    }
    replies
}

fn channels_1(fields: &mut Fields) -> Result<Vec<Reply>, String> {
    let more = fields.flag("more_content")?.unwrap_or(false);
    if let Some(ResponseHead { status, headers }) = fields.head()? {
        let body = fields.bytes("content")?.unwrap_or_default();
        if !more {
            return Ok(vec![Reply::Respond(Response { status, headers, body })]);
        }
        let mut replies = vec![Reply::Start(ResponseHead { status, headers })];
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
    let mut replies = Vec::new();
    if accept.is_some() || frame.is_some() {
        replies.push(Reply::Accept(Handshake { subprotocol: None, headers: Vec::new() }));
    }
    replies.extend(frame.map(Reply::Send));
    match fields.take("close") {
        None | Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) => replies.push(Reply::Close(Close::new(1000, ""))),
        Some(Value::Int(code)) => {
            replies.push(Reply::Close(close(code.try_into().unwrap_or(0), String::new())?));
        }
        Some(_) => return Err(wrong("close")),
    }
    if replies.is_empty() {
        return Err("the message has neither `type` nor a key of the Channels 1 forms".to_owned());
    }
    Ok(replies)
}

fn close(code: u16, reason: String) -> Result<Close, String> {
    rules::close(code, &reason).map_err(|error| crate::ReplyError::from(error).to_string())?;
    Ok(Close::new(code, reason))
}

fn wrong(key: &str) -> String {
    format!("`{key}` has the wrong type or is out of range")
}

struct Fields(Vec<(String, Value)>);

impl Fields {
    fn take(&mut self, key: &str) -> Option<Value> {
        let position = self.0.iter().position(|(known, _)| known == key)?;
        match self.0.swap_remove(position).1 {
            Value::Nil => None,
            value => Some(value),
        }
    }

    fn text(&mut self, key: &str) -> Result<Option<String>, String> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(key)),
        }
    }

    fn bytes(&mut self, key: &str) -> Result<Option<Vec<u8>>, String> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bytes(bytes)) => Ok(Some(bytes)),
            Some(_) => Err(wrong(key)),
        }
    }

    fn flag(&mut self, key: &str) -> Result<Option<bool>, String> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(wrong(key)),
        }
    }

    fn number(&mut self, key: &str) -> Result<Option<u16>, String> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Int(number)) => number.try_into().map(Some).map_err(|_| wrong(key)),
            Some(_) => Err(wrong(key)),
        }
    }

    fn frame(&mut self) -> Result<Option<Frame>, String> {
        match (self.text("text")?, self.bytes("bytes")?) {
            (Some(_), Some(_)) => Err("both text and bytes".to_owned()),
            (Some(text), None) => Ok(Some(Frame::Text(text))),
            (None, bytes) => Ok(bytes.map(Frame::Binary)),
        }
    }

    fn head(&mut self) -> Result<Option<ResponseHead>, String> {
        let Some(status) = self.number("status")? else { return Ok(None) };
        let headers = self.headers()?;
        rules::status(status)
            .and_then(|()| rules::headers(&headers))
            .map_err(|error| crate::ReplyError::from(error).to_string())?;
        Ok(Some(ResponseHead { status, headers }))
    }

    fn headers(&mut self) -> Result<Vec<Header>, String> {
        match self.take("headers") {
            None => Ok(Vec::new()),
            Some(Value::List(pairs)) => pairs.into_iter().map(header).collect(),
            Some(_) => Err(wrong("headers")),
        }
    }
}

fn header(pair: Value) -> Result<Header, String> {
    let Value::List(pair) = pair else { return Err(wrong("headers")) };
    match &*pair {
        [Value::Bytes(name), Value::Bytes(value)] => {
            let name = String::from_utf8(name.clone()).map_err(|_| wrong("headers"))?;
            Ok(Header { name, value: value.clone() })
        }
        _ => Err(wrong("headers")),
    }
}
