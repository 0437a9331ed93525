//! `tidegate doctor`: says what is missing for building and serving, and how to fix it.
//!
//! It leaves no files and no processes behind.

mod building;
mod serving;

use std::{io::Write as _, path::PathBuf};

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{output::json, settings::Settings};

/// The arguments of `doctor`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Look only at what building, or only at what serving needs
    #[arg(value_enum, value_name = "PART")]
    part: Option<Part>,
    /// The directory of the crate that is built: rustup chooses the Rust by it
    #[arg(long, value_name = "DIR", default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    settings: Settings,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    /// Cargo, Rust, targets, linkers
    Build,
    /// Settings, data directory, ports, limits of the machine
    Serve,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// The check passed.
    Ok,
    /// It works, but slower or for less than it might.
    Warn,
    /// It does not work.
    Fail,
}

/// A check.
#[derive(Debug, Serialize)]
struct Check {
    part: Part,
    name: &'static str,
    level: Level,
    /// The finding.
    found: String,
    /// The fix, unless the check passed.
    fix: Option<String>,
}

/// A check failed.
#[derive(Debug, thiserror::Error)]
#[error("{0} of the checks failed; the lines above say what to do")]
pub(super) struct Unwell(usize);

/// Checks of one part.
struct Checks {
    part: Part,
    checks: Vec<Check>,
}

impl Checks {
    const fn new(part: Part) -> Self {
        Self { part, checks: Vec::new() }
    }

    fn ok(&mut self, name: &'static str, found: impl Into<String>) {
        self.add(name, Level::Ok, found.into(), None);
    }

    fn warn(&mut self, name: &'static str, found: impl Into<String>, fix: impl Into<String>) {
        self.add(name, Level::Warn, found.into(), Some(fix.into()));
    }

    fn fail(&mut self, name: &'static str, found: impl Into<String>, fix: impl Into<String>) {
        self.add(name, Level::Fail, found.into(), Some(fix.into()));
    }

    fn add(&mut self, name: &'static str, level: Level, found: String, fix: Option<String>) {
        self.checks.push(Check { part: self.part, name, level, found, fix });
    }
}

/// Runs all checks and prints them.
pub(super) fn run(arguments: Arguments) -> Result<()> {
    let Arguments { part, path, settings, json: as_json } = arguments;
    let mut checks = Vec::new();
    if part != Some(Part::Serve) {
        checks.extend(building::checks(&path));
    }
    if part != Some(Part::Build) {
        checks.extend(serving::checks(settings)?);
    }
    if as_json {
        json(&checks)?;
    } else {
        print(&checks)?;
    }
    match checks.iter().filter(|check| check.level == Level::Fail).count() {
        0 => Ok(()),
        failed => Err(Unwell(failed).into()),
    }
}

fn print(checks: &[Check]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let mut part = None;
    for check in checks {
        if part.replace(check.part) != Some(check.part) {
            let title = match check.part {
                Part::Build => "building",
                Part::Serve => "serving",
            };
            writeln!(out, "{title}")?;
        }
        let level = match check.level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        };
        writeln!(out, "  {level:4}  {:14}  {}", check.name, check.found)?;
        if let Some(fix) = &check.fix {
            writeln!(out, "{:24}fix: {fix}", "")?;
        }
    }
    Ok(out.flush()?)
}
