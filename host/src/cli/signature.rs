//! The signature beside a file.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A signature that a command asks for cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the signature {}: {source}", .file.display())]
pub(super) struct NoSignature {
    file: PathBuf,
    source: io::Error,
}

/// The place of the signature of a file: `chat.wasm.minisig` for `chat.wasm`.
pub(super) fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}

/// Reads a signature.
pub(super) fn read(file: PathBuf) -> Result<String, NoSignature> {
    std::fs::read_to_string(&file).map_err(|source| NoSignature { file, source })
}

/// Reads the signature that is named, or that beside a file where there is one.
pub(super) fn of(file: &Path, named: Option<PathBuf>) -> Result<Option<String>, NoSignature> {
    if let Some(named) = named {
        return read(named).map(Some);
    }
    match read(beside(file)) {
        Err(NoSignature { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}
