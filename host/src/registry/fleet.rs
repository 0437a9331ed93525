//! The processes that share a store: each says what it has in force and follows what others change.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    Deployments,
    store::{Met, ModuleReport, NodeReport, StoreError},
};
use crate::{
    message::{ModuleName, NodeName},
    shutdown::Drain,
    telemetry::{ByProtocol, Metrics},
};

/// How often the store is asked for changes.
const LOOK: Duration = Duration::from_millis(250);
/// How often it is asked while somebody waits for all.
const LOOK_SOON: Duration = Duration::from_millis(50);
/// How long a change waits for all processes.
const SETTLE: Duration = Duration::from_secs(10);

/// All processes that share a store, as one of them sees them.
#[derive(Debug)]
pub struct Fleet {
    deployments: Arc<Deployments>,
    metrics: Arc<Metrics>,
    node: NodeName,
    started: SystemTime,
    nodes: Mutex<Vec<NodeReport>>,
}

impl Fleet {
    /// A process among others. Where they share a store it reports until the drain stops.
    pub fn join(
        deployments: Arc<Deployments>,
        metrics: Arc<Metrics>,
        node: NodeName,
        started: SystemTime,
        drain: &Drain,
    ) -> Arc<Self> {
        let nodes = Mutex::default();
        let fleet = Arc::new(Self { deployments, metrics, node, started, nodes });
        if fleet.deployments.store().is_shared() {
            drain.spawn("fleet", keep(Arc::clone(&fleet), drain.clone()));
        }
        fleet
    }

    /// This process.
    pub const fn node(&self) -> &NodeName {
        &self.node
    }

    /// What this process has in force.
    fn report(&self) -> NodeReport {
        let open =
            |protocol| self.metrics.connections.get_or_create(&ByProtocol { protocol }).get();
        let modules = self.deployments.registry().snapshot();
        let mut modules: Vec<_> = (modules.versions())
            .map(|version| ModuleReport {
                name: version.name.as_str().to_owned(),
                version: version.number,
                digest: version.program.digest().to_owned(),
                fault: self.deployments.fault_of(&version.name),
            })
            .collect();
        modules.sort_by(|a, b| a.name.cmp(&b.name));
        NodeReport {
            node: self.node.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.started,
            connections: open("http") + open("websocket"),
            modules,
        }
    }

    async fn meet(&self) -> Result<Met, StoreError> {
        let met = self.deployments.store().meet(&self.report()).await?;
        met.nodes.clone_into(&mut self.nodes.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(met)
    }

    /// All live processes, by name; this one is always there, as it is now.
    pub fn nodes(&self) -> Vec<NodeReport> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let here = self.report();
        nodes.retain(|it| it.node != here.node);
        nodes.push(here);
        nodes.sort_by(|a, b| a.node.cmp(&b.node));
        nodes
    }

    /// Waits until all live processes have a file of a module in force, or it is not in force here
    /// any more, and 10 seconds at most. Returns all processes, as they are then.
    pub async fn settled(&self, module: &ModuleName, digest: &str) -> Vec<NodeReport> {
        let has = |node: &NodeReport| {
            node.modules.iter().any(|it| it.name == module.as_str() && it.digest == digest)
        };
        if self.deployments.store().is_shared() {
            let all = async {
                while has(&self.report())
                    && !self.meet().await.is_ok_and(|met| met.nodes.iter().all(has))
                {
                    sleep_until(Instant::now() + LOOK_SOON).await;
                }
            };
            if timeout_at(Instant::now() + SETTLE, all).await.is_err() {
                tracing::warn!(%module, "not all nodes have the version within {SETTLE:?}");
            }
        }
        self.nodes()
    }
}

async fn keep(fleet: Arc<Fleet>, drain: Drain) {
    tokio::select! {
        () = follow(&fleet) => {}
        () = drain.stopping() => {}
    }
    if let Err(error) = fleet.deployments.store().leave(&fleet.node.to_string()).await {
        tracing::debug!(%error, "what this process reported goes with its lease");
    }
}

async fn follow(fleet: &Fleet) {
    let mut seen: Option<(String, u64)> = None;
    loop {
        match fleet.meet().await {
            Ok(met) => {
                let now = Some((met.store, met.changes));
                if seen != now {
                    let emptied = match (&seen, &now) {
                        (Some((before, _)), Some((store, _))) => before != store,
                        _ => false,
                    };
                    match fleet.deployments.follow(emptied).await {
                        // Said at once, since others may wait for it.
                        Ok(true) => {
                            seen = now;
                            drop(fleet.meet().await);
                        }
                        Ok(false) => {}
                        Err(error) => tracing::warn!(%error, "changes of modules are not read"),
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "the store does not answer; trying again"),
        }
        sleep_until(Instant::now() + LOOK).await;
    }
}
