//! Parts of a streamed response as messages.

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::payload::Bytes;

/// A part of the body of a response that another consumer has started and holds, or its end.
///
/// It is a message: it is sent to the reply channel of the request, or to a group of them.
/// [`sse::Event`](crate::sse::Event) is the same for server-sent events. Where no stream was started, or
/// it is over, it is dropped and counted.
///
/// ```
/// use std::time::Duration;
/// use tidegate_sdk::testing::TestHost;
/// use tidegate_sdk::{Chunk, Context, Reply, Response, Result, export, http};
///
/// #[http("GET /tide")]
/// fn tide(cx: &mut Context) -> Result<Reply> {
///     cx.start_stream(Response::text("rising\n"))?;
///     cx.group_add("watchers")?;
///     Ok(cx.hold(Duration::from_secs(3600)))
/// }
///
/// #[http("POST /tide")]
/// fn turn(cx: &mut Context) -> Result<&'static str> {
///     cx.group_send("watchers", &Chunk::new("turning\n"))?;
///     cx.group_send("watchers", &Chunk::last("falling\n"))?;
///     Ok("noted\n")
/// }
///
/// export! { tide, turn }
///
/// let host = TestHost::new(consumers());
/// let stream = host.get("/tide");
/// assert!(stream.is_pending());
/// host.request("POST", "/tide").send();
/// assert_eq!(stream.text(), "rising\nturning\nfalling\n");
/// assert!(!stream.is_pending());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    body: Vec<u8>,
    is_last: bool,
}

impl Chunk {
    /// A part that others follow. An empty one is nothing.
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), is_last: false }
    }

    /// A part after which the response ends.
    pub fn last(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), is_last: true }
    }

    /// The end of the response.
    #[must_use]
    pub fn end() -> Self {
        Self::last(Vec::new())
    }
}

impl Serialize for Chunk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut message = serializer.serialize_struct("Chunk", 3)?;
        message.serialize_field("type", "http.response.body")?;
        message.serialize_field("body", &Bytes(&self.body))?;
        message.serialize_field("more_body", &!self.is_last)?;
        message.end()
    }
}
