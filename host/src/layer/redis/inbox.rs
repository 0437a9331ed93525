//! Inboxes: one list for each node, which its process alone reads.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::{
    Shared, error_of_item, no_partition,
    node::{Joined, Node},
    reading::Popping,
    wire::{Parcel, Taken},
};
use crate::{
    layer::LayerError,
    message::{Answer, Gap, InboxEntry, NodeName, Outcome},
    redis::Link,
    telemetry::DropReason,
};

/// Entries that one pop takes at most.
const ENTRIES_PER_POP: usize = 256;
/// The part of an inbox that may be read before the room is reported: reporting it each time would be a
/// command more for each answer.
const UNTOLD_SHARE: usize = 16;
/// How long a pop waits in Redis.
const POP_TIMEOUT: Duration = Duration::from_secs(1);

/// The outcome of putting an entry into an inbox.
pub(super) enum Put {
    Taken,
    Full,
    Gone,
}

impl Shared {
    pub(super) async fn open_inbox(&self, node: &NodeName) -> Result<(), LayerError> {
        let known =
            Arc::new(Node::new(node.clone(), self.config.groups_per_connection, self.links.len()));
        self.nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(node.clone(), Arc::clone(&known));
        for partition in 0..self.links.len() {
            self.renew(partition, false).await?;
        }
        self.follow_histories(&known);
        Ok(())
    }

    /// Puts a parcel into an inbox. False if it was dropped, which is counted.
    pub(super) async fn deliver(
        &self,
        node: &NodeName,
        parcel: &Parcel,
    ) -> Result<bool, LayerError> {
        match self.put(node, parcel).await? {
            Put::Taken => return Ok(true),
            Put::Gone => {
                self.metrics.dropped(DropReason::ConnectionGone);
                return Ok(false);
            }
            Put::Full => self.metrics.dropped(DropReason::InboxFull),
        }
        // The end of an event always fits; the answer with it is lost.
        if let Parcel::Answer(Answer { to, order, done: Some(done), .. }) = parcel {
            let mut done = done.clone();
            done.outcome = Outcome::AnswerLost;
            let mark =
                Answer { to: to.clone(), order: *order, replies: Vec::new(), done: Some(done) };
            self.put(node, &Parcel::Answer(mark)).await?;
        }
        Ok(false)
    }

    pub(super) async fn put(&self, node: &NodeName, parcel: &Parcel) -> Result<Put, LayerError> {
        let partition = self.partition_of(node.as_str());
        let delivering = self.delivering.get(partition).ok_or_else(no_partition)?;
        let limit = self.config.inbox_bytes.to_string();
        let outcome =
            delivering.call(vec![node.as_str().into(), limit.into(), parcel.seal()]).await?;
        match outcome.as_str() {
            "ok" => Ok(Put::Taken),
            "full" => Ok(Put::Full),
            "gone" => Ok(Put::Gone),
            _ => Err(error_of_item(&format!("the inbox of node {node}"), &outcome)),
        }
    }

    pub(super) async fn read_inbox(&self, name: &NodeName) -> Result<Vec<InboxEntry>, LayerError> {
        let node = self.node(name).ok_or_else(|| LayerError::NoInbox(name.clone()))?;
        let link = self.shared_link(name.as_str())?;
        loop {
            let mut popping = node.popping.lock().await;
            let key = || link.keys.inbox(name.as_str());
            let pop = || Popping::new(link, key(), ENTRIES_PER_POP, POP_TIMEOUT);
            let Some(popped) = popping.get_or_insert_with(pop).or(&node.filled).await else {
                drop(popping);
                let entries = node.following().take();
                if entries.is_empty() {
                    continue;
                }
                return Ok(entries);
            };
            *popping = None;
            drop(popping);
            // The server may go on with a pop whose answer nobody reads.
            let entries =
                popped.inspect_err(|_| node.reading.failed(POP_TIMEOUT + link.patience()))?;
            if node.reading.arrived(entries.len()) {
                self.look_for_losses(&node, link).await;
            }
            // First, since a connection that left may still be a member here.
            let (mut taken, mut arrived) = (Taken::default(), node.take_gaps());
            for entry in entries {
                match Parcel::open(&entry, name, &mut taken) {
                    Ok(
                        parcel @ (Parcel::Group { .. }
                        | Parcel::Join { .. }
                        | Parcel::Leave { .. }
                        | Parcel::LeaveAll { .. }),
                    ) => {
                        self.sequence(&node, parcel, &mut arrived).await;
                    }
                    Ok(parcel) => arrived.extend(self.hand_over(&node, parcel).await),
                    Err(error) => {
                        tracing::warn!(%error, "an entry of the inbox is dropped");
                        self.metrics.dropped(DropReason::Unreadable);
                    }
                }
            }
            // Before a run of the same connection can look for itself.
            self.tell_presence(&node).await;
            arrived.extend(self.owed_lists(&node).await);
            let enough = self.config.inbox_bytes / UNTOLD_SHARE;
            if let Some(untold) = node.took(&taken, enough) {
                self.tell_taken(name, &untold);
            }
            if !arrived.is_empty() {
                return Ok(arrived);
            }
        }
    }

