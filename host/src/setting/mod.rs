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

/// Serde lists the known names behind an unknown one; the nearest is the one that was meant.
pub(crate) fn with_suggestion(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let (true, Some(unknown)) = (message.starts_with("unknown "), quoted.next()) else {
        return message.to_owned();
    };
    let known: Vec<&str> = quoted.collect();
    let distance = |name: &&&str| strsim::damerau_levenshtein(name, unknown);
    match known.iter().min_by_key(distance) {
        Some(nearest) if strsim::damerau_levenshtein(nearest, unknown) <= 3 => {
            format!("there is no setting `{unknown}`; did you mean `{nearest}`?")
        }
        _ => format!("there is no setting `{unknown}`; there are: {}", known.join(", ")),
    }
}
