//! The processes that share a store: each reports its active modules and follows the changes of others.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    Deployments, Standing, Summary,
    deployments::LeftOut,
    rest::Rest,
    store::{Met, ModuleReport, NodeReport, Resting, StoreError},
};
use crate::{
    message::{ModuleName, NodeName},
    shutdown::Drain,
    telemetry::{ByProtocol, Metrics},
};

/// The time between two requests to the store for changes.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// The same while a process is about to activate a version.
const BUSY_POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The shortest pause between two requests.
const LEAST_POLL_INTERVAL: Duration = Duration::from_millis(10);
/// How long a change waits for all processes.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a process that starts waits until it has the stored modules.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(90);

/// All processes that share a store, as one of them sees them.
#[derive(Debug)]
pub struct Fleet {
    deployments: Arc<Deployments>,
    metrics: Arc<Metrics>,
    node: NodeName,
    questions: Option<u32>,
    started: SystemTime,
    nodes: Mutex<Vec<NodeReport>>,
    /// Whether this process has once adopted all stored modules.
    caught_up: watch::Sender<bool>,
}

impl Fleet {
    /// Makes a process one of the fleet, with the version of the questions that it answers. Where processes share a store it reports until the drain stops.
    pub fn join(
        deployments: Arc<Deployments>,
        metrics: Arc<Metrics>,
        (node, questions): (NodeName, Option<u32>),
        started: SystemTime,
        drain: &Drain,
    ) -> Arc<Self> {
        let (nodes, caught_up) = (Mutex::default(), watch::Sender::new(false));
        let fleet =
            Arc::new(Self { deployments, metrics, node, questions, started, nodes, caught_up });
        if fleet.deployments.store().is_shared() {
            drain.spawn("fleet", keep(Arc::clone(&fleet), drain.clone()));
        }
        fleet
    }

    /// This process.
    pub const fn node(&self) -> &NodeName {
        &self.node
    }

    /// The report on this process.
    fn report(&self) -> NodeReport {
        let open =
            |protocol| self.metrics.connections.get_or_create(&ByProtocol { protocol }).get();
        let modules = self.deployments.registry().snapshot();
        let mut modules: Vec<_> = (modules.versions())
            .map(|version| ModuleReport {
                name: version.name.as_str().to_owned(),
                version: version.number,
                activation: Some(version.activation),
                digest: version.program.digest().to_owned(),
                fault: self.deployments.fault_of(&version.name),
                resting: self.deployments.registry().rest(&version.name).map(Into::into),
            })
            .collect();
        modules.sort_by(|a, b| a.name.cmp(&b.name));
        let (preparing, prepared) = self.deployments.preparations();
        NodeReport {
            node: self.node.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.started,
            connections: open("http") + open("websocket"),
            questions: self.questions,
            slots: u64::try_from(self.metrics.slots.get()).ok(),
            modules,
            preparing,
            prepared: Some(prepared),
        }
    }

    async fn meet(&self) -> Result<Met, StoreError> {
        let met = self.deployments.store().meet(&self.report()).await?;
        met.nodes.clone_into(&mut self.nodes.lock().unwrap_or_else(PoisonError::into_inner));
        self.deployments.hear(&self.node, &met);
        Ok(met)
    }

