//! The reader of the node's inbox: hands what arrives to the connections.

use std::{
    future::poll_fn,
    sync::{Arc, Weak},
    task::Waker,
};

use tokio::{
    task::yield_now,
    time::{Duration, Instant, timeout_at},
};

use super::{
    Hub, drain,
    mailbox::{Delivered, Mail, Mailbox, SharedReply},
    positions::{self, Numbered},
};
use crate::{
    layer::Recipient,
    message::{
        Answer, ChannelName, Content, CorrelationId, Gap, InboxEntry, LocalName, Reply,
        replies_from, stream_replies_from,
    },
    outage::Outage,
    telemetry::DropReason,
};

/// How long to wait before asking a layer again that could not answer.
const RETRY: Duration = Duration::from_millis(200);
/// Entries that are handed out before connections write them. More would fill what may wait for one.
const BATCH_ENTRIES: usize = 64;
/// Bytes of such entries.
const BATCH_BYTES: usize = 64 * 1024;

/// One of so many connections is waited for before more is handed out.
const READERS_PER_SAMPLE: usize = 64;
/// How long they are waited for: one may be busy with its event.
const READ_PATIENCE: Duration = Duration::from_millis(5);

/// The readers of mailboxes that got mail and were not woken yet: each is woken once for all of a batch, and
/// then finds all of it to write at once.
#[derive(Debug, Default)]
struct Readers {
    asleep: Vec<Waker>,
    /// Some of the mailboxes, if they are many.
    samples: Vec<Arc<Mailbox>>,
}

impl Readers {
    /// Remembers who has to be woken. False if the mail was dropped, since too much waits.
    fn remember(&mut self, mailbox: &Arc<Mailbox>, delivered: Delivered) -> bool {
        if let Some(reader) = delivered.reader {
            self.asleep.push(reader);
            if self.asleep.len().is_multiple_of(READERS_PER_SAMPLE) {
                self.samples.push(Arc::clone(mailbox));
            }
        }
        delivered.fits
    }

    fn wake(&mut self) {
        for reader in self.asleep.drain(..) {
            reader.wake();
        }
    }

    /// Wakes all. If they are many, they take their mail before they get more: what comes meanwhile is one
    /// batch, which each of them writes in one call.
    async fn let_read(&mut self) {
        self.wake();
        let samples = std::mem::take(&mut self.samples);
        if samples.is_empty() {
            // A flood must not keep other tasks of this thread from running.
            return yield_now().await;
        }
        let taken = async {
            for mailbox in &samples {
                poll_fn(|context| mailbox.poll_taken(context)).await;
            }
        };
        drop(timeout_at(Instant::now() + READ_PATIENCE, taken).await);
    }
}

/// Reads until the task is dropped: connections that end during shutdown still need their marks.
pub(super) async fn read(hub: Arc<Hub>) {
    let mut outage = Outage::default();
    loop {
        match hub.layer.read_inbox(&hub.node).await {
            Ok(entries) => {
                if outage.ends() {
                    tracing::info!("the inbox is read again");
                }
                hand_out_all(&hub, entries).await;
            }
            Err(error) => {
                if let Some(failures) = outage.fails() {
                    tracing::warn!(%error, failures, "the inbox is not read; trying again");
                }
                tokio::time::sleep_until(Instant::now() + RETRY).await;
            }
        }
    }
}

/// Lends the hub to a layer that hands out answers itself.
pub(super) fn recipient(hub: &Arc<Hub>) -> Weak<dyn Recipient> {
    let hub: Arc<dyn Recipient> = Arc::<Hub>::clone(hub);
    Arc::downgrade(&hub)
}

impl Recipient for Hub {
    fn answer(&self, answer: Answer) {
        if let Some((_, delivered)) = deliver(self, answer) {
            delivered.wake();
        }
    }
}

async fn hand_out_all(hub: &Arc<Hub>, entries: Vec<InboxEntry>) {
    let mut readers = Readers::default();
    let (mut count, mut bytes) = (0, 0);
    for entry in entries {
        let len = entry.len();
        if count == BATCH_ENTRIES || (count > 0 && bytes + len > BATCH_BYTES) {
            readers.let_read().await;
            (count, bytes) = (0, 0);
        }
        (count, bytes) = (count + 1, bytes + len);
        let gone = hand_out(hub, entry, &mut readers);
        if !gone.is_empty() {
            readers.wake();
        }
        for local in gone {
            forget(hub, &local).await;
        }
    }
    readers.let_read().await;
}

