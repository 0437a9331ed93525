//! The result of a request.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use crate::payload::ByteBuf;

/// The message that a [`Fetch`](crate::Fetch) comes back with. `V` is the type of its
/// [`value`](crate::Fetch::value).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched<V = ()> {
    value: V,
    attempts: u32,
    result: Result<Answer, FetchFailure>,
}

impl<V> Fetched<V> {
    /// The value that was given with the request.
    #[must_use]
    pub const fn value(&self) -> &V {
        &self.value
    }

    /// How often the request was made, or was about to be made. With the layer in memory it begins anew when the
    /// process starts again.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The answer of the server, whatever its status.
    ///
    /// # Errors
    /// When there is none.
    pub const fn answer(&self) -> Result<&Answer, &FetchFailure> {
        self.result.as_ref()
    }
}

/// A server's answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Answer {
    pub(crate) const fn new(status: u16, headers: Vec<(String, Vec<u8>)>, body: Vec<u8>) -> Self {
        Self { status, headers, body }
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is one from 200 to 299.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// The first header field of a name, in any case, if its value is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        std::str::from_utf8(&found?.1).ok()
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as text, with U+FFFD in the place of bytes that are not UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// When it does not read as `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchFailure {
    /// It was not answered.
    Failed {
        /// Why, as one of the words `invalid` (of `Context::fetch_now` only), `refused`, `resolve`, `connect`, `tls`, `timeout`, `broken`, `too_large` and
        /// `redirects`.
        reason: String,
        /// Why, for people. It has no path, query or header field of the request.
        message: String,
    },
    /// The process that made it ended, so that nobody knows whether the server has done it. Only a request without
    /// retries has this.
    Unknown,
}

impl std::fmt::Display for FetchFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed { reason, message } => write!(f, "{reason}: {message}"),
            Self::Unknown => f.write_str("unknown: the process that made the request ended"),
        }
    }
}

impl std::error::Error for FetchFailure {}

/// As it stands in the message.
#[derive(Deserialize)]
struct Written<V> {
    result: String,
    value: V,
    attempts: u32,
    status: Option<u16>,
    #[serde(default)]
    headers: Vec<(String, ByteBuf)>,
    body: Option<ByteBuf>,
    reason: Option<String>,
    message: Option<String>,
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Fetched<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        let result = match (written.result.as_str(), written.status) {
            ("answered", Some(status)) => {
                let headers = written.headers.into_iter().map(|(name, ByteBuf(it))| (name, it));
                let body = written.body.map(|ByteBuf(body)| body).unwrap_or_default();
                Ok(Answer::new(status, headers.collect(), body))
            }
            ("failed", _) => Err(FetchFailure::Failed {
                reason: written.reason.unwrap_or_default(),
                message: written.message.unwrap_or_default(),
            }),
            ("unknown", _) => Err(FetchFailure::Unknown),
            (other, _) => {
                let rule = format!("{other:?} is not the result of a request");
                return Err(D::Error::custom(rule));
            }
        };
        Ok(Self { value: written.value, attempts: written.attempts, result })
    }
}
