//! The exit statuses.

use std::{io::Write as _, time::Duration};

use super::{
    deploy::DeployError, doctor::Unwell, host::NoToken, new::NewError, oci::RegistryError,
    project::BuildError,
};
use crate::{
    admin::client::AskError,
    app::StartError,
    config::ConfigError,
    interface::BindError,
    layer::{LayerError, SendError},
    shutdown::run_at_most,
    telemetry::{Log, TracesError},
};

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
  7  no host answers at the admin address, or no registry
  8  the host or the registry refuses, or there is no token for it
  9  a project cannot be made, found or built
 10  the channel layer cannot be reached
 11  a channel, an inbox or the memory of Redis is full: nothing was taken";

/// How long the end of a command waits for the reader of its error.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(1);

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
    /// No host answers at the admin address.
    NoHost = 7,
    /// The host refuses, or there is no token for it.
    Refused = 8,
    /// A project cannot be made, found or built.
    Project = 9,
    /// The channel layer cannot be reached.
    NoLayer = 10,
    /// The message or module found no room.
    Full = 11,
}

impl From<ExitStatus> for std::process::ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// Prints the error, and returns its status.
pub(super) fn report(error: &anyhow::Error) -> ExitStatus {
    // The reader of the output has left, as `head` does.
    let enough = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    if error.downcast_ref().is_some_and(enough) {
        return ExitStatus::Success;
    }
    let text = Log::last_line(&message(error));
    // A command ends even if nobody reads its error.
    run_at_most(LAST_WORDS_TIMEOUT, move || drop(std::io::stderr().write_all(text.as_bytes())));
    if error.is::<ConfigError>() {
        return ExitStatus::Settings;
    }
    if let Some(error) = error.downcast_ref() {
        return of_layer(error);
    }
    if let Some(error) = error.downcast_ref::<SendError>() {
        return match error {
            SendError::Layer(error) => of_layer(error),
            SendError::TooLarge { .. } => ExitStatus::Settings,
            _ => ExitStatus::Full,
        };
    }
    if error.is::<BindError>() {
        return ExitStatus::Address;
    }
    if let Some(error) = error.downcast_ref::<BuildError>() {
        return if error.is_of_machine() { ExitStatus::Machine } else { ExitStatus::Project };
    }
    if let Some(error) = ask_error(error) {
        return match error {
            AskError::Refused { problem, .. } if problem.code == "settings" => ExitStatus::Settings,
            _ if error.is_of_module() => ExitStatus::Module,
            _ if error.is_of_connection() => ExitStatus::NoHost,
            AskError::Unreadable { .. } | AskError::NotAdmin { .. } => ExitStatus::NoHost,
            AskError::Refused { problem, .. }
                if ["full", "memory", "quota"].contains(&&*problem.code) =>
            {
                ExitStatus::Full
            }
            AskError::Refused { problem, .. } if problem.code == "layer" => ExitStatus::NoLayer,
            _ => ExitStatus::Refused,
        };
    }
    if let Some(DeployError::File { .. }) = error.downcast_ref() {
        return ExitStatus::Module;
    }
    if let Some(error) = error.downcast_ref::<RegistryError>() {
        return match error {
            RegistryError::Away { .. } | RegistryError::Other { .. } => ExitStatus::NoHost,
            RegistryError::Unauthorized { .. }
            | RegistryError::NoToken { .. }
            | RegistryError::Credentials { .. } => ExitStatus::Refused,
            RegistryError::Missing { .. }
            | RegistryError::NoRepository { .. }
            | RegistryError::Kind { .. }
            | RegistryError::Digest { .. }
            | RegistryError::TooLarge { .. } => ExitStatus::Module,
        };
    }
    if error.is::<Unwell>() {
        return ExitStatus::Machine;
    }
    if error.is::<NoToken>() {
        return ExitStatus::Refused;
    }
    if let Some(error) = error.downcast_ref() {
        return match error {
            NewError::Taken(_) => ExitStatus::Usage,
            NewError::Exists(_) | NewError::Write { .. } => ExitStatus::Project,
        };
    }
    match error.downcast_ref::<StartError>() {
        Some(StartError::Module(_)) => ExitStatus::Module,
        Some(StartError::Bind(_)) => ExitStatus::Address,
        Some(StartError::Tls(_) | StartError::KeyUrl(_)) => ExitStatus::Settings,
        Some(StartError::Traces(TracesError::Exporter(_))) => ExitStatus::Settings,
        Some(StartError::Layer(error)) => of_layer(error),
        Some(_) => ExitStatus::Machine,
        None => ExitStatus::Unexpected,
    }
}

const fn of_layer(error: &LayerError) -> ExitStatus {
    match error {
        LayerError::LayoutMismatch { .. } => ExitStatus::Settings,
        LayerError::OutOfMemory(_) => ExitStatus::Full,
        _ => ExitStatus::NoLayer,
    }
}

/// Joins an error with its causes. A cause that an error's own text contains is not repeated.
fn message(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| {
        match said.is_empty() {
            true => cause,
            false if said.contains(&cause) => said,
            false => format!("{said}: {cause}"),
        }
    })
}

fn ask_error(error: &anyhow::Error) -> Option<&AskError> {
    match error.downcast_ref() {
        Some(DeployError::Host { source, .. }) => Some(source),
        _ => error.downcast_ref(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let cause = || std::io::Error::other("no more");
        let outer = anyhow::Error::from(cause()).context("cannot write").context("cannot deploy");
        assert_eq!(message(&outer), "cannot deploy: cannot write: no more");
        let tells = NewError::Write { path: "a".into(), source: cause() };
        assert_eq!(message(&tells.into()), "cannot make a: no more; nothing is left of it");
    }
}
