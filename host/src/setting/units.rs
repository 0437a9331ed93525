//! Values with units: `"5s"`, `"64MiB"`.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest span. Sums of a few with the clock's time can be told.
const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A span of time such as `"1m 30s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        match humantime::parse_duration(&text) {
            Ok(span) if span <= DURATION_MAX => Ok(Self(span)),
            Ok(_) => Err(de::Error::custom(format!("{text:?} is too long; at most 365 days"))),
            Err(_) => Err(de::Error::custom(format!(
                "{text:?} is not a span of time: a number with a unit, such as \"5s\" or \"1m 30s\"; \
                 the units are ms, s, m, h and d"
            ))),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_duration(self.0))
    }
}

/// A number of bytes such as `"64MiB"` or `65536`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) usize);

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
                    .map_err(|_| E::custom(format!("{bytes} is not a number of bytes")))
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
                usize::try_from(bytes)
                    .map(Size)
                    .map_err(|_| E::custom(format!("{bytes} is not a number of bytes")))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                let wrong = || E::custom(format!("{text:?} is not a size; write \"64MiB\""));
                let bytes = bytesize::ByteSize::from_str(text).map_err(|_| wrong())?;
                usize::try_from(bytes.as_u64()).map(Size).map_err(|_| wrong())
            }
        }

        from.deserialize_any(Visitor)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

/// A number of things, or `"off"` for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cap(pub(crate) Option<usize>);

impl<'de> Deserialize<'de> for Cap {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Cap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or \"off\" for no limit")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Cap, E> {
                usize::try_from(number).map(|number| Cap(Some(number))).map_err(|_| {
                    E::custom(format!("{number} is not a limit; write \"off\" for none"))
                })
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Cap, E> {
                if text == "off" {
                    return Ok(Cap(None));
                }
                Err(E::custom(format!("{text:?} is not a limit; write a number or \"off\"")))
            }
        }

        from.deserialize_any(Visitor)
    }
}

/// A text that is not shown, also not where it is wrong.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl Visitor {
            fn not_text<E: de::Error>() -> E {
                E::custom("a secret is a text; write it between quotes")
            }
        }

        impl de::Visitor<'_> for Visitor {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret(text.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
                Err(Self::not_text())
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
                Err(Self::not_text())
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Secret, E> {
                Err(Self::not_text())
            }
        }

        from.deserialize_any(Visitor)
    }
}

/// A list of words; as one text they stand between commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Words(pub(crate) Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Words;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a list of texts")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Words, E> {
                let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
                let words: Vec<_> = words.map(str::to_owned).collect();
                // A variable that somebody forgot to fill must not turn a check off.
                match words.is_empty() {
                    true => Err(E::custom("it is empty; leave it out, or write what it lists")),
                    false => Ok(Words(words)),
                }
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Words, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = list.next_element()? {
                    words.push(word);
                }
                Ok(Words(words))
            }
        }

        from.deserialize_any(Visitor)
    }
}
