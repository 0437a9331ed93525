//! The modules in force: an immutable snapshot, swapped as a whole.
//!
//! Whoever holds a snapshot goes on with it; when the last holder lets go, the old code is freed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::{
    engine::{Limits, Program},
    message::{ChannelName, ModuleName},
    routing::{
        Declared, Files, OnFault, Policy, RouteError, RouteSpec, RouteTable, Routes, Trigger,
    },
};

/// How a module is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleSettings {
    /// What an invocation may use.
    pub limits: Limits,
    /// How many events an instance serves. 1: each gets a fresh one.
    pub reuse: u32,
    /// How long an event may wait for a slot.
    pub event_expiry: Duration,
    /// What a connection does when an event of it failed or was lost.
    pub on_fault: OnFault,
    /// Directories that are served as they are.
    pub files: Vec<Files>,
}

impl Default for ModuleSettings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            reuse: 1,
            event_expiry: Duration::from_secs(10),
            on_fault: OnFault::Close,
            files: Vec::new(),
        }
    }
}

/// A module that is ready to be activated.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name.
    pub name: ModuleName,
    /// Its code.
    pub program: Arc<Program>,
    /// Its consumers.
    pub routes: Vec<RouteSpec>,
    /// How it is run.
    pub settings: ModuleSettings,
}

/// One version of a module.
#[derive(Debug)]
pub struct Version {
    /// The module's name.
    pub name: ModuleName,
    /// Counts the activations of all modules from 1.
    pub number: u64,
    /// The code.
    pub program: Arc<Program>,
    /// How it is run.
    pub settings: ModuleSettings,
    /// The limits again, shared with every run.
    pub limits: Arc<Limits>,
    routes: Vec<RouteSpec>,
}

impl Version {
    /// The consumer of that name, if the version has it.
    pub fn consumer(&self, name: &str) -> Option<&Arc<str>> {
        self.routes.iter().map(|spec| &spec.consumer).find(|consumer| &***consumer == name)
    }

    /// The consumer of a channel of the application.
    pub fn consumer_of(&self, channel: &ChannelName) -> Option<&Arc<str>> {
        let reads =
            |spec: &&RouteSpec| matches!(&spec.trigger, Trigger::Channel(c) if c == channel);
        self.routes.iter().find(reads).map(|spec| &spec.consumer)
    }

    fn policy(&self) -> Policy {
        Policy {
            event_expiry: self.settings.event_expiry,
            deadline: self.settings.limits.deadline,
            on_fault: self.settings.on_fault,
        }
    }
}

/// All modules in force.
#[derive(Debug, Default)]
pub struct Modules {
    versions: HashMap<ModuleName, Arc<Version>>,
    /// Which module reads which channel.
    pub owners: Arc<HashMap<ChannelName, ModuleName>>,
}

impl Modules {
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

    /// Whether a program is that of an active version.
    pub fn runs(&self, program: &Arc<Program>) -> bool {
        self.versions.values().any(|version| Arc::ptr_eq(&version.program, program))
    }
}

/// What an activation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The version has this number now.
    Activated(u64),
    /// The active version has the same code and settings.
    Unchanged(u64),
}

/// Keeps the modules in force and puts others in force.
#[derive(Debug)]
pub struct Registry {
    active: ArcSwap<Modules>,
    routes: Routes,
    changed: watch::Sender<u64>,
    /// One activation at a time; holds the last number given out.
    numbers: Mutex<u64>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// A registry without modules.
    pub fn new() -> Self {
        Self {
            active: ArcSwap::default(),
            routes: Routes::default(),
            changed: watch::Sender::new(0),
            numbers: Mutex::new(0),
        }
    }

    /// The modules in force now.
    pub fn snapshot(&self) -> Arc<Modules> {
        self.active.load_full()
    }

    /// The routes in force, for interface servers.
    pub const fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Tells when other modules are in force.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Puts modules in force beside those that are, or in their place. All or none.
    pub fn activate(&self, candidates: Vec<Candidate>) -> Result<Vec<Activation>, RouteError> {
        // A panic while building leaves the number as it was.
        let mut last = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut number = *last;
        let mut versions = self.snapshot().versions.clone();
        let mut activations = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let same = versions.get(&candidate.name).filter(|version| {
                version.program.digest() == candidate.program.digest()
                    && version.settings == candidate.settings
            });
            if let Some(version) = same {
                activations.push(Activation::Unchanged(version.number));
                continue;
            }
            number += 1;
            activations.push(Activation::Activated(number));
            let Candidate { name, program, routes, settings } = candidate;
            let limits = Arc::new(settings.limits.clone());
            let version = Version { name: name.clone(), number, program, settings, limits, routes };
            versions.insert(name, Arc::new(version));
        }
        self.put_in_force(versions)?;
        *last = number;
        Ok(activations)
    }

    fn put_in_force(&self, versions: HashMap<ModuleName, Arc<Version>>) -> Result<(), RouteError> {
        let mut sorted: Vec<_> = versions.values().collect();
        // A conflict is told the same way whatever the order of the map.
        sorted.sort_by_key(|version| version.number);
        let declared: Vec<_> = sorted
            .iter()
            .map(|version| Declared {
                module: &version.name,
                routes: &version.routes,
                policy: version.policy(),
                files: &version.settings.files,
            })
            .collect();
        let table = RouteTable::build(&declared)?;
        let owners = Arc::clone(table.owners());
        // Workers first: they must know every consumer that a new route leads to.
        self.active.store(Arc::new(Modules { versions, owners }));
        self.routes.replace(table);
        self.changed.send_modify(|changes| *changes += 1);
        Ok(())
    }
}
