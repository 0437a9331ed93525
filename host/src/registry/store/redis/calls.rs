//! Calls the scripts of the store, which know texts and bytes only. All keys are in partition 0.

use std::{sync::Arc, time::Duration};

use super::scripts::Scripts;
use crate::{
    message::CorrelationId,
    redis::{Link, Redis, RedisFailure, Script, ScriptInvocation, micros},
};

/// Runs the scripts of the module store.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    link: Arc<Link>,
    scripts: Arc<Scripts>,
    lease: Duration,
    /// Keeps the connection open.
    _redis: Redis,
}

/// Returned to a process that reports its active versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// The id of the store: another one after Redis was emptied.
    pub(super) store: String,
    /// Counts the changes of modules.
    pub(super) changes: u64,
    /// The report of each process.
    pub(super) reports: Vec<Vec<u8>>,
}

impl Calls {
    pub(super) fn new(redis: &Redis) -> Result<Self, RedisFailure> {
        let link = redis.links().first().cloned();
        let link = link.ok_or_else(|| RedisFailure::Refused("there is no partition".to_owned()))?;
        let scripts = Arc::new(Scripts::new(""));
        Ok(Self { link, scripts, lease: redis.lease(), _redis: redis.clone() })
    }

    fn call<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        script.key(&self.link.keys.base)
    }

    /// Returns the name and manifest of each module.
    pub(super) async fn load(&self) -> Result<Vec<(String, Vec<u8>)>, RedisFailure> {
        let flat: Vec<Vec<u8>> = self.link.call(&self.call(&self.scripts.store_load)).await?;
        let pairs = flat.chunks_exact(2).filter_map(|pair| match pair {
            [name, manifest] => Some((String::from_utf8(name.clone()).ok()?, manifest.clone())),
            _ => None,
        });
        Ok(pairs.collect())
    }

    /// Returns a file of a module by its digest, unchecked.
    pub(super) async fn file(
        &self,
        module: &str,
        digest: &str,
    ) -> Result<Option<Vec<u8>>, RedisFailure> {
        let mut call = self.call(&self.scripts.store_file);
        call.arg(module).arg(digest);
        self.link.call(&call).await
    }

    /// Keeps a file for a while so that processes can prepare it. An empty file takes it back.
    pub(super) async fn offer(
        &self,
        module: &str,
        digest: &str,
        file: &[u8],
        time_to_live: Duration,
    ) -> Result<(), RedisFailure> {
        let mut call = self.call(&self.scripts.store_offer);
        call.arg(module).arg(digest).arg(file).arg(micros(time_to_live));
        self.link.call::<u8>(&call).await.map(drop)
    }

    /// Replaces the manifest whose revision is one less, adds a new file, and deletes files that are not
    /// `needed`. Returns false if another process was first.
    pub(super) async fn commit(
        &self,
        module: &str,
        revision: u64,
        manifest: &[u8],
        file: Option<(&str, &[u8])>,
        needed: impl Iterator<Item = &str>,
    ) -> Result<bool, RedisFailure> {
        let (digest, content) = file.unwrap_or_default();
        let mut call = self.call(&self.scripts.store_commit);
        call.arg(module).arg(revision).arg(manifest).arg(digest).arg(content);
        for digest in needed {
            call.arg(digest);
        }
        self.link.call::<u8>(&call).await.map(|done| done == 1)
    }

    /// Deletes a module.
    pub(super) async fn delete(&self, module: &str) -> Result<(), RedisFailure> {
        let mut call = self.call(&self.scripts.store_delete);
        call.arg(module);
        self.link.call::<u8>(&call).await.map(drop)
    }

    /// Reports the active modules of a process for one lease. An empty report makes it leave.
    pub(super) async fn meet(&self, process: &str, report: &[u8]) -> Result<Heard, RedisFailure> {
        let mut call = self.call(&self.scripts.store_meet);
        let id = CorrelationId::random().to_string();
        call.arg(process).arg(report).arg(micros(self.lease)).arg(id);
        let (store, changes, reports) = self.link.call(&call).await?;
        Ok(Heard { store, changes, reports })
    }
}
