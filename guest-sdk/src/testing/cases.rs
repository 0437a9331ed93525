#![doc = include_str!("../docs/cases.md")]

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::{Close, Frame};

mod steps;

use steps::Step;

/// What runs the steps of cases: [`TestHost`](super::TestHost), or connections to a real host.
///
/// An error text says what went wrong on the way; a wrong answer is no error.
pub trait Driver {
    /// Sends a request and waits for the whole response.
    ///
    /// # Errors
    /// When there is no response.
    fn request(&mut self, request: &CaseRequest) -> Result<CaseResponse, String>;

    /// Asks for a WebSocket and keeps it under `name`.
    ///
    /// # Errors
    /// When the handshake gets no answer.
    fn open(&mut self, name: &str, open: &Open) -> Result<Opened, String>;

    /// Sends a message.
    ///
    /// # Errors
    /// When the connection is closed.
    fn send(&mut self, name: &str, frame: Frame) -> Result<(), String>;

    /// Waits for what comes next.
    ///
    /// # Errors
    /// When nothing comes.
    fn receive(&mut self, name: &str) -> Result<Received, String>;

    /// Closes a connection.
    ///
    /// # Errors
    /// When it is closed already.
    fn close(&mut self, name: &str, code: u16) -> Result<(), String>;

    /// A case is over: drops the connections that are left.
    fn reset(&mut self);
}

/// A user of a case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaseUser {
    /// The id.
    pub id: String,
    /// The claims.
    pub claims: serde_json::Map<String, Value>,
}

/// A request of a case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaseRequest {
    /// The method.
    pub method: String,
    /// The path, with the query.
    pub path: String,
    /// Header fields; `content-type` among them where the case has a JSON body.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The user who asks, if somebody is signed in.
    pub user: Option<CaseUser>,
}

/// The response to a request of a case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaseResponse {
    /// The status.
    pub status: u16,
    /// Header fields, names in any case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A handshake of a case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Open {
    /// The path, with the query.
    pub path: String,
    /// The subprotocols to offer.
    pub subprotocols: Vec<String>,
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// The user who asks, if somebody is signed in.
    pub user: Option<CaseUser>,
}

/// The answer to a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// The connection is open.
    Accepted {
        /// The subprotocol that was chosen.
        subprotocol: Option<String>,
    },
    /// The handshake was answered with this status.
    Denied(u16),
}

/// What comes on a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A message.
    Frame(Frame),
    /// The end.
    Close(Close),
}

/// Which case failed, at which step, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseError {
    case: String,
    /// Counted from 1; 0 when the file itself is wrong.
    step: usize,
    what: String,
}

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { case, step: 0, what } if case.is_empty() => write!(f, "cases: {what}"),
            Self { case, step, what } => write!(f, "case {case:?}, step {step}: {what}"),
        }
    }
}

impl std::error::Error for CaseError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    steps: Vec<steps::RawStep>,
}

/// Runs all cases of a file, in order.
///
/// # Errors
/// At the first step that goes wrong, or when the file is malformed.
pub fn run(json: &str, driver: &mut dyn Driver) -> Result<(), CaseError> {
    let broken = |what: String| CaseError {
        case: String::new(),
        step: 0,
        what: format!("unreadable: {what}"),
    };
    let cases: Vec<Case> = serde_json::from_str(json).map_err(|error| broken(error.to_string()))?;
    if cases.is_empty() {
        return Err(broken("there is no case".to_owned()));
    }
    for Case { name, steps } in cases {
        for (position, raw) in steps.into_iter().enumerate() {
            let outcome = raw.check().and_then(|step| run_step(step, driver));
            if let Err(what) = outcome {
                driver.reset();
                return Err(CaseError { case: name, step: position + 1, what });
            }
        }
        driver.reset();
    }
    Ok(())
}

fn run_step(step: Step, driver: &mut dyn Driver) -> Result<(), String> {
    match step {
        Step::Request(request, expect) => expect.check(&driver.request(&request)?),
        Step::Open { name, open, expect } => expect.check(&driver.open(&name, &open)?),
        Step::Send { name, frame } => driver.send(&name, frame),
        Step::Receive { name, expected } => match driver.receive(&name)? {
            Received::Frame(frame) => expected.check(&frame),
            Received::Close(close) => Err(format!("expected a message, got {close:?}")),
        },
        Step::Close { name, code } => driver.close(&name, code),
        Step::ExpectClose { name, code } => match driver.receive(&name)? {
            Received::Close(close) if close.code == code => Ok(()),
            other => Err(format!("expected a close with code {code}, got {other:?}")),
        },
    }
}

/// Whether a value is as expected. The text `"*"` stands for any value, also within lists and maps.
fn matches(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::String(any), _) if any == "*" => true,
        (Value::Array(expected), Value::Array(got)) => {
            expected.len() == got.len()
                && expected.iter().zip(got).all(|(expected, got)| matches(expected, got))
        }
        (Value::Object(expected), Value::Object(got)) => {
            expected.len() == got.len()
                && expected
                    .iter()
                    .all(|(key, expected)| got.get(key).is_some_and(|got| matches(expected, got)))
        }
        _ => expected == got,
    }
}

type Headers = BTreeMap<String, String>;
