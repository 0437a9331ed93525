//! An HTTP response, and what may be returned in place of one.

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::host::types;
use crate::payload::Bytes;
use crate::{Error, FlushError, ReplyError, Result, SendError};

/// An HTTP response.
///
/// It can also be sent as a message: to the reply channel of a request that is on
/// [hold](crate::Context::hold), from any consumer that was handed the channel's name.
///
/// ```
/// use tidegate_sdk::Response;
///
/// let response = Response::html("<h1>Gone</h1>").status(410).header("cache-control", "no-store");
/// assert_eq!(response.status_code(), 410);
/// assert_eq!(response.body_bytes(), b"<h1>Gone</h1>");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response(pub(crate) types::Response);

impl Response {
    /// A response with a status and nothing else.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self(types::Response { status, headers: Vec::new(), body: Vec::new() })
    }

    /// Status 200 and plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::with_type("text/plain; charset=utf-8", text.into().into_bytes())
    }

    /// Status 200 and HTML.
    pub fn html(html: impl Into<String>) -> Self {
        Self::with_type("text/html; charset=utf-8", html.into().into_bytes())
    }

    /// Status 200 and JSON. A value that JSON cannot hold (a map whose keys are no text, a failing
    /// `Serialize`) gives status 500.
    pub fn json(value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::with_type("application/json", body),
            Err(_) => Self::new(500),
        }
    }

    /// Has the host answer with the messages of a group of the module that has a [`history`](macro@crate::history), such as
    /// `room.blue`: those that are kept, and the next ones where the client waits, by the read half of the
    /// [Durable Streams protocol](https://github.com/durable-streams/durable-streams).
    ///
    /// The host runs the consumer for each request: it decides who may read. The header fields of the consumer stay. A native test sees
    /// this response with the header field `tidegate-stream`, and no messages.
    pub fn durable_stream(group: impl Into<String>) -> Self {
        Self::new(200).header("tidegate-stream", group.into())
    }

    pub(crate) fn with_type(content_type: &str, body: Vec<u8>) -> Self {
        Self::new(200).header("content-type", content_type).body(body)
    }

    /// Sets the status: 200 to 599.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.0.status = status;
        self
    }

    /// Adds a header field. The host adds `date` and `content-length`, and refuses the fields that
    /// belong to the connection.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.0.headers.push(types::Header { name: name.into(), value: value.into() });
        self
    }

    /// Adds a header field of a type of the crate [`headers`].
    #[cfg(feature = "headers")]
    #[must_use]
    pub fn typed_header<T: headers::Header>(self, field: &T) -> Self {
        let mut values: Vec<headers::HeaderValue> = Vec::new();
        field.encode(&mut values);
        values
            .iter()
            .fold(self, |response, value| response.header(T::name().as_str(), value.as_bytes()))
    }

    /// Sets a cookie: a name and a value, or a [`Cookie`](cookie::Cookie) with attributes. The value is
    /// percent-encoded; [`Cookies`](crate::Cookies) decodes it.
    ///
    /// What the cookie does not say itself is the safe choice: `HttpOnly`, so that no script reads
    /// it; `Secure`, so that it is sent over TLS only (browsers make an exception for `localhost`);
    /// `SameSite=Lax`, so that other sites send it along with links only; and `Path=/`. Without
    /// `max_age` or `expires` it is gone when the browser is closed.
    ///
    /// ```
    /// use tidegate_sdk::Response;
    /// use tidegate_sdk::cookie::{Cookie, time::Duration};
    ///
    /// let session = Cookie::build(("session", "d41d8c")).max_age(Duration::days(30));
    /// let theme = Cookie::build(("theme", "dark")).http_only(false).secure(false);
    /// let response = Response::new(204).cookie(session).cookie(theme);
    ///
    /// // Takes the cookie back; its path has to be the same.
    /// let mut session = Cookie::from("session");
    /// session.make_removal();
    /// let response = Response::new(204).cookie(session);
    /// # let _ = response;
    /// ```
    #[cfg(feature = "cookies")]
    #[must_use]
    pub fn cookie<'a>(self, cookie: impl Into<cookie::Cookie<'a>>) -> Self {
        let mut cookie = cookie.into();
        cookie.set_http_only(cookie.http_only().unwrap_or(true));
        cookie.set_secure(cookie.secure().unwrap_or(true));
        cookie.set_same_site(cookie.same_site().unwrap_or(cookie::SameSite::Lax));
        if cookie.path().is_none() {
            cookie.set_path("/");
        }
        self.header("set-cookie", cookie.encoded().to_string())
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.0.body = body.into();
        self
    }

    /// The status.
    #[must_use]
    pub fn status_code(&self) -> u16 {
        self.0.status
    }

    /// The body.
    #[must_use]
    pub fn body_bytes(&self) -> &[u8] {
        &self.0.body
    }
}

