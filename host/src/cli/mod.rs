//! The command line. The one place that uses anyhow, prints, and owns the exit statuses.

mod check;
mod compile;
mod drain;
mod exit;
mod routes;
mod serve;
mod settings;

use clap::{Parser, Subcommand};

pub use exit::ExitStatus;
use settings::Settings;

use crate::engine::COMPILE_COMMAND;

/// Runs consumers that are compiled to WebAssembly, on HTTP and WebSocket.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, after_help = exit::HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve modules.
    Serve(Settings),
    /// List the routes of the modules.
    Routes(Settings),
    /// Check settings and modules without serving.
    Check(Settings),
    /// Ask a process that serves to stop as SIGTERM does.
    Drain(drain::Arguments),
    /// Compile what comes in: the host runs this.
    #[command(name = COMPILE_COMMAND, hide = true)]
    Compile(compile::Arguments),
}

/// Runs the command and says how it ended.
pub fn run(cli: Cli) -> ExitStatus {
    let result = match cli.command {
        Command::Serve(settings) => serve::run(settings),
        Command::Routes(settings) => routes::run(settings),
        Command::Check(settings) => check::run(settings),
        Command::Drain(arguments) => drain::run(arguments),
        Command::Compile(arguments) => return compile::run(&arguments),
    };
    match result {
        Ok(()) => ExitStatus::Success,
        Err(error) => exit::report(&error),
    }
}
