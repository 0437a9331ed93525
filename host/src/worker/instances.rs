//! The instances that a slot keeps between runs.

use std::sync::Arc;

use crate::{
    engine::{Instance, Program, WARM_PER_SLOT},
    registry::{Modules, Version},
    telemetry::Metrics,
};

/// Instances that wait for a message, and the one that ran last.
pub(super) struct Instances {
    metrics: Arc<Metrics>,
    /// The one that ran or was made last at the end. The pool has room for [`WARM_PER_SLOT`] of them.
    waiting: Vec<Waiting>,
    /// The instance that ran and will not run again. Dropping it clears its memory, so it waits for the answer.
    spent: Option<Instance>,
    last: Option<Arc<Version>>,
    /// Whether the last version ran twice in a row. Then the next message is likely to be for it, too.
    repeats: bool,
}

struct Waiting {
    instance: Instance,
    /// Set if nothing has run on it.
    _ready: Option<Ready>,
}

/// Counts an instance while it waits for its first run.
struct Ready(Arc<Metrics>);

impl Ready {
    fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.instances_ready.inc();
        Self(Arc::clone(metrics))
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        self.0.instances_ready.dec();
    }
}

impl Instances {
    pub(super) const fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, waiting: Vec::new(), spent: None, last: None, repeats: false }
    }

    /// Drops instances of versions that are not active any more.
    pub(super) fn forget_inactive(&mut self, modules: &Modules) {
        self.waiting.retain(|it| modules.runs(it.instance.program()));
        self.last = self.last.take().filter(|version| modules.runs(&version.program));
    }

    /// An instance for a run of a program, if one waits.
    pub(super) fn take(&mut self, program: &Arc<Program>) -> Option<Instance> {
        let at = self.waiting.iter().position(|it| it.instance.is_of(program))?;
        Some(self.waiting.remove(at).instance)
    }

    /// Takes an instance back after a run of a version. It runs again only if nothing can throw that run away.
    pub(super) fn put_back(
        &mut self,
        version: &Arc<Version>,
        instance: Option<Instance>,
        is_settled: bool,
    ) {
        self.repeats = self.last.as_ref().is_some_and(|last| Arc::ptr_eq(last, version));
        self.last = Some(Arc::clone(version));
        match instance {
            Some(instance) if is_settled && instance.runs() < version.settings.reuse => {
                self.wait(Waiting { instance, _ready: None });
            }
            spent => self.spent = spent,
        }
    }

    /// Clears the memory of the instance that ran last.
    pub(super) fn drop_spent(&mut self) {
        self.spent = None;
    }

    /// Makes an instance for the next message, where the same version has run twice in a row and no instance
    /// of it waits. The slot calls it before it sleeps. Dropping the future drops the instance.
    pub(super) async fn prepare(&mut self) {
        let Some(version) = self.last.as_ref().filter(|_| self.repeats) else { return };
        // A start that fails is not tried again until the version has run.
        self.repeats = false;
        if self.waiting.iter().any(|it| it.instance.is_of(&version.program)) {
            return;
        }
        let made = version.program.prepare(&version.limits, &version.grants).await;
        if let Some(instance) = made {
            let ready = Some(Ready::new(&self.metrics));
            self.wait(Waiting { instance, _ready: ready });
        }
    }

    fn wait(&mut self, waiting: Waiting) {
        if self.waiting.len() >= WARM_PER_SLOT {
            self.waiting.remove(0);
        }
        self.waiting.push(waiting);
    }
}
