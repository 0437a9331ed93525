//! What settings are made of, wherever they are written: values with units, checks that many share,
//! and what is wrong with one.

pub(crate) mod checks;
pub(crate) mod error;
pub(crate) mod units;

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
