//! All live processes prepare the code of a version before it becomes active in any of them, since each of
//! them may take the next event of a connection.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::{
    DeployError, Deployments,
    preparations::{Asked, View},
};
use crate::{
    engine::Program,
    message::{ModuleName, NodeName},
    registry::{
        Candidate,
        store::{Met, NodeReport, Prepared, Preparing},
    },
};

/// How much longer than a compilation a preparation may take.
const PREPARE_MARGIN: Duration = Duration::from_secs(10);

/// A process that does not have the code of a version that becomes active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The process.
    pub node: String,
    /// Why.
    pub reason: String,
}

/// The state of a file in another process.
enum Readiness<'a> {
    Ready,
    Failed(&'a str),
    Pending,
}

/// Keeps the request to prepare a file until it is dropped. Processes poll more often meanwhile, so they soon
/// hear of the commit.
#[derive(Debug, Default)]
pub(super) struct Spread {
    _asked: Option<Asked>,
    pub(super) left_out: Vec<LeftOut>,
}

impl Deployments {
    /// Asks all live processes to prepare a candidate, and waits as long as a compilation may take.
    /// A process that fails or takes longer is left out.
    pub(super) async fn spread(
        &self,
        candidate: &Candidate,
        wasm: Option<&Bytes>,
    ) -> Result<Spread, DeployError> {
        if !self.store.is_shared() {
            return Ok(Spread::default());
        }
        let (module, digest) = (&candidate.name, candidate.program.digest());
        let patience = self.loader.compile_time() + PREPARE_MARGIN;
        if let Some(wasm) = wasm {
            self.store.offer(module, digest, wasm, patience + PREPARE_MARGIN).await?;
        }
        let asked = self.preparations.ask(module, digest);
        let until = Instant::now() + patience;
        let mut views = self.preparations.views();
        let view = loop {
            let view = views.borrow_and_update().clone();
            // Reports from before the request do not answer it.
            let view = view.filter(|view| {
                let here = view.met.nodes.iter().find(|node| node.node == view.here);
                here.is_some_and(|node| node.preparing.iter().any(|it| it.id == asked.id))
            });
            let is_pending = |node: &NodeReport| {
                matches!(readiness(node, module, digest, &asked.id), Readiness::Pending)
            };
            match view {
                Some(view) if !view.others().any(is_pending) => break Some(view),
                last => match timeout_at(until, views.changed()).await {
                    Ok(Ok(())) => {}
                    _ => break last,
                },
            }
        };
        let left_out = match &view {
            Some(view) => left_out(view, candidate, &asked.id, patience),
            None => Vec::new(),
        };
        let checked = view.map_or(Ok(()), |view| check_workers(&view, candidate, &left_out));
        if let Err(error) = checked {
            self.take_back(candidate, wasm.is_some()).await;
            return Err(error);
        }
        for LeftOut { node, reason } in &left_out {
            tracing::warn!(
                %module, version = candidate.number, node, reason,
                "a process could not prepare a version that becomes active; it leaves the module's \
                 messages to other workers"
            );
        }
        Ok(Spread { _asked: Some(asked), left_out })
    }

    /// Takes back a file that was offered, after the commit or instead of it.
    pub(super) async fn take_back(&self, candidate: &Candidate, was_offered: bool) {
        if !was_offered || !self.store.is_shared() {
            return;
        }
        let taken = self.store.take_back(&candidate.name, candidate.program.digest()).await;
        if let Err(error) = taken {
            tracing::debug!(%error, "a file that was offered goes with its time to live");
        }
    }

    /// Prepares one file that another process asks for. Returns whether there was one.
    pub(in crate::registry) async fn prepare_for_others(&self) -> bool {
        let view = self.preparations.views().borrow().clone();
        let Some(next) = view.and_then(|view| self.preparations.next(&view)) else { return false };
        let fault = self.prepare_one(&next).await.err();
        if let Some(fault) = &fault {
            let Preparing { module, digest, .. } = &next;
            tracing::error!(
                module,
                digest,
                fault,
                "a file that another process deploys cannot be prepared here"
            );
        }
        self.preparations.note(next, fault);
        true
    }

