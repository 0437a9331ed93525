//! Content of messages: serde on this side, a MessagePack map with text keys on the other.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Visitor},
};

use crate::SendError;

/// Writes `payload` as a map with field names.
pub(crate) fn encode(payload: &impl Serialize) -> Result<Vec<u8>, SendError> {
    let content = rmp_serde::to_vec_named(payload)
        .map_err(|error| SendError::InvalidContent(format!("cannot be written: {error}")))?;
    match content.first() {
        Some(0x80..=0x8f | 0xde | 0xdf) => Ok(content),
        _ => Err(SendError::InvalidContent(
            "a message is a map with text keys: send a struct with named fields, or a map"
                .to_owned(),
        )),
    }
}

/// Reads a message as `T`.
pub(crate) fn decode<T: DeserializeOwned>(content: &[u8]) -> Result<T, String> {
    rmp_serde::from_slice(content).map_err(|error| error.to_string())
}

/// Bytes that serde writes as bytes, not as a list of numbers.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// The same for keeps.
#[derive(Debug, Clone)]
pub(crate) struct ByteBuf(pub(crate) Vec<u8>);

impl Serialize for ByteBuf {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Bytes(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ByteBuf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Copied;
        impl Visitor<'_> for Copied {
            type Value = ByteBuf;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<ByteBuf, E> {
                Ok(ByteBuf(bytes.to_owned()))
            }
        }
        deserializer.deserialize_byte_buf(Copied)
    }
}
