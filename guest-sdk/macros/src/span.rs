//! Times as they are written in attributes.

use syn::LitStr;

/// Milliseconds of a text such as `10s`.
pub(crate) fn milliseconds(literal: &LitStr) -> syn::Result<u64> {
    let text = literal.value();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..) {
        Some("ms") => Some(1),
        Some("s") => Some(1_000),
        Some("m") => Some(60_000),
        _ => None,
    };
    let span = digits.parse::<u64>().ok().zip(unit);
    span.and_then(|(number, unit)| number.checked_mul(unit)).ok_or_else(|| {
        syn::Error::new(literal.span(), "give a time as \"500ms\", \"10s\" or \"5m\"")
    })
}
