//! The steps of cases as they stand in a file, and what they expect.

use serde::Deserialize;
use serde_json::Value;

use super::{CaseRequest, CaseResponse, CaseUser, Headers, Open, Opened, matches};
use crate::Frame;

/// A step as it stands in the file. Which of the first six keys is there says what it does.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawStep {
    request: Option<RawRequest>,
    open: Option<String>,
    send: Option<String>,
    receive: Option<String>,
    close: Option<String>,
    expect_close: Option<String>,
    path: Option<String>,
    subprotocols: Vec<String>,
    headers: Headers,
    signed_in: Option<String>,
    claims: Option<Claims>,
    text: Option<String>,
    json: Option<Value>,
    hex: Option<String>,
    code: Option<u16>,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRequest {
    #[serde(default = "get")]
    method: String,
    path: String,
    #[serde(default)]
    headers: Headers,
    body: Option<String>,
    json: Option<Value>,
    signed_in: Option<String>,
    claims: Option<Claims>,
}

type Claims = serde_json::Map<String, Value>;

/// The user of a request or a handshake.
fn user(id: Option<String>, claims: Option<Claims>) -> Result<Option<CaseUser>, String> {
    match (id, claims) {
        (None, Some(_)) => Err("`claims` are those of a user: `signed_in` has the id".to_owned()),
        (id, claims) => Ok(id.map(|id| CaseUser { id, claims: claims.unwrap_or_default() })),
    }
}

fn get() -> String {
    "GET".to_owned()
}

/// What a response or the answer to a handshake must be. What is not given may be anything.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Expect {
    status: Option<u16>,
    text: Option<String>,
    json: Option<Value>,
    headers: Headers,
    subprotocol: Option<String>,
    denied: Option<u16>,
}

/// A step that makes sense.
pub(super) enum Step {
    Request(CaseRequest, Expect),
    Open { name: String, open: Open, expect: Expect },
    Send { name: String, frame: Frame },
    Receive { name: String, expected: Expected },
    Close { name: String, code: u16 },
    ExpectClose { name: String, code: u16 },
}

/// What a message must be.
pub(super) enum Expected {
    Text(String),
    Json(Value),
    Binary(Vec<u8>),
}

impl RawStep {
    pub(super) fn check(self) -> Result<Step, String> {
        let Self { request, open, send, receive, close, expect_close, .. } = self;
        let names = [&open, &send, &receive, &close, &expect_close];
        let verbs = names.iter().filter(|name| name.is_some()).count();
        if verbs + usize::from(request.is_some()) != 1 {
            return Err("a step has exactly one of request, open, send, receive, close and \
                        expect_close"
                .to_owned());
        }
        let content = (self.text, self.json, self.hex);
        if let Some(request) = request {
            return Ok(Step::Request(request.read()?, self.expect));
        }
        if let Some(name) = open {
            let path = self.path.ok_or("`open` needs a path")?;
            let headers = self.headers.into_iter().collect();
            let user = user(self.signed_in, self.claims)?;
            let open = Open { path, subprotocols: self.subprotocols, headers, user };
            return Ok(Step::Open { name, open, expect: self.expect });
        }
        if let Some(name) = send {
            let frame = match expected(content)? {
                Expected::Text(text) => Frame::Text(text),
                Expected::Json(value) => Frame::Text(value.to_string()),
                Expected::Binary(bytes) => Frame::Binary(bytes),
            };
            return Ok(Step::Send { name, frame });
        }
        if let Some(name) = receive {
            return Ok(Step::Receive { name, expected: expected(content)? });
        }
        if let Some(name) = close {
            return Ok(Step::Close { name, code: self.code.unwrap_or(1000) });
        }
        let name = expect_close.unwrap_or_default();
        Ok(Step::ExpectClose { name, code: self.code.ok_or("`expect_close` needs a code")? })
    }
}

fn expected(content: (Option<String>, Option<Value>, Option<String>)) -> Result<Expected, String> {
    match content {
        (Some(text), None, None) => Ok(Expected::Text(text)),
        (None, Some(value), None) => Ok(Expected::Json(value)),
        (None, None, Some(hex)) => bytes(&hex).map(Expected::Binary),
        _ => Err("a message has exactly one of text, json and hex".to_owned()),
    }
}

