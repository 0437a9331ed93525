//! `tidegate push` and `tidegate pull`

use std::{io::ErrorKind, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;

use super::{
    oci::{self, Place, Pulled},
    output::{say, waiting},
    settings::Settings,
    signature,
};

/// The arguments of `push`.
#[derive(Debug, Args)]
pub(super) struct PushArguments {
    /// The .wasm file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to, such as oci://ghcr.io/ada/chat:1.2
    #[arg(value_name = "PLACE")]
    place: Place,
    /// The signature of the file [default: that beside it, FILE.minisig, if there is one]
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
}

/// The arguments of `pull`.
#[derive(Debug, Args)]
pub(super) struct PullArguments {
    /// Where from, such as oci://ghcr.io/ada/chat:1.2
    #[arg(value_name = "PLACE")]
    place: Place,
    /// The file to write; its signature goes beside it, to FILE.minisig
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Settings file, which may limit `upload.bytes` [default: tidegate.toml, if there is one]
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    config: Option<PathBuf>,
}

/// Puts a file into a registry, and prints its place by its digest.
pub(super) fn push(arguments: PushArguments) -> Result<()> {
    let PushArguments { file, place, signature } = arguments;
    let wasm = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let signature = signature::of(&file, signature)?;
    let pushed = block_on(waiting("pushing", oci::push(&place, wasm, signature)))??;
    say(&pushed.to_string())
}

/// Gets a file from a registry, and prints its place by its digest.
pub(super) fn pull(arguments: PullArguments) -> Result<()> {
    let PullArguments { place, file, config } = arguments;
    let most = Settings::at(config, None).read()?.files.bytes;
    let Pulled { wasm, signature, place } = block_on(waiting("pulling", oci::pull(&place, most)))??;
    let write = |at: &PathBuf, bytes: &[u8]| {
        std::fs::write(at, bytes).with_context(|| format!("cannot write {}", at.display()))
    };
    // The signature beside the file is of this file at each moment, or there is none.
    let beside = signature::beside(&file);
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error)
                .with_context(|| format!("cannot remove the signature {}", beside.display()));
        }
        _ => {}
    }
    write(&file, &wasm)?;
    if let Some(signature) = signature {
        write(&beside, signature.as_bytes())?;
    }
    say(&place.to_string())
}

fn block_on<T>(work: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(work))
}
