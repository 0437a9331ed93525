//! Stops the build when two consumers could not be told apart.
#![expect(
    clippy::indexing_slicing,
    reason = "const code has no iterators, and a panic is its error"
)]

use super::{Access, Entry, Guards, Presence, Remembering, Schedule, Trigger};

/// Puts a prefix before the consumer's path.
#[doc(hidden)]
#[must_use]
pub const fn mount(mut entry: Entry, prefix: &'static str) -> Entry {
    assert!(
        prefix.is_empty() || !matches!(entry.trigger, Trigger::Channel { .. }),
        "a consumer of a channel has no path: list it in export! outside of the prefix"
    );
    entry.prefix = prefix;
    entry
}

/// Declares when the consumer is run by the clock.
#[doc(hidden)]
#[must_use]
pub const fn schedule(mut entry: Entry, schedule: Schedule) -> Entry {
    assert!(
        matches!(entry.trigger, Trigger::Channel { .. }),
        "a schedule sends a message to the channel of a consumer: put #[channel(\"reports.make\")] on it"
    );
    assert!(
        schedule.overlap.is_none()
            || matches!(entry.trigger, Trigger::Channel { retries: Some(_), .. }),
        "`overlap` needs to know when a run is over: give the channel `retries`"
    );
    entry.schedule = Some(schedule);
    entry
}

/// Declares which groups tell the consumer, or its clients, who comes and goes.
#[doc(hidden)]
#[must_use]
pub const fn presence(mut entry: Entry, presence: Presence) -> Entry {
    entry.presence = Some(presence);
    entry
}

/// Declares what the consumer asks of the user.
#[doc(hidden)]
#[must_use]
pub const fn access(mut entry: Entry, access: Access) -> Entry {
    assert!(
        !matches!(entry.trigger, Trigger::Channel { .. }),
        "a message of a channel has no user: put #[user] and #[claims] on consumers of HTTP and WebSockets"
    );
    entry.access = Some(access);
    entry
}

/// Declares which groups are remembered.
#[doc(hidden)]
#[must_use]
pub const fn history(mut entry: Entry, histories: &'static [Remembering]) -> Entry {
    entry.histories = histories;
    entry
}

/// Declares for how many milliseconds a connection is kept whose client was lost.
#[doc(hidden)]
#[must_use]
pub const fn resume(mut entry: Entry, window: u64) -> Entry {
    assert!(
        matches!(entry.trigger, Trigger::Websocket { .. }),
        "only a WebSocket is there to come back to: put #[resume] on a consumer of WebSockets"
    );
    entry.resume = Some(window);
    entry
}

/// Compares the consumer at `position` with those before it.
#[doc(hidden)]
pub const fn check(entries: &[Entry], position: usize) {
    let this = &entries[position];
    let mut i = 0;
    while i < position {
        let earlier = &entries[i];
        assert!(
            !same(this.name, earlier.name),
            "two consumers in export! have the same name: rename one of them"
        );
        match (&this.trigger, &earlier.trigger) {
            (Trigger::Channel { name: one, .. }, Trigger::Channel { name: other, .. }) => assert!(
                !same(one, other),
                "two consumers in export! declare the same channel: a channel has one consumer"
            ),
            (
                Trigger::Http { methods: ours, path: one, guards: by, .. },
                Trigger::Http { methods: theirs, path: other, guards: with, .. },
            ) => {
                let alike = compare(Path(this.prefix, one), Path(earlier.prefix, other));
                report(alike, any_same(ours, theirs) && conflict(by, with));
            }
            (
                Trigger::Websocket { path: one, guards: by },
                Trigger::Websocket { path: other, guards: with },
            ) => {
                let alike = compare(Path(this.prefix, one), Path(earlier.prefix, other));
                report(alike, conflict(by, with));
            }
            _ => {}
        }
        i += 1;
    }
}

const fn report(alike: Alike, conflict: bool) {
    assert!(
        !matches!(alike, Alike::ButNames),
        "two paths in export! differ only in the names of their parameters: use the same names"
    );
    assert!(
        !(matches!(alike, Alike::Yes) && conflict),
        "two consumers in export! take the same requests: give one of them another path, another \
         method, or guards of its own"
    );
}

/// How much two paths are alike.
#[derive(Clone, Copy)]
enum Alike {
    No,
    ButNames,
    Yes,
}

/// A prefix, and the path after it.
#[derive(Clone, Copy)]
struct Path(&'static str, &'static str);

impl Path {
    /// 0 after the end.
    const fn at(self, position: usize) -> u8 {
        let (prefix, path) = (self.0.as_bytes(), tail(self.0, self.1).as_bytes());
        if position < prefix.len() {
            prefix[position]
        } else if position < prefix.len() + path.len() {
            path[position - prefix.len()]
        } else {
            0
        }
    }
}

/// What of a path stands after a prefix. `/` is nothing there.
pub(super) const fn tail(prefix: &str, path: &'static str) -> &'static str {
    if same(path, "/") && !prefix.is_empty() { "" } else { path }
}

const fn compare(one: Path, other: Path) -> Alike {
    let (mut i, mut j) = (0, 0);
    let mut alike = Alike::Yes;
    loop {
        let (a, b) = (one.at(i), other.at(j));
        if a != b {
            return Alike::No;
        }
        if a == 0 {
            return alike;
        }
        (i, j) = (i + 1, j + 1);
        if a != b'{' {
            continue;
        }
        if (one.at(i) == b'*') != (other.at(j) == b'*') {
            return Alike::No;
        }
        while one.at(i) != b'}' || other.at(j) != b'}' {
            let (a, b) = (one.at(i), other.at(j));
            if a == 0 || b == 0 {
                return Alike::No;
            }
            if a != b {
                alike = Alike::ButNames;
            }
            i += (a != b'}') as usize;
            j += (b != b'}') as usize;
        }
    }
}

/// Whether a request could be for both and nothing says for which rather.
const fn conflict(one: &Guards, other: &Guards) -> bool {
    let ((host, fields), (other_host, other_fields)) = (one.exactness(), other.exactness());
    if host != other_host || fields != other_fields {
        return false;
    }
    if let (Some(host), Some(other_host)) = (one.host, other.host)
        && !same(host, other_host)
    {
        return false;
    }
    let mut i = 0;
    while i < one.headers.len() {
        let (name, value) = one.headers[i];
        let mut j = 0;
        while j < other.headers.len() {
            let (other_name, other_value) = other.headers[j];
            if same(name, other_name) && !same(value, other_value) {
                return false;
            }
            j += 1;
        }
        i += 1;
    }
    true
}

/// A name is more exact than a domain, and a domain than a shorter one.
pub(super) const fn host_exactness(host: &str) -> usize {
    let bytes = host.as_bytes();
    if bytes.is_empty() || bytes[0] != b'*' {
        return usize::MAX;
    }
    let (mut labels, mut i) = (1, 0);
    while i < bytes.len() {
        labels += (bytes[i] == b'.') as usize;
        i += 1;
    }
    labels
}

const fn any_same(some: &[&str], others: &[&str]) -> bool {
    let mut i = 0;
    while i < some.len() {
        let mut j = 0;
        while j < others.len() {
            if same(some[i], others[j]) {
                return true;
            }
            j += 1;
        }
        i += 1;
    }
    false
}

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut i = 0;
    while i < one.len() {
        if one[i] != other[i] {
            return false;
        }
        i += 1;
    }
    true
}
