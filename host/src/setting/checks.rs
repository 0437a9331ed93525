//! Checks that many settings share.

use std::{num::NonZeroU32, time::Duration};

use super::{
    error::{Checked, ConfigError},
    units::{Cap, Size, Span},
};

pub(crate) fn zero(place: &str) -> ConfigError {
    ConfigError::new(place, "0 lets nothing pass; give at least 1, or leave it out")
}

pub(crate) fn positive(place: &str, value: Option<u64>, default: u64) -> Checked<u64> {
    match value.unwrap_or(default) {
        0 => Err(zero(place)),
        value => Ok(value),
    }
}

pub(crate) fn at_least_one(place: &str, value: Option<usize>, default: usize) -> Checked<usize> {
    match value.unwrap_or(default) {
        0 => Err(zero(place)),
        value => Ok(value),
    }
}

pub(crate) fn size(place: &str, value: Option<Size>, default: usize) -> Checked<usize> {
    at_least_one(place, value.map(|Size(bytes)| bytes), default)
}

pub(crate) fn span(place: &str, value: Option<Span>, default: Duration) -> Checked<Duration> {
    match value.map_or(default, |Span(span)| span) {
        Duration::ZERO => Err(zero(place)),
        span => Ok(span),
    }
}

/// A limit that may be off.
pub(crate) fn cap(
    place: &str,
    value: Option<Cap>,
    default: Option<usize>,
) -> Checked<Option<usize>> {
    match value {
        None => Ok(default),
        Some(Cap(Some(0))) => {
            Err(ConfigError::new(place, "0 lets nothing pass; give at least 1, or \"off\""))
        }
        Some(Cap(limit)) => Ok(limit),
    }
}

/// So many in a second; may be off.
pub(crate) fn rate(
    place: &str,
    value: Option<Cap>,
    default: Option<NonZeroU32>,
) -> Checked<Option<NonZeroU32>> {
    let default = default.and_then(|rate| usize::try_from(rate.get()).ok());
    let rate = cap(place, value, default)?;
    // More than four thousand million in a second are as many as come.
    Ok(rate.and_then(|rate| u32::try_from(rate).ok()).and_then(NonZeroU32::new))
}
