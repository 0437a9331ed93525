//! `[build]` of `tidegate.toml`: how a project in any language is built, by tools of its own.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use serde::Deserialize;
use tokio::process::Command;

use crate::cli::{cargo::Sources, process_group::ProcessGroup};

/// The file in which it stands.
const FILE: &str = "tidegate.toml";

/// How a project is built.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct Recipe {
    /// The name of the module.
    pub(super) name: String,
    /// The program and its arguments. A program with a `/` is one of the project.
    command: Vec<String>,
    /// The module's file, which the command makes.
    file: PathBuf,
    /// The commands that make the program of `command`, where it is not there yet.
    #[serde(default)]
    setup: Vec<Vec<String>>,
    #[serde(skip)]
    directory: PathBuf,
}

/// The part of `tidegate.toml` that is read here.
#[derive(Deserialize)]
struct Settings {
    build: Option<Recipe>,
}

/// A project cannot be read or built.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum RecipeError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file does not say how the project is built.
    #[error("{path}: {reason}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The rule.
        reason: String,
    },
    /// A program is not there.
    #[error("cannot run {program}: {source}; {fix}")]
    NoProgram {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
        /// The fix.
        fix: String,
    },
    /// The tools cannot be installed.
    #[error(
        "{command} ended with {status}: the tools of this project are not installed; it says above why"
    )]
    Setup {
        /// The command.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// The tools have said what is wrong.
    #[error("{name} cannot be built ({status}); its tools say above what is wrong")]
    Failed {
        /// The project.
        name: String,
        /// How they ended.
        status: ExitStatus,
    },
}

impl RecipeError {
    pub(super) const fn is_of_machine(&self) -> bool {
        matches!(self, Self::NoProgram { .. } | Self::Setup { .. })
    }
}

