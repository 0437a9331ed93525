//! What the host offers: the contract's interfaces, in WebAssembly as imports, natively as a test
//! host's. Both have the same names, so nothing above this module knows which it runs on.

#[cfg(target_family = "wasm")]
pub(crate) use crate::bindings::{
    exports::tidegate::channels::consumer,
    tidegate::channels::{connection, layer, log, reply, types},
};

/// Whether there is a host to call: always in a module.
#[cfg(all(target_family = "wasm", any(feature = "log", feature = "tracing")))]
pub(crate) const fn is_running() -> bool {
    true
}

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(all(not(target_family = "wasm"), any(feature = "log", feature = "tracing")))]
pub(crate) use native::is_running;
#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{Host, connection, consumer, layer, log, reply, types, with_host};
