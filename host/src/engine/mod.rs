//! Runs consumers: compiled components in fresh or warm instances, each run within its limits.
//!
//! Never knows the channel layer: what a consumer sends lands in an [`Outbox`], and what it flushes
//! goes to an [`Outlet`] that the worker hands in.

mod bindings;
mod cache;
mod check;
mod compile;
mod convert;
mod fault;
mod file_limits;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod host_calls;
mod instance;
mod limits;
mod log;
mod outbox;
mod pool;
mod program;
mod routes;
mod wasip1;

pub use cache::Cache;
pub(crate) use cache::digest;
pub use check::LoadError;
pub use compile::{
    COMMAND as COMPILE_COMMAND, CompileFailure, CompileLimits, Compiler, serve as serve_compiler,
};
pub use fault::Fault;
pub use file_limits::FileLimits;
pub use instance::{Finished, Instance, Job, LONG, Task, Usage};
pub use limits::Limits;
pub use log::LogLines;
pub(crate) use log::escape;
pub use outbox::{Entry, FlushReason, Outbox, Outlet, Stopped};
pub use pool::{Engine, EngineError};
pub(crate) use pool::{MEMORY_CEILING, WARM_PER_SLOT};
pub use program::Program;
pub(crate) use routes::MOST_RETRIES;