    async fn prepare_one(
        &self,
        Preparing { module, digest, .. }: &Preparing,
    ) -> Result<(), String> {
        let said = |error: &dyn ToString| error.to_string();
        let module = ModuleName::parse(module).map_err(|error| said(&error))?;
        if self.code_at_hand(&module, digest).is_some() {
            return Ok(());
        }
        let wasm = self.store.wasm(&module, digest).await.map_err(|error| said(&error))?;
        let written = self.manifest(&module).map(|it| it.settings).unwrap_or_default();
        let settings = self.settings(&module, &written).map_err(|error| said(&error))?;
        let candidate = self.loader.candidate(module, 0, wasm.into(), settings).await;
        self.loader.keep_prepared(candidate.map_err(|error| said(&error))?.program);
        Ok(())
    }

    /// Keeps the reports of all processes. Leaves modules to other workers whose activation this process does
    /// not have.
    pub(in crate::registry) fn hear(&self, here: &NodeName, met: &Met) {
        let modules = self.registry.snapshot();
        let name = here.to_string();
        let can_run = |node: &NodeReport, module: &ModuleName, activation: u64| {
            node.node != name
                && node.slots > Some(0)
                && node.module(module.as_str()).is_some_and(|it| it.activation >= Some(activation))
        };
        let is_behind = |&(module, &activation): &(&ModuleName, &u64)| {
            modules.version(module).is_some_and(|version| version.activation < activation)
                && met.nodes.iter().any(|node| can_run(node, module, activation))
        };
        let stored = self.stored();
        let behind: HashSet<_> =
            stored.iter().filter(is_behind).map(|(module, _)| module.clone()).collect();
        drop(stored);
        self.registry.withhold(behind);
        self.preparations.hear(here, met.clone());
    }

    /// Waits until there is a reason to poll at once.
    pub(in crate::registry) async fn hurried(&self) {
        tokio::select! {
            () = self.preparations.news() => {}
            () = self.registry.hurried() => {}
        }
    }
}

/// Refuses a version that no worker can run.
fn check_workers(
    view: &View,
    candidate: &Candidate,
    left_out: &[LeftOut],
) -> Result<(), DeployError> {
    let nodes = &view.met.nodes;
    // Earlier releases do not report their slots.
    if nodes.iter().any(|node| node.slots.is_none()) {
        return Ok(());
    }
    let mut workers = nodes.iter().filter(|node| node.slots > Some(0)).peekable();
    let is_left_out = |node: &&NodeReport| left_out.iter().any(|it| it.node == node.node);
    let Some(first) = workers.peek().and_then(|it| left_out.iter().find(|out| out.node == it.node))
    else {
        return Ok(());
    };
    if workers.all(|node| is_left_out(&node)) {
        let module = candidate.name.clone();
        let LeftOut { node, reason } = first.clone();
        return Err(DeployError::NoWorker { module, node, reason });
    }
    Ok(())
}

fn readiness<'a>(
    node: &'a NodeReport,
    module: &ModuleName,
    digest: &str,
    id: &str,
) -> Readiness<'a> {
    // Earlier releases do not prepare.
    let Some(prepared) = &node.prepared else { return Readiness::Ready };
    match prepared.iter().find(|it| it.id == id) {
        Some(Prepared { fault: Some(fault), .. }) => Readiness::Failed(fault),
        Some(_) => Readiness::Ready,
        None if node.module(module.as_str()).is_some_and(|it| it.digest == digest) => {
            Readiness::Ready
        }
        None => Readiness::Pending,
    }
}

fn left_out(view: &View, candidate: &Candidate, id: &str, patience: Duration) -> Vec<LeftOut> {
    let (module, digest) = (&candidate.name, candidate.program.digest());
    let out = |node: &NodeReport| {
        let reason = match readiness(node, module, digest, id) {
            Readiness::Ready => return None,
            Readiness::Failed(fault) => fault.to_owned(),
            Readiness::Pending => format!("it is not compiled there within {patience:?}"),
        };
        Some(LeftOut { node: node.node.clone(), reason })
    };
    view.others().filter_map(out).collect()
}

impl Deployments {
    pub(super) fn stored(&self) -> MutexGuard<'_, BTreeMap<ModuleName, u64>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns code of a file that is already in memory.
    pub(super) fn code_at_hand(&self, module: &ModuleName, digest: &str) -> Option<Arc<Program>> {
        let prepared = self.loader.prepared_program(digest);
        prepared.or_else(|| self.registry.snapshot().program(module, digest))
    }
}
