//! `tidegate new`

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Args;

use super::templates::{Language, Template};
use crate::message::ModuleName;

/// Names for which Rust, cargo or a template in Rust has another use.
const TAKEN: &str = "abstract alloc as async await become box break const continue core crate \
    do dyn else enum extern false final fn for gen http if impl in let loop \
    macro match mod move mut override priv proc-macro pub ref return self \
    serde static std struct super test tidegate-sdk trait true try type typeof \
    unsafe unsized use virtual websocket where while yield";

/// The arguments of `new`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The name of the module and of its project: a-z, 0-9 and -, beginning with a letter
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
    /// The kind of the project
    #[arg(long, value_enum, value_name = "TEMPLATE", default_value = "websocket")]
    template: Template,
    /// The language of the project
    #[arg(long, value_enum, value_name = "LANGUAGE", default_value = "rust")]
    language: Language,
    /// The directory that is made [default: NAME]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

/// A project cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum NewError {
    /// The name is no name of a crate.
    #[error("Rust or cargo has another use for the name {0}; try {0}-module")]
    Taken(String),
    /// The directory exists.
    #[error("{0} is there already, and nothing in it is touched; give another --path")]
    Exists(PathBuf),
    /// A file cannot be written.
    #[error("cannot make {path}: {source}; nothing is left of it")]
    Write {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn name(text: &str) -> Result<String, String> {
    let module = ModuleName::parse(text).map_err(|error| error.to_string())?;
    let name = module.to_string();
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err("the name of a project begins with a letter".to_owned());
    }
    Ok(name)
}

/// Makes a project.
pub(super) fn run(arguments: Arguments) -> Result<()> {
    let Arguments { name, template, language, path } = arguments;
    if language == Language::Rust && is_taken(&name) {
        return Err(NewError::Taken(name).into());
    }
    let path = path.unwrap_or_else(|| name.clone().into());
    make(&path, &template.files(language, &name))?;
    let shown = path.display();
    let kind = format!("{template:?} in {language:?}").to_lowercase();
    let mut out = io::stdout().lock();
    writeln!(out, "made {shown}: a module with the name {name}, template {kind}; next:")?;
    writeln!(out, "  cd {shown}\n  tidegate dev\n  {}", template.try_it(&name))
        .context("the next steps cannot be printed")
}

fn is_taken(name: &str) -> bool {
    TAKEN.split(' ').any(|taken| taken == name)
}

/// Writes the files into a directory beside and then gives it its name, so that there is never half a
/// project.
fn make(path: &Path, files: &[(&str, String)]) -> Result<(), NewError> {
    if path.symlink_metadata().is_ok() {
        return Err(NewError::Exists(path.to_owned()));
    }
    let failed = |source| NewError::Write { path: path.to_owned(), source };
    let Some(last) = path.file_name() else {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "the path has no name")));
    };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let mut beside = std::ffi::OsString::from(".");
    beside.push(last);
    beside.push(format!(".{}", std::process::id()));
    let beside = path.with_file_name(beside);
    let made = write(&beside, files).and_then(|()| fs::rename(&beside, path));
    made.map_err(|source| {
        // It may not exist yet.
        drop(fs::remove_dir_all(&beside));
        failed(source)
    })
}

fn write(directory: &Path, files: &[(&str, String)]) -> io::Result<()> {
    fs::create_dir(directory)?;
    for (file, text) in files {
        let file = directory.join(file);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(file, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_a_module_and_in_rust_of_a_crate() {
        for good in ["tide", "tide-2", "a", "tests"] {
            assert_eq!(name(good).as_deref(), Ok(good));
            assert!(!is_taken(good));
        }
        for taken in ["fn", "serde", "test"] {
            assert!(is_taken(taken), "{taken}");
        }
        for (bad, rule) in [
            ("", "at least 1 byte"),
            ("Tide", "'T'"),
            ("tide_2", "'_'"),
            ("../tide", "'.'"),
            ("2nd", "begins with a letter"),
            ("-tide", "begins with a letter"),
        ] {
            let error = name(bad).unwrap_err();
            assert!(error.contains(rule), "{bad}: {error}");
        }
        assert!(name(&"a".repeat(64)).unwrap_err().contains("63"));
    }

    #[test]
    fn nothing_is_left_of_a_crate_that_cannot_be_made() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tide");
        // The second file would have to be in the first.
        let files = [("a", String::new()), ("a/b", String::new())];
        assert!(matches!(make(&path, &files), Err(NewError::Write { .. })));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_there_is_not_touched() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("mine"), "mine").unwrap();
        let files = [("a", String::new())];
        assert!(matches!(make(directory.path(), &files), Err(NewError::Exists(_))));
        assert!(matches!(make(&directory.path().join("mine"), &files), Err(NewError::Exists(_))));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
