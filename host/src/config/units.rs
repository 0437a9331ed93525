//! Values with units: `"5s"`, `"64MiB"`.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, de};

/// A span of time such as `"1m 30s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        humantime::parse_duration(&text).map(Self).map_err(|error| {
            de::Error::custom(format!("{text:?} is no span of time ({error}); write \"5s\""))
        })
    }
}

/// A number of bytes such as `"64MiB"` or `65536`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) usize);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, such as \"64MiB\"")
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
                usize::try_from(bytes)
                    .map(Size)
                    .map_err(|_| E::custom(format!("{bytes} is no number of bytes")))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                let wrong = || E::custom(format!("{text:?} is no size; write \"64MiB\""));
                let bytes = bytesize::ByteSize::from_str(text).map_err(|_| wrong())?;
                usize::try_from(bytes.as_u64()).map(Size).map_err(|_| wrong())
            }
        }

        from.deserialize_any(Visitor)
    }
}
