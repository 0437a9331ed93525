//! Background work of a process: renews its leases, makes lost registrations again, sends messages that are due,
//! and sweeps nodes whose lease has ended.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Shared, node::Node, presence, wire::VERSION};
use crate::{
    layer::LayerError,
    message::{CorrelationId, Gap},
    outage::Outage,
    redis::{Link, Value, micros},
    telemetry::DropReason,
};

/// The time between two checks for messages that are due, when this process knows of none.
const DUE_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// All registrations are made again each time that so many leases have passed. So a loss is not for long.
const LEASES_PER_REGISTRATION: u32 = 100;
/// The pause before registrations are made again if that failed after a reconnect.
const REGISTRATION_RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Renews the leases of one partition, until it is cancelled.
pub(super) async fn renew(shared: Arc<Shared>, partition: usize) {
    let (Some(link), Some(registrations)) =
        (shared.links.get(partition), shared.registrations.get(partition))
    else {
        return;
    };
    let (mut connection, mut failed) = (link.generation(), false);
    let mut outage = Outage::default();
    for turn in 1_u32.. {
        let newer = link.newer_than(connection);
        // After a reconnect at once: it may be another server, which knows less.
        let reconnected = timeout_at(Instant::now() + shared.lease / 3, newer).await.ok();
        let everything =
            failed || reconnected.is_some() || turn % (3 * LEASES_PER_REGISTRATION) == 0;
        let renewed = shared.renew(partition, everything).await;
        failed = renewed.is_err();
        match renewed {
            Ok(()) => {
                if outage.ends() {
                    tracing::info!(partition, "leases are renewed again");
                }
                connection = reconnected.unwrap_or(connection);
                registrations.are_made(connection);
            }
            Err(error) => {
                if let Some(failures) = outage.fails() {
                    tracing::warn!(
                        %error, partition, failures,
                        "leases are not renewed; trying again"
                    );
                }
                if reconnected.is_some() {
                    sleep_until(Instant::now() + REGISTRATION_RETRY_PAUSE).await;
                }
            }
        }
    }
}

/// Sends messages that are due in one partition, until it is cancelled.
pub(super) async fn promote(shared: Arc<Shared>, partition: usize) {
    loop {
        let sooner = shared.due.notified();
        tokio::pin!(sooner);
        sooner.as_mut().enable();
        let next = match shared.promote(partition).await {
            Ok(next) => next.unwrap_or(DUE_CHECK_INTERVAL).min(DUE_CHECK_INTERVAL),
            Err(error) => {
                tracing::debug!(%error, "what is due is not sent; trying again");
                DUE_CHECK_INTERVAL
            }
        };
        drop(timeout_at(Instant::now() + next, sooner).await);
    }
}

/// The return value of `promote.lua`.
type Promoted = (i64, u64, u64, u64, u64, u64, u64, u64, u64, u64, i64);

/// The return value of `upkeep.lua`: layout, epoch, nodes that were unknown, how many entries had expired, turn,
/// whether the store is older than it was, nodes whose lease has ended with their open WebSockets, nodes of
/// this process with the turn at which each was last unknown.
type Kept = (String, String, Value, u64, u64, u8, Vec<(String, u64)>, HashMap<String, u64>);

/// The registrations of this process in a partition: its nodes, their groups and what it reads.
#[derive(Debug)]
pub(super) struct Registrations {
    /// The connection over which all of them were made last.
    generation: AtomicU64,
    /// Held while leases are renewed or a node is closed.
    pub(super) changing: tokio::sync::Mutex<()>,
}

impl Default for Registrations {
    fn default() -> Self {
        // They are made over the first connection before anything uses them.
        Self { generation: AtomicU64::new(1), changing: tokio::sync::Mutex::default() }
    }
}

impl Registrations {
    /// Notes that all of them were made over a connection, or a newer one.
    fn are_made(&self, generation: u64) {
        self.generation.fetch_max(generation, Ordering::AcqRel);
    }

    /// Whether all of them were made since the last reconnect.
    pub(super) fn are_whole(&self, link: &Link) -> bool {
        link.generation() <= self.generation.load(Ordering::Acquire)
    }
}

/// The state of a partition's store when it was last seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    epoch: Option<String>,
    /// The highest turn. Processes raise it each second, so it is lower in a store that went back.
    turn: u64,
}

impl Shared {
    /// The layout that all processes must have.
    fn layout(&self) -> String {
        format!("{VERSION}/{}", self.links.len())
    }

