//! `tidegate deploy` and `tidegate rollback`

use std::{io::Write as _, path::PathBuf};

use anyhow::Result;
use clap::Args;

use super::{
    host::Host,
    output::{json, plain, short, waiting},
};
use crate::{
    admin::client::{AskError, DeployOptions, Deployed},
    message::ModuleName,
};

/// What `deploy` is given.
#[derive(Debug, Args)]
pub(super) struct DeployArguments {
    /// The name of the module
    #[arg(value_name = "NAME", value_parser = ModuleName::parse)]
    name: ModuleName,
    /// Its .wasm file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A note for the history, such as why
    #[arg(long, value_name = "TEXT", value_parser = note)]
    note: Option<String>,
    #[command(flatten)]
    host: Host,
    /// Print what came of it as JSON
    #[arg(long)]
    json: bool,
}

/// A host cuts longer notes.
const NOTE_CHARACTERS: usize = 200;

fn note(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err("a note is one line, without control characters".to_owned());
    }
    match text.chars().count() {
        0..=NOTE_CHARACTERS => Ok(text.to_owned()),
        length => Err(format!("it has {length} characters; a note has at most {NOTE_CHARACTERS}")),
    }
}

/// What `rollback` is given.
#[derive(Debug, Args)]
pub(super) struct RollbackArguments {
    /// The name of the module
    #[arg(value_name = "NAME", value_parser = ModuleName::parse)]
    name: ModuleName,
    /// The version to put in force [default: the one that was before]
    #[arg(value_name = "VERSION")]
    version: Option<u64>,
    #[command(flatten)]
    host: Host,
    /// Print what came of it as JSON
    #[arg(long)]
    json: bool,
}

/// A module is not put in force.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeployError {
    /// Its file cannot be read.
    #[error("module {name}: cannot read {file}: {source}")]
    File {
        /// The module.
        name: ModuleName,
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The host does not take it.
    #[error(
        "module {name}: {source}{}",
        if source.is_of_module() { "; what was in force stays in force" } else { "" }
    )]
    Host {
        /// The module.
        name: ModuleName,
        /// Why.
        source: AskError,
    },
}

/// Puts a file in force.
pub(super) fn deploy(arguments: DeployArguments) -> Result<()> {
    let DeployArguments { name, file, note, host, json } = arguments;
    let options = DeployOptions { note, ..DeployOptions::default() };
    let wasm = std::fs::read(&file).map_err(|source| DeployError::File {
        name: name.clone(),
        file,
        source,
    })?;
    host.ask(async |client| {
        let asked = client.deploy(&name, wasm, &options);
        let deployed = waiting(&format!("deploying {name}"), asked)
            .await
            .map_err(|source| DeployError::Host { name: name.clone(), source })?;
        print(&deployed, json)
    })
}

/// Puts an earlier version in force.
pub(super) fn roll_back(arguments: RollbackArguments) -> Result<()> {
    let RollbackArguments { name, version, host, json } = arguments;
    host.ask(async |client| {
        let asked = client.roll_back(&name, version);
        let deployed = waiting(&format!("rolling {name} back"), asked)
            .await
            .map_err(|source| DeployError::Host { name: name.clone(), source })?;
        print(&deployed, json)
    })
}

fn print(deployed: &Deployed, as_json: bool) -> Result<()> {
    if as_json {
        return json(deployed);
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", summary(deployed))?;
    for warning in &deployed.warnings {
        writeln!(out, "  warning: {}", plain(warning))?;
    }
    // One node is the one that was asked.
    if deployed.nodes.len() > 1 {
        for node in &deployed.nodes {
            let version = node.version.map_or_else(|| "none".to_owned(), |it| it.to_string());
            write!(out, "  node {}: {version} ({})", plain(&node.node), short(&node.digest))?;
            match &node.fault {
                _ if node.digest == deployed.digest => writeln!(out)?,
                Some(fault) => writeln!(out, ", not this version: {}", plain(fault))?,
                None => writeln!(out, ", not this version yet")?,
            }
        }
    }
    Ok(())
}

/// What came of it, in a line.
pub(super) fn summary(deployed: &Deployed) -> String {
    let Deployed { module, version, digest, changed, previous, .. } = deployed;
    let digest = short(digest);
    match (changed, previous) {
        (false, _) => format!("{module} {version} ({digest}) is up to date"),
        (true, Some(previous)) => format!("{module} {previous} → {version} ({digest})"),
        (true, None) => format!("{module} {version} ({digest})"),
    }
}
