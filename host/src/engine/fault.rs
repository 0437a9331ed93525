//! Why an invocation failed.

use std::time::Duration;

use wasmtime::{Trap, WasmBacktrace, component::ResourceTableError};
use wasmtime_wasi::I32Exit;

use super::{limits::HANDLES, log};
use crate::capability::store::CommitError;

/// Why an invocation failed: a limit with the value that broke it, or what the guest did.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The guest computed for too long.
    #[error("used {used} of {limit} fuel; raise limits.fuel, or look for a loop without end")]
    Fuel {
        /// Fuel used.
        used: u64,
        /// Fuel allowed.
        limit: u64,
    },
    /// The run took too long by the clock, waits included.
    #[error("ran for {used:?} of {limit:?}; raise limits.deadline, or wait for less")]
    Deadline {
        /// Time used.
        used: Duration,
        /// Time allowed.
        limit: Duration,
    },
    /// The guest wanted more memory.
    #[error("asked for {used} bytes of memory; limits.memory allows {limit}")]
    Memory {
        /// Bytes asked for in all.
        used: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Too many entries in the outbox.
    #[error("put {used} messages into the outbox; limits.outbox_messages allows {limit}")]
    OutboxMessages {
        /// Entries.
        used: usize,
        /// Entries allowed.
        limit: usize,
    },
    /// Too many bytes in the outbox.
    #[error("put {used} bytes into the outbox; limits.outbox_bytes allows {limit}")]
    OutboxBytes {
        /// Bytes.
        used: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Too many calls into the host.
    #[error("called the host {used} times; limits.host_calls allows {limit}")]
    HostCalls {
        /// Calls.
        used: u64,
        /// Calls allowed.
        limit: u64,
    },
    /// Too many bytes given to the host in one call.
    #[error("gave the host more than {limit} bytes in one call; give it less at once")]
    CallBytes {
        /// Bytes allowed.
        limit: usize,
    },
    /// Too many things of the host held at the same time.
    #[error("held {limit} handles of the host and wanted more; close files and streams")]
    Handles {
        /// Handles allowed.
        limit: usize,
    },
    /// The guest recursed too deep.
    #[error("the call stack overflowed; look for a recursion without end")]
    Stack,
    /// The guest trapped.
    #[error("trapped: {0}")]
    Trap(String),
    /// The guest panicked: the place and the message.
    #[error("{0}")]
    Panic(String),
    /// The guest ended the process it believes to be in.
    #[error("called exit({0}); a consumer returns instead")]
    Exit(i32),
    /// The consumer reported a failure.
    #[error("the consumer failed: {0}")]
    Failed(String),
    /// The consumer cannot read the connection's state.
    #[error("the connection's state cannot be read: {0}")]
    StateUnreadable(String),
    /// What the run read in the store has changed: what, and how often the host tried.
    #[error(
        "{0} changed while the run used it, each time that it was tried; read fewer keys, or use \
         `add`, or let one channel do the work in turn"
    )]
    Conflict(String),
    /// The module may not keep what the run wrote.
    #[error("{0}: modules.NAME.store")]
    Quota(String),
    /// A value was not what the run took it for when it committed.
    #[error("{0}")]
    Type(String),
    /// The store did not take what the run wrote.
    #[error("{0}")]
    Store(String),
    /// It is not known whether the store took what the run wrote.
    #[error("{0}")]
    CommitUnknown(String),
    /// The host could not run the guest.
    #[error("the host could not run the consumer: {0}")]
    Host(String),
}

impl Fault {
    /// All words for metrics and records.
    pub const KINDS: [&str; 19] = [
        "fuel",
        "deadline",
        "memory",
        "outbox_messages",
        "outbox_bytes",
        "host_calls",
        "call_bytes",
        "handles",
        "stack",
        "trap",
        "exit",
        "failed",
        "state_unreadable",
        "conflict",
        "quota",
        "type",
        "store",
        "commit_unknown",
        "host",
    ];

    /// The word for metrics and records.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Fuel { .. } => "fuel",
            Self::Deadline { .. } => "deadline",
            Self::Memory { .. } => "memory",
            Self::OutboxMessages { .. } => "outbox_messages",
            Self::OutboxBytes { .. } => "outbox_bytes",
            Self::HostCalls { .. } => "host_calls",
            Self::CallBytes { .. } => "call_bytes",
            Self::Handles { .. } => "handles",
            Self::Stack => "stack",
            Self::Trap(_) | Self::Panic(_) => "trap",
            Self::Exit(_) => "exit",
            Self::Failed(_) => "failed",
            Self::StateUnreadable(_) => "state_unreadable",
            Self::Conflict(_) => "conflict",
            Self::Quota(_) => "quota",
            Self::Type(_) => "type",
            Self::Store(_) => "store",
            Self::CommitUnknown(_) => "commit_unknown",
            Self::Host(_) => "host",
        }
    }

    /// Whether it says something about the code of the module, and not about the host, its store, or runs
    /// beside it.
    pub const fn is_of_code(&self) -> bool {
        !matches!(
            self,
            Self::Conflict(_)
                | Self::Quota(_)
                | Self::Store(_)
                | Self::CommitUnknown(_)
                | Self::Host(_)
        )
    }

    /// What an error of a commit means for the run.
    pub fn of_commit(error: CommitError) -> Self {
        match error {
            CommitError::Conflict(what) => Self::Conflict(what.to_string()),
            CommitError::Quota { .. } => Self::Quota(error.to_string()),
            CommitError::Value(_) => Self::Type(error.to_string()),
            CommitError::Unknown { .. } => Self::CommitUnknown(error.to_string()),
            CommitError::AlreadyDone | CommitError::Store(_) => Self::Store(error.to_string()),
        }
    }

    /// Returns whether this is the trap that ends a panic.
    pub(super) fn may_be_panic(&self) -> bool {
        matches!(self, Self::Trap(text) if *text == Trap::UnreachableCodeReached.to_string())
    }

    /// What an error of the engine means, before limits are asked for their part in it.
    pub(super) fn from_engine(error: &wasmtime::Error) -> Self {
        if let Some(fault) = error.downcast_ref::<Self>() {
            return fault.clone();
        }
        if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
            return Self::Exit(*code);
        }
        if let Some(ResourceTableError::Full) = error.downcast_ref() {
            return Self::Handles { limit: HANDLES };
        }
        match error.downcast_ref::<Trap>() {
            // Filled in by the caller, who knows the numbers.
            Some(Trap::OutOfFuel) => Self::Fuel { used: 0, limit: 0 },
            Some(Trap::StackOverflow) => Self::Stack,
            Some(trap) => Self::Trap(trap.to_string()),
            // It has no type of its own.
            None if error.root_cause().to_string().contains("hostcalls") => {
                Self::CallBytes { limit: 0 }
            }
            // Raised while the guest ran, by what it asked for.
            None if error.downcast_ref::<WasmBacktrace>().is_some() => {
                Self::Trap(log::one_line(&error.root_cause().to_string()))
            }
            None => Self::Host(log::one_line(&format!("{error:#}"))),
        }
    }
}
