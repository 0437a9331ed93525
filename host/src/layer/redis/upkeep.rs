//! What a process does all the time: renews its leases, registers again what was lost, sends what is
//! due, and sweeps what is over.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Shared, node::Node, wire::VERSION};
use crate::{layer::LayerError, message::CorrelationId, outage::Outage, redis::micros};

/// How often messages that are due are looked for, when this process knows of none.
const LOOK: Duration = Duration::from_secs(1);
/// Every so many leases all registrations are made again: whatever was lost, it is not for long.
const ASSERT_AGAIN: u32 = 100;
/// How soon registrations are made again if that fails after a reconnect.
const AGAIN: Duration = Duration::from_millis(100);

/// Renews the leases of one partition, for ever.
pub(super) async fn renew(shared: Arc<Shared>, partition: usize) {
    let Some(link) = shared.links.get(partition) else { return };
    let (mut epoch, mut connection) = (None, link.generation());
    let mut outage = Outage::default();
    for turn in 1_u32.. {
        let newer = link.newer_than(connection);
        // After a reconnect at once: it may be another server, which knows less.
        let reconnected = timeout_at(Instant::now() + shared.lease / 3, newer).await.ok();
        let everything = reconnected.is_some() || turn % (3 * ASSERT_AGAIN) == 0;
        match shared.renew(partition, &mut epoch, everything).await {
            Ok(()) => {
                if outage.ends() {
                    tracing::info!(partition, "leases are renewed again");
                }
                connection = reconnected.unwrap_or(connection);
                link.settle(connection);
            }
            Err(error) => {
                if let Some(failures) = outage.fails() {
                    tracing::warn!(
                        %error, partition, failures,
                        "leases are not renewed; trying again"
                    );
                }
                if reconnected.is_some() {
                    sleep_until(Instant::now() + AGAIN).await;
                }
            }
        }
    }
}

/// Sends what is due in one partition, for ever.
pub(super) async fn promote(shared: Arc<Shared>, partition: usize) {
    loop {
        let sooner = shared.due.notified();
        tokio::pin!(sooner);
        sooner.as_mut().enable();
        let next = match shared.promote(partition).await {
            Ok(next) => next.unwrap_or(LOOK).min(LOOK),
            Err(error) => {
                tracing::debug!(%error, "what is due is not sent; trying again");
                LOOK
            }
        };
        drop(timeout_at(Instant::now() + next, sooner).await);
    }
}

/// What `promote.lua` returns.
type Promoted = (i64, u64, u64, u64, u64, u64, u64, u64, u64);

impl Shared {
    /// The layout that everybody must have.
    fn layout(&self) -> String {
        format!("{VERSION}/{}", self.links.len())
    }

    /// Renews leases. `epoch` is the one that was seen last.
    pub(super) async fn renew(
        &self,
        partition: usize,
        epoch: &mut Option<String>,
        everything: bool,
    ) -> Result<(), LayerError> {
        let Some(link) = self.links.get(partition) else { return Ok(()) };
        // A node that is closed meanwhile must not come back.
        let _renewing = link.renewing.lock().await;
        let nodes = self.nodes();
        let mut call = self.scripts.upkeep.key(&link.keys.base);
        call.arg(self.layout()).arg(micros(self.lease)).arg(CorrelationId::random().to_string());
        for node in &nodes {
            call.arg(node.name.as_str());
        }
        let (layout, found, unknown, expired): (String, String, Vec<String>, u64) =
            link.call(&call).await?;
        if layout != self.layout() {
            return Err(LayerError::new(format!(
                "the data in Redis has layout {layout} (version/partitions) and this host has {}; \
                 set layer.partitions alike, or use another layer.prefix or database",
                self.layout()
            )));
        }
        for _ in 0..expired {
            self.metrics.dropped("expired");
        }
        let is_new = epoch.as_ref().is_some_and(|seen| *seen != found);
        if is_new {
            tracing::warn!(partition, "Redis was emptied; groups are registered again");
        }
        *epoch = Some(found);
        for node in &nodes {
            if is_new || everything || unknown.iter().any(|name| name == node.name.as_str()) {
                self.register_again(partition, node).await?;
            }
            let owed = node.take_owed(|group| self.partition_of(group.as_str()) == partition);
            self.release(node, owed).await;
        }
        // Last: leases matter more.
        match self.intake.reading() {
            Some(set) => self.intake.announce(link, &set).await,
            None => Ok(()),
        }
    }

    async fn register_again(&self, partition: usize, node: &Node) -> Result<(), LayerError> {
        for group in node.groups() {
            if self.partition_of(group.as_str()) != partition {
                continue;
            }
            // Counts begin again where the store was emptied, and joins come meanwhile.
            node.forget_count(&group);
            if let Some(count) = self.register(&node.name, &group).await? {
                let left = node.registered(&group, count);
                self.release(node, left.into_iter().collect()).await;
            }
        }
        Ok(())
    }

    /// Sends what is due. Returns how long it is until the next.
    async fn promote(&self, partition: usize) -> Result<Option<Duration>, LayerError> {
        let Some(link) = self.links.get(partition) else { return Ok(None) };
        let call = self.scripts.promote.key(&link.keys.base);
        let (wait, expired, full, gone, inbox_full, unreadable, again, dead, lost): Promoted =
            link.call(&call).await?;
        self.metrics.messages_redelivered.inc_by(again);
        self.metrics.messages_dead_lettered.inc_by(dead);
        for (count, reason) in [
            (expired, "expired"),
            (full, "full"),
            (gone, "connection_gone"),
            (inbox_full, "inbox_full"),
            (unreadable, "unreadable"),
            (lost, "dead_letter_full"),
        ] {
            for _ in 0..count {
                self.metrics.dropped(reason);
            }
        }
        // A whole millisecond more than it takes, so that it is due then.
        Ok(u64::try_from(wait).ok().map(|micros| Duration::from_millis(micros / 1_000 + 1)))
    }
}
