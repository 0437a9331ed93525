//! What the host offers: the contract's interfaces, in WebAssembly as imports, natively as a test
//! host's. Both have the same names, so nothing above this module knows which it runs on.

#[cfg(target_family = "wasm")]
pub(crate) use crate::bindings::{
    exports::tidegate::channels::consumer,
    fetching::tidegate::channels::outside,
    holding::tidegate::channels::sessions,
    knowing::tidegate::channels::users,
    meeting::tidegate::channels::presence,
    reaching::tidegate::channels::online,
    remembering::tidegate::channels::history,
    storing::tidegate::channels::{store, timers},
    telling::tidegate::channels::invocation,
    tidegate::channels::{connection, layer, log, reply, types},
};

/// Whether there is a host to call: always in a module.
#[cfg(all(target_family = "wasm", any(feature = "log", feature = "tracing")))]
pub(crate) const fn is_running() -> bool {
    true
}

/// What a module is granted of a machine: in WebAssembly by WASI, natively by the test host.
#[cfg(target_family = "wasm")]
pub(crate) mod machine {
    use std::path::{Path, PathBuf};
    use std::time::SystemTime;

    pub(crate) fn now() -> SystemTime {
        SystemTime::now()
    }

    pub(crate) fn variable(name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    pub(crate) fn path(path: &Path) -> PathBuf {
        path.to_owned()
    }
}

/// Requests that a run waits for.
#[cfg(all(target_family = "wasm", feature = "outgoing"))]
pub(crate) mod outgoing;

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(all(not(target_family = "wasm"), any(feature = "log", feature = "tracing")))]
pub(crate) use native::is_running;
#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{
    HistoryHost, Host, InvocationHost, OnlineHost, OutgoingHost, OutsideHost, PresenceHost,
    SessionHost, StoreHost, TimerHost, connection, consumer, history, invocation, layer, log,
    machine, online, outgoing, outside, presence, reply, sessions, store, timers, types, users,
    with_host,
};