    fn seen(&self, partition: usize) -> Option<MutexGuard<'_, Seen>> {
        let seen = self.seen.get(partition)?;
        Some(seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Renews leases, and makes registrations again that the store has lost. `everything` checks each one.
    pub(super) async fn renew(&self, partition: usize, everything: bool) -> Result<(), LayerError> {
        let (Some(link), Some(registrations)) =
            (self.links.get(partition), self.registrations.get(partition))
        else {
            return Ok(());
        };
        // A node that is closed meanwhile must not come back.
        let _changing = registrations.changing.lock().await;
        let nodes = self.nodes();
        let (layout, epoch, _, expired, turn, went_back, ended, since) =
            self.keep_alive(partition, link, &nodes).await?;
        if layout != self.layout() {
            return Err(LayerError::LayoutMismatch { found: layout, own: self.layout() });
        }
        self.metrics.dropped_many(DropReason::Expired, expired);
        self.count_ended(ended);
        let is_new = self.note(partition, epoch, turn);
        if went_back == 1 {
            self.metrics.store_went_back.inc();
            tracing::warn!(
                partition,
                "Redis is older than it was; what was done meanwhile is lost, and may be delivered twice"
            );
        } else if is_new {
            tracing::warn!(partition, "Redis was emptied, or is older than it was");
        }
        for node in &nodes {
            let since = since.get(node.name.as_str()).copied().unwrap_or_default();
            let before = node.known_since(partition, since);
            let is_other = before != Some(since);
            if before.is_some() && (is_new || is_other) {
                let gap = if is_new { Gap::StoreChanged } else { Gap::LeaseEnded };
                self.miss(partition, node, gap).await;
            }
            if is_new || everything || is_other {
                self.register_again(partition, node).await?;
            }
            let owed = node.take_owed(|group| self.partition_of(group.as_str()) == partition);
            self.release(node, owed).await;
            if everything {
                node.presence.tell_all_again(partition);
            }
            self.tell_presence_in(node, partition).await;
        }
        // Last: leases matter more.
        for set in self.receivers.reading() {
            self.source.announce(link, &set).await?;
        }
        Ok(())
    }

    async fn keep_alive(
        &self,
        partition: usize,
        link: &Link,
        nodes: &[Arc<Node>],
    ) -> Result<Kept, LayerError> {
        let mut call = self.scripts.upkeep.key(&link.keys.base);
        call.arg(self.layout()).arg(micros(self.lease)).arg(CorrelationId::random().to_string());
        if let Some(seen) = self.seen(partition) {
            call.arg(format!("#{} {}", seen.turn, seen.epoch.as_deref().unwrap_or_default()));
        }
        for node in nodes {
            let name = node.name.as_str();
            // One partition counts for all.
            let is_home = self.partition_of(name) == partition;
            match node.sockets.get().filter(|_| is_home) {
                Some(open) => call.arg(format!("{name} {}", open.load(Ordering::Relaxed))),
                None => call.arg(name),
            };
        }
        Ok(link.call(&call).await?)
    }

    /// Notes the state of a store. Returns whether it is another store than before.
    fn note(&self, partition: usize, epoch: String, turn: u64) -> bool {
        let Some(mut seen) = self.seen(partition) else { return false };
        let is_new = seen.epoch.as_ref().is_some_and(|before| *before != epoch);
        seen.turn = if is_new { turn } else { seen.turn.max(turn) };
        seen.epoch = Some(epoch);
        is_new
    }

    /// Counts interface servers that ended without closing their inbox: the consumers of their sockets get no
    /// disconnect.
    fn count_ended(&self, nodes: Vec<(String, u64)>) {
        for (node, sockets) in nodes {
            self.metrics.nodes_lost.inc();
            self.metrics.sockets_lost.inc_by(sockets);
            tracing::warn!(
                node,
                sockets,
                "an interface server is gone; `disconnect` does not run for its WebSockets"
            );
        }
    }

    /// Ends memberships in the groups of a partition, or in all groups where the inbox is there: messages may be
    /// missing.
    async fn miss(&self, partition: usize, node: &Node, gap: Gap) {
        let is_home = self.partition_of(node.name.as_str()) == partition;
        let is_meant = |name: &str| is_home || self.partition_of(name) == partition;
        let emptied = node.miss(gap, |group| is_meant(group.as_str()));
        self.release(node, emptied).await;
    }

    async fn register_again(&self, partition: usize, node: &Node) -> Result<(), LayerError> {
        let mut lost = HashSet::new();
        for group in node.groups() {
            if self.partition_of(group.as_str()) != partition {
                continue;
            }
            // Counts begin again where the store was emptied, and joins arrive meanwhile.
            let before = node.forget_count(&group);
            let registered = self.register(&node.name, &group).await;
            let count = *registered.as_ref().ok().and_then(Option::as_ref).unwrap_or(&before);
            let left = node.registered(&group, count);
            if registered?.is_some() {
                self.release(node, left.into_iter().collect()).await;
                if count <= before {
                    lost.insert(group);
                }
            }
        }
        if !lost.is_empty() {
            let emptied = node.miss(Gap::RegistrationLost, |group| lost.contains(group));
            self.release(node, emptied).await;
        }
        Ok(())
    }

    /// Sends messages that are due. Returns the time until the next.
    async fn promote(&self, partition: usize) -> Result<Option<Duration>, LayerError> {
        let Some(link) = self.links.get(partition) else { return Ok(None) };
        let call = self.scripts.promote.key(&link.keys.base);
        let (wait, expired, full, gone, inbox_full, unreadable, again, dead, lost, turn, other): Promoted =
            link.call(&call).await?;
        if let Some(mut seen) = self.seen(partition) {
            seen.turn = seen.turn.max(turn);
        }
        self.metrics.messages_redelivered.inc_by(again);
        self.metrics.messages_dead_lettered.inc_by(dead);
        for (count, reason) in [
            (expired, DropReason::Expired),
            (full, DropReason::ChannelFull),
            (gone, DropReason::ConnectionGone),
            (inbox_full, DropReason::InboxFull),
            (unreadable, DropReason::Unreadable),
            (lost, DropReason::DeadLetterFull),
        ] {
            self.metrics.dropped_many(reason, count);
        }
        let presence = presence::span(other);
        if presence.is_some_and(|span| span.is_zero())
            && let Some(announcing) = self.announcing.get(partition)
        {
            announcing.notify_one();
        }
        // Rounded up to a whole millisecond, so that it is due then.
        let next = presence::span(wait).into_iter().chain(presence.filter(|span| !span.is_zero()));
        Ok(next.min().map(|span| span + Duration::from_millis(1)))
    }
}
