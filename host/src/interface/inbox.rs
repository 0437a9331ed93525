//! The reader of the node's inbox: hands what arrives to the connections.

use std::sync::{Arc, Weak};

use tokio::time::{Duration, Instant};

use super::{Hub, drain, mailbox::Mail};
use crate::{
    layer::Recipient,
    message::{Answer, ChannelName, Content, Gap, InboxEntry, LocalName, Reply, replies_from},
    outage::Outage,
    telemetry::DropReason,
};

/// How long to wait before asking a layer again that could not answer.
const RETRY: Duration = Duration::from_millis(200);

/// Reads until the task is dropped: connections that end during shutdown still need their marks.
pub(super) async fn read(hub: Arc<Hub>) {
    let mut outage = Outage::default();
    loop {
        match hub.layer.read_inbox(&hub.node).await {
            Ok(entries) => {
                if outage.ends() {
                    tracing::info!("the inbox is read again");
                }
                for entry in entries {
                    hand_out(&hub, entry).await;
                }
                // A flood must not keep other tasks of this thread from running.
                tokio::task::yield_now().await;
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
        hand_out_answer(self, answer);
    }
}

async fn hand_out(hub: &Arc<Hub>, entry: InboxEntry) {
    match entry {
        InboxEntry::Answer(answer) => hand_out_answer(hub, answer),
        InboxEntry::Missed { members, gap } => end_those_that_missed(hub, &members, gap),
        InboxEntry::Joined(local) => {
            if hub.connections.mailbox(&local).is_none() {
                forget(hub, &local).await;
            }
        }
        InboxEntry::Message { to, content, from_group, correlation } => {
            let mut mailboxes = Vec::with_capacity(to.len());
            for local in to {
                match hub.connections.mailbox(&local) {
                    Some(mailbox) => mailboxes.push(mailbox),
                    None => {
                        hub.metrics.dropped(DropReason::ConnectionGone);
                        if from_group {
                            forget(hub, &local).await;
                        }
                    }
                }
            }
            // Read only if there is somebody to read it for.
            if mailboxes.is_empty() {
                return;
            }
            let Some(replies) = read_forms(hub, &content, from_group, correlation) else { return };
            for mailbox in mailboxes {
                if !mailbox.put(Mail::Message { replies: Arc::clone(&replies), from_group }) {
                    hub.metrics.dropped(DropReason::ClientTooSlow);
                }
            }
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

fn hand_out_answer(hub: &Hub, answer: Answer) {
    let Answer { to, order, replies, done } = answer;
    let Some(mailbox) = hub.connections.mailbox(&to) else {
        hub.metrics.dropped(DropReason::ConnectionGone);
        return;
    };
    if !mailbox.put_answer(order, replies, done) {
        hub.metrics.dropped(DropReason::ClientTooSlow);
    }
}

fn read_forms(
    hub: &Hub,
    content: &Content,
    from_group: bool,
    correlation: crate::message::CorrelationId,
) -> Option<Arc<[Reply]>> {
    match replies_from(content) {
        Ok(mut replies) => {
            if from_group {
                // Being a member is not being let in.
                replies.retain(|reply| !matches!(reply, Reply::Accept(_) | Reply::Deny));
            }
            Some(replies.into())
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
