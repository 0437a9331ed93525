//! The active modules: an immutable snapshot, swapped as a whole.
//!
//! A holder of a snapshot goes on with it; when the last holder lets go, the old code is freed.
//! [`Deployments`] decides which versions are active and keeps them in a store.

mod deployments;
mod fleet;
mod loader;
mod probation;
mod rest;
mod settings;
mod signers;
pub mod store;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc, watch};

pub(crate) use {settings::WrittenLimits, signers::SIGNATURE_BYTES_MAX};

pub use self::{
    deployments::{
        Change, DeployError, Deployed, Deployments, Given, LeftOut, Overview, Source, Standing,
        Summary,
    },
    fleet::Fleet,
    loader::Loader,
    probation::Probation,
    rest::Rest,
    settings::{ModuleSettings, Written},
    signers::{KeyId, SignatureError, Signers},
};
use crate::{
    capability::{Grants, schedule::Schedule},
    engine::{Declarations, Limits, Program},
    layer::Histories,
    message::{ChannelName, Lasting, ModuleHistories, ModuleName, UserLimit},
    routing::{Access, Declared, Policy, RouteError, RouteSpec, RouteTable, Routes, Trigger},
};

/// Reports that wait to be stored. Beyond, the sender waits.
const REPORTS_QUEUED_MAX: usize = 64;

/// A module that is ready to be activated.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name.
    pub name: ModuleName,
    /// Counts the versions of the module from 1.
    pub number: u64,
    /// Its code.
    pub program: Arc<Program>,
    /// Its consumers.
    pub routes: Vec<RouteSpec>,
    /// Its declarations about its consumers, besides routes.
    pub declarations: Arc<Declarations>,
    /// Its settings.
    pub settings: ModuleSettings,
    /// Whether it is new and goes on probation.
    pub probation: bool,
    /// Since when the version is active; none: from the activation on.
    pub active_since: Option<SystemTime>,
}

/// One version of a module.
#[derive(Debug)]
pub struct Version {
    /// The module's name.
    pub name: ModuleName,
    /// Counts the versions of the module from 1.
    pub number: u64,
    /// Counts the activations of the module: a rollback has a higher one than what it rolls back.
    pub activation: u64,
    /// Since when it is active, also through restarts of processes.
    pub active_since: SystemTime,
    /// The code.
    pub program: Arc<Program>,
    /// Its declarations about its consumers, besides routes.
    pub declarations: Arc<Declarations>,
    /// Its settings.
    pub settings: ModuleSettings,
    /// The limits again, shared with every run.
    pub limits: Arc<Limits>,
    /// The grants again, shared with every run.
    pub grants: Arc<Grants>,
    /// Its probation: its progress, and the version to fall back on.
    pub probation: Probation,
    routes: Vec<RouteSpec>,
}

impl Version {
    /// The consumer of that name, if the version has it.
    pub fn consumer(&self, name: &str) -> Option<&Arc<str>> {
        self.routes.iter().map(|spec| &spec.consumer).find(|consumer| &***consumer == name)
    }

    /// The consumer of a channel of the application.
    pub fn consumer_of(&self, channel: &ChannelName) -> Option<&Arc<str>> {
        let reads = |spec: &&RouteSpec| matches!(&spec.trigger, Trigger::Channel { channel: read, .. } if read == channel);
        self.routes.iter().find(reads).map(|spec| &spec.consumer)
    }

    /// The demands of a consumer on the user, if it has any.
    pub fn access(&self, consumer: &str) -> Option<&Arc<Access>> {
        self.declarations.consumer(consumer)?.access.as_ref()
    }

    /// The channels of consumers that are run by the clock.
    pub fn schedules(&self) -> impl Iterator<Item = (&ChannelName, &Schedule)> {
        self.declarations.schedules().filter_map(|(consumer, schedule)| {
            let of = self.routes.iter().find(|spec| spec.consumer == *consumer)?;
            match &of.trigger {
                Trigger::Channel { channel, .. } => Some((channel, schedule)),
                Trigger::Http { .. } | Trigger::Websocket { .. } => None,
            }
        })
    }

    /// The groups that it has remembered, if there are some.
    fn histories(&self) -> Option<ModuleHistories> {
        let mut rules = self.declarations.histories().cloned().peekable();
        rules.peek()?;
        Some(ModuleHistories::new(rules, self.grants.history))
    }

    /// The routes that it declares.
    pub fn routes(&self) -> &[RouteSpec] {
        &self.routes
    }

    fn declared(&self) -> Declared<'_> {
        Declared {
            module: &self.name,
            routes: &self.routes,
            access: access(&self.declarations),
            resumes: resumes(&self.declarations),
            policy: policy(&self.settings, self.activation),
            files: &self.settings.files,
            retries: &self.settings.retries,
        }
    }
}

fn access(declarations: &Declarations) -> BTreeMap<Arc<str>, Arc<Access>> {
    let of =
        |(consumer, access): (&Arc<str>, &Arc<Access>)| (Arc::clone(consumer), Arc::clone(access));
    declarations.access().map(of).collect()
}

