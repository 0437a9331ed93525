//! Runs consumers: compiled components in fresh or warm instances, each run within its limits.
//!
//! Never knows the channel layer: what a consumer sends lands in an [`Outbox`], and what it flushes
//! goes to an [`Outlet`] that the worker hands in.

mod bindings;
mod cache;
mod ceilings;
mod check;
mod clock;
mod compile;
mod contract;
mod convert;
mod declarations;
mod fault;
mod features;
mod file_limits;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod host_calls;
mod imports;
mod instance;
mod interfaces;
mod limits;
mod load_error;
mod log;
mod outbox;
mod pool;
mod program;
mod routes;
mod wasip1;

pub use cache::Cache;
pub(crate) use cache::digest;
pub(crate) use ceilings::MEMORY_CEILING;
pub use compile::{
    COMMAND as COMPILE_COMMAND, CompileFailure, CompileLimits, Compiler, serve as serve_compiler,
};
pub use contract::{ContractError, Direction};
pub use declarations::{ConsumerDeclarations, DeclarationError, Declarations};
pub use fault::Fault;
pub use file_limits::FileLimits;
pub use imports::ImportRule;
pub use instance::{Finished, Instance, Job, LONG, Task, Usage};
pub use interfaces::Interfaces;
pub use limits::Limits;
pub use load_error::LoadError;
pub use log::LogLines;
pub(crate) use log::escape;
pub use outbox::{
    Entry, FlushReason, HistoryFailure, MembersUnread, Outbox, Outlet, Stopped,
    has_messages_to_store, store_messages,
};
pub(crate) use pool::WARM_PER_SLOT;
pub use pool::{Engine, EngineError};
pub use program::Program;
pub(crate) use routes::MOST_RETRIES;
