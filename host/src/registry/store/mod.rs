//! Where modules are kept, so that a restart keeps everything.
//!
//! A module is a [`Manifest`] and the files of its versions. A commit replaces the manifest as a
//! whole: whoever loads sees the state before or after it, wherever a process was killed.

mod directory;
mod manifest;
mod redis;
mod report;

use std::{fmt, io, time::Duration};

use async_trait::async_trait;

pub use self::{
    directory::DirectoryStore,
    manifest::{Kept, Manifest, RolledBack},
    redis::RedisStore,
    report::{Met, ModuleReport, NodeReport, Prepared, Preparing, Resting},
};
use crate::{message::ModuleName, redis::RedisFailure};

/// Why a store did not do what it was asked to. Nothing was changed unless said otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no room.
    #[error(
        "there is no room left where modules are kept ({0}); free some or choose another data_dir"
    )]
    Full(io::Error),
    /// Reading or writing failed.
    #[error("modules cannot be kept: {0}")]
    Io(#[from] io::Error),
    /// Redis has no memory left.
    #[error("there is no memory left where modules are kept: {0}; nothing was changed")]
    NoMemory(RedisFailure),
    /// Redis refuses it, and will again.
    #[error("modules cannot be kept: {0}")]
    Refused(RedisFailure),
    /// Redis does not answer. What was asked for may have been done.
    #[error(
        "modules are not reached: {0}; a change that was under way may be stored or not: look at \
         the module when Redis answers again"
    )]
    Away(RedisFailure),
    /// Somebody else changed the module.
    #[error("module {module} was changed by another process meanwhile; look at it and try again")]
    Changed {
        /// The module.
        module: ModuleName,
    },
    /// The file of a version is not what was stored.
    #[error("the stored file {digest}.wasm is {what}; deploy it again")]
    Damaged {
        /// SHA-256 of what was stored.
        digest: String,
        /// What is wrong with it.
        what: String,
    },
}

impl StoreError {
    /// Whether the same may succeed a little later, without a change.
    pub(crate) const fn is_transient(&self) -> bool {
        match self {
            Self::Full(_) | Self::Io(_) | Self::NoMemory(_) | Self::Away(_) => true,
            Self::Refused(_) | Self::Changed { .. } | Self::Damaged { .. } => false,
        }
    }
}

/// What a store has of one module.
#[derive(Debug)]
pub struct Stored {
    /// The module.
    pub name: ModuleName,
    /// The last good manifest; none if there is none.
    pub manifest: Option<Manifest>,
    /// What is wrong with the module's files.
    pub fault: Option<String>,
}

/// Keeps modules. Used as `Arc<dyn ModuleStore>`.
#[async_trait]
pub trait ModuleStore: fmt::Debug + Send + Sync + 'static {
    /// Everything there is. A damaged module is one with a fault, not an error.
    async fn load(&self) -> Result<Vec<Stored>, StoreError>;

    /// The file of a version, checked against its digest.
    async fn wasm(&self, module: &ModuleName, digest: &str) -> Result<Vec<u8>, StoreError>;

    /// Keeps a file that no version has yet, so that other processes can prepare it.
    async fn offer(
        &self,
        module: &ModuleName,
        digest: &str,
        wasm: &[u8],
        time_to_live: Duration,
    ) -> Result<(), StoreError> {
        let _ = (module, digest, wasm, time_to_live);
        Ok(())
    }

    /// Forgets a file that was offered.
    async fn take_back(&self, module: &ModuleName, digest: &str) -> Result<(), StoreError> {
        let _ = (module, digest);
        Ok(())
    }

    /// Puts a manifest in the place of the one whose revision is one less, with the file of a version
    /// that is new in it. Files that no version of it has are removed.
    async fn commit(
        &self,
        module: &ModuleName,
        manifest: &Manifest,
        wasm: Option<Vec<u8>>,
    ) -> Result<(), StoreError>;

    /// Forgets a module.
    async fn delete(&self, module: &ModuleName) -> Result<(), StoreError>;

    /// Whether other processes change it, too.
    fn is_shared(&self) -> bool {
        false
    }

    /// Says what this process has in force, and hears of the others. Said again within a few seconds,
    /// or the process is taken for gone.
    async fn meet(&self, report: &NodeReport) -> Result<Met, StoreError> {
        let _ = report;
        Ok(Met::default())
    }

    /// Says that a process ends.
    async fn leave(&self, node: &str) -> Result<(), StoreError> {
        let _ = node;
        Ok(())
    }
}
