//! The list that `export!` makes: which consumers there are, and what runs them.

use crate::Context;
use crate::host::consumer::Failure;
use crate::host::types::{Event, Invocation};

/// The consumers of a module. [`export!`](crate::export) makes a function that returns it.
#[derive(Debug, Clone, Copy)]
pub struct Consumers(&'static [Entry]);

impl Consumers {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(entries: &'static [Entry]) -> Self {
        Self(entries)
    }

    pub(crate) fn entries(self) -> &'static [Entry] {
        self.0
    }

    /// Runs the consumer that the invocation names.
    pub(crate) fn run(self, invocation: Invocation, event: Event) -> Result<(), Failure> {
        #[cfg(any(feature = "log", feature = "tracing"))]
        crate::logging::install();
        match self.0.iter().find(|entry| entry.name == invocation.consumer) {
            Some(entry) => (entry.run)(Context::new(invocation), event),
            None => Err(Failure::Failed(format!("no consumer `{}`", invocation.consumer))),
        }
    }
}

/// What an attribute macro makes of a function or an `impl`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a consumer",
    note = "put #[http(..)] or #[channel(..)] on the function, or #[websocket(..)] on its `impl Websocket`"
)]
pub trait Consumer {
    const ENTRY: Entry;
}

/// One consumer.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub name: &'static str,
    pub trigger: Trigger,
    pub run: fn(Context, Event) -> Result<(), Failure>,
}

/// What a consumer is run for.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    Http { methods: &'static [&'static str], path: &'static str, disconnect: bool },
    Websocket { path: &'static str },
    Channel { name: &'static str },
}

/// Stops the build when two consumers could not be told apart.
#[doc(hidden)]
#[expect(
    clippy::indexing_slicing,
    reason = "const code has no iterators, and a panic is its error"
)]
pub const fn check(entries: &[Entry]) {
    let mut i = 0;
    while i < entries.len() {
        let mut j = 0;
        while j < i {
            assert!(
                !same(entries[i].name, entries[j].name),
                "two consumers in export! have the same name: rename one of them"
            );
            if let (Trigger::Channel { name: one }, Trigger::Channel { name: other }) =
                (entries[i].trigger, entries[j].trigger)
            {
                assert!(
                    !same(one, other),
                    "two consumers in export! declare the same channel: a channel has one consumer"
                );
            }
            j += 1;
        }
        i += 1;
    }
}

#[expect(clippy::indexing_slicing, reason = "const code has no iterators, and lengths are equal")]
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