/// Puts an entry into the mailboxes that it is for. Returns connections that have ended, and that have to
/// leave their groups.
fn hand_out(hub: &Arc<Hub>, entry: InboxEntry, readers: &mut Readers) -> Vec<LocalName> {
    match entry {
        InboxEntry::Answer(answer) => {
            if let Some((mailbox, delivered)) = deliver(hub, answer) {
                readers.remember(&mailbox, delivered);
            }
        }
        InboxEntry::Missed { members, gap } => end_those_that_missed(hub, &members, gap),
        InboxEntry::Joined(local) => {
            if hub.connections.mailbox(&local).is_none() {
                return vec![local];
            }
        }
        InboxEntry::Numbered { to, group, position, content, correlation } => {
            let (mailboxes, gone) = hub.connections.mailboxes(to);
            for _ in &gone {
                hub.metrics.dropped(DropReason::ConnectionGone);
            }
            if !mailboxes.is_empty()
                && let Some(replies) = read_forms(hub, &content, true, correlation)
            {
                let mut numbered = Numbered::new(group, position, replies);
                deliver_to(hub, readers, &mailboxes, |mailbox| numbered.mail(mailbox));
            }
            return gone;
        }
        InboxEntry::From { to, group, position, is_complete } => {
            let (mailboxes, gone) = hub.connections.mailboxes(to);
            if !is_complete {
                hub.metrics.history_gaps.inc_by(mailboxes.len() as u64);
            }
            deliver_to(hub, readers, &mailboxes, |mailbox| {
                positions::from(mailbox, &group, position, is_complete)
            });
            return gone;
        }
        InboxEntry::Message { to, content, from_group, correlation } => {
            let (mailboxes, gone) = hub.connections.mailboxes(to);
            for _ in &gone {
                hub.metrics.dropped(DropReason::ConnectionGone);
            }
            // Read only if there is somebody to read it for.
            if !mailboxes.is_empty()
                && let Some(replies) = read_forms(hub, &content, from_group, correlation)
            {
                let shared = |replies: Vec<Reply>| -> Arc<[SharedReply]> {
                    replies.into_iter().map(SharedReply::from).collect()
                };
                let for_streams = stream_replies_from(&content).map(shared);
                let replies = shared(replies);
                let for_streams = for_streams.as_ref().unwrap_or(&replies);
                deliver_to(hub, readers, &mailboxes, |mailbox| {
                    let replies = if mailbox.is_of_socket() { &replies } else { for_streams };
                    Mail::Message { replies: Arc::clone(replies), from_group }
                });
            }
            if from_group {
                return gone;
            }
        }
    }
    Vec::new()
}

/// Puts mail into mailboxes, and counts what does not fit.
fn deliver_to(
    hub: &Hub,
    readers: &mut Readers,
    mailboxes: &[Arc<Mailbox>],
    mut mail: impl FnMut(&Mailbox) -> Mail,
) {
    for mailbox in mailboxes {
        if !readers.remember(mailbox, mailbox.deliver(mail(mailbox))) {
            hub.metrics.dropped(DropReason::ClientTooSlow);
        }
    }
}

/// Messages to groups may be missing. Members are ended at the pace of the drain, so that they do not all
/// come back at once. Others may have joined with the event in flight.
fn end_those_that_missed(hub: &Arc<Hub>, members: &[LocalName], gap: Gap) {
    let (members, others) = hub.connections.split_by(members);
    for mailbox in others {
        mailbox.put(Mail::Missed { gap, is_member: false });
    }
    if members.is_empty() {
        return;
    }
    tracing::warn!(
        connections = members.len(),
        reason = gap.reason(),
        "messages to groups may be missing; the members are closed"
    );
    let ending = Arc::clone(hub);
    hub.drain.spawn_until_stopped("missed messages", async move {
        let mail = Mail::Missed { gap, is_member: true };
        drain::tell(members, &ending.config.drain, &mail).await;
    });
}

/// Puts an answer into the mailbox of its connection, and counts it if it is lost.
fn deliver(hub: &Hub, answer: Answer) -> Option<(Arc<Mailbox>, Delivered)> {
    let Answer { to, order, replies, done } = answer;
    let Some(mailbox) = hub.connections.mailbox(&to) else {
        hub.metrics.dropped(DropReason::ConnectionGone);
        return None;
    };
    let delivered = mailbox.deliver_answer(order, replies, done);
    if !delivered.fits {
        hub.metrics.dropped(DropReason::ClientTooSlow);
    }
    Some((mailbox, delivered))
}

fn read_forms(
    hub: &Hub,
    content: &Content,
    from_group: bool,
    correlation: CorrelationId,
) -> Option<Vec<Reply>> {
    match replies_from(content) {
        Ok(mut replies) => {
            if from_group {
                // Being a member is not being let in.
                replies.retain(|reply| !matches!(reply, Reply::Accept(_) | Reply::Deny));
            }
            Some(replies)
        }
        Err(error) => {
            tracing::warn!(%error, %correlation, "a message to a reply channel is dropped");
            hub.metrics.dropped(DropReason::Unreadable);
            None
        }
    }
}

/// A connection that somebody added to a group after it had ended.
async fn forget(hub: &Hub, local: &LocalName) {
    let channel = ChannelName::of_connection(&hub.node, local);
    if let Err(error) = hub.layer.leave_all(&channel).await {
        tracing::warn!(%error, "an ended connection stays in its groups for now");
    }
}
