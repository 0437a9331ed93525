//! The command line. The one place that uses anyhow, prints, and owns the exit statuses.

mod build;
mod cargo;
mod check;
mod compile;
mod completions;
mod connections;
mod data;
mod dead_letters;
mod delayed;
mod delete;
mod deploy;
mod dev;
mod doctor;
mod drain;
mod exit;
mod host;
mod listing;
mod logs;
mod man_pages;
mod module_settings;
mod modules;
mod new;
mod oci;
mod output;
mod process_group;
mod project;
mod registry;
mod routes;
mod send;
mod serve;
mod service;
mod settings;
mod sign;
mod signals;
mod signature;
mod templates;
mod token;
mod version;
mod worker;

use clap::{Parser, Subcommand};

pub use exit::ExitStatus;
use settings::Settings;

use crate::engine::COMPILE_COMMAND;

/// Runs consumers that are compiled to WebAssembly, on HTTP and WebSocket.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version = version::full(), after_help = exit::HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a project for a new module.
    New(new::Arguments),
    /// Build the module of a project.
    Build(build::Arguments),
    /// Serve a module and build it again after each change of its sources.
    Dev(dev::Arguments),
    /// Say what is missing for building and serving, and what to do about it.
    Doctor(doctor::Arguments),
    /// Serve modules.
    Serve(Settings),
    /// Run consumers for interface servers elsewhere, and serve no connections.
    Worker(worker::Arguments),
    /// Send a message to a channel.
    Send(send::ChannelArguments),
    /// Send a message to a group.
    GroupSend(send::GroupArguments),
    /// List the routes of the modules.
    #[command(
        mut_arg("listen", |flag| flag.hide(true)),
        mut_arg("admin", |flag| flag.hide(true)),
        mut_arg("slots", |flag| flag.hide(true)),
        mut_arg("no_worker", |flag| flag.hide(true)),
        mut_arg("layer", |flag| flag.hide(true)),
        mut_arg("modules", |flag| flag.help("A module to read; may be given several times"))
    )]
    Routes(Settings),
    /// Check settings and modules without serving.
    Check(Settings),
    /// Ask a process that serves to stop as SIGTERM does.
    Drain(host::Host),
    /// Activate a module's file on a host that serves.
    Deploy(deploy::DeployArguments),
    /// Put a file into an OCI registry.
    Push(registry::PushArguments),
    /// Get a file from an OCI registry.
    Pull(registry::PullArguments),
    /// Sign a file, for hosts that take signed files alone.
    Sign(sign::SignArguments),
    /// Make a key to sign files with.
    SigningKey(sign::KeyArguments),
    /// Activate an earlier version of a module again.
    Rollback(deploy::RollbackArguments),
    /// Deactivate a module and delete its versions.
    Delete(delete::Arguments),
    /// List the modules of a host, or one with its versions and routes.
    Modules(modules::Arguments),
    /// Show the settings of a module on a host, or change single ones.
    Settings(module_settings::Arguments),
    /// Look at the data of a module on a host, or change it.
    #[command(subcommand)]
    Data(data::Command),
    /// List the connections of all processes, or show one.
    Connections(connections::ListArguments),
    /// Close connections: one, or those of a module, a group or a user.
    Close(connections::CloseArguments),
    /// Look at messages whose last try failed, run them again, or drop them.
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    /// Look at messages that a module sends later, or cancel one.
    #[command(subcommand)]
    Delayed(delayed::Command),
    /// Make, list and revoke tokens of the admin API.
    #[command(subcommand)]
    Token(token::Command),
    /// Show runs of consumers and what they logged.
    Logs(logs::Arguments),
    /// Print the completions of a shell.
    Completions(completions::Arguments),
    /// Write the manual pages into a directory.
    #[command(hide = true)]
    ManPages(man_pages::Arguments),
    /// Compile standard input: the host runs this.
    #[command(name = COMPILE_COMMAND, hide = true)]
    Compile(compile::Arguments),
}

/// Runs the command and returns its exit status.
pub fn run(cli: Cli) -> ExitStatus {
    let result = match cli.command {
        Command::New(arguments) => new::run(arguments),
        Command::Build(arguments) => build::run(&arguments),
        Command::Dev(arguments) => dev::run(arguments),
        Command::Doctor(arguments) => doctor::run(arguments),
        Command::Serve(settings) => serve::run(settings),
        Command::Worker(arguments) => worker::run(arguments),
        Command::Send(arguments) => send::to_channel(arguments),
        Command::GroupSend(arguments) => send::to_group(arguments),
        Command::Routes(settings) => routes::run(settings),
        Command::Check(settings) => check::run(settings),
        Command::Drain(host) => drain::run(host),
        Command::Deploy(arguments) => deploy::deploy(arguments),
        Command::Push(arguments) => registry::push(arguments),
        Command::Pull(arguments) => registry::pull(arguments),
        Command::Sign(arguments) => sign::sign(&arguments),
        Command::SigningKey(arguments) => sign::make_key(&arguments),
        Command::Rollback(arguments) => deploy::roll_back(arguments),
        Command::Delete(arguments) => delete::run(arguments),
        Command::Modules(arguments) => modules::run(arguments),
        Command::Settings(arguments) => module_settings::run(arguments),
        Command::Data(command) => data::run(command),
        Command::Connections(arguments) => connections::list(arguments),
        Command::Close(arguments) => connections::close(arguments),
        Command::DeadLetters(command) => dead_letters::run(command),
        Command::Delayed(command) => delayed::run(command),
        Command::Token(command) => token::run(command),
        Command::Logs(arguments) => logs::run(arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::ManPages(arguments) => man_pages::run(&arguments),
        Command::Compile(arguments) => return compile::run(&arguments),
    };
    match result {
        Ok(()) => ExitStatus::Success,
        Err(error) => exit::report(&error),
    }
}
