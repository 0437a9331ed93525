//! What settings are made of, wherever they are written: values with units, checks that many share,
//! and what is wrong with one.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

pub(crate) mod checks;
pub(crate) mod error;
pub(crate) mod units;

/// Reads fields by their names. Serde takes a list for the fields in their order, too, which nobody
/// means.
pub(crate) fn by_name<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<T, D::Error> {
    struct ByName<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for ByName<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("names with values")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    from.deserialize_map(ByName(PhantomData))
}

/// Says in words of settings what serde says in those of Rust: a wrong type, and an unknown name with
/// the nearest known one.
pub(crate) fn with_suggestion(message: &str) -> String {
    // JSON has the place behind it.
    let (message, place) = match message.find(" at line ") {
        Some(at) => message.split_at(at),
        None => (message, ""),
    };
    format!("{}{place}", wrong_type(message).unwrap_or_else(|| unknown(message)))
}

/// A value of another type than the setting has.
fn wrong_type(message: &str) -> Option<String> {
    if message == "invalid socket address syntax" {
        return Some(format!("it is not {ADDRESS}"));
    }
    let kinds = ["invalid type: ", "invalid value: "];
    let rest = kinds.iter().find_map(|kind| message.strip_prefix(kind))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let found = match found.split_once(' ') {
        _ if found == "sequence" => "a list",
        _ if found == "map" => "a section",
        _ if matches!(found, "null" | "unit value") => "null",
        Some(("string", text)) => text,
        _ => found.split('`').nth(1).unwrap_or(found),
    };
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a string" | "string" => "a text in quotes",
        "path string" => "a path in quotes",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" | "names with values" => "a section of names with values",
        "socket address" => ADDRESS,
        other if other.starts_with("struct ") => "a section of names with values",
        other => other,
    };
    Some(format!("{found} is not {expected}"))
}

/// What an address of a setting is.
const ADDRESS: &str = "an IP address with a port, such as \"127.0.0.1:8001\"";

/// Serde lists the known names behind an unknown one; the nearest is the one that was meant.
fn unknown(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let (true, Some(unknown)) = (message.starts_with("unknown "), quoted.next()) else {
        return message.to_owned();
    };
    let known: Vec<&str> = quoted.collect();
    let problem = match message.starts_with("unknown variant ") {
        true => format!("`{unknown}` is not a value of this setting"),
        false => format!("there is no setting `{unknown}`"),
    };
    let distance = |name: &&&str| strsim::damerau_levenshtein(name, unknown);
    match known.iter().min_by_key(distance) {
        Some(nearest) if strsim::damerau_levenshtein(nearest, unknown) <= 3 => {
            format!("{problem}; did you mean `{nearest}`?")
        }
        _ => format!("{problem}; there are: {}", known.join(", ")),
    }
}
