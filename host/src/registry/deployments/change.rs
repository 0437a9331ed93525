//! Changes that users ask for.

mod retry;

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;

use super::{Change, DeployError, Deployed, Deployments, Turn, VERSIONS_KEPT, warnings};
use crate::{
    engine,
    message::{CorrelationId, ModuleName},
    registry::{
        Candidate, KeyId, SignatureError, Written,
        store::{Kept, Manifest},
    },
    setting::error::ConfigError,
};

/// A version that is ready to be activated.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) candidate: Candidate,
    pub(super) manifest: Manifest,
    wasm: Option<Bytes>,
    /// The activation that was active when this was prepared, where it builds on that.
    on: Option<u64>,
}

impl Deployments {
    /// Makes a file the next version of a module and activates it.
    pub async fn deploy(
        &self,
        turn: Turn,
        wasm: Bytes,
        change: &Change,
    ) -> Result<Deployed, DeployError> {
        let module = &turn.module;
        let signed_by = self.check_signature(module, wasm.clone(), change).await?;
        let once = || async {
            match self.prepare(module, wasm.clone(), change, signed_by.as_ref()).await? {
                Some(fresh) => self.activate_everywhere(fresh).await,
                None => self.unchanged(module),
            }
        };
        self.again(module, once).await
    }

    /// Checks the signature of a file, and returns the key that signed it, where signatures count.
    async fn check_signature(
        &self,
        module: &ModuleName,
        wasm: Bytes,
        change: &Change,
    ) -> Result<Option<KeyId>, DeployError> {
        let (signers, signature) = (self.loader.signers().clone(), change.signature.clone());
        let of = module.clone();
        // Hashing a large file takes a while.
        let check = move || signers.check(&of, &wasm, signature.as_deref());
        let checked = tokio::task::spawn_blocking(check).await;
        let checked = checked.unwrap_or_else(|error| Err(SignatureError::Form(error.to_string())));
        checked.map_err(|error| DeployError::Signature { module: module.clone(), error })
    }

    /// Loads a file as the next version of a module; none if it is the active one.
    pub(super) async fn prepare(
        &self,
        module: &ModuleName,
        wasm: Bytes,
        change: &Change,
        signed_by: Option<&KeyId>,
    ) -> Result<Option<Prepared>, DeployError> {
        let refused = |error| DeployError::Load { module: module.clone(), error };
        let file = wasm.clone();
        let digest = tokio::task::spawn_blocking(move || engine::digest(&file)).await;
        let digest =
            digest.map_err(|error| refused(engine::LoadError::Compiler(error.to_string())))?;
        let before = self.manifest(module);
        let serving = self.registry.snapshot().version(module).cloned();
        if serving.is_some_and(|it| {
            it.program.digest() == digest
                // Deployed again, it would stay on probation.
                && !(change.skip_probation && it.probation.is_on())
                && before.as_ref().is_some_and(|manifest| {
                    // Deployed again with a signature, it is a version that a rollback may activate.
                    let kept = manifest.version(it.number);
                    manifest.active == it.number
                        && signed_by.is_none_or(|_| {
                            kept.is_some_and(|kept| kept.signed_by.as_ref() == signed_by)
                        })
                })
        }) {
            return Ok(None);
        }
        let number = before.as_ref().map_or(1, |it| it.last + 1);
        let written = before.as_ref().map(|it| it.settings.clone()).unwrap_or_default();
        let settings = self.settings(module, &written)?;
        let candidate = self
            .loader
            .candidate(module.clone(), number, wasm.clone(), settings)
            .await
            .map_err(refused)?;
        let kept = Kept {
            version: number,
            digest,
            bytes: wasm.len() as u64,
            deployed_at: SystemTime::now(),
            deployed_by: change.who.clone(),
            note: change.note.clone(),
            source: change.source.clone(),
            signed_by: signed_by.cloned(),
        };
        let probation = before.is_some() && !change.skip_probation;
        let manifest = next(before, kept, probation);
        let candidate = Candidate { probation, ..candidate };
        Ok(Some(Prepared { candidate, manifest, wasm: Some(wasm), on: None }))
    }

    /// Activates a kept version: one by number, or the one that was active before.
    pub async fn activate(&self, turn: Turn, number: Option<u64>) -> Result<Deployed, DeployError> {
        self.again(&turn.module, || self.activate_once(&turn.module, number)).await
    }

