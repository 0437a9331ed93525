//! Follows changes of other processes that share the store.

use std::collections::BTreeSet;

use super::{DeployError, Deployments};
use crate::{
    message::ModuleName,
    registry::{
        Candidate,
        store::{Manifest, StoreError, Stored},
    },
};

impl Deployments {
    /// Activates the stored versions that this process does not have yet. The last good version stays active
    /// where one cannot be loaded. Returns whether all modules were checked: one that is being changed here is
    /// left for the next time.
    pub(in crate::registry) async fn follow(&self, emptied: bool) -> Result<bool, StoreError> {
        let stored = self.store.load().await?;
        self.note_stored(&stored);
        let there: BTreeSet<_> = stored.iter().map(|it| it.name.clone()).collect();
        let mut whole = true;
        for Stored { name, manifest, fault } in stored {
            let Some(manifest) = manifest else {
                self.writer().await.set_fault(&name, fault);
                continue;
            };
            if self.manifest(&name).as_ref() == Some(&manifest) {
                continue;
            }
            let Some(_turn) = self.turns.follow(&name) else {
                whole = false;
                continue;
            };
            whole &= self.catch_up_with(&name, manifest).await?;
        }
        for name in self.ledger.names().difference(&there) {
            let Some(_turn) = self.turns.follow(name) else {
                whole = false;
                continue;
            };
            let writer = self.writer().await;
            if emptied || self.ledger.is_lost(name) {
                writer.set_lost(name);
            } else if self.store.load().await?.iter().all(|it| it.name != *name) {
                writer.forget(name);
                tracing::info!(module = %name, "another process deleted a module");
            }
        }
        Ok(whole)
    }

    /// Adopts the stored state of a module before a change, so that the change builds on the latest one.
    pub(super) async fn refresh(&self, module: &ModuleName) -> Result<(), DeployError> {
        if !self.store.is_shared() {
            return Ok(());
        }
        loop {
            let stored = self.store.load().await?;
            self.note_stored(&stored);
            let found = stored.into_iter().find(|it| it.name == *module);
            let Some(manifest) = found.and_then(|it| it.manifest) else { return Ok(()) };
            let is_known = self.manifest(module).as_ref() == Some(&manifest);
            // The store has a newer manifest if this one was not adopted.
            if is_known || self.catch_up_with(module, manifest).await? {
                return Ok(());
            }
        }
    }

    /// Adopts a manifest. The last good version stays active if this one cannot be loaded. Returns false if
    /// the store has another manifest by then.
    async fn catch_up_with(
        &self,
        name: &ModuleName,
        manifest: Manifest,
    ) -> Result<bool, StoreError> {
        match self.adopt(name, &manifest).await {
            Ok(adopted) => Ok(adopted),
            Err(DeployError::Store(error)) if error.is_transient() => Err(error),
            Err(error) => {
                tracing::error!(
                    module = %name, version = manifest.active, %error,
                    "what another process deployed cannot be served here"
                );
                let writer = self.writer().await;
                writer.set_fault(name, Some(error.to_string()));
                writer.remember(name, manifest);
                Ok(true)
            }
        }
    }

    /// Notes the stored activation of each module, whether this process can serve it or not.
    pub(super) fn note_stored(&self, stored: &[Stored]) {
        let activation = |it: &Stored| {
            let manifest = it.manifest.as_ref()?;
            Some((it.name.clone(), manifest.activation))
        };
        *self.stored() = stored.iter().filter_map(activation).collect();
    }

    /// Makes a candidate of the active version of a manifest, from code in memory if possible.
    async fn active_candidate(
        &self,
        name: &ModuleName,
        manifest: &Manifest,
    ) -> Result<Candidate, DeployError> {
        let kept = manifest.version(manifest.active);
        let Some(program) = kept.and_then(|kept| self.code_at_hand(name, &kept.digest)) else {
            return self.stored_candidate(name, manifest, manifest.active).await;
        };
        let settings = self.settings(name, &manifest.settings)?;
        let (module, number) = (name.clone(), manifest.active);
        let candidate = self.loader.candidate_of(module, number, program.again(), settings).await;
        candidate.map_err(|error| DeployError::Load { module: name.clone(), error })
    }

    /// Activates the version that a manifest names, unless the store has another one by then.
    pub(super) async fn adopt(
        &self,
        name: &ModuleName,
        manifest: &Manifest,
    ) -> Result<bool, DeployError> {
        let serving = self.registry.snapshot().version(name).cloned();
        let same = serving
            .is_some_and(|it| (it.activation, it.number) == (manifest.activation, manifest.active));
        let candidate = match same {
            true => None,
            false => Some(self.active_candidate(name, manifest).await?),
        };
        let writer = self.writer().await;
        let now = self.store.load().await?;
        if !now.iter().any(|it| it.name == *name && it.manifest.as_ref() == Some(manifest)) {
            return Ok(false);
        }
        if let Some(candidate) = candidate {
            let Manifest { probation, active_since, .. } = *manifest;
            let candidate = Candidate { probation, active_since, ..candidate };
            writer.adopt(candidate, manifest.activation)?;
            let (version, activation) = (manifest.active, manifest.activation);
            tracing::info!(module = %name, version, activation, "activated as another process did");
        }
        writer.set_fault(name, None);
        writer.remember(name, manifest.clone());
        Ok(true)
    }
}
