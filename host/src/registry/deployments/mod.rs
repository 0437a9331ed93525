//! Deployments: versions in a store, and the active ones.
//!
//! A change is made in this order: the candidate is loaded and checked, committed to the store,
//! activated. Between the check and the commit other processes that share the store prepare it. So nothing
//! is active that a restart would not find, and a process that is killed on the way comes back with the
//! state before or after. Versions that fail on probation are the exception:
//! they are replaced at once, and the store is updated afterwards.

mod change;
mod error;
mod follow;
mod ledger;
mod preparations;
mod prepare;
mod start;
mod turn;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    time::SystemTime,
};

pub use self::{error::DeployError, ledger::Source, prepare::LeftOut, start::Given};
use self::{
    ledger::{Known, Ledger, Writer},
    preparations::{Preparations, View},
    turn::{Turn, Turns},
};

use super::{
    Loader, ModuleSettings, Registry, Rest, Version, Written,
    store::{Kept, Manifest, ModuleStore, Prepared, Preparing},
};
use crate::{
    engine::Declarations, message::ModuleName, routing::RouteSpec, setting::error::ConfigError,
};

/// Versions of a module that are kept besides the active one and the one before.
const VERSIONS_KEPT: usize = 20;

/// The author and options of a change.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The user, by their own account.
    pub who: String,
    /// A note for the history.
    pub note: Option<String>,
    /// The registry that the file came from.
    pub source: Option<String>,
    /// The signature of the file, a whole .minisig.
    pub signature: Option<String>,
    /// Skips probation: the new version counts as proved at once.
    pub skip_probation: bool,
}

/// The result of a change.
#[derive(Debug)]
pub struct Deployed {
    /// The module.
    pub module: ModuleName,
    /// The active version.
    pub version: u64,
    /// Its digest.
    pub digest: String,
    /// Whether another version is active than before.
    pub changed: bool,
    /// The version that was active before.
    pub previous: Option<u64>,
    /// The routes that the version declares.
    pub routes: Vec<RouteSpec>,
    /// Its declarations about its consumers, besides routes.
    pub declarations: Arc<Declarations>,
    /// Warnings: allowed, and probably not meant.
    pub warnings: Vec<String>,
    /// Processes that do not have the version.
    pub left_out: Vec<LeftOut>,
}

/// The state of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The active version serves.
    Active,
    /// It serves on probation.
    Probation,
    /// A version failed, and the one before serves.
    RolledBack,
    /// Its circuit breaker is open: it failed too often.
    Resting,
    /// Its stored state is damaged; a version that could be loaded serves.
    Failed,
}

/// The summary of a module.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Its name.
    pub name: ModuleName,
    /// The active version; none if none could be served.
    pub active: Option<Kept>,
    /// The time of its activation, if that is known.
    pub active_since: Option<SystemTime>,
    /// How many versions there are.
    pub versions: usize,
    /// Where it came from.
    pub source: Source,
    /// Its state.
    pub standing: Standing,
    /// The fault.
    pub fault: Option<String>,
    /// The pause while its circuit breaker is open.
    pub resting: Option<Rest>,
}

/// The details of a module.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Its summary.
    pub summary: Summary,
    /// Its versions, by number.
    pub history: Vec<Kept>,
    /// Its settings as they were written over the admin API.
    pub settings: Written,
    /// The routes that the active version declares.
    pub routes: Vec<RouteSpec>,
    /// Its declarations about its consumers, besides routes.
    pub declarations: Arc<Declarations>,
}

/// Decides which versions are active.
pub struct Deployments {
    loader: Loader,
    registry: Arc<Registry>,
    store: Arc<dyn ModuleStore>,
    /// Settings of `tidegate.toml`, by module.
    written: BTreeMap<ModuleName, ModuleSettings>,
    defaults: ModuleSettings,
    ledger: Ledger,
    /// Modules that are being changed.
    turns: Arc<Turns>,
    /// The activation of each module when the store was last read. Locked for single operations only.
    stored: Mutex<BTreeMap<ModuleName, u64>>,
    preparations: Arc<Preparations>,
}