    /// Returns the reports of all live processes, by name; that of this one is made now.
    pub fn nodes(&self) -> Vec<NodeReport> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let here = self.report();
        nodes.retain(|it| it.node != here.node);
        nodes.push(here);
        nodes.sort_by(|a, b| a.node.cmp(&b.node));
        nodes
    }

    /// The same, also of processes that began just now: where processes share a store it is asked for them. If it does
    /// not answer, those are returned that were known before.
    ///
    /// The admin API calls it before it asks all processes for something. Dropping the future changes nothing.
    pub async fn nodes_now(&self) -> Vec<NodeReport> {
        if self.deployments.store().is_shared()
            && let Err(error) = self.meet().await
        {
            tracing::debug!(%error, "processes that began just now may be missing");
        }
        self.nodes()
    }

    /// Marks a module as resting if it rests in any process.
    pub fn with_rests(&self, mut summary: Summary) -> Summary {
        let nodes = self.nodes();
        let rests = nodes.iter().filter_map(|node| node.module(summary.name.as_str()));
        let rests = rests.filter_map(|module| module.resting.clone()).map(Rest::from);
        let now = SystemTime::now();
        let last = rests.filter(|rest| rest.until > now).max_by_key(|rest| rest.until);
        if let (Some(rest), true) = (last, summary.standing != Standing::Failed) {
            summary.standing = Standing::Resting;
            summary.fault = Some(rest.fault.clone());
            summary.resting = Some(rest);
        }
        summary
    }

    /// Waits until this process has adopted all stored modules, so that it does not serve with older ones. Gives
    /// up when the store is away for too long.
    pub async fn caught_up(&self) {
        if !self.deployments.store().is_shared() {
            return;
        }
        let mut caught_up = self.caught_up.subscribe();
        let until = Instant::now() + CATCH_UP_TIMEOUT;
        if timeout_at(until, caught_up.wait_for(|&it| it)).await.is_err() {
            tracing::warn!("the modules of the store are not all read within {CATCH_UP_TIMEOUT:?}");
        }
    }

    /// Waits up to 10 s until every live process that is not left out runs this file. Returns early if this
    /// process no longer does. Returns the reports of all processes.
    pub async fn settled(
        &self,
        module: &ModuleName,
        digest: &str,
        left_out: &[LeftOut],
    ) -> Vec<NodeReport> {
        let has = |node: &NodeReport| {
            node.module(module.as_str()).is_some_and(|it| it.digest == digest)
                || left_out.iter().any(|it| it.node == node.node)
        };
        if self.deployments.store().is_shared() {
            let all = async {
                while has(&self.report())
                    && !self.meet().await.is_ok_and(|met| met.nodes.iter().all(has))
                {
                    sleep_until(Instant::now() + BUSY_POLL_INTERVAL).await;
                }
            };
            if timeout_at(Instant::now() + SETTLE_TIMEOUT, all).await.is_err() {
                tracing::warn!(%module, "not all nodes have the version within {SETTLE_TIMEOUT:?}");
            }
        }
        self.nodes()
    }
}

impl From<Rest> for Resting {
    fn from(Rest { until, fault }: Rest) -> Self {
        Self { until, fault }
    }
}

impl From<Resting> for Rest {
    fn from(Resting { until, fault }: Resting) -> Self {
        Self { until, fault }
    }
}

async fn keep(fleet: Arc<Fleet>, drain: Drain) {
    // Side by side: a process that compiles must go on reporting, or its lease ends.
    let all = async { tokio::join!(report(&fleet), follow(&fleet), prepare(&fleet)) };
    tokio::select! {
        _ = all => {}
        () = drain.stopping() => {}
    }
    if let Err(error) = fleet.deployments.store().leave(&fleet.node.to_string()).await {
        tracing::debug!(%error, "what this process reported goes with its lease");
    }
}

async fn report(fleet: &Fleet) {
    loop {
        let began = Instant::now();
        if let Err(error) = fleet.meet().await {
            tracing::debug!(%error, "the store does not answer; trying again");
        }
        sleep_until(began + LEAST_POLL_INTERVAL).await;
        let is_busy = fleet.deployments.is_preparing();
        let interval = if is_busy { BUSY_POLL_INTERVAL } else { POLL_INTERVAL };
        tokio::select! {
            () = sleep_until(began + interval) => {}
            () = fleet.deployments.hurried() => {}
        }
    }
}

async fn follow(fleet: &Fleet) {
    let mut views = fleet.deployments.views();
    let mut seen: Option<(String, u64)> = None;
    while views.changed().await.is_ok() {
        let view = views.borrow_and_update().clone();
        let now = view.map(|view| (view.met.store.clone(), view.met.changes));
        if seen == now {
            continue;
        }
        let emptied = match (&seen, &now) {
            (Some((before, _)), Some((store, _))) => before != store,
            _ => false,
        };
        match fleet.deployments.follow(emptied).await {
            // Reported at once, since others may wait for it.
            Ok(true) => {
                seen = now;
                fleet.caught_up.send_replace(true);
                fleet.deployments.registry().hurry();
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "changes of modules are not read"),
        }
    }
}

async fn prepare(fleet: &Fleet) {
    let mut views = fleet.deployments.views();
    while views.changed().await.is_ok() {
        while fleet.deployments.prepare_for_others().await {}
    }
}
