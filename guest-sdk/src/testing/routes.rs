//! Which consumer a path belongs to.

use percent_encoding::percent_decode_str;

use crate::consumers::{Entry, Trigger};
use crate::host::types::PathParam;

/// What a look-up came to.
pub(super) enum Found {
    Route(&'static Entry, Vec<PathParam>),
    WrongMethod(Vec<String>),
    Nothing,
    BadPath,
}

pub(super) fn http(entries: &'static [Entry], method: &str, raw_path: &str) -> Found {
    let mut candidates = Vec::new();
    for entry in entries {
        if let Trigger::Http { methods, path, .. } = entry.trigger
            && let Some(captured) = capture(path, raw_path)
        {
            candidates.push((rank(path), entry, methods, captured));
        }
    }
    let Some(best) = candidates.iter().map(|(rank, ..)| rank.clone()).min() else {
        return Found::Nothing;
    };
    candidates.retain(|(rank, ..)| *rank == best);
    let mut allowed: Vec<String> = Vec::new();
    for wanted in [method, if method == "HEAD" { "GET" } else { method }] {
        for (_, entry, methods, captured) in &candidates {
            if methods.contains(&wanted) {
                return found(entry, captured);
            }
        }
    }
    for (_, _, methods, _) in candidates {
        allowed.extend(methods.iter().map(|&method| method.to_owned()));
    }
    allowed.sort();
    Found::WrongMethod(allowed)
}

pub(super) fn websocket(entries: &'static [Entry], raw_path: &str) -> Found {
    let candidate = |entry: &'static Entry| match entry.trigger {
        Trigger::Websocket { path } => {
            capture(path, raw_path).map(|captured| (rank(path), entry, captured))
        }
        Trigger::Http { .. } | Trigger::Channel { .. } => None,
    };
    let best = entries.iter().filter_map(candidate).min_by(|(one, ..), (other, ..)| one.cmp(other));
    match best {
        Some((_, entry, captured)) => found(entry, &captured),
        None => Found::Nothing,
    }
}

type Captured<'a> = Vec<(&'static str, &'a str)>;

fn found(entry: &'static Entry, captured: &Captured<'_>) -> Found {
    let decoded: Option<Vec<_>> = captured
        .iter()
        .map(|&(name, value)| {
            let value = percent_decode_str(value).decode_utf8().ok()?.into_owned();
            Some(PathParam { name: name.to_owned(), value })
        })
        .collect();
    decoded.map_or(Found::BadPath, |params| Found::Route(entry, params))
}

/// Which of two paths that match is meant: the one with the earlier literal segment.
fn rank(pattern: &str) -> Vec<u8> {
    let kind = |segment: &str| match segment {
        rest if rest.starts_with("{*") => 2,
        name if name.starts_with('{') => 1,
        _ => 0,
    };
    pattern.split('/').map(kind).collect()
}

fn capture<'a>(pattern: &'static str, raw_path: &'a str) -> Option<Captured<'a>> {
    let mut captured = Vec::new();
    let mut rest = Some(raw_path);
    for segment in pattern.split('/') {
        let path = rest?;
        let inner = segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}'));
        if let Some(name) = inner.and_then(|inner| inner.strip_prefix('*')) {
            captured.push((name, path));
            return (!path.is_empty()).then_some(captured);
        }
        let (here, after) = match path.split_once('/') {
            Some((here, after)) => (here, Some(after)),
            None => (path, None),
        };
        match inner {
            Some(_) if here.is_empty() => return None,
            Some(name) => captured.push((name, here)),
            None if same(segment, here) => {}
            None => return None,
        }
        rest = after;
    }
    rest.is_none().then_some(captured)
}

/// Whether two spellings of a segment mean the same.
fn same(one: &str, other: &str) -> bool {
    one == other || percent_decode_str(one).eq(percent_decode_str(other))
}