    /// Checks that all entries that left the inbox have arrived. The reader calls it while no pop of its own
    /// is under way.
    async fn look_for_losses(&self, node: &Node, link: &Link) {
        let mut call = self.scripts.put.key(&link.keys.base);
        call.arg(node.name.as_str());
        let (put, waiting) = match link.call(&call).await {
            Ok(counts) => counts,
            // The next read checks again.
            Err(error) => return tracing::debug!(%error, "an inbox is looked at later"),
        };
        let lost = node.reading.compare(put, waiting, self.lease / 3);
        if lost == 0 {
            return;
        }
        tracing::warn!(lost, node = %node.name, "entries were taken from the inbox and did not arrive");
        self.metrics.dropped_many(DropReason::InboxLost, lost as u64);
        let emptied = node.miss(Gap::EntriesLost, |_| true);
        self.release(node, emptied).await;
    }

    /// Applies an entry of an inbox, and returns it if it is for connections of this process.
    pub(super) async fn hand_over(&self, node: &Node, parcel: Parcel) -> Option<InboxEntry> {
        match parcel {
            Parcel::Answer(answer) => Some(InboxEntry::Answer(answer)),
            Parcel::Message { to, content, correlation } => {
                Some(InboxEntry::Message { to: vec![to], content, from_group: false, correlation })
            }
            Parcel::Group { group, content, correlation, .. } => {
                let to = node.members_of(&group);
                let message = InboxEntry::Message { to, content, from_group: true, correlation };
                matches!(&message, InboxEntry::Message { to, .. } if !to.is_empty())
                    .then_some(message)
            }
            // Not registered where the group is: the join is sent again when the lease is renewed there.
            Parcel::Join { count: 0, .. } => None,
            Parcel::Join { local, group, count, present, .. } => {
                match node.join(local.clone(), group.clone(), count) {
                    Joined::Member => {
                        if let Some(present) = present {
                            node.presence.join(&local, &group, present);
                        }
                        Some(InboxEntry::Joined(local))
                    }
                    too_many @ Joined::TooMany(_) => {
                        self.refuse_join(node, too_many).await;
                        None
                    }
                }
            }
            Parcel::Leave { local, group } => {
                let emptied = node.leave(&local, &group);
                self.release(node, emptied.into_iter().collect()).await;
                None
            }
            Parcel::LeaveAll { local } => {
                self.release(node, node.leave_all(&local)).await;
                None
            }
            Parcel::Probe { number } => {
                node.heard(number);
                None
            }
            Parcel::Ask { id, question } => {
                self.answer_question(node, id, question);
                None
            }
        }
    }

    /// Counts a join of a connection that is a member of as many groups as it may be.
    pub(super) async fn refuse_join(&self, node: &Node, joined: Joined) {
        let Joined::TooMany(emptied) = joined else { return };
        self.metrics.dropped(DropReason::TooManyGroups);
        self.release(node, emptied.into_iter().collect()).await;
    }

    /// Reports the room of entries that were read. Runs in the background; if it fails, the room comes back
    /// when the inbox is empty.
    fn tell_taken(&self, node: &NodeName, taken: &Taken) {
        let Taken { messages, answers } = *taken;
        let Some(link) = self.links.get(self.partition_of(node.as_str())).cloned() else { return };
        let (scripts, node) = (Arc::clone(&self.scripts), node.clone());
        self.drain.spawn("redis inbox", async move {
            let mut call = scripts.taken.key(&link.keys.base);
            call.arg(node.as_str()).arg(messages).arg(answers);
            if let Err(error) = link.call::<u8>(&call).await {
                tracing::debug!(%error, "room in an inbox is not told of");
            }
        });
    }

    pub(super) async fn close_inbox(&self, node: &NodeName) {
        let known = self.nodes.lock().unwrap_or_else(PoisonError::into_inner).remove(node);
        if let Some(node) = &known {
            node.lacking.notify_one();
        }
        for (link, registrations) in self.links.iter().zip(&self.registrations) {
            let _changing = registrations.changing.lock().await;
            let mut call = self.scripts.close.key(&link.keys.base);
            call.arg(node.as_str());
            loop {
                match link.call::<u8>(&call).await {
                    Ok(0) => {}
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(%error, "what this node has in Redis goes with its lease");
                        break;
                    }
                }
            }
        }
        if known.is_some_and(|node| node.presence.is_used()) {
            self.let_members_go().await;
        }
    }
}
