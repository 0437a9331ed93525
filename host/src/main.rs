//! The one binary: reads the command line, runs it, gives its exit status.

use std::process::ExitCode;

use clap::Parser as _;
use tidegate::cli;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse()).into()
}
