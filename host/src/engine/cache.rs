//! Compiled code on disk, so that a module is compiled once per engine version and settings.
//!
//! A file is a checksum and what wasmtime serialized. Whatever is wrong with it, the code is compiled
//! again. Whoever can write to the directory can run code in this process; it is made for its owner
//! only.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use super::{Engine, LoadError};
use crate::message::CorrelationId;

/// Bytes of the checksum in front.
const CHECKSUM: usize = 32;

/// A directory of compiled code.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
}

impl Cache {
    /// Opens a directory, and makes it if it is missing: for its owner only.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(directory)?;
        #[cfg(unix)]
        check_owner(directory)?;
        Ok(Self { directory: directory.to_owned() })
    }

    fn read(&self, name: &str) -> Option<Bytes> {
        // The code is most of what a start reads, so it is not copied once more.
        let mut checksum = Bytes::from(fs::read(self.directory.join(name)).ok()?);
        let code = checksum.split_off(CHECKSUM.min(checksum.len()));
        (Sha256::digest(&code)[..] == checksum[..]).then_some(code)
    }

    /// Written beside its place and moved there, so that nobody reads half a file.
    fn write(&self, name: &str, code: &[u8]) -> io::Result<()> {
        let beside = self.directory.join(format!("{name}.{}", CorrelationId::random()));
        let mut bytes = Sha256::digest(code).to_vec();
        bytes.extend_from_slice(code);
        fs::write(&beside, bytes)?;
        fs::rename(&beside, self.directory.join(name)).inspect_err(|_| {
            // The error that matters is the first one.
            drop(fs::remove_file(&beside));
        })
    }
}

/// What somebody else may write must not be run.
#[cfg(unix)]
fn check_owner(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let found = fs::symlink_metadata(directory)?;
    let owned = found.uid() == rustix::process::geteuid().as_raw();
    if found.is_dir() && owned && found.mode() & 0o022 == 0 {
        return Ok(());
    }
    let problem = "compiled code is kept here, so it must be a directory of this user that nobody \
                   else can write to; remove it or choose another with --data-dir";
    Err(io::Error::new(io::ErrorKind::PermissionDenied, problem))
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

impl Cache {
    /// The compiled component of a file, if it is there and whole.
    pub(super) fn component(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let code = self.read(&name(engine, digest))?;
        deserialize(engine, &code).ok()
    }

    /// Keeps compiled code. Without it the file is compiled again next time.
    pub(super) fn keep(&self, engine: &Engine, digest: &str, code: &[u8]) {
        if let Err(error) = self.write(&name(engine, digest), code) {
            let directory = self.directory.display();
            tracing::warn!(%error, %directory, "compiled code is not kept");
        }
    }
}

/// Code of other settings, or made with another adapter, has another name.
fn name(engine: &Engine, digest: &str) -> String {
    let mut hasher = DefaultHasher::new();
    engine.wasmtime.precompile_compatibility_hash().hash(&mut hasher);
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    format!("{digest}-{:016x}.code", hasher.finish())
}

/// Code that this process or its child has just compiled.
pub(super) fn fresh(engine: &Engine, code: &[u8]) -> Result<Component, LoadError> {
    deserialize(engine, code).map_err(|error| LoadError::unloadable(&format!("{error:#}")))
}

#[expect(unsafe_code, reason = "compiled code is native code; wasmtime cannot check it")]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes are what wasmtime's compiler returned, in this process or in a child that is
    // this program, or they were written by `write` under a checksum, into a directory that only this
    // user can write to. Code of another engine version or other settings is refused by wasmtime.
    unsafe { Component::deserialize(&engine.wasmtime, code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = Cache::open(directory.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_damaged_file_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path()).unwrap();
        cache.write("a", b"code").unwrap();
        assert_eq!(cache.read("a").as_deref(), Some(&b"code"[..]));
        let path = directory.path().join("a");
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(cache.read("a"), None);
        fs::write(&path, b"short").unwrap();
        assert_eq!(cache.read("a"), None);
        assert_eq!(cache.read("missing"), None);
    }
}
