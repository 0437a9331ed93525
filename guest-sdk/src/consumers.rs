//! The list that `export!` makes: which consumers there are, and what runs them.

use crate::Context;
use crate::host::consumer::Failure;
use crate::host::types::{Event, Invocation};

mod check;

pub use check::{access, check, history, mount, presence, resume, schedule};

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
            Some(entry) => (entry.run)(Context::new(invocation, entry.prefix), event),
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
    /// What `export!` puts before the path.
    pub prefix: &'static str,
    pub trigger: Trigger,
    /// When it is run by the clock.
    pub schedule: Option<Schedule>,
    /// Which groups it hears of.
    pub presence: Option<Presence>,
    /// Its demands on the user.
    pub access: Option<Access>,
    /// Groups of the module that are remembered.
    pub histories: &'static [Remembering],
    /// For how many milliseconds a WebSocket is kept whose client was lost.
    pub resume: Option<u64>,
    pub run: fn(Context, Event) -> Result<(), Failure>,
}

impl Entry {
    /// A path of the consumer with the prefix before it. Under a prefix, `/` is the prefix itself.
    pub(crate) fn full(&self, path: &'static str) -> String {
        [self.prefix, check::tail(self.prefix, path)].concat()
    }
}

/// What a consumer is run for.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    Http { methods: &'static [&'static str], path: &'static str, guards: Guards, disconnect: bool },
    Websocket { path: &'static str, guards: Guards },
    Channel { name: &'static str, retries: Option<u32> },
}

/// When a consumer of a channel is run by the clock. The host reads it.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Schedule {
    pub expression: &'static str,
    pub zone: &'static str,
    pub missed: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<&'static str>,
}

/// Groups that are remembered, and how much of each. The host reads it.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembering {
    pub pattern: &'static str,
    pub messages: u64,
    /// In seconds.
    pub age: u64,
    pub bytes: u64,
}

/// Which groups tell a consumer, or its clients, who comes and goes. The host reads it.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Presence {
    pub groups: &'static [&'static str],
    /// Times are in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leave_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<u64>,
}

/// The demands of a consumer on the user. The host checks it before it runs the consumer.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// `required` or `optional`.
    pub user: &'static str,
    /// Names of claims, each with values of which one is enough.
    pub claims: &'static [(&'static str, &'static [ClaimValue])],
}

/// A value that a claim is compared with.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum ClaimValue {
    Text(&'static str),
    Integer(i64),
    Bool(bool),
}

/// What must hold of a request besides method and path. Host and names are in lower case.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards {
    pub host: Option<&'static str>,
    pub headers: &'static [(&'static str, &'static str)],
}

impl Guards {
    /// Of routes whose guards hold, the one with the greatest of these is taken: the more exact
    /// host (a name, then the longer domain, then none), then more header fields.
    pub(crate) const fn exactness(&self) -> (usize, usize) {
        let host = match self.host {
            None => 0,
            Some(host) => check::host_exactness(host),
        };
        (host, self.headers.len())
    }
}
