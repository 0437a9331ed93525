//! Lists that are given in pages.

use serde::Deserialize;
use utoipa::IntoParams;

use super::problem::Problem;

/// Entries in a page without `limit`.
const LIMIT_DEFAULT: usize = 100;
/// The highest `limit`.
const LIMIT_MAX: usize = 1_000;

/// Selects a page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Those that follow another page.
    #[param(min_length = 1)]
    pub(super) cursor: Option<String>,
    /// At most so many, 100 if it is not given; a page may have fewer.
    #[param(minimum = 1, maximum = 1000)]
    pub(super) limit: Option<usize>,
}

/// Returns how many entries a page has at most, by the `limit` of its query.
pub(super) fn limit(given: Option<usize>) -> Result<usize, Box<Problem>> {
    limit_within(given, LIMIT_DEFAULT, LIMIT_MAX)
}

/// The same where a list has bounds of its own.
pub(super) fn limit_within(
    given: Option<usize>,
    default: usize,
    most: usize,
) -> Result<usize, Box<Problem>> {
    let limit = given.unwrap_or(default);
    match (1..=most).contains(&limit) {
        true => Ok(limit),
        false => Err(Problem::bad("limit", format!("`limit` is {limit}; give 1 to {most}"))),
    }
}
