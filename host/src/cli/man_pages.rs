//! The hidden command that writes the manual pages, for `make dist`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;

use super::Cli;

/// Stands at the foot of each page.
const MANUAL: &str = "Tidegate";

/// The arguments of `man-pages`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The directory, which is there
    directory: PathBuf,
}

/// Writes a page for the program, and one for each command.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    write(&program, &arguments.directory)
}

fn write(command: &Command, directory: &Path) -> Result<()> {
    for below in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        write(below, directory)?;
    }
    let page = Man::new(command.clone()).manual(MANUAL);
    let path = directory.join(page.get_filename());
    let mut text = Vec::new();
    page.render(&mut text)?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}