impl fmt::Debug for Deployments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deployments").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Deployments {
    /// Leaves the cores to those who are served. Until then files are compiled side by side.
    pub fn leave_cores(&self) {
        self.loader.leave_cores();
    }

    /// The active modules.
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Checks and compiles files.
    pub const fn loader(&self) -> &Loader {
        &self.loader
    }

    pub(super) fn store(&self) -> &dyn ModuleStore {
        &*self.store
    }

    /// Returns the fault of a module in this process.
    pub(super) fn fault_of(&self, module: &ModuleName) -> Option<String> {
        self.ledger.fault(module)
    }

    /// Waits until there is no other writer of modules.
    async fn writer(&self) -> Writer<'_> {
        self.ledger.writer(&*self.store, &self.registry).await
    }

    /// Takes the right to change a module. Waits while the module follows a change of another process.
    pub async fn turn(&self, module: &ModuleName) -> Result<Turn, DeployError> {
        self.turns.change(module).await
    }

    /// Subscribes to the reports of all processes that share the store.
    pub(super) fn views(&self) -> tokio::sync::watch::Receiver<Option<Arc<View>>> {
        self.preparations.views()
    }

    /// Returns the files that this process asks others to prepare, and those it has prepared.
    pub(super) fn preparations(&self) -> (Vec<Preparing>, Vec<Prepared>) {
        self.preparations.report()
    }

    /// Returns whether a process is about to activate a version.
    pub(super) fn is_preparing(&self) -> bool {
        self.preparations.are_under_way()
    }

    fn manifest(&self, module: &ModuleName) -> Option<Manifest> {
        self.ledger.manifest(module)
    }

    fn existing(&self, module: &ModuleName) -> Result<Manifest, DeployError> {
        self.manifest(module).ok_or_else(|| DeployError::NoModule(module.clone()))
    }

    fn below(&self, module: &ModuleName) -> &ModuleSettings {
        self.written.get(module).unwrap_or(&self.defaults)
    }

    fn settings(
        &self,
        module: &ModuleName,
        written: &Written,
    ) -> Result<ModuleSettings, ConfigError> {
        written.over(self.below(module), "settings")
    }

    /// All modules, by name.
    pub fn list(&self) -> Vec<Summary> {
        self.ledger.all().iter().map(|(name, known)| self.summary(name, known)).collect()
    }

    /// One module.
    pub fn show(&self, module: &ModuleName) -> Result<Overview, DeployError> {
        let known = self.ledger.get(module).ok_or_else(|| DeployError::NoModule(module.clone()))?;
        let summary = self.summary(module, &known);
        let modules = self.registry.snapshot();
        let version = modules.version(module);
        let routes = version.map(|it| it.routes().to_vec()).unwrap_or_default();
        let declarations = version.map(|it| Arc::clone(&it.declarations)).unwrap_or_default();
        let manifest = known.manifest;
        let (history, settings) =
            manifest.map(|it| (it.versions, it.settings.shown())).unwrap_or_default();
        Ok(Overview { summary, history, settings, routes, declarations })
    }

    /// The settings of a module, as they were written, without the values of secrets.
    pub fn written(&self, module: &ModuleName) -> Result<Written, DeployError> {
        Ok(self.existing(module)?.settings.shown())
    }

    fn summary(&self, name: &ModuleName, known: &Known) -> Summary {
        let modules = self.registry.snapshot();
        let version = modules.version(name);
        let manifest = known.manifest.as_ref();
        let active =
            version.and_then(|version| manifest.and_then(|it| it.version(version.number)).cloned());
        let rolled_back = manifest.and_then(|it| it.rolled_back.as_ref());
        let resting = self.registry.rest(name);
        let (standing, fault) = match (&known.fault, &resting, rolled_back) {
            (Some(fault), ..) => (Standing::Failed, Some(fault.clone())),
            (None, Some(rest), _) => (Standing::Resting, Some(rest.fault.clone())),
            (None, None, Some(back)) => {
                let fault = format!("version {}: {}", back.version, back.reason);
                (Standing::RolledBack, Some(fault))
            }
            (None, None, None) if version.is_some_and(|it| it.probation.is_on()) => {
                (Standing::Probation, None)
            }
            (None, None, None) => (Standing::Active, None),
        };
        Summary {
            name: name.clone(),
            active,
            active_since: manifest.and_then(|it| it.active_since),
            versions: manifest.map_or(0, |it| it.versions.len()),
            source: known.source,
            standing,
            fault,
            resting,
        }
    }
}

/// Returns warnings about routes that leave with a version while clients may use them.
fn warnings(before: Option<&Arc<Version>>, routes: &[RouteSpec]) -> Vec<String> {
    let Some(before) = before else { return Vec::new() };
    let gone = |spec: &&RouteSpec| !routes.iter().any(|now| now.consumer == spec.consumer);
    let warn = |spec: &RouteSpec| {
        format!(
            "consumer {} is gone: its open WebSockets are closed with 1012 at their next message",
            spec.consumer
        )
    };
    before.routes().iter().filter(gone).map(warn).collect()
}
