//! What other processes that share the store have changed.

use std::collections::BTreeSet;

use super::{DeployError, Deployments, Known, Source};
use crate::{
    message::ModuleName,
    registry::{
        Candidate,
        store::{Manifest, StoreError, Stored},
    },
};

/// The revision of what is stored nowhere: the next change is a first one.
const LOST: u64 = 0;

impl Deployments {
    /// Puts in force what the store has, where that is something else. What cannot be loaded leaves
    /// the last good version in force. Returns whether all was looked at: a module that is being
    /// changed here is left for the next time.
    pub(in crate::registry) async fn follow(&self, emptied: bool) -> Result<bool, StoreError> {
        let stored = self.store.load().await?;
        let there: BTreeSet<_> = stored.iter().map(|it| it.name.clone()).collect();
        let mut whole = true;
        for Stored { name, manifest, fault } in stored {
            let Some(manifest) = manifest else {
                self.fault(&name, fault);
                continue;
            };
            if self.manifest(&name).as_ref() == Some(&manifest) {
                continue;
            }
            let _following = self.following.lock().await;
            let Ok(_turn) = self.turn_now(&name) else {
                whole = false;
                continue;
            };
            match self.adopt(&name, &manifest).await {
                Ok(adopted) => whole &= adopted,
                Err(DeployError::Store(error @ (StoreError::Io(_) | StoreError::Away(_)))) => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::error!(
                        module = %name, version = manifest.active, %error,
                        "what another process deployed cannot be served here"
                    );
                    self.fault(&name, Some(error.to_string()));
                    self.remember(&name, manifest);
                }
            }
        }
        for name in self.names().difference(&there) {
            let _following = self.following.lock().await;
            let Ok(_turn) = self.turn_now(name) else {
                whole = false;
                continue;
            };
            let _commit = self.commits.lock().await;
            if emptied || self.is_lost(name) {
                self.lost(name);
            } else if self.store.load().await?.iter().all(|it| it.name != *name) {
                self.registry.remove(name);
                self.known().remove(name);
                tracing::info!(module = %name, "another process deleted a module");
            }
        }
        Ok(whole)
    }

    /// Puts the active version of a manifest in force, unless the store has another one by then.
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
            false => Some(self.stored_candidate(name, manifest, manifest.active).await?),
        };
        let _commit = self.commits.lock().await;
        let now = self.store.load().await?;
        if !now.iter().any(|it| it.name == *name && it.manifest.as_ref() == Some(manifest)) {
            return Ok(false);
        }
        if let Some(candidate) = candidate {
            let candidate = Candidate { probation: manifest.probation, ..candidate };
            self.registry.adopt(candidate, manifest.activation)?;
            let (version, activation) = (manifest.active, manifest.activation);
            tracing::info!(module = %name, version, activation, "what another process put in force");
        }
        self.fault(name, None);
        self.remember(name, manifest.clone());
        Ok(true)
    }

    fn names(&self) -> BTreeSet<ModuleName> {
        self.known().keys().cloned().collect()
    }

    fn remember(&self, name: &ModuleName, manifest: Manifest) {
        let mut known = self.known();
        let fresh = || Known { manifest: None, source: Source::Registry, fault: None };
        known.entry(name.clone()).or_insert_with(fresh).manifest = Some(manifest);
    }

    fn fault(&self, name: &ModuleName, fault: Option<String>) {
        let mut known = self.known();
        let fresh = || Known { manifest: None, source: Source::Registry, fault: None };
        known.entry(name.clone()).or_insert_with(fresh).fault = fault;
    }

    /// The store was emptied: what is in force stays, and the next change is stored as a first one.
    fn lost(&self, name: &ModuleName) {
        let fault = "Redis was emptied and has the module no more; it is served until this process \
                     ends: deploy it again";
        if self.is_lost(name) {
            return;
        }
        if let Some(known) = self.known().get_mut(name) {
            if let Some(manifest) = &mut known.manifest {
                manifest.revision = LOST;
            }
            known.fault = Some(fault.to_owned());
            tracing::error!(module = %name, fault, "a module is stored nowhere");
        }
    }

    /// Whether it went with the store, and was not deleted by somebody.
    fn is_lost(&self, name: &ModuleName) -> bool {
        self.manifest(name).is_some_and(|manifest| manifest.revision == LOST)
    }
}
