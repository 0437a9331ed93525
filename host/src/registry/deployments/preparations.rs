//! Files that processes ask each other to prepare before a version becomes active.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, watch};

use crate::{
    message::{CorrelationId, ModuleName, NodeName},
    registry::store::{Met, NodeReport, Prepared, Preparing},
};

/// The reports of all processes when this one last reported.
#[derive(Clone, Debug)]
pub(in crate::registry) struct View {
    /// This process.
    pub(in crate::registry) here: String,
    /// All of them.
    pub(in crate::registry) met: Met,
}

impl View {
    /// The other processes.
    pub(super) fn others(&self) -> impl Iterator<Item = &NodeReport> {
        self.met.nodes.iter().filter(|node| node.node != self.here)
    }
}

/// Shared by the task that reports, the task that prepares, and changes of modules.
#[derive(Debug, Default)]
pub(super) struct Preparations {
    /// Locked for single operations only.
    asked: Mutex<Vec<Preparing>>,
    /// Locked for single operations only.
    done: Mutex<BTreeMap<String, Prepared>>,
    view: watch::Sender<Option<Arc<View>>>,
    /// Notified when there is something to report.
    news: Notify,
}

/// Asks all processes to prepare a file until it is dropped.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: String,
    preparations: Arc<Preparations>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.preparations.asked().retain(|asked| asked.id != self.id);
    }
}

impl Preparations {
    fn asked(&self) -> MutexGuard<'_, Vec<Preparing>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn done(&self) -> MutexGuard<'_, BTreeMap<String, Prepared>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks all processes to prepare a file.
    pub(super) fn ask(self: &Arc<Self>, module: &ModuleName, digest: &str) -> Asked {
        let id = CorrelationId::random().to_string();
        let (module, digest) = (module.as_str().to_owned(), digest.to_owned());
        self.asked().push(Preparing { id: id.clone(), module, digest });
        self.news.notify_one();
        Asked { id, preparations: Arc::clone(self) }
    }

    /// Announces that a change has begun, so that all processes poll more often.
    pub(super) fn announce(self: &Arc<Self>, module: &ModuleName) -> Asked {
        self.ask(module, "")
    }

    /// Returns the files that are asked for, and those that are prepared.
    pub(super) fn report(&self) -> (Vec<Preparing>, Vec<Prepared>) {
        (self.asked().clone(), self.done().values().cloned().collect())
    }

    /// Keeps the reports of all processes.
    pub(super) fn hear(&self, here: &NodeName, met: Met) {
        self.view.send_replace(Some(Arc::new(View { here: here.to_string(), met })));
    }

    /// Subscribes to the reports.
    pub(super) fn views(&self) -> watch::Receiver<Option<Arc<View>>> {
        self.view.subscribe()
    }

    /// Waits until there is something to report at once.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// Returns whether a process is about to activate a version.
    pub(super) fn are_under_way(&self) -> bool {
        let is_asked = |view: &Arc<View>| view.others().any(|node| !node.preparing.is_empty());
        !self.asked().is_empty() || self.view.borrow().as_ref().is_some_and(is_asked)
    }

    /// Returns a file that another process asks for and that is not prepared yet. Forgets results that no
    /// process asks for any more.
    pub(super) fn next(&self, view: &View) -> Option<Preparing> {
        let asked = view.others().flat_map(|node| &node.preparing);
        let wanted: Vec<_> = asked.filter(|asked| !asked.digest.is_empty()).collect();
        let mut done = self.done();
        done.retain(|id, _| wanted.iter().any(|it| it.id == *id));
        wanted.into_iter().find(|it| !done.contains_key(&it.id)).cloned()
    }

    /// Notes the result of a preparation.
    pub(super) fn note(&self, of: Preparing, fault: Option<String>) {
        let Preparing { id, digest, .. } = of;
        self.done().insert(id.clone(), Prepared { id, digest, fault });
        self.news.notify_one();
    }
}
