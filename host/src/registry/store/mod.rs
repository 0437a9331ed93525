//! Keeps modules over restarts.
//!
//! A module is a [`Manifest`] and the files of its versions. A commit replaces the manifest as a
//! whole: a load returns the state before or after it, wherever a process was killed.

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

/// Why an operation of a store failed. Nothing was changed unless said otherwise.
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
    /// Another process changed the module.
    #[error("module {module} was changed by another process meanwhile; look at it and try again")]
    Changed {
        /// The module.
        module: ModuleName,
    },
    /// The file of a version is not the stored one.
    #[error("the stored file {digest}.wasm is {what}; deploy it again")]
    Damaged {
        /// SHA-256 of the stored file.
        digest: String,
        /// The damage.
        what: String,
    },
}

impl StoreError {
    /// Whether the same operation may succeed a little later.
    pub(crate) const fn is_transient(&self) -> bool {
        match self {
            Self::Full(_) | Self::Io(_) | Self::NoMemory(_) | Self::Away(_) => true,
            Self::Refused(_) | Self::Changed { .. } | Self::Damaged { .. } => false,
        }
    }
}

/// The stored state of one module.
#[derive(Debug)]
pub struct Stored {
    /// The module.
    pub name: ModuleName,
    /// The last good manifest; none if there is none.
    pub manifest: Option<Manifest>,
    /// The damage of the module's files.
    pub fault: Option<String>,
}

/// Keeps modules. Used as `Arc<dyn ModuleStore>`, by `Deployments` and `Fleet` alone.
///
/// Dropping the future of a method that only reads gives up the read. A method that writes is not taken back by
/// dropping its future: the write may be done or not. So changes run to their end in a task of their own.
#[async_trait]
pub trait ModuleStore: fmt::Debug + Send + Sync + 'static {
    /// Returns all modules. A damaged module is one with a fault, not an error.
    ///
    /// `Deployments` calls it when the process starts, before a change of a shared store, and when the store
    /// counts another change. Reads only.
    async fn load(&self) -> Result<Vec<Stored>, StoreError>;

    /// Returns the file of a version, checked against its digest.
    ///
    /// `Deployments` calls it to activate a stored version whose code it does not have, and to prepare a file that
    /// another process offers. Reads only.
    async fn wasm(&self, module: &ModuleName, digest: &str) -> Result<Vec<u8>, StoreError>;

    /// Keeps a file that no version has yet, so that other processes can prepare it.
    ///
    /// A change calls it before its commit, where the store is shared. If the change ends early, the file goes with
    /// its time to live.
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

    /// Deletes a file that was offered. A change calls it after its commit, or instead of it.
    async fn take_back(&self, module: &ModuleName, digest: &str) -> Result<(), StoreError> {
        let _ = (module, digest);
        Ok(())
    }

    /// Replaces the manifest whose revision is one less, with the file of a version that is new in it. Files
    /// that no version of it has are removed. All or none is done, and only one of two processes that commit the
    /// same revision succeeds: the other gets [`StoreError::Changed`].
    ///
    /// A change calls it after the last check and before the new version is active. The task that stores reports
    /// of probations calls it, too. After an error that is not [`StoreError::Away`] nothing has changed.
    async fn commit(
        &self,
        module: &ModuleName,
        manifest: &Manifest,
        wasm: Option<Vec<u8>>,
    ) -> Result<(), StoreError>;

    /// Deletes a module with all its files. A change calls it before the module is deactivated.
    async fn delete(&self, module: &ModuleName) -> Result<(), StoreError>;

    /// Whether other processes change the store, too. Asked once for each decision; it never changes.
    fn is_shared(&self) -> bool {
        false
    }

    /// Reports this process, and returns the reports of the others and the count of changes.
    ///
    /// `Fleet` calls it several times a second; a process that does not report for a lease counts as gone.
    /// Dropping the future may report or not, which does no harm.
    async fn meet(&self, report: &NodeReport) -> Result<Met, StoreError> {
        let _ = report;
        Ok(Met::default())
    }

    /// Takes the report of a process away. `Fleet` calls it when the process stops; otherwise the report goes with
    /// its lease.
    async fn leave(&self, node: &str) -> Result<(), StoreError> {
        let _ = node;
        Ok(())
    }
}
