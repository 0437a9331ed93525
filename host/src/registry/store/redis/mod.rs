//! Modules in Redis, for all processes of a layer.

mod calls;
mod scripts;

use std::{io, time::Duration};

use async_trait::async_trait;

use self::calls::Calls;
use super::{Manifest, Met, ModuleStore, NodeReport, StoreError, Stored};
use crate::{
    engine::digest,
    message::ModuleName,
    redis::{Redis, RedisFailure},
};

/// Modules in Redis. Clones are the same store.
#[derive(Clone, Debug)]
pub struct RedisStore(Calls);

impl RedisStore {
    /// Keeps modules over connections that are open.
    pub fn new(redis: &Redis) -> Result<Self, RedisFailure> {
        Calls::new(redis).map(Self)
    }
}

impl From<RedisFailure> for StoreError {
    fn from(failure: RedisFailure) -> Self {
        match failure {
            RedisFailure::OutOfMemory { .. } => Self::NoMemory(failure),
            RedisFailure::Refused(_) => Self::Refused(failure),
            _ => Self::Away(failure),
        }
    }
}

#[async_trait]
impl ModuleStore for RedisStore {
    async fn load(&self) -> Result<Vec<Stored>, StoreError> {
        let mut all = Vec::new();
        for (name, manifest) in self.0.load().await? {
            let Ok(name) = ModuleName::parse(&name) else { continue };
            all.push(match serde_json::from_slice(&manifest) {
                Ok(manifest) => Stored { name, manifest: Some(manifest), fault: None },
                Err(error) => {
                    let fault = format!("its description in Redis is damaged ({error})");
                    Stored { name, manifest: None, fault: Some(fault) }
                }
            });
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    async fn wasm(&self, module: &ModuleName, wanted: &str) -> Result<Vec<u8>, StoreError> {
        let damaged = |what: String| StoreError::Damaged { digest: wanted.to_owned(), what };
        let file = self.0.file(module.as_str(), wanted).await?;
        let wasm = file.ok_or_else(|| damaged("missing".to_owned()))?;
        let hashed = tokio::task::spawn_blocking(move || (digest(&wasm), wasm)).await;
        match hashed.map_err(|error| StoreError::Io(io::Error::other(error)))? {
            (found, wasm) if found == wanted => Ok(wasm),
            (found, _) => Err(damaged(format!("damaged: its digest is {found}"))),
        }
    }

    async fn commit(
        &self,
        module: &ModuleName,
        manifest: &Manifest,
        wasm: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let text = serde_json::to_vec(manifest).expect("a manifest is JSON");
        let file = wasm.as_deref().map(|wasm| (digest(wasm), wasm));
        let file = file.as_ref().map(|(digest, wasm)| (&**digest, *wasm));
        let needed = manifest.versions.iter().map(|kept| &*kept.digest);
        match self.0.commit(module.as_str(), manifest.revision, &text, file, needed).await? {
            true => Ok(()),
            false => Err(StoreError::Changed { module: module.clone() }),
        }
    }

    async fn offer(
        &self,
        module: &ModuleName,
        digest: &str,
        wasm: &[u8],
        time_to_live: Duration,
    ) -> Result<(), StoreError> {
        Ok(self.0.offer(module.as_str(), digest, wasm, time_to_live).await?)
    }

    async fn take_back(&self, module: &ModuleName, digest: &str) -> Result<(), StoreError> {
        Ok(self.0.offer(module.as_str(), digest, b"", Duration::ZERO).await?)
    }

    async fn delete(&self, module: &ModuleName) -> Result<(), StoreError> {
        Ok(self.0.delete(module.as_str()).await?)
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn meet(&self, report: &NodeReport) -> Result<Met, StoreError> {
        let text = serde_json::to_vec(report).expect("a report is JSON");
        let heard = self.0.meet(&report.node, &text).await?;
        let read = |text: &Vec<u8>| serde_json::from_slice(text).ok();
        let mut nodes: Vec<NodeReport> = heard.reports.iter().filter_map(read).collect();
        nodes.sort_by(|a, b| a.node.cmp(&b.node));
        Ok(Met { store: heard.store, changes: heard.changes, nodes })
    }

    async fn leave(&self, node: &str) -> Result<(), StoreError> {
        Ok(self.0.meet(node, b"").await.map(drop)?)
    }
}
