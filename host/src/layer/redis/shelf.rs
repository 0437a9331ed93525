//! What processes that share a layer keep in Redis besides messages: modules, and what each process
//! has in force. All of it is in partition 0.

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis::ScriptInvocation;

use super::{intake::micros, link::Link, scripts::Scripts};
use crate::{layer::LayerError, message::CorrelationId};

/// Keeps texts and files of modules for all processes of a layer.
#[derive(Clone, Debug)]
pub struct Shelf {
    pub(super) link: Arc<Link>,
    pub(super) scripts: Arc<Scripts>,
    pub(super) lease: Duration,
}

/// What a process hears when it says what it has in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Another one after Redis was emptied.
    pub store: String,
    /// Counts the changes of modules.
    pub changes: u64,
    /// What each process says of itself.
    pub reports: Vec<Vec<u8>>,
}

impl Shelf {
    fn call<'a>(&self, script: &'a deadpool_redis::redis::Script) -> ScriptInvocation<'a> {
        script.key(&self.link.keys.base)
    }

    /// The name and manifest of each module.
    pub async fn load(&self) -> Result<Vec<(String, Vec<u8>)>, LayerError> {
        let flat: Vec<Vec<u8>> = self.link.call(&self.call(&self.scripts.store_load)).await?;
        let pairs = flat.chunks_exact(2).filter_map(|pair| match pair {
            [name, manifest] => Some((String::from_utf8(name.clone()).ok()?, manifest.clone())),
            _ => None,
        });
        Ok(pairs.collect())
    }

    /// A file of a module by its digest, unchecked.
    pub async fn file(&self, module: &str, digest: &str) -> Result<Option<Vec<u8>>, LayerError> {
        let mut call = self.call(&self.scripts.store_file);
        call.arg(module).arg(digest);
        self.link.call(&call).await
    }

    /// Puts a manifest in the place of the one whose revision is one less, with a new file, and
    /// forgets files that are not `needed`. False if somebody else was first.
    pub async fn commit(
        &self,
        module: &str,
        revision: u64,
        manifest: &[u8],
        file: Option<(&str, &[u8])>,
        needed: impl Iterator<Item = &str>,
    ) -> Result<bool, LayerError> {
        let (digest, content) = file.unwrap_or_default();
        let mut call = self.call(&self.scripts.store_commit);
        call.arg(module).arg(revision).arg(manifest).arg(digest).arg(content);
        for digest in needed {
            call.arg(digest);
        }
        self.link.call::<u8>(&call).await.map(|done| done == 1)
    }

    /// Forgets a module.
    pub async fn delete(&self, module: &str) -> Result<(), LayerError> {
        let mut call = self.call(&self.scripts.store_delete);
        call.arg(module);
        self.link.call::<u8>(&call).await.map(drop)
    }

    /// Says for one lease what a process has in force; nothing: it leaves.
    pub async fn meet(&self, process: &str, report: &[u8]) -> Result<Heard, LayerError> {
        let mut call = self.call(&self.scripts.store_meet);
        let id = CorrelationId::random().to_string();
        call.arg(process).arg(report).arg(micros(self.lease)).arg(id);
        let (store, changes, reports) = self.link.call(&call).await?;
        Ok(Heard { store, changes, reports })
    }
}
