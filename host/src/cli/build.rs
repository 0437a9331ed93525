//! `tidegate build`

use std::{io::Write as _, path::PathBuf};

use anyhow::{Error, Result};
use bytesize::ByteSize;
use clap::Args;
use serde_json::json;

use super::{
    cargo::Target,
    project::{Built, Project},
    signals::{Interrupted, stop_signal},
};

/// Which project is built, and how. `dev` takes the same.
#[derive(Debug, Args)]
pub(super) struct Source {
    /// The directory of the project, or one below it
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) path: PathBuf,
    /// The crate of a workspace, where several make modules
    #[arg(long, short, value_name = "NAME")]
    pub(super) package: Option<String>,
    /// Compile a crate without optimizing: sooner done, larger, slower
    #[arg(long)]
    pub(super) debug: bool,
    /// More arguments for `cargo build`, or for the command of [build], behind --
    #[arg(last = true, value_name = "ARGUMENT")]
    pub(super) arguments: Vec<String>,
}

/// The arguments of `build`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Source {
    /// The project that is meant.
    pub(super) fn find(&self) -> Result<Project> {
        Ok(Project::find(&self.path, self.package.as_deref())?)
    }
}

/// Builds a module.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { source, json } = arguments;
    let of = source.find()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let built = runtime.block_on(async {
        tokio::select! {
            built = of.build(source.debug, &source.arguments) => Ok(built?),
            stopped = stop_signal() => Err(stopped.err().map_or(Interrupted.into(), Error::from)),
        }
    })?;
    let mut out = std::io::stdout().lock();
    if *json {
        writeln!(out, "{}", as_json(&of, &built, source.debug))?;
        return Ok(());
    }
    let Built { file, wasm, digest, target, took } = built;
    let seconds = took.as_secs_f64();
    let version = of.version().map(|version| format!(" {version}")).unwrap_or_default();
    writeln!(out, "built   {}{version} in {seconds:.1} s", of.name())?;
    if let Some(target) = target {
        writeln!(out, "target  {}{}", target.triple(), note(target))?;
    }
    writeln!(out, "file    {}", file.display())?;
    writeln!(out, "size    {}", ByteSize(wasm.len() as u64))?;
    writeln!(out, "sha256  {digest}")?;
    Ok(())
}

const fn note(target: Target) -> &'static str {
    match target {
        Target::Wasip2 => "",
        Target::Wasip1 => ", of which the host makes a component",
    }
}

fn as_json(of: &Project, built: &Built, debug: bool) -> serde_json::Value {
    json!({
        "package": of.name(),
        "version": of.version(),
        "target": built.target.map(Target::triple),
        "profile": built.target.map(|_| if debug { "dev" } else { "release" }),
        "file": built.file,
        "bytes": built.wasm.len(),
        "digest": built.digest,
        "seconds": built.took.as_secs_f64(),
    })
}
