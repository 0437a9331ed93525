//! A request, as it is put together.

use std::time::Duration;

use serde::Serialize;

use super::FetchError;
#[cfg(feature = "outgoing")]
use super::{Answer, FetchFailure};
use crate::host::outside;

/// Nil, as MessagePack has it.
const NIL: u8 = 0xc0;

#[doc = include_str!("../docs/fetch.md")]
#[derive(Debug, Clone)]
#[must_use = "`Context::fetch` asks for it"]
pub struct Fetch {
    request: outside::Request,
    /// The first thing that cannot be written.
    wrong: Option<String>,
}

impl Fetch {
    /// A request with a method of HTTP, such as `PUT`, to a URL of `http` or `https`. The server must be granted to
    /// the module: `grants.http` in its settings.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        let request = outside::Request {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            then: String::new(),
            value: vec![NIL],
            timeout: None,
            retries: 0,
        };
        Self { request, wrong: None }
    }

    /// A GET request.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A POST request.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// Adds a header field. `host`, the body's length, and the fields of the connection are the host's.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.request.headers.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.request.body = body.into();
        self
    }

    /// Sets the body to JSON, and says so in `content-type`, unless that is set.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        let is_type = |(name, _): &(String, _)| name.eq_ignore_ascii_case("content-type");
        let has_type = self.request.headers.iter().any(is_type);
        match serde_json::to_vec(body) {
            Ok(json) if has_type => self.body(json),
            Ok(json) => self.body(json).header("content-type", "application/json"),
            Err(error) => {
                self.note(format!("the body cannot be written as JSON: {error}"));
                self
            }
        }
    }

    /// Has the result sent to a channel: one that the module declares, or that is granted. It needs `retries` there,
    /// if no result may be lost.
    pub fn then(mut self, channel: impl Into<String>) -> Self {
        self.request.then = channel.into();
        self
    }

    /// Has a value come back with the result. It is not sent to the server.
    pub fn value(mut self, value: &impl Serialize) -> Self {
        match rmp_serde::to_vec_named(value) {
            Ok(value) => self.request.value = value,
            Err(error) => self.note(format!("the value cannot be written: {error}")),
        }
        self
    }

    /// Ends each attempt after so long, in milliseconds. Without it, and at most, after `fetch.timeout` of the
    /// module's settings.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.timeout = Some(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// Has the request made again so often, 10 times at most, where it is not answered, or with 429, 502, 503 or
    /// 504. The pauses grow from a second to a minute. Without it the request is made once at most.
    ///
    /// A method that is not idempotent, such as POST, needs an [`idempotency_key`](Self::idempotency_key), too.
    pub fn retries(mut self, retries: u32) -> Self {
        self.request.retries = retries;
        self
    }

    /// Sets the header field `idempotency-key`, by which a server knows that a request repeats another.
    pub fn idempotency_key(self, key: impl AsRef<str>) -> Self {
        self.header("idempotency-key", key.as_ref())
    }

    fn note(&mut self, wrong: String) {
        self.wrong.get_or_insert(wrong);
    }

    /// Makes it and waits for the answer.
    #[cfg(feature = "outgoing")]
    pub(crate) fn send(self) -> Result<Answer, FetchFailure> {
        if let Some(message) = self.wrong {
            return Err(FetchFailure::Failed { reason: "invalid".to_owned(), message });
        }
        match crate::host::outgoing::send(&self.request) {
            Ok((status, headers, body)) => Ok(Answer::new(status, headers, body)),
            Err((reason, message)) => {
                Err(FetchFailure::Failed { reason: reason.to_owned(), message })
            }
        }
    }

    /// Asks the host for it.
    pub(crate) fn ask(self) -> Result<(), FetchError> {
        if let Some(wrong) = self.wrong {
            return Err(FetchError::Invalid(wrong));
        }
        if self.request.then.is_empty() {
            let rule = "the result goes nowhere: say `.then(\"NAME.CHANNEL\")`, and declare a consumer of it";
            return Err(FetchError::Invalid(rule.to_owned()));
        }
        Ok(outside::fetch(&self.request)?)
    }
}
