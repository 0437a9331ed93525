//! Values as JSON: integers, bytes in Base64, and the MessagePack that the SDK writes.

use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use hyper::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value as Json};
use utoipa::ToSchema;

use super::super::problem::Problem;
use crate::capability::store::{Data, Entry, InputError, Key, Moment, TimeToLive, Value};

/// How deep MessagePack is shown as JSON. Many programs read JSON up to 128.
const DEPTH_MAX: usize = 100;

/// A key with its value.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct DataEntry {
    key: String,
    /// The number of the schema that the value follows.
    schema: u32,
    /// The value, if it is an integer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    integer: Option<i64>,
    /// The value, if it is bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    /// Those bytes, if they are MessagePack that JSON can express.
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<Json>,
    /// How long the value lives on, such as `4m 59s`. Without it: until it is changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<String>,
}

impl DataEntry {
    /// Shows an entry, with what its bytes mean.
    pub(super) fn shown(key: &Key, entry: &Entry, now: Moment) -> Self {
        let mut line = Self::line(key, entry, now);
        if let Data::Bytes(bytes) = &entry.value.data {
            line.json = json_of(bytes);
        }
        line
    }

    /// Shows an entry as a line of an export: without what its bytes mean.
    pub(super) fn line(key: &Key, entry: &Entry, now: Moment) -> Self {
        let (integer, base64) = match &entry.value.data {
            Data::Integer(integer) => (Some(*integer), None),
            Data::Bytes(bytes) => (None, Some(BASE64.encode(bytes))),
        };
        let ttl = entry.expires.map(|expires| {
            let rest = Duration::from_micros(expires.0.saturating_sub(now.0));
            let whole = Duration::from_millis(u64::try_from(rest.as_millis()).unwrap_or(u64::MAX));
            humantime::format_duration(whole.max(Duration::from_millis(1))).to_string()
        });
        Self { key: key.to_string(), schema: entry.value.schema, integer, base64, json: None, ttl }
    }
}

/// A value to write: one of `integer`, `base64` and `json`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(in super::super) struct NewValue {
    /// An integer, which `add` can change.
    #[schema(value_type = Option<i64>)]
    pub(super) integer: Option<i64>,
    /// Bytes.
    #[schema(pattern = "^([A-Za-z0-9+/]{4}){0,64}$")]
    pub(super) base64: Option<String>,
    /// A value that is written as the SDK writes it: an integer of 64 bits as one, others as MessagePack.
    #[serde(deserialize_with = "even_null")]
    pub(super) json: Option<Json>,
    /// The number of the schema that the value follows. Without it: that of the value that is replaced,
    /// or 0.
    #[schema(maximum = 4_294_967_295_u64)]
    pub(super) schema: Option<u32>,
    /// How long the value lives, such as `5m`. Without it: until it is changed.
    #[schema(pattern = "^[1-9][0-9]{0,6}(ms|s|m|h)$")]
    pub(super) ttl: Option<String>,
}

/// Tells `null` from a field that is not there.
pub(super) fn even_null<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(from).map(Some)
}

impl NewValue {
    /// Returns the value, and how long it lives.
    pub(super) fn read(self, schema: u32) -> Result<(Value, Option<TimeToLive>), Box<Problem>> {
        let time_to_live = self.ttl.as_deref().map(time_to_live).transpose()?;
        let data = match (self.integer, self.base64, self.json) {
            (Some(integer), None, None) => Data::Integer(integer),
            (None, Some(text), None) => {
                let bytes = BASE64.decode(text.as_bytes());
                Data::Bytes(
                    bytes.map_err(|error| wrong(format!("`base64` is not: {error}")))?.into(),
                )
            }
            (None, None, Some(json)) => data_of(&json)?,
            _ => {
                let text = "a value has one of `integer`, `base64` and `json`; give exactly one";
                return Err(wrong(text));
            }
        };
        let value = match data {
            Data::Integer(_) => Value { data, schema },
            Data::Bytes(bytes) => Value::of_bytes(bytes, schema)?,
        };
        Ok((value, time_to_live))
    }
}

fn time_to_live(text: &str) -> Result<TimeToLive, Box<Problem>> {
    let span = humantime::parse_duration(text).map_err(|_| {
        wrong(format!(
            "`ttl` is {text:?}, and not a span of time: a number with a unit, such as \"5s\" or \
             \"1m 30s\"; the units are ms, s, m, h and d"
        ))
    })?;
    Ok(TimeToLive::from_millis(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))?)
}

fn wrong(text: impl Into<String>) -> Box<Problem> {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "value", text)
}

/// Breaks of a rule that a body or a line shows.
impl From<InputError> for Box<Problem> {
    fn from(error: InputError) -> Self {
        wrong(error.to_string())
    }
}

/// Writes JSON as the SDK writes it.
fn data_of(json: &Json) -> Result<Data, Box<Problem>> {
    if let Some(integer) = json.as_i64() {
        return Ok(Data::Integer(integer));
    }
    let bytes = rmp_serde::to_vec_named(json).map_err(|error| wrong(error.to_string()))?;
    Ok(Data::Bytes(bytes.into()))
}

/// Reads MessagePack as JSON. None: it is something else, or JSON cannot express it.
pub(in super::super) fn json_of(bytes: &Bytes) -> Option<Json> {
    let mut rest = &bytes[..];
    let value = rmpv::decode::read_value_with_max_depth(&mut rest, DEPTH_MAX).ok()?;
    // The SDK keeps such an integer as one.
    let is_foreign = !rest.is_empty() || value.as_i64().is_some();
    if is_foreign { None } else { json(value) }
}

fn json(value: rmpv::Value) -> Option<Json> {
    use rmpv::Value as Pack;
    Some(match value {
        Pack::Nil => Json::Null,
        Pack::Boolean(flag) => flag.into(),
        Pack::Integer(integer) => match integer.as_i64() {
            Some(integer) => integer.into(),
            None => integer.as_u64()?.into(),
        },
        Pack::F32(float) => Number::from_f64(float.into())?.into(),
        Pack::F64(float) => Number::from_f64(float)?.into(),
        Pack::String(text) => text.into_str()?.into(),
        Pack::Array(values) => values.into_iter().map(json).collect::<Option<_>>()?,
        Pack::Map(fields) => {
            let field = |(name, value): (Pack, Pack)| match name {
                Pack::String(name) => Some((name.into_str()?, json(value)?)),
                _ => None,
            };
            Json::Object(fields.into_iter().map(field).collect::<Option<Map<_, _>>>()?)
        }
        Pack::Binary(_) | Pack::Ext(..) => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_reads_back_and_what_json_cannot_express_is_bytes_only() {
        for value in [
            json!(null),
            json!("text"),
            json!(1.5),
            json!(u64::MAX),
            json!({"a": [1, true, null], "b": {"c": "d"}}),
        ] {
            let Data::Bytes(bytes) = data_of(&value).unwrap() else { panic!("{value}") };
            assert_eq!(json_of(&bytes), Some(value));
        }
        assert_eq!(data_of(&json!(-5)).unwrap(), Data::Integer(-5));
        for bytes in [
            &b""[..],
            b"{\"a\":1}",
            b"\x81\x01\x01",
            b"\xc4\x01a",
            b"5",
            b"\xcb\x7f\xf0\0\0\0\0\0\0",
        ] {
            assert_eq!(json_of(&Bytes::from_static(bytes)), None, "{bytes:?}");
        }
        let deep = [vec![0x91; 200], vec![0x00]].concat();
        assert_eq!(json_of(&deep.into()), None);
    }
}
