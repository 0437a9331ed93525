//! Activates modules when the process starts: those of the store, then the files of flags.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::mpsc;

use super::{Change, DeployError, Deployments, Ledger, Writer};
use crate::{
    message::ModuleName,
    registry::{
        Candidate, Loader, ModuleSettings, Registry, Report, SignatureError,
        store::{Manifest, ModuleStore, RolledBack, StoreError, Stored},
    },
    shutdown::Drain,
};

/// How often the files of flags are tried when other processes change modules at the same time.
const TRIES_MAX: usize = 20;

/// A module whose file a flag or `tidegate.toml` names.
#[derive(Debug)]
pub struct Given {
    /// The module.
    pub name: ModuleName,
    /// The file's content.
    pub wasm: Bytes,
}

impl Deployments {
    /// Activates the modules of a store. A module with a fault leaves the others alone.
    pub async fn open(
        loader: Loader,
        store: Arc<dyn ModuleStore>,
        written: BTreeMap<ModuleName, ModuleSettings>,
        defaults: ModuleSettings,
        drain: &Drain,
    ) -> Result<Arc<Self>, StoreError> {
        let (registry, reports) = Registry::new();
        let deployments = Arc::new(Self {
            loader,
            registry: Arc::new(registry),
            store,
            written,
            defaults,
            ledger: Ledger::default(),
            turns: Arc::default(),
            stored: std::sync::Mutex::default(),
            preparations: Arc::default(),
        });
        let stored = deployments.store.load().await?;
        deployments.note_stored(&stored);
        deployments.revive_all(stored).await;
        drain.spawn("reports", listen(Arc::clone(&deployments), reports, drain.clone()));
        Ok(deployments)
    }

    /// Activates stored modules. Those without a fault are loaded side by side and activated together, so that
    /// the table of routes is built once for all of them.
    async fn revive_all(&self, stored: Vec<Stored>) {
        let loads: Vec<_> = stored.iter().map(|stored| self.load_active(stored)).collect();
        let loaded = stream::iter(loads).buffered(self.loader.at_once());
        let loaded: Vec<_> = loaded.collect().await;
        let fit = loaded.iter().flatten().cloned().collect();
        // Where routes do not stand side by side, each module is tried by itself.
        let together = self.writer().await.adopt_all(fit).is_ok();
        for (stored, loaded) in stored.into_iter().zip(loaded) {
            if together && loaded.is_some() {
                let Stored { name, manifest, fault } = stored;
                let writer = self.writer().await;
                if let Some(manifest) = manifest {
                    writer.remember(&name, manifest);
                }
                writer.set_fault(&name, fault);
            } else {
                self.revive(stored).await;
            }
        }
    }

    /// Loads the active version of a module, with its activation. None for a module that takes more than that.
    async fn load_active(&self, stored: &Stored) -> Option<(Candidate, u64)> {
        let manifest = stored.manifest.as_ref().filter(|it| !it.probation)?;
        if stored.fault.is_some() {
            return None;
        }
        // An error is met again, and told, where other versions are tried.
        let candidate =
            self.stored_candidate(&stored.name, manifest, manifest.active).await.ok()?;
        Some((candidate, manifest.activation))
    }

    /// Activates a stored module: its active version, or the best there is.
    async fn revive(&self, stored: Stored) {
        let Stored { name, manifest, mut fault } = stored;
        let writer = self.writer().await;
        if let Some(manifest) = &manifest {
            let wanted = manifest.active;
            if manifest.probation
                && let Some(before) = manifest.previous
                && let Err(error) =
                    self.revive_version(&writer, &name, manifest, before, false).await
            {
                tracing::warn!(module = %name, version = before, error, "no version to go back to");
            }
            let mut others: Vec<u64> = manifest.versions.iter().map(|kept| kept.version).collect();
            others.retain(|&number| number != wanted && Some(number) != manifest.previous);
            let order = std::iter::once(wanted).chain(manifest.previous);
            for number in order.chain(others.into_iter().rev()) {
                let probation = number == wanted && manifest.probation;
                let revived = match self.check_replacement(&name, manifest, number) {
                    Ok(()) => {
                        self.revive_version(&writer, &name, manifest, number, probation).await
                    }
                    Err(refused) => Err(refused.to_string()),
                };
                match revived {
                    Ok(()) => break,
                    Err(error) => {
                        let error = format!("version {number} cannot be served: {error}");
                        fault = Some(fault.map_or(error.clone(), |it| format!("{it}; {error}")));
                    }
                }
            }
        }
        if let Some(fault) = &fault {
            tracing::error!(module = %name, fault, "a stored module is damaged");
        }
        if let Some(manifest) = manifest {
            writer.remember(&name, manifest);
        }
        writer.set_fault(&name, fault);
    }

    /// Checks the signer of a version that stands in for the active one. That one, and the one before it while it is
    /// on probation, stay what they were.
    fn check_replacement(
        &self,
        name: &ModuleName,
        manifest: &Manifest,
        number: u64,
    ) -> Result<(), SignatureError> {
        let is_before = manifest.probation && manifest.previous == Some(number);
        match manifest.version(number) {
            Some(kept) if number != manifest.active && !is_before => {
                self.loader.signers().check_kept(name, kept.signed_by.as_ref())
            }
            _ => Ok(()),
        }
    }

    async fn revive_version(
        &self,
        writer: &Writer<'_>,
        name: &ModuleName,
        manifest: &Manifest,
        number: u64,
        probation: bool,
    ) -> Result<(), String> {
        let candidate = self.stored_candidate(name, manifest, number).await;
        let candidate = Candidate { probation, ..candidate.map_err(|error| error.to_string())? };
        // A version in place of the active one gets an earlier activation, since it must not run events of
        // connections that the active one has served in another process.
        let activation = match number == manifest.active {
            true => manifest.activation,
            false => manifest.activation.saturating_sub(1),
        };
        writer.adopt(candidate, activation).map_err(|error| error.to_string())
    }

