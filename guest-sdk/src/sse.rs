#![doc = include_str!("docs/sse.md")]

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::payload::Bytes;
use crate::{Context, Error, ReplyError, Response, Result, Scope, context};

/// Starts a stream of events as the answer to a request, with [`head`].
///
/// # Errors
/// As [`Context::start_stream`].
pub fn start(cx: &mut Context) -> Result<(), ReplyError> {
    cx.start_stream(head())
}

/// What a stream of events starts with, for [`Context::start_stream`] when it needs more header
/// fields: status 200, `content-type: text/event-stream`, `cache-control: no-cache`, and
/// `x-accel-buffering: no`, which asks proxies to pass events on at once.
#[must_use]
pub fn head() -> Response {
    Response::new(200)
        .header("content-type", "text/event-stream")
        .header("cache-control", "no-cache")
        .header("x-accel-buffering", "no")
}

/// The id of the last event that the client saw, if it says: a browser does when it comes back.
#[must_use]
pub fn last_event_id(scope: &Scope) -> Option<&str> {
    scope.header("last-event-id").filter(|id| !id.is_empty())
}

/// Sends an event on the stream that answers this request. It goes out when the consumer has
/// returned; [`Context::flush`] sends it now.
///
/// # Errors
/// As [`Context::write`], or when the event cannot be written; see [`Event`].
pub fn send(cx: &mut Context, event: &Event) -> Result<()> {
    let text = event.to_text().map_err(Error::failed)?;
    Ok(cx.write(text)?)
}

/// One event of a stream, or a comment.
///
/// It can also be sent as a message, to the reply channel of a request that holds a stream, or to a
/// group of them.
///
/// Any text can be data. A name or an id with a line break, and an id with U+0000, cannot be
/// written; sending such an event is an error.
///
/// ```
/// use std::time::Duration;
/// use tidegate_sdk::sse::Event;
///
/// let event = Event::data("high water\nat noon").id("7").name("tide");
/// assert_eq!(event.to_string(), "event: tide\nid: 7\ndata: high water\ndata: at noon\n\n");
/// let patience = Event::default().retry(Duration::from_secs(2));
/// assert_eq!(patience.to_string(), "retry: 2000\n\n");
/// assert_eq!(Event::comment("still here").to_string(), ": still here\n\n");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    comment: Option<String>,
    name: Option<String>,
    id: Option<String>,
    retry: Option<Duration>,
    data: Option<String>,
}

impl Event {
    /// An event with text. Line breaks of any kind reach the client as U+000A.
    pub fn data(text: impl Into<String>) -> Self {
        Self { data: Some(text.into()), ..Self::default() }
    }

    /// An event whose text is `value` as JSON.
    ///
    /// # Errors
    /// When JSON cannot hold the value.
    pub fn json(value: &impl Serialize) -> Result<Self> {
        Ok(Self::data(serde_json::to_string(value)?))
    }

    /// A line that clients ignore. Proxies and clients see that the stream is alive.
    pub fn comment(text: impl Into<String>) -> Self {
        Self { comment: Some(text.into()), ..Self::default() }
    }

    /// Sets the id, which the client names when it comes back. An empty one makes it forget the
    /// last.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the name of the event: what a browser listens for, `message` if there is none.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Tells the client how long it waits before it connects again, in whole milliseconds. Without
    /// data that is all it does: no event is dispatched.
    #[must_use]
    pub fn retry(mut self, after: Duration) -> Self {
        self.retry = Some(after);
        self
    }

    fn to_text(&self) -> Result<String, String> {
        let has_break = |text: &String| text.contains(['\r', '\n']);
        if self.name.as_ref().is_some_and(has_break) {
            return Err(format!("name of an event: {:?} has a line break", self.name));
        }
        if self.id.as_ref().is_some_and(|id| has_break(id) || id.contains('\0')) {
            return Err(format!("id of an event: {:?} has a line break or U+0000", self.id));
        }
        Ok(self.to_string())
    }
}

/// As it stands in the stream, with the empty line at its end.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = &self.comment {
            put_lines(f, ":", text)?;
        }
        if let Some(name) = &self.name {
            writeln!(f, "event: {name}")?;
        }
        if let Some(id) = &self.id {
            writeln!(f, "id: {id}")?;
        }
        if let Some(retry) = self.retry {
            writeln!(f, "retry: {}", context::milliseconds(retry))?;
        }
        if let Some(text) = &self.data {
            put_lines(f, "data:", text)?;
        }
        writeln!(f)
    }
}

/// One field for each line. The grammar ends lines with CR LF, CR or LF.
fn put_lines(f: &mut fmt::Formatter<'_>, field: &str, text: &str) -> fmt::Result {
    text.replace("\r\n", "\n")
        .split(['\r', '\n'])
        .try_for_each(|line| writeln!(f, "{field} {line}"))
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.to_text().map_err(serde::ser::Error::custom)?;
        let mut message = serializer.serialize_struct("Event", 3)?;
        message.serialize_field("type", "http.response.body")?;
        message.serialize_field("body", &Bytes(text.as_bytes()))?;
        message.serialize_field("more_body", &true)?;
        message.end()
    }
}
