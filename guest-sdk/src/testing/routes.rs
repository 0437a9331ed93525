//! Which consumer a request belongs to, by the rules of the host.

use percent_encoding::percent_decode_str;

use crate::consumers::{Entry, Guards, Trigger};
use crate::host::types::{Header, PathParam};

/// What a look-up came to.
pub(super) enum Found {
    Route(&'static Entry, Vec<PathParam>),
    WrongMethod(Vec<String>),
    Nothing,
    BadPath,
}

/// What of a request, besides its method, decides its route.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) raw_path: &'a str,
    pub(super) headers: &'a [Header],
}

pub(super) fn http(entries: &'static [Entry], method: &str, asked: Asked<'_>) -> Found {
    let mut candidates = candidates(entries, asked, |trigger| match trigger {
        Trigger::Http { methods, path, guards, .. } => Some((path, guards, methods)),
        Trigger::Websocket { .. } | Trigger::Channel { .. } => None,
    });
    for wanted in [method, if method == "HEAD" { "GET" } else { method }] {
        if let Some(found) = candidates.iter().find(|found| found.methods.contains(&wanted)) {
            return found.decoded();
        }
    }
    let mut allowed: Vec<String> = (candidates.drain(..))
        .flat_map(|candidate| candidate.methods)
        .map(|&method| method.to_owned())
        .collect();
    if allowed.is_empty() {
        return Found::Nothing;
    }
    allowed.sort();
    allowed.dedup();
    if allowed.iter().any(|method| method == "GET") && !allowed.iter().any(|m| m == "HEAD") {
        allowed.push("HEAD".to_owned());
    }
    Found::WrongMethod(allowed)
}

pub(super) fn websocket(entries: &'static [Entry], asked: Asked<'_>) -> Found {
    let candidates = candidates(entries, asked, |trigger| match trigger {
        Trigger::Websocket { path, guards } => Some((path, guards, &[][..])),
        Trigger::Http { .. } | Trigger::Channel { .. } => None,
    });
    candidates.first().map_or(Found::Nothing, Candidate::decoded)
}

/// An entry whose path and guards a request meets.
struct Candidate {
    entry: &'static Entry,
    methods: &'static [&'static str],
    exactness: (usize, usize),
    captured: Vec<(String, String)>,
}

impl Candidate {
    fn decoded(&self) -> Found {
        let decode = |(name, value): &(String, String)| {
            let value = percent_decode_str(value).decode_utf8().ok()?.into_owned();
            Some(PathParam { name: name.clone(), value })
        };
        let params = self.captured.iter().map(decode).collect::<Option<_>>();
        params.map_or(Found::BadPath, |params| Found::Route(self.entry, params))
    }
}

type Read = fn(Trigger) -> Option<(&'static str, Guards, &'static [&'static str])>;

/// Those of the best path, the more exact guards first.
fn candidates(entries: &'static [Entry], asked: Asked<'_>, read: Read) -> Vec<Candidate> {
    let mut ranked = Vec::new();
    for entry in entries {
        let Some((path, guards, methods)) = read(entry.trigger) else { continue };
        let path = entry.full(path);
        if let Some(captured) = capture(&path, asked.raw_path) {
            ranked.push((rank(&path), guards, entry, methods, captured));
        }
    }
    // The path is chosen first, as on the host: one whose guards do not hold hides the others.
    let best = ranked.iter().map(|(rank, ..)| rank.clone()).min();
    let mut candidates: Vec<_> = ranked
        .into_iter()
        .filter(|(rank, guards, ..)| Some(rank) == best.as_ref() && hold(*guards, asked.headers))
        .map(|(_, guards, entry, methods, captured)| Candidate {
            entry,
            methods,
            exactness: guards.exactness(),
            captured,
        })
        .collect();
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.exactness));
    candidates
}

fn hold(guards: Guards, headers: &[Header]) -> bool {
    let field = |name: &str| {
        let first = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        first.map(|header| header.value.as_slice())
    };
    let host = || std::str::from_utf8(field("host")?).ok();
    guards.host.is_none_or(|wanted| host().is_some_and(|host| is_for(wanted, host)))
        && guards.headers.iter().all(|(name, value)| field(name) == Some(value.as_bytes()))
}

/// Whether a host, with or without a port, is the one of a guard.
fn is_for(wanted: &str, host: &str) -> bool {
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    match wanted.strip_prefix('*') {
        Some(domain) => host.len() > domain.len() && host.ends_with(domain),
        None => host == wanted,
    }
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

fn capture(pattern: &str, raw_path: &str) -> Option<Vec<(String, String)>> {
    let mut captured = Vec::new();
    let mut rest = Some(raw_path);
    for segment in pattern.split('/') {
        let path = rest?;
        let inner = segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}'));
        if let Some(name) = inner.and_then(|inner| inner.strip_prefix('*')) {
            captured.push((name.to_owned(), path.to_owned()));
            return (!path.is_empty()).then_some(captured);
        }
        let (here, after) = match path.split_once('/') {
            Some((here, after)) => (here, Some(after)),
            None => (path, None),
        };
        match inner {
            Some(_) if here.is_empty() => return None,
            Some(name) => captured.push((name.to_owned(), here.to_owned())),
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