    async fn activate_once(
        &self,
        module: &ModuleName,
        number: Option<u64>,
    ) -> Result<Deployed, DeployError> {
        let mut manifest = self.existing(module)?;
        let before = || DeployError::NothingBefore(module.clone());
        let number = number.or(manifest.previous).ok_or_else(before)?;
        let serving = self.registry.snapshot().version(module).map(|it| it.number);
        if number == manifest.active && serving == Some(number) {
            return self.unchanged(module);
        }
        if let Some(kept) = manifest.version(number) {
            self.loader.signers().check_kept(module, kept.signed_by.as_ref()).map_err(|error| {
                DeployError::KeptSignature { module: module.clone(), version: number, error }
            })?;
        }
        let candidate = self.stored_candidate(module, &manifest, number).await?;
        manifest.previous = Some(manifest.active).filter(|&active| active != number);
        manifest.active = number;
        step(&mut manifest, false);
        self.activate_everywhere(Prepared { candidate, manifest, wasm: None, on: None }).await
    }

    /// Runs a module with other settings. Secrets that are left out stay as they are.
    pub async fn set(&self, turn: Turn, written: Written) -> Result<Written, DeployError> {
        let completed = |kept: &Written| {
            let mut written = written.clone();
            written.complete(kept);
            Ok(written)
        };
        self.again(&turn.module, || self.set_once(&turn.module, &completed)).await
    }

    /// Changes single settings of a module, as a JSON Merge Patch (RFC 7396) says.
    pub async fn patch_settings(
        &self,
        turn: Turn,
        patch: &serde_json::Value,
    ) -> Result<Written, DeployError> {
        let patched = |kept: &Written| kept.patched(patch);
        self.again(&turn.module, || self.set_once(&turn.module, &patched)).await
    }

    /// Applies settings that are made of the stored ones.
    async fn set_once(
        &self,
        module: &ModuleName,
        make: &(impl Fn(&Written) -> Result<Written, ConfigError> + Sync),
    ) -> Result<Written, DeployError> {
        let mut manifest = self.existing(module)?;
        let written = make(&manifest.settings)?;
        if written == manifest.settings {
            return Ok(written.shown());
        }
        self.settings(module, &written)?;
        manifest.settings = written.clone();
        let version = manifest.active;
        let candidate = match self.stored_candidate(module, &manifest, version).await {
            Err(DeployError::Load { module, error }) => {
                return Err(DeployError::Unlivable { module, version, error });
            }
            other => other?,
        };
        let (probation, on) = (manifest.probation, Some(manifest.activation));
        step(&mut manifest, probation);
        let candidate = Candidate { probation, ..candidate };
        self.activate_everywhere(Prepared { candidate, manifest, wasm: None, on }).await?;
        Ok(written.shown())
    }

    /// Deactivates a module and deletes it from the store.
    pub async fn delete(&self, turn: Turn) -> Result<(), DeployError> {
        let module = &turn.module;
        self.refresh(module).await?;
        if self.ledger.get(module).is_none() {
            return Err(DeployError::NoModule(module.clone()));
        }
        Ok(self.writer().await.delete(module).await?)
    }

    /// Deletes a version that is not active.
    pub async fn delete_version(&self, turn: Turn, number: u64) -> Result<(), DeployError> {
        self.again(&turn.module, || self.delete_version_once(&turn.module, number)).await
    }

    async fn delete_version_once(
        &self,
        module: &ModuleName,
        number: u64,
    ) -> Result<(), DeployError> {
        let writer = self.writer().await;
        let mut manifest = self.existing(module)?;
        let serving = self.registry.snapshot().version(module).map(|it| it.number);
        if number == manifest.active || serving == Some(number) {
            return Err(DeployError::Active { module: module.clone(), version: number });
        }
        let last = manifest.last;
        let Some(at) = manifest.versions.iter().position(|kept| kept.version == number) else {
            let (module, version) = (module.clone(), number);
            return Err(if (1..=last).contains(&number) {
                DeployError::Deleted { module, version }
            } else {
                DeployError::NoVersion { module, version, last }
            });
        };
        manifest.versions.remove(at);
        manifest.previous = manifest.previous.filter(|&previous| previous != number);
        manifest.revision += 1;
        writer.commit(module, &manifest, None).await?;
        writer.remember(module, manifest);
        Ok(())
    }

