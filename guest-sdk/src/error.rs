//! Why a consumer ended early, and what the host is told.

use std::error::Error as StdError;
use std::fmt;

use crate::Response;
use crate::host::consumer::Failure;

/// What a consumer returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a consumer ended early.
///
/// Every [`std::error::Error`] turns into one, so `?` works. Such an error is a *fault*: nothing that
/// the consumer sent goes out, the client gets status 500 or close code 1011, and the text goes into
/// the invocation's record, where the client does not see it.
///
/// [`Error::response`] and its kin are no faults: an HTTP request is answered with the response, and
/// what the consumer sent before goes out. In [`connect`](crate::Websocket::connect) they deny the
/// handshake. Elsewhere nobody waits for a response, and they are faults.
///
/// ```
/// use tidegate_sdk::{Error, Response, Result};
///
/// fn half(number: &str) -> Result<u32> {
///     let number: u32 = number.parse()?;
///     if number % 2 == 1 {
///         return Err(Error::bad_request("an even number, please"));
///     }
///     Ok(number / 2)
/// }
///
/// assert_eq!(half("8").unwrap(), 4);
/// assert_eq!(half("x").unwrap_err().to_string(), "invalid digit found in string");
/// assert_eq!(half("7").unwrap_err().as_response().map(Response::status_code), Some(400));
/// ```
pub struct Error(Box<Kind>);

#[derive(Debug)]
enum Kind {
    Text(String),
    Response(Response),
    StateUnreadable(String),
}

impl Error {
    /// A fault with a text for the record.
    pub fn failed(text: impl Into<String>) -> Self {
        Self(Box::new(Kind::Text(text.into())))
    }

    /// Answers the HTTP request with `response`.
    #[must_use]
    pub fn response(response: Response) -> Self {
        Self(Box::new(Kind::Response(response)))
    }

    /// Answers the HTTP request with status 400 and a text for the client.
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::response(Response::text(text).status(400))
    }

    /// Answers the HTTP request with status 404 and a text for the client.
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::response(Response::text(text).status(404))
    }

    /// The response, if this is one.
    #[must_use]
    pub fn as_response(&self) -> Option<&Response> {
        match &*self.0 {
            Kind::Response(response) => Some(response),
            Kind::Text(_) | Kind::StateUnreadable(_) => None,
        }
    }

    pub(crate) fn state_unreadable(text: impl Into<String>) -> Self {
        Self(Box::new(Kind::StateUnreadable(text.into())))
    }

    /// The response of [`Error::response`], or what the host is to be told.
    pub(crate) fn into_response(self) -> Result<Response, Failure> {
        match *self.0 {
            Kind::Response(response) => Ok(response),
            Kind::StateUnreadable(text) => Err(Failure::StateUnreadable(text)),
            Kind::Text(text) => Err(Failure::Failed(text)),
        }
    }

    /// What the host is to be told where nobody waits for a response.
    pub(crate) fn into_failure(self) -> Failure {
        match self.into_response() {
            Err(failure) => failure,
            Ok(response) => Failure::Failed(format!(
                "answered with status {}, but only an HTTP request can be answered",
                response.status_code()
            )),
        }
    }
}

/// The error and what caused it, in one line.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Text(text) | Kind::StateUnreadable(text) => f.write_str(text),
            Kind::Response(response) => write!(f, "status {}", response.status_code()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Error").field(&self.0).finish()
    }
}

// `Error` itself is no `std::error::Error`, or this would overlap with `From<T> for T`.
//
// Only the text is kept: a boxed error would keep its `Debug` in the module too, which nobody reads.
impl<E: StdError> From<E> for Error {
    fn from(error: E) -> Self {
        Self::failed(chain(&error))
    }
}
