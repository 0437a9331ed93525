//! The hidden command that the host runs to compile a file where it can be stopped.

use std::time::Duration;

use clap::Args;

use super::ExitStatus;
use crate::engine::{CompileFailure, serve_compiler};

/// What the child is given.
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
