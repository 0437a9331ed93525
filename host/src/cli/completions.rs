//! `tidegate completions`

use std::io::Write as _;

use anyhow::Result;
use clap::{Args, Command, CommandFactory as _, ValueEnum};

use super::Cli;

/// The arguments of `completions`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

/// A shell whose completions can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Fish,
    Zsh,
}

/// Prints the completions of a shell.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let shell = match arguments.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Fish => clap_complete::Shell::Fish,
        Shell::Zsh => clap_complete::Shell::Zsh,
    };
    let mut command = without_hidden(&Cli::command());
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "tidegate", &mut script);
    let mut out = std::io::stdout().lock();
    out.write_all(&script)?;
    Ok(out.flush()?)
}

/// Copies what completions need of a command, without the commands and flags that `--help` does not show.
fn without_hidden(command: &Command) -> Command {
    let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let commands = command.get_subcommands().filter(|command| !command.is_hide_set());
    let about = command.get_about().cloned().unwrap_or_default();
    let mut copy = Command::new(command.get_name().to_owned()).about(about);
    if let Some(version) = command.get_version() {
        copy = copy.version(version.to_owned());
    }
    copy.args(arguments.cloned()).subcommands(commands.map(without_hidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(command: &Command) -> Vec<&str> {
        command.get_subcommands().map(Command::get_name).collect()
    }

    #[test]
    fn hidden_commands_and_flags_are_not_completed() {
        let (all, shown) = (Cli::command(), without_hidden(&Cli::command()));
        let hidden = ["man-pages", crate::engine::COMPILE_COMMAND];
        assert!(hidden.iter().all(|name| names(&all).contains(name)), "{:?}", names(&all));
        assert!(!hidden.iter().any(|name| names(&shown).contains(name)), "{:?}", names(&shown));
        assert_eq!(names(&all).len(), names(&shown).len() + hidden.len());
        let flags = |command: &str| {
            let command = shown.find_subcommand(command).unwrap();
            command.get_arguments().filter_map(clap::Arg::get_long).collect::<Vec<_>>()
        };
        assert!(flags("serve").contains(&"listen"));
        assert!(!flags("worker").contains(&"listen") && flags("worker").contains(&"only-channels"));
    }

    #[test]
    fn the_definition_of_commands_is_sound() {
        Cli::command().debug_assert();
    }
}