impl Recipe {
    /// Reads how the project of a directory is built, if its `tidegate.toml` says so.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, RecipeError> {
        let path = directory.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(RecipeError::Read { path, source }),
        };
        let invalid = |reason: String| RecipeError::Invalid { path: path.clone(), reason };
        let read: Settings = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
        let Some(recipe) = read.build else { return Ok(None) };
        let mut commands = std::iter::once(&recipe.command).chain(&recipe.setup);
        if commands.any(Vec::is_empty) {
            let rule = "a command of [build] is a list of texts: the program, then its arguments";
            return Err(invalid(rule.to_owned()));
        }
        if recipe.file.parent().is_none_or(|parent| parent.as_os_str().is_empty()) {
            let rule = "build.file lies in a directory of its own, such as build/app.wasm: what is there is no source";
            return Err(invalid(rule.to_owned()));
        }
        Ok(Some(Self { directory: directory.to_owned(), ..recipe }))
    }

    /// Every file of the project may be a source, but what is beside the module's file.
    pub(super) fn sources(&self) -> Sources {
        Sources {
            directories: [self.directory.clone()].into(),
            manifests: [self.directory.join(FILE)].into(),
            outputs: self.made().parent().map(Path::to_owned).into_iter().collect(),
        }
    }

    fn made(&self) -> PathBuf {
        self.directory.join(&self.file)
    }

    /// Installs the tools, if they are not there, and builds. Returns the module's file.
    pub(super) async fn run(&self, arguments: &[String]) -> Result<PathBuf, RecipeError> {
        let file = self.made();
        if !self.has_tools() {
            for command in &self.setup {
                let status = self.start(command, &[]).await?;
                if !status.success() {
                    return Err(RecipeError::Setup { command: command.join(" "), status });
                }
            }
        }
        let failed = |source| RecipeError::Read { path: file.clone(), source };
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        // A build that makes nothing leaves nothing to be taken for its result.
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let status = self.start(&self.command, arguments).await?;
        if !status.success() {
            return Err(RecipeError::Failed { name: self.name.clone(), status });
        }
        Ok(file)
    }

    /// Whether the program is there, if it is one of the project.
    fn has_tools(&self) -> bool {
        let of_project = self.command.first().filter(|program| program.contains('/'));
        of_project.is_none_or(|program| self.directory.join(program).exists())
    }

    async fn start(
        &self,
        command: &[String],
        arguments: &[String],
    ) -> Result<ExitStatus, RecipeError> {
        let (program, own) = command.split_first().expect("a command has a program");
        let path = match program.contains('/') {
            true => self.directory.join(program),
            false => PathBuf::from(program),
        };
        let fix = || match self.setup.is_empty() {
            true => format!("install it, or name another program in build.command of {FILE}"),
            false => format!("build.setup of {FILE} should make it"),
        };
        let no_program =
            |source| RecipeError::NoProgram { program: program.clone(), source, fix: fix() };
        let mut command = Command::new(path);
        command
            .args(own)
            .args(arguments)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            // What is printed is for people; the result of this command may be JSON.
            .stdout(io::stderr());
        let mut running = ProcessGroup::spawn(command).map_err(no_program)?;
        running.wait().await.map_err(no_program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(build: &str) -> (tempfile::TempDir, Result<Option<Recipe>, RecipeError>) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), build).unwrap();
        let read = Recipe::read(directory.path());
        (directory, read)
    }

    fn recipe(build: &str) -> (tempfile::TempDir, Recipe) {
        let (directory, read) = project(build);
        (directory, read.unwrap().unwrap())
    }

    #[test]
    fn a_recipe_is_read_or_refused_with_the_rule() {
        assert!(project("slots = 3").1.unwrap().is_none());
        for (text, rule) in [
            (
                "[build]\nname = 'a'\ncommand = []\nfile = 'b/a.wasm'",
                "the program, then its arguments",
            ),
            ("[build]\nname = 'a'\ncommand = ['x']\nfile = 'a.wasm'", "such as build/app.wasm"),
            ("[build]\nname = 'a'\ncommand = ['x']", "missing field `file`"),
            ("[build]\nname = 'a'\ncommand = 'x'\nfile = 'b/a.wasm'", "command"),
            ("[build]\nname = 'a'\ncommand = ['x']\nfile = 'b/a'\nset-up = []", "set-up"),
            ("[build", "TOML"),
        ] {
            let error = project(text).1.unwrap_err().to_string();
            assert!(error.contains(rule) && error.contains(FILE), "{text}: {error}");
        }
    }

    #[tokio::test]
    async fn tools_are_installed_once_and_the_file_is_made_in_its_directory() {
        let (directory, recipe) = recipe(
            "[build]\nname = 'a'\nfile = 'build/a.wasm'\ncommand = ['tools/make', 'build/a.wasm']\n\
             setup = [['mkdir', 'tools'], ['ln', '-s', '/usr/bin/touch', 'tools/make']]",
        );
        let file = recipe.run(&[]).await.unwrap();
        assert_eq!(file, directory.path().join("build/a.wasm"));
        assert!(file.is_file());
        // `mkdir` would fail.
        assert!(recipe.run(&["build/b".to_owned()]).await.is_ok());
        assert!(directory.path().join("build/b").is_file());
    }

    #[tokio::test]
    async fn what_fails_is_said_with_its_command_and_leaves_no_file() {
        let of = |command: &str, setup: &str| {
            recipe(&format!(
                "[build]\nname = 'a'\nfile = 'build/a.wasm'\ncommand = [{command}]\nsetup = [{setup}]"
            ))
        };
        let (directory, failing) = of("'false'", "");
        fs::create_dir(directory.path().join("build")).unwrap();
        fs::write(directory.path().join("build/a.wasm"), "old").unwrap();
        let error = failing.run(&[]).await.unwrap_err();
        assert!(matches!(error, RecipeError::Failed { .. }) && !error.is_of_machine());
        assert!(!directory.path().join("build/a.wasm").exists());
        let (_kept, recipe) = of("'tools/none'", "['false', 'x']");
        let error = recipe.run(&[]).await.unwrap_err();
        assert!(error.to_string().starts_with("false x ended with exit status: 1"), "{error}");
        let (_kept, recipe) = of("'tools/none'", "['true']");
        let error = recipe.run(&[]).await.unwrap_err();
        assert!(error.to_string().contains("build.setup of tidegate.toml"), "{error}");
        let (_kept, recipe) = of("'no-such-program-at-all'", "");
        let error = recipe.run(&[]).await.unwrap_err();
        assert!(error.is_of_machine() && error.to_string().contains("install it"), "{error}");
    }
}
