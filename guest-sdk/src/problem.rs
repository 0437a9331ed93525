//! Problem details: errors in JSON.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Error, IntoReply, Reply, Response, Result};

/// An error for a client, as JSON of the form of RFC 9457: `application/problem+json`.
///
/// It is a return type, and an error: `return Err(Problem::new(..).into())`, or `?` on a
/// `Result<_, Problem>`. As with [`Error::response`], it is no fault.
///
/// ```
/// use tidegate_sdk::testing::{TestHost, json};
/// use tidegate_sdk::{Problem, Result, export, http};
///
/// #[http("POST /cart/{item}")]
/// fn add(item: u32) -> Result<&'static str> {
///     if item > 9 {
///         let problem = Problem::new(409, "Out of stock")
///             .kind("https://example.com/problems/stock")
///             .detail(format!("Item {item} comes back on Monday."))
///             .with("left", &0);
///         return Err(problem.into());
///     }
///     Ok("added\n")
/// }
///
/// export! { add }
///
/// let response = TestHost::new(consumers()).request("POST", "/cart/12").send();
/// assert_eq!(response.status(), 409);
/// assert_eq!(response.header("content-type").unwrap(), "application/problem+json");
/// let problem: serde_json::Value = response.json();
/// assert_eq!(problem, json!({
///     "type": "https://example.com/problems/stock", "title": "Out of stock", "status": 409,
///     "detail": "Item 12 comes back on Monday.", "left": 0,
/// }));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    status: u16,
    /// None after a value that JSON cannot hold.
    members: Option<Map<String, Value>>,
}

impl Problem {
    /// A problem with a status of 400 to 599 and a title, the same for all problems of its kind.
    pub fn new(status: u16, title: impl Into<String>) -> Self {
        let problem = Self { status, members: Some(Map::new()) };
        problem.put("title", title.into().into()).put("status", status.into())
    }

    /// A URI that identifies the kind of problem, and best leads to a page about it.
    #[must_use]
    pub fn kind(self, uri: impl Into<String>) -> Self {
        self.put("type", uri.into().into())
    }

    /// What is wrong this time, for people.
    #[must_use]
    pub fn detail(self, text: impl Into<String>) -> Self {
        self.put("detail", text.into().into())
    }

    /// A URI that identifies this occurrence.
    #[must_use]
    pub fn instance(self, uri: impl Into<String>) -> Self {
        self.put("instance", uri.into().into())
    }

    /// Adds a member for programs. A value that JSON cannot hold makes the response a plain 500.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: &impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(value) => self.put(name, value),
            Err(_) => {
                self.members = None;
                self
            }
        }
    }

    fn put(mut self, name: impl Into<String>, value: Value) -> Self {
        if let Some(members) = &mut self.members {
            members.insert(name.into(), value);
        }
        self
    }
}

impl From<Problem> for Response {
    fn from(Problem { status, members }: Problem) -> Self {
        match members {
            Some(members) => {
                let body = Value::Object(members).to_string();
                Self::with_type("application/problem+json", body.into_bytes()).status(status)
            }
            None => Self::new(500),
        }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::response(problem.into())
    }
}

impl IntoReply for Problem {
    fn into_reply(self) -> Result<Reply> {
        Response::from(self).into_reply()
    }
}