    fn unchanged(&self, module: &ModuleName) -> Result<Deployed, DeployError> {
        let modules = self.registry.snapshot();
        let none = || DeployError::NoModule(module.clone());
        let version = modules.version(module).ok_or_else(none)?;
        Ok(Deployed {
            module: module.clone(),
            version: version.number,
            digest: version.program.digest().to_owned(),
            changed: false,
            previous: self.existing(module)?.previous,
            routes: version.routes().to_vec(),
            declarations: Arc::clone(&version.declarations),
            warnings: Vec::new(),
            left_out: Vec::new(),
        })
    }

    /// Lets the other processes prepare the version, checks it again, stores and swaps it.
    pub(super) async fn activate_everywhere(
        &self,
        fresh: Prepared,
    ) -> Result<Deployed, DeployError> {
        let candidate = fresh.candidate.clone();
        let is_new = fresh.wasm.is_some();
        // Each is long, and only one of them is under way.
        let spread = Box::pin(self.spread(&candidate, fresh.wasm.as_ref())).await?;
        let deployed = Box::pin(self.commit(fresh)).await;
        self.take_back(&candidate, is_new).await;
        Ok(Deployed { left_out: spread.left_out, ..deployed? })
    }

    async fn commit(&self, fresh: Prepared) -> Result<Deployed, DeployError> {
        let Prepared { candidate, mut manifest, wasm, on } = fresh;
        let writer = self.writer().await;
        let module = candidate.name.clone();
        let before = self.registry.snapshot().version(&module).cloned();
        // A version that failed on probation leaves without asking.
        if let (Some(before), Some(on)) = (&before, on)
            && before.activation != on
        {
            return Err(DeployError::Busy(module));
        }
        if before.as_ref().is_none_or(|it| it.number != candidate.number) {
            manifest.previous = before.as_ref().map_or(manifest.previous, |it| Some(it.number));
            manifest.active_since = Some(SystemTime::now());
        }
        self.registry.check(std::slice::from_ref(&candidate))?;
        // With the notes on the active version that came meanwhile.
        let stored = self.manifest(&module);
        let activation = before.as_ref().map_or(0, |it| it.activation) + 1;
        manifest.activation = manifest.activation.max(activation);
        manifest.revision = stored.as_ref().map_or(0, |it| it.revision) + 1;
        writer.commit(&module, &manifest, wasm.map(Vec::from)).await?;
        let deployed = Deployed {
            module: module.clone(),
            version: candidate.number,
            digest: candidate.program.digest().to_owned(),
            changed: true,
            previous: manifest.previous,
            routes: candidate.routes.clone(),
            declarations: Arc::clone(&candidate.declarations),
            warnings: warnings(before.as_ref(), &candidate.routes),
            left_out: Vec::new(),
        };
        let activated = writer.activate(candidate, manifest.activation);
        match &activated {
            // A version was rolled back since the check, and has taken the number.
            Ok(activation) if *activation != manifest.activation => {
                manifest.activation = *activation;
                manifest.revision += 1;
                writer.commit(&module, &manifest, None).await?;
            }
            Ok(_) => {}
            // A version was rolled back since the check, and brought routes along.
            Err(_) => {
                if let Some(stored) = stored {
                    manifest = Manifest { revision: manifest.revision + 1, ..stored };
                    writer.commit(&module, &manifest, None).await?;
                }
            }
        }
        writer.remember(&module, manifest);
        writer.set_fault(&module, None);
        activated?;
        Ok(deployed)
    }
}

fn step(manifest: &mut Manifest, probation: bool) {
    manifest.activation += 1;
    manifest.probation = probation;
    manifest.rolled_back = None;
}

/// The manifest with one version more, which is the active one.
fn next(before: Option<Manifest>, kept: Kept, probation: bool) -> Manifest {
    let number = kept.version;
    let Some(mut manifest) = before else {
        return Manifest {
            id: CorrelationId::random().to_string(),
            revision: 1,
            activation: 1,
            active: number,
            active_since: None,
            previous: None,
            probation,
            rolled_back: None,
            last: number,
            versions: vec![kept],
            settings: Written::default(),
        };
    };
    manifest.versions.push(kept);
    manifest.previous = Some(manifest.active);
    manifest.active = number;
    manifest.last = number;
    step(&mut manifest, probation);
    let spare = manifest.versions.len().saturating_sub(VERSIONS_KEPT);
    let (active, previous) = (manifest.active, manifest.previous);
    let mut at = 0;
    manifest.versions.retain(|kept| {
        at += 1;
        at > spare || kept.version == active || Some(kept.version) == previous
    });
    manifest
}