    /// Loads a kept version.
    pub(super) async fn stored_candidate(
        &self,
        module: &ModuleName,
        manifest: &Manifest,
        number: u64,
    ) -> Result<Candidate, DeployError> {
        let kept = manifest.version(number).ok_or_else(|| {
            let (module, version, last) = (module.clone(), number, manifest.last);
            if (1..=last).contains(&number) {
                DeployError::Deleted { module, version }
            } else {
                DeployError::NoVersion { module, version, last }
            }
        })?;
        let wasm = self.store.wasm(module, &kept.digest).await?;
        let settings = self.settings(module, &manifest.settings)?;
        let candidate = self
            .loader
            .candidate(module.clone(), number, wasm.into(), settings)
            .await
            .map_err(|error| DeployError::Load { module: module.clone(), error })?;
        // Another version becomes active, as after a rollback.
        let active_since = manifest.active_since.filter(|_| number == manifest.active);
        Ok(Candidate { active_since, ..candidate })
    }

    /// Activates the files of flags as new versions, together: all or none. A file that is that of
    /// the active version changes nothing. The files are the operator's, as the list of signers is, and need no
    /// signature.
    pub async fn place(&self, given: Vec<Given>) -> Result<(), DeployError> {
        // Processes that start together have the same files: the second one has nothing to do.
        for _ in 1..TRIES_MAX {
            match self.place_once(&given).await {
                Err(DeployError::Store(StoreError::Changed { .. })) => self.follow(false).await?,
                placed => return placed,
            };
        }
        self.place_once(&given).await
    }

    async fn place_once(&self, given: &[Given]) -> Result<(), DeployError> {
        let change = Change { who: "--module".to_owned(), ..Change::default() };
        let mut turns = Vec::new();
        for Given { name, .. } in given {
            // Changes of other processes meanwhile are seen at the commit.
            turns.push(self.turn(name).await?);
        }
        let prepares: Vec<_> =
            given.iter().map(|it| self.prepare(&it.name, it.wasm.clone(), &change, None)).collect();
        let prepared = stream::iter(prepares).buffered(self.loader.at_once());
        let prepared: Vec<_> = prepared.try_collect().await?;
        for Given { name, .. } in given {
            self.writer().await.set_given(name);
        }
        let prepared: Vec<_> = prepared.into_iter().flatten().collect();
        let candidates: Vec<_> = prepared.iter().map(|it| it.candidate.clone()).collect();
        self.registry.check(&candidates)?;
        for fresh in prepared {
            let (module, version) = (fresh.candidate.name.clone(), fresh.candidate.number);
            let replaced = fresh.manifest.previous.is_some();
            self.activate_everywhere(fresh).await?;
            self.writer().await.set_given(&module);
            if replaced {
                tracing::info!(%module, version, "the file of --module is a new version");
            }
        }
        Ok(())
    }

    async fn keep(&self, report: Report) {
        let (Report::Proved { module, activation } | Report::RolledBack { module, activation, .. }) =
            &report;
        let writer = self.writer().await;
        let modules = self.registry.snapshot();
        let active = modules.version(module).map(|version| version.activation);
        let Some(mut manifest) = self.manifest(module).filter(|_| active == Some(*activation))
        else {
            // Another process has changed the module meanwhile.
            return;
        };
        if let Err(error) = self.note(&writer, module, &mut manifest, &report).await {
            tracing::error!(
                %module, %error,
                "how a version did is not stored; after a restart it is on probation again"
            );
        }
        writer.remember(module, manifest);
    }
}

impl Deployments {
    /// Stores a report, on top of the notes of other processes on the same version.
    async fn note(
        &self,
        writer: &Writer<'_>,
        module: &ModuleName,
        manifest: &mut Manifest,
        report: &Report,
    ) -> Result<(), StoreError> {
        let (Report::Proved { activation, .. } | Report::RolledBack { activation, .. }) = report;
        loop {
            let mut noted = manifest.clone();
            noted.activation = *activation;
            noted.probation = false;
            if let Report::RolledBack { from, to, previous, reason, .. } = report {
                noted.active = *to;
                noted.active_since = Some(SystemTime::now());
                // The one before this is the one that failed.
                noted.previous = *previous;
                noted.probation = previous.is_some();
                noted.rolled_back = Some(RolledBack { version: *from, reason: reason.clone() });
            }
            noted.revision += 1;
            match writer.commit(module, &noted, None).await {
                Err(StoreError::Changed { .. }) => {}
                stored => {
                    if stored.is_err() {
                        noted.revision -= 1;
                    }
                    *manifest = noted;
                    return stored;
                }
            }
            let mut all = self.store.load().await?.into_iter();
            let Some(now) = all.find(|it| it.name == *module).and_then(|it| it.manifest) else {
                return Ok(());
            };
            let over = match report {
                Report::Proved { .. } => true,
                Report::RolledBack { .. } => now.activation >= *activation,
            };
            if over {
                // It is followed like any change of other processes.
                return Ok(());
            }
            *manifest = now;
        }
    }
}

async fn listen(deployments: Arc<Deployments>, mut reports: mpsc::Receiver<Report>, drain: Drain) {
    loop {
        tokio::select! {
            biased;
            report = reports.recv() => match report {
                Some(report) => deployments.keep(report).await,
                None => return,
            },
            () = drain.stopping() => return,
        }
    }
}
