//! JSON without names that are there twice: readers differ in which of them counts (RFC 7519, section 4).

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// Why bytes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonError {
    /// A name is there twice in one object.
    Duplicate,
    /// They are not a JSON object.
    NotAnObject,
}

/// Marks the one error that is told from others.
const DUPLICATE: &str = "duplicate name";

/// Reads an object.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    match serde_json::from_slice(bytes) {
        Ok(Strict(Value::Object(map))) => Ok(map),
        Err(error) if error.to_string().starts_with(DUPLICATE) => Err(JsonError::Duplicate),
        _ => Err(JsonError::NotAnObject),
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, Strict(value))) = entries.next_entry::<String, _>()? {
            if map.insert(name, value).is_some() {
                return Err(de::Error::custom(DUPLICATE));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_as_serde_json_reads_it() {
        let text = r#"{"a": [1, -2, 3.5, null, true, "x"], "b": {"c": 18446744073709551615}}"#;
        let expected: Map<String, Value> = serde_json::from_str(text).unwrap();
        assert_eq!(object(text.as_bytes()), Ok(expected));
    }

    #[test]
    fn a_name_that_is_there_twice_is_told_from_what_is_no_object() {
        for (text, expected) in [
            (r#"{"a": 1, "a": 1}"#, JsonError::Duplicate),
            (r#"{"b": [{"a": 1, "\u0061": 2}]}"#, JsonError::Duplicate),
            ("[]", JsonError::NotAnObject),
            ("", JsonError::NotAnObject),
            ("{} {}", JsonError::NotAnObject),
            (r#"{"a": 1e999}"#, JsonError::NotAnObject),
            (&"[".repeat(100_000), JsonError::NotAnObject),
        ] {
            assert_eq!(object(text.as_bytes()), Err(expected), "{text:.40}");
        }
    }
}
