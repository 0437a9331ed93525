//! WebSocket messages and closes.

use serde::{Serialize, Serializer, de::DeserializeOwned, ser::SerializeStruct};

use crate::Json;
use crate::host::types;
use crate::payload::Bytes;

/// One WebSocket message.
///
/// It can also be sent as a message: to a reply channel, or to a group of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
}

impl Frame {
    /// A text message.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A binary message.
    pub fn binary(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Binary(bytes.into())
    }

    /// A text message that holds `value` as JSON.
    ///
    /// # Errors
    /// When JSON cannot hold the value.
    ///
    /// ```
    /// use tidegate_sdk::Frame;
    ///
    /// assert_eq!(Frame::json(&[1, 2])?, Frame::text("[1,2]"));
    /// # Ok::<_, tidegate_sdk::Error>(())
    /// ```
    pub fn json(value: &impl Serialize) -> crate::Result<Self> {
        Ok(Self::Text(serde_json::to_string(value)?))
    }

    /// The text, if it is a text message.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    pub(crate) fn from_wire(frame: types::Frame) -> Self {
        match frame {
            types::Frame::Text(text) => Self::Text(text),
            types::Frame::Binary(bytes) => Self::Binary(bytes),
        }
    }

    pub(crate) fn into_wire(self) -> types::Frame {
        match self {
            Self::Text(text) => types::Frame::Text(text),
            Self::Binary(bytes) => types::Frame::Binary(bytes),
        }
    }
}

impl From<&str> for Frame {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Frame {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&[u8]> for Frame {
    fn from(bytes: &[u8]) -> Self {
        Self::binary(bytes)
    }
}

impl From<Vec<u8>> for Frame {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

impl Serialize for Frame {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut message = serializer.serialize_struct("Frame", 2)?;
        message.serialize_field("type", "websocket.send")?;
        match self {
            Self::Text(text) => message.serialize_field("text", text)?,
            Self::Binary(bytes) => message.serialize_field("bytes", &Bytes(bytes))?,
        }
        message.end()
    }
}

/// The end of a WebSocket: what [`disconnect`](crate::Websocket::disconnect) is told, and what can be
/// sent as a message to close one from afar.
///
/// ```
/// use tidegate_sdk::{Close, Context, Result, export, http};
///
/// #[http("POST /lock-up")]
/// fn lock_up(cx: &mut Context) -> Result<&'static str> {
///     cx.group_send("visitors", &Close::new(4000, "we are closing"))?;
///     Ok("good night\n")
/// }
/// # export! { lock_up }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The close code. 1005 when the client gave none, 1006 when the connection broke.
    pub code: u16,
    /// The reason that came with the code. May be empty.
    pub reason: String,
}

impl Close {
    /// A close. A consumer may send 1000 and 3000 to 4999, with at most 123 bytes of reason.
    pub fn new(code: u16, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

impl Serialize for Close {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut message = serializer.serialize_struct("Close", 3)?;
        message.serialize_field("type", "websocket.close")?;
        message.serialize_field("code", &self.code)?;
        message.serialize_field("reason", &self.reason)?;
        message.end()
    }
}

/// What a [`Websocket`](crate::Websocket) can take its messages as: [`Frame`] (all of them),
/// [`String`] (text), [`Json`] (text that holds JSON), or a `Result<_, String>` of one of these for a
/// consumer that answers what it cannot read.
///
/// ```
/// use tidegate_sdk::{Frame, FromFrame, Json};
///
/// assert_eq!(<Json<u32>>::from_frame(Frame::text("7")), Ok(Json(7)));
/// assert!(String::from_frame(Frame::binary([7])).is_err());
/// assert!(<Result<String, String>>::from_frame(Frame::binary([7])).unwrap().is_err());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a WebSocket message",
    note = "use `Frame`, `String`, `Json<T>` where `T: Deserialize`, or `Result<_, String>` of these"
)]
pub trait FromFrame: Sized {
    /// Reads the message. The error text goes to the client as the reason of close code 4400.
    ///
    /// # Errors
    /// When the message is something else.
    fn from_frame(frame: Frame) -> Result<Self, String>;
}

impl FromFrame for Frame {
    fn from_frame(frame: Frame) -> Result<Self, String> {
        Ok(frame)
    }
}

impl FromFrame for String {
    fn from_frame(frame: Frame) -> Result<Self, String> {
        match frame {
            Frame::Text(text) => Ok(text),
            Frame::Binary(_) => Err("expected a text message".to_owned()),
        }
    }
}

impl<T: DeserializeOwned> FromFrame for Json<T> {
    fn from_frame(frame: Frame) -> Result<Self, String> {
        let text = String::from_frame(frame)?;
        serde_json::from_str(&text).map(Json).map_err(|error| error.to_string())
    }
}

impl<T: FromFrame> FromFrame for Result<T, String> {
    fn from_frame(frame: Frame) -> Result<Self, String> {
        Ok(T::from_frame(frame))
    }
}
