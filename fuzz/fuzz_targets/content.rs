//! The content of a custom message: what passes keeps the rules, and what keeps the rules passes.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use rmpv::Value;
use tidegate::message::Content;

/// How deep maps and lists may be nested.
const MAX_DEPTH: usize = 32;
/// A marker that MessagePack never uses, which the other reader takes for null.
const RESERVED: u8 = 0xc1;

fuzz_target!(|bytes: &[u8]| {
    let passes = Content::parse(Bytes::copy_from_slice(bytes)).is_ok();
    let mut rest = bytes;
    let read = rmpv::decode::read_value_with_max_depth(&mut rest, 4 * MAX_DEPTH);
    let keeps = read.as_ref().is_ok_and(|value| value.is_map() && keeps_rules(value, 0));
    if passes {
        assert!(keeps && rest.is_empty(), "passed: {read:?}");
    } else if !bytes.contains(&RESERVED) {
        assert!(!(keeps && rest.is_empty()), "refused: {read:?}");
    }
});

fn keeps_rules(value: &Value, depth: usize) -> bool {
    match value {
        Value::Nil | Value::Boolean(_) | Value::F32(_) | Value::F64(_) | Value::Binary(_) => true,
        Value::Integer(number) => number.is_i64(),
        Value::String(text) => text.is_str(),
        Value::Array(list) => {
            depth < MAX_DEPTH && list.iter().all(|value| keeps_rules(value, depth + 1))
        }
        Value::Map(entries) => {
            let mut keys: Vec<_> = entries.iter().map(|(key, _)| key.as_str()).collect();
            let are_text = keys.iter().all(Option::is_some);
            keys.sort_unstable();
            let are_unique = keys.windows(2).all(|two| two[0] != two[1]);
            let values = || entries.iter().all(|(_, value)| keeps_rules(value, depth + 1));
            depth < MAX_DEPTH && are_text && are_unique && values()
        }
        Value::Ext(..) => false,
    }
}
