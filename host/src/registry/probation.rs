//! A new version proves itself on its first events. While it does, what it fails at is done by the
//! version before, and after a few faults that version comes back by itself. A version that has failed at
//! something while it had yet to prove itself is passed over, for the last one that has.

use std::sync::{
    Arc, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use arc_swap::ArcSwapOption;

use super::{Registry, Report, Version};
use crate::message::ModuleName;

/// Events that a new version is watched for.
const EVENTS: u32 = 100;
/// Faults among them that end it.
const FAULTS: u32 = 5;

/// How a new version has done so far. Without one, nothing is watched.
#[derive(Debug, Default)]
pub struct Probation {
    before: ArcSwapOption<Version>,
    events: AtomicU32,
    faults: AtomicU32,
}

impl Probation {
    /// A new version takes the place of this one.
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

    /// Goes on where a version stood when another one took its place.
    pub(super) fn resume(&self) -> Self {
        Self {
            before: ArcSwapOption::new(self.before.load_full()),
            events: AtomicU32::new(self.events.load(Ordering::Relaxed)),
            faults: AtomicU32::new(self.faults.load(Ordering::Relaxed)),
        }
    }

    /// The version that comes back if this one fails, or has come back; none when it has proved
    /// itself.
    pub fn fallback(&self) -> Option<Arc<Version>> {
        let before = self.before.load_full()?;
        if before.probation.faults.load(Ordering::Relaxed) == 0 {
            return Some(before);
        }
        Some(before.probation.before.load_full().unwrap_or(before))
    }

    /// Whether the version has yet to prove itself.
    pub fn is_on(&self) -> bool {
        self.before.load().is_some()
    }
}

impl Registry {
    /// Notes how a run of a version on probation ended. Returns whether the version before is in
    /// force now: the version has failed.
    pub async fn note(&self, version: &Version, fault: Option<&str>) -> bool {
        let probation = &version.probation;
        if !probation.is_on() {
            return false;
        }
        let failed = match fault {
            Some(_) => probation.faults.fetch_add(1, Ordering::Relaxed) + 1 == FAULTS,
            None => false,
        };
        let report = if failed {
            self.roll_back(version, fault.unwrap_or_default())
        } else if probation.events.fetch_add(1, Ordering::Relaxed) + 1 == EVENTS {
            // The old code may go.
            probation.before.store(None);
            let (module, activation) = (version.name.clone(), version.activation);
            Some(Report::Proved { module, activation })
        } else {
            None
        };
        let rolled_back = matches!(report, Some(Report::RolledBack { .. }));
        if let Some(report) = report {
            // Without anybody who listens the process stops.
            drop(self.reports.send(report).await);
        }
        rolled_back
    }

    fn roll_back(&self, failed: &Version, fault: &str) -> Option<Report> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let modules = self.snapshot();
        let module: &ModuleName = &failed.name;
        // Somebody has put another one in force meanwhile.
        modules.version(module).filter(|it| it.activation == failed.activation)?;
        // It stays there: runs of the failed version that are under way are done again by it.
        let before = failed.probation.fallback()?;
        let reason = format!(
            "{FAULTS} of the first {EVENTS} events failed, the last one: {fault}; \
             version {} is in force again",
            before.number
        );
        let activation = failed.activation + 1;
        let version = Version {
            name: module.clone(),
            number: before.number,
            activation,
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
        if let Err(error) = self.put_in_force(versions) {
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
