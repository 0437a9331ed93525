//! Runs cargo, which prints its own progress and errors.

use std::{path::PathBuf, process::Stdio};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use super::{CargoError, Crate, Target, Toolchain, cargo_program};
use crate::cli::process_group::ProcessGroup;

/// Flags for programs of this machine, which would break code for another one. Flags for WebAssembly go into `CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS`.
const OF_THIS_MACHINE: [&str; 4] =
    ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET"];

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

/// Compiles a crate. Returns the module's file. Dropping the future ends cargo.
pub(in crate::cli) async fn compile(
    of: &Crate,
    debug: bool,
    arguments: &[String],
) -> Result<(PathBuf, Target), CargoError> {
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
        .stdout(Stdio::piped());
    for name in OF_THIS_MACHINE {
        command.env_remove(name);
    }
    let mut cargo = ProcessGroup::spawn(command).map_err(no_cargo)?;
    let output = cargo.take_output().expect("it is piped");
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
    let status = cargo.wait().await.map_err(no_cargo)?;
    let name = || of.name.clone();
    if !status.success() {
        return Err(CargoError::Failed { name: name(), status });
    }
    Ok((file.ok_or_else(|| CargoError::NoFile { name: name() })?, target))
}
