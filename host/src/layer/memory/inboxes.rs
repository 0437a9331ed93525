//! The inbox of each node: in order, bounded in bytes of data; done marks always fit.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use tokio::sync::Notify;

use crate::{
    layer::{Recipient, Respondent},
    message::{Answer, InboxEntry, NodeName, Outcome},
    telemetry::{DropReason, Metrics},
};

#[derive(Debug, Default)]
struct Inbox {
    entries: Vec<InboxEntry>,
    /// Messages and answers have room of their own: who floods one does not drop the other.
    message_bytes: usize,
    answer_bytes: usize,
    arrived: Arc<Notify>,
    /// The node, if it takes answers by a call.
    recipient: Option<Weak<dyn Recipient>>,
    /// The node, if it answers questions.
    respondent: Option<Weak<dyn Respondent>>,
    /// Whether the reader has handed out all that it took. Then an answer may pass by the inbox.
    is_drained: bool,
}

#[derive(Debug)]
pub(super) struct Inboxes {
    limit: usize,
    inboxes: HashMap<NodeName, Inbox>,
}

impl Inboxes {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, inboxes: HashMap::new() }
    }

    pub(super) fn open(&mut self, node: &NodeName) {
        self.inboxes.entry(node.clone()).or_default();
    }

    pub(super) fn is_open(&self, node: &NodeName) -> bool {
        self.inboxes.contains_key(node)
    }

    pub(super) fn close(&mut self, node: &NodeName) {
        if let Some(inbox) = self.inboxes.remove(node) {
            inbox.arrived.notify_waiters();
        }
    }

    /// Adds an entry. False if its data was dropped.
    pub(super) fn put(
        &mut self,
        node: &NodeName,
        mut entry: InboxEntry,
        metrics: &Metrics,
    ) -> bool {
        let Some(inbox) = self.inboxes.get_mut(node) else {
            metrics.dropped(DropReason::ConnectionGone);
            return false;
        };
        let bytes = match entry {
            InboxEntry::Answer(_) => &mut inbox.answer_bytes,
            _ => &mut inbox.message_bytes,
        };
        // A gap is told of whatever there is.
        let is_gap = matches!(entry, InboxEntry::From { is_complete: false, .. });
        let fits = is_gap || *bytes + entry.len() <= self.limit;
        if !fits {
            metrics.dropped(DropReason::InboxFull);
            let InboxEntry::Answer(Answer { replies, done: Some(done), .. }) = &mut entry else {
                return false;
            };
            replies.clear();
            done.outcome = Outcome::AnswerLost;
        }
        *bytes += entry.len();
        inbox.entries.push(entry);
        inbox.arrived.notify_waiters();
        fits
    }

    /// Adds all of some entries that are no answers, or none. False if they were dropped.
    pub(super) fn put_all(
        &mut self,
        node: &NodeName,
        entries: Vec<InboxEntry>,
        metrics: &Metrics,
    ) -> bool {
        let Some(inbox) = self.inboxes.get_mut(node) else {
            metrics.dropped(DropReason::ConnectionGone);
            return false;
        };
        let bytes: usize = entries.iter().map(InboxEntry::len).sum();
        if inbox.message_bytes + bytes > self.limit {
            metrics.dropped(DropReason::InboxFull);
            return false;
        }
        inbox.message_bytes += bytes;
        inbox.entries.extend(entries);
        inbox.arrived.notify_waiters();
        true
    }

    /// Lends a node that takes answers by a call.
    pub(super) fn lend(&mut self, node: &NodeName, recipient: Weak<dyn Recipient>) {
        if let Some(inbox) = self.inboxes.get_mut(node) {
            inbox.recipient = Some(recipient);
        }
    }

    /// Lends a node that answers questions.
    pub(super) fn lend_respondent(&mut self, node: &NodeName, respondent: Weak<dyn Respondent>) {
        if let Some(inbox) = self.inboxes.get_mut(node) {
            inbox.respondent = Some(respondent);
        }
    }

    /// What answers questions to a node.
    pub(super) fn respondent(&self, node: &NodeName) -> Option<Arc<dyn Respondent>> {
        self.inboxes.get(node)?.respondent.as_ref()?.upgrade()
    }

    /// Who takes an answer now, if nothing is on its way to the node before it.
    pub(super) fn recipient(&self, node: &NodeName) -> Option<Arc<dyn Recipient>> {
        let inbox = self.inboxes.get(node)?;
        let is_next = inbox.is_drained && inbox.entries.is_empty();
        inbox.recipient.as_ref().filter(|_| is_next)?.upgrade()
    }

    /// What a node's reader waits for. None without an inbox.
    pub(super) fn notice(&self, node: &NodeName) -> Option<Arc<Notify>> {
        self.inboxes.get(node).map(|inbox| Arc::clone(&inbox.arrived))
    }

    /// Takes all entries for the node's reader, which has handed out those that it took before.
    pub(super) fn take(&mut self, node: &NodeName) -> Vec<InboxEntry> {
        let Some(inbox) = self.inboxes.get_mut(node) else { return Vec::new() };
        (inbox.message_bytes, inbox.answer_bytes) = (0, 0);
        inbox.is_drained = inbox.entries.is_empty();
        std::mem::take(&mut inbox.entries)
    }
}