fn resumes(declarations: &Declarations) -> BTreeMap<Arc<str>, Duration> {
    declarations.resumes().map(|(consumer, window)| (Arc::clone(consumer), window)).collect()
}

fn policy(settings: &ModuleSettings, activation: u64) -> Policy {
    let beyond = settings.connections_beyond;
    let limit = |connections| UserLimit { connections, beyond };
    Policy {
        event_expiry: settings.event_expiry,
        deadline: settings.limits.deadline,
        on_fault: settings.on_fault,
        user_limit: settings.connections_per_user.map(limit),
        sections: settings.auth.clone(),
        activation,
    }
}

/// All active modules.
#[derive(Debug, Default)]
pub struct Modules {
    versions: HashMap<ModuleName, Arc<Version>>,
    /// The module that reads each channel.
    pub owners: Arc<HashMap<ChannelName, ModuleName>>,
    /// The channels that keep messages until they are done.
    pub lasting: Arc<HashMap<ChannelName, Lasting>>,
    /// The channels of requests to servers outside, of the modules that may reach one.
    pub fetchers: Arc<HashMap<ChannelName, ModuleName>>,
}

impl Modules {
    /// The active versions of all modules, in no order.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<Version>> {
        self.versions.values()
    }

    /// The active version of a module.
    pub fn version(&self, module: &ModuleName) -> Option<&Arc<Version>> {
        self.versions.get(module)
    }

    /// The channels that applications named, in order.
    pub fn custom_channels(&self) -> Vec<&ChannelName> {
        let mut channels: Vec<_> =
            self.owners.keys().filter(|channel| !channel.is_reserved()).collect();
        channels.sort();
        channels
    }

    /// Returns the code of a file, if the active version of a module or its fallback has it.
    pub(crate) fn program(&self, module: &ModuleName, digest: &str) -> Option<Arc<Program>> {
        let active = self.versions.get(module)?;
        let both = [Some(Arc::clone(active)), active.probation.fallback()];
        let mut programs = both.into_iter().flatten().map(|version| Arc::clone(&version.program));
        programs.find(|program| program.digest() == digest)
    }

    /// Whether a program is that of an active version.
    pub fn runs(&self, program: &Arc<Program>) -> bool {
        self.versions.values().any(|version| Arc::ptr_eq(&version.program, program))
    }
}

/// A change that the registry made by itself, to be kept in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// The version of an activation has proved itself.
    Proved {
        /// The module.
        module: ModuleName,
        /// The activation.
        activation: u64,
    },
    /// A version failed, and the one before is active.
    RolledBack {
        /// The module.
        module: ModuleName,
        /// The version that failed.
        from: u64,
        /// The active version.
        to: u64,
        /// The activation that this is.
        activation: u64,
        /// The version that the active one falls back on, if the active one is on probation.
        previous: Option<u64>,
        /// The failure.
        reason: String,
    },
}

/// Keeps the active modules and activates others.
#[derive(Debug)]
pub struct Registry {
    active: ArcSwap<Modules>,
    routes: Routes,
    histories: Histories,
    changed: watch::Sender<u64>,
    /// One change at a time.
    turn: Mutex<()>,
    reports: mpsc::Sender<Report>,
    /// Modules whose messages are left to other processes, which have a later activation.
    withheld: ArcSwap<HashSet<ModuleName>>,
    /// Notified when an event needs a later activation than the one here.
    behind: Notify,
    /// Modules whose circuit breaker opened. Locked for single operations only.
    rests: Mutex<HashMap<ModuleName, (u64, Rest)>>,
}

impl Default for Registry {
    /// Makes a registry without modules, whose reports nobody stores.
    fn default() -> Self {
        Self::new().0
    }
}