impl Serialize for Response {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let headers: Vec<_> = (self.0.headers.iter())
            .map(|header| (Bytes(header.name.as_bytes()), Bytes(&header.value)))
            .collect();
        let mut message = serializer.serialize_struct("Response", 4)?;
        message.serialize_field("type", "http.response")?;
        message.serialize_field("status", &self.0.status)?;
        message.serialize_field("headers", &headers)?;
        message.serialize_field("body", &Bytes(&self.0.body))?;
        message.end()
    }
}

/// JSON: as a parameter of an HTTP consumer the body, as its return type a response, as `Incoming` of
/// a [`Websocket`](crate::Websocket) a text frame.
///
/// ```
/// use tidegate_sdk::{Json, export, http, testing::TestHost};
///
/// #[http("GET /primes")]
/// fn primes() -> Json<[u32; 4]> {
///     Json([2, 3, 5, 7])
/// }
///
/// export! { primes }
///
/// assert_eq!(TestHost::new(consumers()).get("/primes").json::<Vec<u32>>(), [2, 3, 5, 7]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// What an HTTP consumer does about its request: respond, hold or stream.
///
/// From a [`Response`], from [`Context::hold`](crate::Context::hold) or from
/// [`Context::end_stream`](crate::Context::end_stream).
#[derive(Debug)]
#[must_use = "an HTTP consumer returns it"]
pub struct Reply(pub(crate) Answer);

#[derive(Debug)]
pub(crate) enum Answer {
    Respond(Response),
    Hold { timeout: Duration, fallback: Option<Response> },
    Streamed,
}

impl Reply {
    /// The response for a hold that nobody answered in time, in place of status 504. Changes nothing
    /// about a reply that is not a hold.
    pub fn or(mut self, response: impl Into<Response>) -> Self {
        if let Answer::Hold { fallback, .. } = &mut self.0 {
            *fallback = Some(response.into());
        }
        self
    }
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self(Answer::Respond(response))
    }
}

impl From<&str> for Response {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Response {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

/// What an HTTP consumer may return: [`Response`], [`Reply`], text, [`Json`], any of these with a
/// status as `(u16, _)`, or a [`Result`] of them whose error turns into [`Error`].
///
/// ```
/// use tidegate_sdk::{IntoReply, Reply, Response, Result, export, http, testing::TestHost};
///
/// struct Moved(&'static str);
///
/// impl IntoReply for Moved {
///     fn into_reply(self) -> Result<Reply> {
///         Ok(Response::new(308).header("location", self.0).into())
///     }
/// }
///
/// #[http("GET /old")]
/// fn old() -> Moved {
///     Moved("/new")
/// }
///
/// export! { old }
///
/// let response = TestHost::new(consumers()).get("/old");
/// assert_eq!((response.status(), response.header("location").as_deref()), (308, Some("/new")));
/// ```
#[diagnostic::on_unimplemented(
    message = "an HTTP consumer cannot return `{Self}`",
    label = "not an answer to a request",
    note = "return a `Response`, `Reply`, `String`, `&'static str`, `Json<T>`, `Problem`, `(u16, _)` with \
            one of these, a type of your own that implements `IntoReply`, or a `Result` of these, such \
            as `Result<Response>`"
)]
pub trait IntoReply {
    /// Turns it into a reply.
    ///
    /// # Errors
    /// When the consumer failed, or the value cannot be written.
    fn into_reply(self) -> Result<Reply>;
}

impl IntoReply for Reply {
    fn into_reply(self) -> Result<Reply> {
        Ok(self)
    }
}

impl IntoReply for Response {
    fn into_reply(self) -> Result<Reply> {
        Ok(self.into())
    }
}

impl IntoReply for String {
    fn into_reply(self) -> Result<Reply> {
        Ok(Response::text(self).into())
    }
}

impl IntoReply for &'static str {
    fn into_reply(self) -> Result<Reply> {
        Ok(Response::text(self).into())
    }
}

impl<T: Serialize> IntoReply for Json<T> {
    fn into_reply(self) -> Result<Reply> {
        let body = serde_json::to_vec(&self.0)?;
        Ok(Response::with_type("application/json", body).into())
    }
}

impl<T: IntoReply> IntoReply for (u16, T) {
    fn into_reply(self) -> Result<Reply> {
        let (status, rest) = self;
        let mut reply = rest.into_reply()?;
        if let Answer::Respond(response) = &mut reply.0 {
            response.0.status = status;
        }
        Ok(reply)
    }
}

impl<T: IntoReply, E: IntoReply> IntoReply for Result<T, E> {
    fn into_reply(self) -> Result<Reply> {
        match self {
            Ok(value) => value.into_reply(),
            Err(error) => error.into_reply(),
        }
    }
}

/// A fault, unless it is made with [`Error::response`] or its kin.
impl IntoReply for Error {
    fn into_reply(self) -> Result<Reply> {
        Err(self)
    }
}

/// A fault.
impl IntoReply for SendError {
    fn into_reply(self) -> Result<Reply> {
        Err(self.into())
    }
}

/// A fault.
impl IntoReply for FlushError {
    fn into_reply(self) -> Result<Reply> {
        Err(self.into())
    }
}

/// A fault.
impl IntoReply for ReplyError {
    fn into_reply(self) -> Result<Reply> {
        Err(self.into())
    }
}
