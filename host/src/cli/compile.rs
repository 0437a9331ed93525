//! The hidden command that compiles a file in a process of its own, so that the host can stop it.

use std::time::Duration;

use clap::Args;

use super::ExitStatus;
use crate::engine::{CompileFailure, serve_compiler};

/// The arguments of the child.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Bytes of address space that it may use.
    memory: u64,
    /// Milliseconds of processor time that it may use.
    milliseconds: u64,
}

/// Compiles standard input to standard output.
pub(super) fn run(arguments: &Arguments) -> ExitStatus {
    match serve_compiler(arguments.memory, Duration::from_millis(arguments.milliseconds)) {
        Ok(()) => ExitStatus::Success,
        Err(CompileFailure::Refused) => ExitStatus::Module,
        Err(CompileFailure::Broken) => ExitStatus::Unexpected,
    }
}
