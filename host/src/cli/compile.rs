//! The hidden command that the host runs to compile a file where it can be stopped.

use clap::Args;

use super::ExitStatus;
use crate::engine::{CompileFailure, serve_compiler};

/// What the child is given.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Bytes of address space that it may use.
    memory: u64,
}

/// Compiles standard input to standard output.
pub(super) fn run(arguments: &Arguments) -> ExitStatus {
    match serve_compiler(arguments.memory) {
        Ok(()) => ExitStatus::Success,
        Err(CompileFailure::Refused) => ExitStatus::Module,
        Err(CompileFailure::Broken) => ExitStatus::Unexpected,
    }
}
