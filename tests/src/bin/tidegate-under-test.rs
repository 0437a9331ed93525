//! The binary as users run it, built where the integration tests can find it.

use std::process::ExitCode;

use clap::Parser as _;
use tidegate::cli;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse()).into()
}
