//! The modules that this process knows, and the one writer that changes them.
//!
//! A change touches three places: the store, the active modules and the ledger. All go through a [`Writer`], of
//! which there is one at a time, so that between its last check and its last step nothing else changes. A version
//! that fails on probation is the exception: the registry replaces it at once, and the writer stores that later.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    message::ModuleName,
    registry::{
        Candidate, Registry,
        store::{Manifest, ModuleStore, StoreError},
    },
    routing::RouteError,
};

/// Where a module came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It was deployed.
    Registry,
    /// `--module` or `tidegate.toml` names its file.
    Flag,
}

/// A module that this process knows.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// None where the store has no whole manifest.
    pub(super) manifest: Option<Manifest>,
    pub(super) source: Source,
    pub(super) fault: Option<String>,
    /// Whether the module was lost with the store, and not deleted by a user. It is served, and its next
    /// change is stored as a first one.
    pub(super) is_lost: bool,
}

impl Default for Known {
    fn default() -> Self {
        Self { manifest: None, source: Source::Registry, fault: None, is_lost: false }
    }
}

/// The known modules, by name.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Locked for single operations only; changed by the writer alone.
    known: Mutex<BTreeMap<ModuleName, Known>>,
    /// Held by the writer.
    writing: tokio::sync::Mutex<()>,
}

impl Ledger {
    fn known(&self) -> MutexGuard<'_, BTreeMap<ModuleName, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, module: &ModuleName) -> Option<Known> {
        self.known().get(module).cloned()
    }

    pub(super) fn manifest(&self, module: &ModuleName) -> Option<Manifest> {
        self.known().get(module).and_then(|known| known.manifest.clone())
    }

    pub(super) fn fault(&self, module: &ModuleName) -> Option<String> {
        self.known().get(module).and_then(|known| known.fault.clone())
    }

    pub(super) fn is_lost(&self, module: &ModuleName) -> bool {
        self.known().get(module).is_some_and(|known| known.is_lost)
    }

    pub(super) fn names(&self) -> BTreeSet<ModuleName> {
        self.known().keys().cloned().collect()
    }

    pub(super) fn all(&self) -> BTreeMap<ModuleName, Known> {
        self.known().clone()
    }

    /// Waits until there is no other writer. Dropping the future gives up the place in line.
    pub(super) async fn writer<'a>(
        &'a self,
        store: &'a dyn ModuleStore,
        registry: &'a Registry,
    ) -> Writer<'a> {
        Writer { ledger: self, store, registry, _alone: self.writing.lock().await }
    }
}

/// Changes modules. Nothing else does while it is there.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    ledger: &'a Ledger,
    store: &'a dyn ModuleStore,
    registry: &'a Registry,
    _alone: tokio::sync::MutexGuard<'a, ()>,
}

impl Writer<'_> {
    /// Replaces the stored manifest. The ledger does not change.
    pub(super) async fn commit(
        &self,
        module: &ModuleName,
        manifest: &Manifest,
        wasm: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        self.store.commit(module, manifest, wasm).await
    }

    /// Deletes a module from the store, and forgets it.
    pub(super) async fn delete(&self, module: &ModuleName) -> Result<(), StoreError> {
        self.store.delete(module).await?;
        self.forget(module);
        Ok(())
    }

    /// Deactivates a module that the store does not have.
    pub(super) fn forget(&self, module: &ModuleName) {
        self.registry.remove(module);
        self.ledger.known().remove(module);
    }

    /// Activates a version with this number, or a higher one. Returns the number.
    pub(super) fn activate(
        &self,
        candidate: Candidate,
        activation: u64,
    ) -> Result<u64, RouteError> {
        let activated = self.registry.activate(vec![(candidate, activation)])?;
        Ok(activated.first().copied().unwrap_or(activation))
    }

    /// Activates a version with the number that the store has.
    pub(super) fn adopt(&self, candidate: Candidate, activation: u64) -> Result<(), RouteError> {
        self.registry.adopt(candidate, activation)
    }

    /// Activates several versions together, or none, with the numbers that the store has.
    pub(super) fn adopt_all(&self, candidates: Vec<(Candidate, u64)>) -> Result<(), RouteError> {
        self.registry.adopt_all(candidates)
    }

    fn update(&self, module: &ModuleName, change: impl FnOnce(&mut Known)) {
        change(self.ledger.known().entry(module.clone()).or_default());
    }

    /// Notes the stored manifest of a module.
    pub(super) fn remember(&self, module: &ModuleName, manifest: Manifest) {
        self.update(module, |known| {
            // A stored manifest has a revision.
            known.is_lost &= manifest.revision == 0;
            known.manifest = Some(manifest);
        });
    }

    /// Notes the fault of a module in this process, or that there is none.
    pub(super) fn set_fault(&self, module: &ModuleName, fault: Option<String>) {
        self.update(module, |known| known.fault = fault);
    }

    /// Notes that a flag or `tidegate.toml` names the file of a module, if the module is known.
    pub(super) fn set_given(&self, module: &ModuleName) {
        if let Some(known) = self.ledger.known().get_mut(module) {
            known.source = Source::Flag;
        }
    }

    /// Notes that the store was emptied: the module stays active, and its next change is a first one.
    pub(super) fn set_lost(&self, module: &ModuleName) {
        let fault = "Redis was emptied and has the module no more; it is served until this process \
                     ends: deploy it again";
        if self.ledger.is_lost(module) {
            return;
        }
        self.update(module, |known| {
            // The revision of the next change is 1.
            if let Some(manifest) = &mut known.manifest {
                manifest.revision = 0;
            }
            known.is_lost = true;
            known.fault = Some(fault.to_owned());
        });
        tracing::error!(%module, fault, "a module is stored nowhere");
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::registry::store::DirectoryStore;

    fn manifest(revision: u64) -> Manifest {
        Manifest {
            id: "1".to_owned(),
            revision,
            activation: 1,
            active: 1,
            active_since: None,
            previous: None,
            probation: false,
            rolled_back: None,
            last: 1,
            versions: Vec::new(),
            settings: crate::registry::Written::default(),
        }
    }

    #[test]
    fn there_is_one_writer_at_a_time_and_readers_do_not_wait_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = DirectoryStore::open(directory.path()).unwrap();
        let (ledger, registry) = (Ledger::default(), Registry::default());
        let module = ModuleName::parse("a").unwrap();
        let writer = ledger.writer(&store, &registry).now_or_never().unwrap();
        writer.remember(&module, manifest(7));
        assert!(ledger.writer(&store, &registry).now_or_never().is_none());
        assert_eq!(ledger.manifest(&module).unwrap().revision, 7);
        drop(writer);
        assert!(ledger.writer(&store, &registry).now_or_never().is_some());
    }

    #[test]
    fn a_lost_module_is_lost_until_its_next_change_is_stored_as_a_first_one() {
        let directory = tempfile::tempdir().unwrap();
        let store = DirectoryStore::open(directory.path()).unwrap();
        let (ledger, registry) = (Ledger::default(), Registry::default());
        let module = ModuleName::parse("a").unwrap();
        let writer = ledger.writer(&store, &registry).now_or_never().unwrap();
        writer.remember(&module, manifest(7));
        writer.set_lost(&module);
        assert!(ledger.is_lost(&module) && ledger.fault(&module).is_some());
        assert_eq!(ledger.manifest(&module).unwrap().revision + 1, 1);
        // A note on its probation that could not be stored.
        writer.remember(&module, manifest(0));
        assert!(ledger.is_lost(&module));
        writer.remember(&module, manifest(1));
        assert!(!ledger.is_lost(&module));
    }
}
