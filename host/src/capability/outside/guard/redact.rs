//! Entries of the settings as errors show them: a pasted URL has secrets in its path or before its host.

use std::net::IpAddr;

use super::origin::Scheme;

/// The longest part of an entry that is shown, in characters.
const SHOWN_CHARS_MAX: usize = 100;
/// Returns the scheme, host, port and network of an entry, and an ellipsis in place of the rest. Of an
/// entry with an `@` nothing but its scheme stays.
pub(super) fn redacted(entry: &str) -> String {
    let (scheme, rest) = match entry.split_once("://") {
        Some((scheme, rest)) if Scheme::parse(scheme).is_some() => (scheme, rest),
        Some((_, rest)) => ("…", rest),
        None => ("", entry),
    };
    let separator = if scheme.is_empty() { "" } else { "://" };
    let host = if entry.contains('@') { "" } else { host_part(rest) };
    let shown: String = host.chars().take(SHOWN_CHARS_MAX).collect();
    let ellipsis = if shown.len() < rest.len() { "…" } else { "" };
    format!("{scheme}{separator}{shown}{ellipsis}")
}

/// Returns the part before a path, or all of a network.
fn host_part(rest: &str) -> &str {
    let Some((host, tail)) = rest.split_once(['/', '?', '#', '\\']) else { return rest };
    let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let is_length = |char: char| char.is_ascii_digit() || matches!(char, ']' | ':');
    if is_address && tail.chars().all(is_length) { rest } else { host }
}