fn bytes(hex: &str) -> Result<Vec<u8>, String> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|c| c.to_digit(16).and_then(|digit| digit.try_into().ok())).collect();
    match digits {
        Some(digits) if digits.len() % 2 == 0 => {
            let byte = |pair: &[u8]| pair.iter().fold(0, |byte, digit| byte << 4 | digit);
            Ok(digits.chunks(2).map(byte).collect())
        }
        _ => Err(format!("`{hex}` is not pairs of hexadecimal digits")),
    }
}

impl RawRequest {
    fn read(self) -> Result<CaseRequest, String> {
        let mut headers: Vec<_> = self.headers.into_iter().collect();
        let body = match (self.body, self.json) {
            (Some(_), Some(_)) => return Err("a request has a body or JSON, not both".to_owned()),
            (body, None) => body.unwrap_or_default().into_bytes(),
            (None, Some(value)) => {
                headers.push(("content-type".to_owned(), "application/json".to_owned()));
                value.to_string().into_bytes()
            }
        };
        let user = user(self.signed_in, self.claims)?;
        Ok(CaseRequest { method: self.method, path: self.path, headers, body, user })
    }
}

/// What is checked of a response, or of the answer to a handshake.
pub(super) trait Checked {
    fn check(&self, expect: &Expect) -> Result<(), String>;
}

impl Expect {
    pub(super) fn check(&self, got: &impl Checked) -> Result<(), String> {
        got.check(self)
    }
}

impl Checked for CaseResponse {
    fn check(&self, expect: &Expect) -> Result<(), String> {
        let body = String::from_utf8_lossy(&self.body);
        let got = || format!("status {} with body {body:?}", self.status);
        if let Some(status) = expect.status
            && status != self.status
        {
            return Err(format!("expected status {status}, got {}", got()));
        }
        if let Some(text) = &expect.text
            && *text != body
        {
            return Err(format!("expected the body {text:?}, got {}", got()));
        }
        if let Some(expected) = &expect.json {
            let value = serde_json::from_slice(&self.body)
                .map_err(|error| format!("expected JSON ({error}), got {}", got()))?;
            if !matches(expected, &value) {
                return Err(format!("expected {expected}, got {}", got()));
            }
        }
        for (name, expected) in &expect.headers {
            let mut found = self.headers.iter().filter(|(it, _)| it.eq_ignore_ascii_case(name));
            if !found.any(|(_, value)| expected == "*" || value == expected) {
                return Err(format!(
                    "expected the header {name}: {expected}, got {:?}",
                    self.headers
                ));
            }
        }
        Ok(())
    }
}

impl Checked for Opened {
    fn check(&self, expect: &Expect) -> Result<(), String> {
        let is_expected = match (self, expect.denied) {
            (Self::Denied(status), Some(expected)) => *status == expected,
            (Self::Accepted { subprotocol }, None) => {
                expect.subprotocol.is_none() || *subprotocol == expect.subprotocol
            }
            (Self::Denied(_), None) | (Self::Accepted { .. }, Some(_)) => false,
        };
        if is_expected {
            return Ok(());
        }
        let expected = match (expect.denied, &expect.subprotocol) {
            (Some(status), _) => format!("a denial with status {status}"),
            (None, Some(name)) => format!("an open connection with subprotocol {name}"),
            (None, None) => "an open connection".to_owned(),
        };
        Err(format!("expected {expected}, got {self:?}"))
    }
}

impl Expected {
    pub(super) fn check(&self, got: &Frame) -> Result<(), String> {
        let is_expected = match (self, got) {
            (Self::Text(expected), Frame::Text(got)) => expected == got,
            (Self::Binary(expected), Frame::Binary(got)) => expected == got,
            (Self::Json(expected), Frame::Text(got)) => {
                serde_json::from_str(got).is_ok_and(|got| matches(expected, &got))
            }
            _ => false,
        };
        let expected = match self {
            _ if is_expected => return Ok(()),
            Self::Text(text) => format!("{text:?}"),
            Self::Json(value) => value.to_string(),
            Self::Binary(bytes) => format!("{bytes:?}"),
        };
        Err(format!("expected {expected}, got {got:?}"))
    }
}
