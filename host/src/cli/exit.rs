//! The exit statuses.

use super::{cargo::CargoError, new::NewError};
use crate::{app::StartError, config::ConfigError, interface::BindError};

/// The table, as `--help` shows it.
pub(super) const HELP: &str = "\
Exit statuses:
  0  it did what it was asked to
  1  something unexpected
  2  the command line is wrong
  3  a setting is wrong
  4  a module is refused
  5  an address cannot be listened on
  6  the machine does not give what is needed (directory, threads, memory, tools)
  9  a crate cannot be made, found or compiled";

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// It did what it was asked to.
    Success = 0,
    /// Something unexpected.
    Unexpected = 1,
    /// The command line is wrong. Clap exits with it.
    Usage = 2,
    /// A setting is wrong.
    Settings = 3,
    /// A module is refused.
    Module = 4,
    /// An address cannot be listened on.
    Address = 5,
    /// The machine does not give what is needed.
    Machine = 6,
    /// A crate cannot be made, found or compiled.
    Crate = 9,
}

impl From<ExitStatus> for std::process::ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// Says what was wrong, and which status that is.
#[expect(clippy::print_stderr, reason = "the message of a command that failed")]
pub(super) fn report(error: &anyhow::Error) -> ExitStatus {
    eprintln!("error: {error:#}");
    if error.is::<ConfigError>() {
        return ExitStatus::Settings;
    }
    if error.is::<BindError>() {
        return ExitStatus::Address;
    }
    if let Some(error) = error.downcast_ref::<CargoError>() {
        return if error.is_of_machine() { ExitStatus::Machine } else { ExitStatus::Crate };
    }
    if error.is::<NewError>() {
        return ExitStatus::Crate;
    }
    match error.downcast_ref::<StartError>() {
        Some(StartError::Module(_)) => ExitStatus::Module,
        Some(StartError::Bind(_)) => ExitStatus::Address,
        Some(StartError::Tls(_)) => ExitStatus::Settings,
        Some(_) => ExitStatus::Machine,
        None => ExitStatus::Unexpected,
    }
}
