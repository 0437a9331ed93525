//! The result of a request, as it comes back to its module.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::fetch::{Fetch, Map};
use crate::message::{Content, ContentError};

/// The longest text about a failure.
const MESSAGE_BYTES_MAX: usize = 1_024;

/// Why a request was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureReason {
    /// The guard refuses an address or a redirect.
    Refused,
    /// The name of the host has no address.
    Resolve,
    /// No connection came about.
    Connect,
    /// The server has no certificate that holds.
    Tls,
    /// It took too long.
    Timeout,
    /// The answer breaks off, or is not HTTP.
    Broken,
    /// The answer is too large.
    TooLarge,
    /// There are too many redirects.
    Redirects,
}

impl FailureReason {
    /// The word that stands for it in a message and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::TooLarge => "too_large",
            Self::Redirects => "redirects",
        }
    }

    /// Whether another attempt may be answered.
    pub const fn may_pass(self) -> bool {
        match self {
            Self::Resolve | Self::Connect | Self::Timeout | Self::Broken => true,
            Self::Refused | Self::Tls | Self::TooLarge | Self::Redirects => false,
        }
    }
}

/// A request that was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why, as a word.
    pub reason: FailureReason,
    /// Why, for people. It has no path, query or header field of the request.
    pub message: String,
}

impl Failure {
    /// A failure for a reason.
    pub fn new(reason: FailureReason, message: impl Into<String>) -> Self {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        Self { reason, message }
    }
}

/// The result of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The server answered.
    Answered {
        /// The status.
        status: StatusCode,
        /// The header fields.
        headers: HeaderMap,
        /// The body.
        body: Bytes,
    },
    /// There is no answer.
    Failed(Failure),
    /// The process that made the request ended, so that nobody knows.
    Unknown,
}

impl Fetched {
    /// A request that was not answered.
    pub fn failed(reason: FailureReason, message: impl Into<String>) -> Self {
        Self::Failed(Failure::new(reason, message))
    }

    /// The word that stands for it in a message and in metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Answered { .. } => "answered",
            Self::Failed(_) => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// Whether another attempt may have another result: the request was not answered, or the server says so.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Answered { status, .. } => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            Self::Failed(failure) => failure.reason.may_pass(),
            Self::Unknown => false,
        }
    }

    /// Writes it as the message for the channel of the request, after so many attempts. A result that is larger
    /// than a message may be is written as one that is too large.
    pub fn content(
        &self,
        fetch: &Fetch,
        attempts: u32,
        message_bytes: usize,
    ) -> Result<Content, ContentError> {
        let content = self.write(fetch, attempts)?;
        let bytes = content.as_bytes().len();
        if bytes <= message_bytes {
            return Ok(content);
        }
        let rule =
            format!("a message has at most {message_bytes} bytes; with this answer it has {bytes}");
        Self::failed(FailureReason::TooLarge, rule).write(fetch, attempts)
    }

    fn write(&self, fetch: &Fetch, attempts: u32) -> Result<Content, ContentError> {
        let mut map = Map::new(match self {
            Self::Answered { .. } => 6,
            Self::Failed(_) => 5,
            Self::Unknown => 3,
        });
        map.text("result", self.as_str());
        map.packed("value", &fetch.value);
        map.number("attempts", attempts.into());
        match self {
            Self::Answered { status, headers, body } => {
                map.number("status", status.as_u16().into());
                map.fields("headers", headers);
                map.bytes("body", body);
            }
            Self::Failed(Failure { reason, message }) => {
                map.text("reason", reason.as_str());
                map.text("message", message);
            }
            Self::Unknown => {}
        }
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetch() -> Fetch {
        let mut fetch = Fetch::new("GET", "http://a.example/".to_owned(), [], "shop.paid").unwrap();
        fetch.value = Bytes::from_static(b"\x81\xa2id\x07");
        fetch
    }

    /// The message as text.
    fn told(fetched: &Fetched, bytes: usize) -> String {
        let content = fetched.content(&fetch(), 2, bytes).unwrap();
        rmpv::decode::read_value(&mut &**content.as_bytes()).unwrap().to_string()
    }

    #[test]
    fn each_result_is_a_message_with_the_value_of_the_request() {
        let headers = HeaderMap::from_iter([(http::header::AGE, "3".parse().unwrap())]);
        let (status, body) = (StatusCode::CREATED, Bytes::from_static(b"{}"));
        let answered = Fetched::Answered { status, headers, body };
        let start = |result: &str| {
            format!("{{\"result\": \"{result}\", \"value\": {{\"id\": 7}}, \"attempts\": 2")
        };
        assert_eq!(
            told(&answered, 1_000),
            start("answered")
                + ", \"status\": 201, \"headers\": [[\"age\", [51]]], \"body\": [123, 125]}"
        );
        assert_eq!(
            told(&Fetched::failed(FailureReason::Tls, "expired"), 1_000),
            start("failed") + ", \"reason\": \"tls\", \"message\": \"expired\"}"
        );
        assert_eq!(told(&Fetched::Unknown, 1_000), start("unknown") + "}");
    }

    #[test]
    fn a_result_beyond_the_size_of_a_message_is_one_that_is_too_large() {
        let body = Bytes::from_static(&[b'x'; 200]);
        let (status, headers) = (StatusCode::OK, HeaderMap::new());
        let answered = Fetched::Answered { status, headers, body };
        assert!(told(&answered, 200).contains("\"reason\": \"too_large\""));
        assert!(told(&answered, 1_000).contains("\"result\": \"answered\""));
    }
}
