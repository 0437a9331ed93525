//! Runs consumers: compiled components in fresh or warm instances, each run within its limits.
//!
//! Never knows the channel layer: what a consumer sends lands in an [`Outbox`], and what it flushes
//! goes to an [`Outlet`] that the worker hands in.

mod bindings;
mod cache;
mod check;
mod convert;
mod declared;
mod fault;
mod host_calls;
mod instance;
mod limits;
mod log;
mod outbox;
mod pool;
mod program;

pub use cache::{Cache, digest};
pub use check::LoadError;
pub use fault::Fault;
pub use instance::{Finished, Instance, Job, LONG, Task, Usage};
pub use limits::Limits;
pub use log::LogLines;
pub use outbox::{Entry, FlushReason, Outbox, Outlet, Stopped};
pub(crate) use pool::WARM_PER_SLOT;
pub use pool::{Engine, EngineError};
pub use program::Program;
