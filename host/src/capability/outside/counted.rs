//! The guard of a client: what it refuses a module is counted, and what a dry run passes over is told.

use std::{net::IpAddr, sync::Arc};

use super::{OutsideGrant, Refusal, Target};
use crate::{
    message::ModuleName,
    telemetry::{Metrics, OutsideRefusal, WarnLimit},
};

/// Judges the requests of one client.
#[derive(Debug)]
pub(super) struct CountedGuard {
    /// Whose client it is; none for the host's own, which tells itself why it gets no document.
    module: Option<ModuleName>,
    grant: OutsideGrant,
    metrics: Arc<Metrics>,
    warnings: WarnLimit,
}

impl CountedGuard {
    pub(super) fn new(
        module: Option<&ModuleName>,
        grant: &OutsideGrant,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (module, grant, warnings) = (module.cloned(), grant.clone(), WarnLimit::default());
        Self { module, grant, metrics, warnings }
    }

    /// Scheme, host and port of a request; none for one that is refused. Nothing is counted.
    pub(super) fn server(&self, url: &str) -> Option<String> {
        Some(self.grant.check(url).ok()?.target.origin().to_string())
    }

    /// [`OutsideGrant::check`], counted.
    pub(super) fn check(&self, url: &str) -> Result<Target, Refusal> {
        let admitted = self.grant.check(url);
        let admitted = admitted.inspect_err(|refusal| self.count(refusal, "refused"))?;
        if let Some(refusal) = &admitted.passed_over {
            self.count(refusal, "dry_run");
            if let Some(module) = &self.module
                && let Some(held_back) = self.warnings.admit()
            {
                tracing::warn!(%module, %refusal, held_back, "a dry run makes a request that is refused without it");
            }
        }
        Ok(admitted.target)
    }

    /// [`Destinations::check_addresses`](super::Destinations::check_addresses), counted.
    pub(super) fn check_addresses(
        &self,
        target: &Target,
        found: impl Iterator<Item = IpAddr>,
    ) -> Result<Vec<IpAddr>, Refusal> {
        let checked = self.grant.destinations.check_addresses(target, found);
        checked.inspect_err(|refusal| self.count(refusal, "refused"))
    }

    fn count(&self, refusal: &Refusal, action: &'static str) {
        let Some(module) = &self.module else { return };
        let module = module.as_str().to_owned();
        let by = OutsideRefusal { module, reason: refusal.reason().label(), action };
        self.metrics.outside_refusals.get_or_create(&by).inc();
    }
}