impl Registry {
    /// Makes a registry without modules, and the receiver of its reports.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Report>) {
        let (reports, reported) = mpsc::channel(REPORTS_QUEUED_MAX);
        let registry = Self {
            active: ArcSwap::default(),
            routes: Routes::default(),
            histories: Histories::default(),
            changed: watch::Sender::new(0),
            turn: Mutex::default(),
            reports,
            withheld: ArcSwap::default(),
            behind: Notify::new(),
            rests: Mutex::default(),
        };
        (registry, reported)
    }

    /// Returns the active modules.
    pub fn snapshot(&self) -> Arc<Modules> {
        self.active.load_full()
    }

    /// Returns the active routes, for interface servers.
    pub const fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Returns the groups that the active modules have remembered, for the layer.
    pub const fn histories(&self) -> &Histories {
        &self.histories
    }

    /// Subscribes to changes of the active modules.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Returns whether messages of a module are left to other processes.
    pub fn is_withheld(&self, module: &ModuleName) -> bool {
        self.withheld.load().contains(module)
    }

    /// Returns the modules whose messages are left to other processes.
    pub fn withheld(&self) -> Arc<HashSet<ModuleName>> {
        self.withheld.load_full()
    }

    /// Leaves the messages of these modules, and of no others, to other processes.
    pub(crate) fn withhold(&self, modules: HashSet<ModuleName>) {
        if **self.withheld.load() != modules {
            self.withheld.store(Arc::new(modules));
            self.changed.send_modify(|changes| *changes += 1);
        }
    }

    /// Requests that the store is asked for changes at once.
    pub fn hurry(&self) {
        self.behind.notify_one();
    }

    /// Waits for a request to ask the store at once.
    pub(crate) async fn hurried(&self) {
        self.behind.notified().await;
    }

    /// Checks that modules could be activated: their routes do not conflict with those of others.
    pub fn check(&self, candidates: &[Candidate]) -> Result<(), RouteError> {
        let modules = self.snapshot();
        let others = modules
            .versions
            .values()
            .filter(|version| candidates.iter().all(|candidate| candidate.name != version.name));
        let mut declared: Vec<_> = others.map(|version| version.declared()).collect();
        declared.sort_by_key(|declared| declared.module.clone());
        declared.extend(candidates.iter().map(|candidate| Declared {
            module: &candidate.name,
            routes: &candidate.routes,
            access: access(&candidate.declarations),
            resumes: resumes(&candidate.declarations),
            policy: policy(&candidate.settings, 0),
            files: &candidate.settings.files,
            retries: &candidate.settings.retries,
        }));
        RouteTable::build(&declared).map(drop)
    }

    /// Activates modules beside the others, or in their place: all or none. Each gets the activation that
    /// is given with it, or a higher one than it has had.
    pub fn activate(&self, candidates: Vec<(Candidate, u64)>) -> Result<Vec<u64>, RouteError> {
        self.swap(candidates, false)
    }

    /// Activates a module with the number that another process activated it with.
    pub(crate) fn adopt(&self, candidate: Candidate, activation: u64) -> Result<(), RouteError> {
        self.adopt_all(vec![(candidate, activation)])
    }

    /// Does the same with several modules, all or none, for the price of one.
    pub(crate) fn adopt_all(&self, candidates: Vec<(Candidate, u64)>) -> Result<(), RouteError> {
        self.swap(candidates, true).map(drop)
    }

    fn swap(
        &self,
        candidates: Vec<(Candidate, u64)>,
        exactly: bool,
    ) -> Result<Vec<u64>, RouteError> {
        // A panic while building changes nothing.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut versions = self.snapshot().versions.clone();
        let mut activations = Vec::with_capacity(candidates.len());
        for (candidate, at_least) in candidates {
            let before = versions.get(&candidate.name).cloned();
            let activation = match &before {
                Some(before) if !exactly => at_least.max(before.activation + 1),
                _ => at_least,
            };
            activations.push(activation);
            let Candidate { name, number, program, routes, declarations, settings, .. } = candidate;
            let Candidate { probation, active_since, .. } = candidate;
            let limits = Arc::new(settings.limits.clone());
            let grants = Arc::new(settings.grants.clone());
            let probation = match before {
                // Other settings leave the probation of the code as it is.
                Some(before) if probation && before.number == number => before.probation.resume(),
                Some(before) if probation => Probation::before(before),
                _ => Probation::default(),
            };
            let version = Version {
                name: name.clone(),
                number,
                activation,
                active_since: active_since.unwrap_or_else(SystemTime::now),
                program,
                declarations,
                settings,
                limits,
                grants,
                probation,
                routes,
            };
            versions.insert(name, Arc::new(version));
        }
        self.publish(versions)?;
        Ok(activations)
    }

    /// Deactivates a module.
    pub fn remove(&self, module: &ModuleName) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut versions = self.snapshot().versions.clone();
        if versions.remove(module).is_some() {
            self.publish(versions).expect("fewer routes have no conflicts that more had not");
        }
    }

    fn publish(&self, versions: HashMap<ModuleName, Arc<Version>>) -> Result<(), RouteError> {
        let mut sorted: Vec<_> = versions.values().collect();
        // A conflict is told the same way whatever the order of the map.
        sorted.sort_by(|a, b| a.name.cmp(&b.name));
        let declared: Vec<_> = sorted.iter().map(|version| version.declared()).collect();
        let table = RouteTable::build(&declared)?;
        let (owners, mut lasting) = (Arc::clone(table.owners()), Arc::clone(table.lasting()));
        let mut fetchers = HashMap::new();
        for version in versions.values().filter(|it| it.grants.outside.is_open()) {
            let channel = ChannelName::of_fetches(&version.name);
            Arc::make_mut(&mut lasting).insert(channel.clone(), version.grants.outside.lasting());
            fetchers.insert(channel, version.name.clone());
        }
        let fetchers = Arc::new(fetchers);
        let histories = versions
            .values()
            .filter_map(|version| Some((version.name.clone(), version.histories()?)));
        // Before a consumer runs that counts on them.
        self.histories.replace(histories);
        // Workers first: they must know every consumer that a new route leads to.
        self.active.store(Arc::new(Modules { versions, owners, lasting, fetchers }));
        self.routes.replace(table);
        self.changed.send_modify(|changes| *changes += 1);
        Ok(())
    }
}
