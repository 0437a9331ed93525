//! Runs cargo, which prints its own progress and errors.

use std::{
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use super::{CargoError, Crate, Target, Toolchain, cargo_program};
use crate::engine;

/// Flags for programs of this machine, which would break code for another one. Flags for WebAssembly go into `CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS`.
const OF_THIS_MACHINE: [&str; 4] =
    ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET"];

/// A module's file, as cargo made it.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Built {
    /// Where it is.
    pub(in crate::cli) file: PathBuf,
    /// Its content.
    pub(in crate::cli) wasm: Vec<u8>,
    /// The SHA-256 of that, in hexadecimal.
    pub(in crate::cli) digest: String,
    /// The target.
    pub(in crate::cli) target: Target,
    /// How long cargo took.
    pub(in crate::cli) took: Duration,
}

/// The part that is read of cargo's messages.
#[derive(Debug, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact {
        package_id: String,
        filenames: Vec<PathBuf>,
    },
    #[serde(other)]
    Other,
}

/// Cargo and the compilers that it runs, which end when this is dropped.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let pid = self.0.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        if let Some(pid) = pid {
            // It may have ended just now.
            let _gone_already = kill_process_group(pid, Signal::TERM);
        }
    }
}

/// Compiles a crate. Dropping the future ends cargo.
pub(in crate::cli) async fn compile(
    of: &Crate,
    debug: bool,
    arguments: &[String],
) -> Result<Built, CargoError> {
    let began = Instant::now();
    let target = Toolchain::find(&of.directory)?.target()?;
    let program = cargo_program();
    let no_cargo = |source| CargoError::NoCargo { program: program.display().to_string(), source };
    let mut command = Command::new(&program);
    command
        .args(["build", "--lib", "--message-format", "json-render-diagnostics"])
        .args(["--package", &of.id, "--target", target.triple()])
        .args((!debug).then_some("--release"))
        .args(arguments)
        .current_dir(&of.directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0);
    for name in OF_THIS_MACHINE {
        command.env_remove(name);
    }
    let mut cargo = Group(command.spawn().map_err(no_cargo)?);
    let output = cargo.0.stdout.take().expect("it is piped");
    let mut lines = BufReader::new(output).lines();
    let mut file = None;
    while let Some(line) = lines.next_line().await.map_err(no_cargo)? {
        // Other lines were printed by a build script.
        if let Ok(Message::CompilerArtifact { package_id, filenames }) = serde_json::from_str(&line)
            && package_id == of.id
        {
            let is_module = |file: &PathBuf| file.extension().is_some_and(|kind| kind == "wasm");
            file = filenames.into_iter().find(is_module).or(file);
        }
    }
    let status = cargo.0.wait().await.map_err(no_cargo)?;
    let name = || of.name.clone();
    if !status.success() {
        return Err(CargoError::Failed { name: name(), status });
    }
    let took = began.elapsed();
    let file = file.ok_or_else(|| CargoError::NoFile { name: name() })?;
    let wasm =
        std::fs::read(&file).map_err(|source| CargoError::File { file: file.clone(), source })?;
    let digest = engine::digest(&wasm);
    Ok(Built { file, wasm, digest, target, took })
}
