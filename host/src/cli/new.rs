//! `tidegate new`

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Args;

use super::templates::Template;
use crate::message::ModuleName;

/// Names that Rust, cargo or the template itself has another use for.
const TAKEN: &str = "abstract alloc as async await become box break const continue core crate \
    do dyn else enum extern false final fn for gen http if impl in let loop \
    macro match mod move mut override priv proc-macro pub ref return self \
    serde static std struct super test tidegate-sdk trait true try type typeof \
    unsafe unsized use virtual websocket where while yield";

/// The arguments of `new`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The name of the module and of its crate: a-z, 0-9 and -, beginning with a letter
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
    /// The kind of the crate
    #[arg(long, value_enum, value_name = "TEMPLATE", default_value = "websocket")]
    template: Template,
    /// The directory that is made [default: NAME]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

/// A crate cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum NewError {
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
        return Err("the name of a crate begins with a letter".to_owned());
    }
    if TAKEN.split(' ').any(|taken| taken == name) {
        return Err(format!("Rust or cargo has another use for this name; try {name}-module"));
    }
    Ok(name)
}

/// Makes a crate.
pub(super) fn run(arguments: Arguments) -> Result<()> {
    let Arguments { name, template, path } = arguments;
    let path = path.unwrap_or_else(|| name.clone().into());
    make(&path, &template.files(&name))?;
    let shown = path.display();
    let kind = format!("{template:?}").to_lowercase();
    let mut out = io::stdout().lock();
    writeln!(out, "made {shown}: a module with the name {name}, template {kind}; next:")?;
    writeln!(out, "  cd {shown}\n  tidegate dev\n  {}", template.try_it(&name))
        .context("the next steps cannot be printed")
}

/// Writes the files into a directory beside and then gives it its name, so that there is never half a
/// crate.
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
    fn a_name_is_that_of_a_module_and_of_a_crate() {
        for good in ["tide", "tide-2", "a", "tests"] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        for (bad, rule) in [
            ("", "at least 1 byte"),
            ("Tide", "'T'"),
            ("tide_2", "'_'"),
            ("../tide", "'.'"),
            ("2nd", "begins with a letter"),
            ("-tide", "begins with a letter"),
            ("fn", "try fn-module"),
            ("serde", "try serde-module"),
            ("test", "try test-module"),
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
