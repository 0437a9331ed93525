//! Probation: a new version proves itself on its first events. Events at which it fails are done again by the
//! version before, and after a few faults that version is activated again. The fallback is the last version that
//! has proved itself.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::SystemTime,
};

use arc_swap::ArcSwapOption;

use super::{Registry, Report, Version};
use crate::message::ModuleName;

/// Events of a probation.
const PROBATION_EVENTS: u32 = 100;
/// Faults among them that end it with a rollback.
const PROBATION_FAULTS_MAX: u32 = 5;

/// The progress of a new version on probation.
#[derive(Debug, Default)]
pub struct Probation {
    before: ArcSwapOption<Version>,
    events: AtomicU32,
    faults: AtomicU32,
}

impl Probation {
    /// Begins the probation of a version that replaces this one.
    pub(super) fn before(version: Arc<Version>) -> Self {
        // However many new versions follow each other, no more are kept than the one before and the last
        // one that has proved itself.
        let earlier = version.probation.before.load_full();
        if let Some(proved) = earlier.and_then(|it| it.probation.before.load_full()) {
            version.probation.before.store(Some(proved));
        }
        let probation = Self::default();
        probation.before.store(Some(version));
        probation
    }

    /// Continues the probation that a version had when another one replaced it.
    pub(super) fn resume(&self) -> Self {
        Self {
            before: ArcSwapOption::new(self.before.load_full()),
            events: AtomicU32::new(self.events.load(Ordering::Relaxed)),
            faults: AtomicU32::new(self.faults.load(Ordering::Relaxed)),
        }
    }

    /// Returns the version that is activated again if this one fails; none when it has proved itself.
    pub fn fallback(&self) -> Option<Arc<Version>> {
        let before = self.before.load_full()?;
        if before.probation.faults.load(Ordering::Relaxed) == 0 {
            return Some(before);
        }
        Some(before.probation.before.load_full().unwrap_or(before))
    }

    /// Whether the version is still on probation.
    pub fn is_on(&self) -> bool {
        self.before.load().is_some()
    }
}

impl Registry {
    /// Counts a run of a version on probation. Returns whether the version has failed, so that the version before
    /// is active now.
    pub async fn note(&self, version: &Version, fault: Option<&str>) -> bool {
        let probation = &version.probation;
        if !probation.is_on() {
            return false;
        }
        let failed = match fault {
            Some(_) => probation.faults.fetch_add(1, Ordering::Relaxed) + 1 == PROBATION_FAULTS_MAX,
            None => false,
        };
        let report = if failed {
            self.roll_back(version, fault.unwrap_or_default())
        } else if probation.events.fetch_add(1, Ordering::Relaxed) + 1 == PROBATION_EVENTS {
            // The old code may go.
            probation.before.store(None);
            let (module, activation) = (version.name.clone(), version.activation);
            Some(Report::Proved { module, activation })
        } else {
            None
        };
        let rolled_back = matches!(report, Some(Report::RolledBack { .. }));
        if let Some(report) = report {
            // Without a receiver the process stops.
            drop(self.reports.send(report).await);
        }
        rolled_back
    }

    fn roll_back(&self, failed: &Version, fault: &str) -> Option<Report> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let modules = self.snapshot();
        let module: &ModuleName = &failed.name;
        // Somebody has activated another one meanwhile.
        modules.version(module).filter(|it| it.activation == failed.activation)?;
        // It stays as the fallback: runs of the failed version that are under way are done again by it.
        let before = failed.probation.fallback()?;
        let reason = format!(
            "{PROBATION_FAULTS_MAX} of the first {PROBATION_EVENTS} events failed, the last one: {fault}; \
             version {} is active again",
            before.number
        );
        let activation = failed.activation + 1;
        let version = Version {
            name: module.clone(),
            number: before.number,
            activation,
            active_since: SystemTime::now(),
            program: Arc::clone(&before.program),
            declarations: Arc::clone(&before.declarations),
            settings: before.settings.clone(),
            limits: Arc::clone(&before.limits),
            grants: Arc::clone(&before.grants),
            probation: before.probation.resume(),
            routes: before.routes.clone(),
        };
        let mut versions = modules.versions.clone();
        versions.insert(module.clone(), Arc::new(version));
        if let Err(error) = self.publish(versions) {
            failed.probation.before.store(None);
            tracing::error!(
                %module, version = failed.number, %error, fault,
                "a new version fails and the one before cannot come back: its routes are taken"
            );
            return None;
        }
        tracing::error!(
            %module, version = failed.number, back = before.number, fault,
            "a new version failed and is rolled back"
        );
        let (from, to) = (failed.number, before.number);
        let previous = before.probation.before.load().as_ref().map(|it| it.number);
        let module = module.clone();
        Some(Report::RolledBack { module, from, to, activation, previous, reason })
    }
}
