//! Which groups are remembered.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;

use super::{ConsumerDeclarations, DeclarationError};
use crate::message::{GroupPattern, HistoryRule};

/// The most patterns of a consumer.
const PATTERNS_MAX: usize = 32;
/// How many messages of a group may be kept.
const MESSAGES: RangeInclusive<u64> = 1..=10_000;
/// For how many seconds.
const AGE_SECONDS: RangeInclusive<u64> = 1..=30 * 24 * 3600;
/// How many bytes of them.
const BYTES: RangeInclusive<u64> = 1024..=16 * 1024 * 1024;

/// How much of a group is kept, as it is declared.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    messages: Option<u64>,
    /// In seconds.
    age: Option<u64>,
    bytes: Option<u64>,
}

pub(super) fn read(value: &[u8]) -> Result<Vec<(GroupPattern, HistoryRule)>, String> {
    let declared: BTreeMap<String, Declared> =
        rmp_serde::from_slice(value).map_err(|error| {
            format!(
                "{error}; give a map of patterns, each with a map of the numbers `messages`, `age` in seconds and \
                 `bytes`"
            )
        })?;
    if declared.is_empty() || declared.len() > PATTERNS_MAX {
        let found = declared.len();
        return Err(format!("give 1 to {PATTERNS_MAX} patterns of groups, not {found}"));
    }
    let one = |(text, Declared { messages, age, bytes }): (String, Declared)| {
        let wrong = |reason: &dyn Display| format!("pattern {text:?}: {reason}");
        let pattern = text.parse().map_err(|error| wrong(&error))?;
        let within = |key: &str, value: Option<u64>, usual: u64, range: RangeInclusive<u64>| {
            let value = value.unwrap_or(usual);
            if range.contains(&value) {
                return Ok(value);
            }
            let (least, most) = range.into_inner();
            Err(wrong(&format!("`{key}` is {least} to {most}, not {value}")))
        };
        let messages = within("messages", messages, 100, MESSAGES)?;
        let bytes = within("bytes", bytes, 256 * 1024, BYTES)?;
        let rule = HistoryRule {
            messages: usize::try_from(messages).unwrap_or(usize::MAX),
            age: Duration::from_secs(within("age", age, 3600, AGE_SECONDS)?),
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
        };
        Ok((pattern, rule))
    };
    declared.into_iter().map(one).collect()
}

/// Checks that no pattern is declared twice: nobody could say which of them counts.
pub(super) fn check_once(
    declared: &BTreeMap<Arc<str>, ConsumerDeclarations>,
) -> Result<(), DeclarationError> {
    let mut known = BTreeSet::new();
    for (consumer, declared) in declared {
        for (pattern, _) in &declared.histories {
            if !known.insert(pattern) {
                return Err(DeclarationError::Value {
                    consumer: format!("{consumer:?}"),
                    key: "history",
                    reason: format!(
                        "pattern \"{pattern}\" is declared of another consumer, too; declare it once"
                    ),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn packed(value: &Value) -> Vec<u8> {
        rmp_serde::to_vec_named(value).unwrap()
    }

    #[test]
    fn what_is_left_out_has_a_default_and_each_limit_is_named() {
        let read = |value: Value| read(&packed(&value));
        let [(pattern, rule)] = &read(json!({ "room.*": {} })).unwrap()[..] else { panic!() };
        let hour = Duration::from_secs(3600);
        let usual = HistoryRule { messages: 100, age: hour, bytes: 256 * 1024 };
        assert_eq!((pattern.to_string().as_str(), *rule), ("room.*", usual));
        let most = json!({ "*": { "messages": 10_000, "age": 2_592_000, "bytes": 16_777_216 } });
        assert!(read(most).is_ok());
        for (value, rule) in [
            (json!({}), "give 1 to 32 patterns"),
            (json!("room.*"), "give a map of patterns"),
            (json!({ "room*": {} }), "`*` stands alone or behind the last dot"),
            (json!({ "": {} }), "a name has at least 1 byte"),
            (json!({ "a": { "messages": 0 } }), "`messages` is 1 to 10000, not 0"),
            (json!({ "a": { "messages": 10_001 } }), "`messages` is 1 to 10000, not 10001"),
            (json!({ "a": { "age": 2_592_001 } }), "`age` is 1 to 2592000"),
            (json!({ "a": { "bytes": 1_023 } }), "`bytes` is 1024 to 16777216"),
            (json!({ "a": { "messages": -1 } }), "give a map of patterns"),
            (json!({ "a": { "message": 1 } }), "unknown field `message`"),
        ] {
            let error = read(value.clone()).unwrap_err();
            assert!(error.contains(rule), "{value}: {error}");
        }
        let many: serde_json::Map<_, _> = (0..33).map(|at| (format!("g{at}"), json!({}))).collect();
        assert!(read(Value::Object(many)).unwrap_err().contains("not 33"));
    }
}
