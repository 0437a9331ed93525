//! Content of messages as a value, checked by the rules of the contract: a map with text keys,
//! nested at most 32 deep, no key twice, integers of 64 bits with sign.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

const MAX_DEPTH: usize = 32;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

/// Reads the content of a message.
pub(super) fn read(content: &[u8]) -> Result<Vec<(String, Value)>, String> {
    let mut rest = content;
    let value = Value::deserialize(&mut rmp_serde::Deserializer::new(&mut rest))
        .map_err(|error| error.to_string())?;
    if !rest.is_empty() {
        return Err(format!("{} bytes follow the end of the map", rest.len()));
    }
    if value.depth() > MAX_DEPTH {
        return Err(format!("maps and lists are nested deeper than {MAX_DEPTH}"));
    }
    match value {
        Value::Map(entries) => Ok(entries),
        _ => Err("the content is not a map; send a map with text keys".to_owned()),
    }
}

impl Value {
    fn depth(&self) -> usize {
        let inner = match self {
            Self::List(values) => values.iter().map(Self::depth).max(),
            Self::Map(entries) => entries.iter().map(|(_, value)| value.depth()).max(),
            Self::Nil
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Text(_)
            | Self::Bytes(_) => return 0,
        };
        1 + inner.unwrap_or(0)
    }

    /// Whether JSON has the value, too.
    pub(super) fn is_json(&self) -> bool {
        match self {
            Self::List(values) => values.iter().all(Self::is_json),
            Self::Map(entries) => entries.iter().all(|(_, value)| value.is_json()),
            Self::Float(number) => number.is_finite(),
            Self::Bytes(_) => false,
            Self::Nil | Self::Bool(_) | Self::Int(_) | Self::Text(_) => true,
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, bool, integer, float, text, bytes, list or map")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        let beyond = || E::custom(format!("the integer {value} is beyond 64 bits with sign"));
        i64::try_from(value).map(Value::Int).map_err(|_| beyond())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries: Vec<(String, Value)> = Vec::new();
        while let Some((key, value)) = map.next_entry()? {
            let Value::Text(key) = key else {
                return Err(de::Error::custom("a map has a key that is not text; use text keys"));
            };
            if entries.iter().any(|(known, _)| *known == key) {
                return Err(de::Error::custom(format!("a map has the key {key:?} twice")));
            }
            entries.push((key, value));
        }
        Ok(Value::Map(entries))
    }
}
