//! Groups that are remembered: a script stores, numbers and finds the nodes, and each node puts what arrives in order.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep_until};

use super::{
    Shared,
    following::Following,
    groups::Members,
    node::{Joined, Node},
    wire::{Parcel, Since},
};
use crate::{
    layer::{
        LayerError, SendError,
        histories::{Kept, PAGE_BYTES_MAX, PAGE_MESSAGES_MAX, outcome_of_join},
    },
    message::{
        After, ChannelName, Content, Epoch, GroupName, InboxEntry, Page, Position, Remembered,
        Start,
    },
    redis::{ScriptInvocation, micros},
    telemetry::ByReason,
};

/// Groups that one command names.
const GROUPS_PER_CALL: usize = 500;
/// The answer of scripts about a history: epoch, offset before the first message, that of the last one, whether nothing
/// is missing, the messages.
type Paged = (String, u64, u64, u8, Vec<Vec<u8>>);

fn page((epoch, from, last, is_complete, contents): Paged) -> Result<Page, LayerError> {
    let unreadable =
        |what| LayerError::Defect(format!("a history in Redis has no readable {what}"));
    let epoch = epoch.parse().map_err(|_| unreadable("epoch"))?;
    let messages = contents.into_iter().zip(from + 1..).map(|(content, offset)| {
        let content = Content::parse(Bytes::from(content)).map_err(|_| unreadable("message"))?;
        Ok(Remembered { offset, content })
    });
    let messages = messages.collect::<Result<_, LayerError>>()?;
    let from = Position { epoch, offset: from };
    Ok(Page { from, messages, is_complete: is_complete == 1, last })
}

fn add_after(call: &mut ScriptInvocation<'_>, after: After) {
    match after {
        After::Nothing => call.arg("").arg(0),
        After::Start => call.arg("*").arg(0),
        // No epoch is written so.
        After::Unknown => call.arg("-").arg(0),
        After::Position(Position { epoch, offset }) => call.arg(epoch.to_string()).arg(offset),
    };
}

impl Shared {
    /// How a group is remembered, if it is.
    pub(super) fn kept(&self, group: &GroupName) -> Option<Kept> {
        self.histories.get()?.of(group)
    }

    /// Adds the rule of a group. A partition has its share of what a module may have.
    fn add_rule(&self, call: &mut ScriptInvocation<'_>, Kept { module, rule, bounds }: &Kept) {
        let share = |whole: usize| whole.div_ceil(self.links.len().max(1));
        call.arg(module.as_str())
            .arg(rule.messages)
            .arg(micros(rule.age))
            .arg(rule.bytes)
            .arg(share(bounds.groups))
            .arg(share(bounds.bytes).max(rule.bytes))
            .arg(Epoch::random().to_string());
    }

    /// Stores and numbers a message to a group. Returns the nodes and the named channels that get it, and its place.
    pub(super) async fn remember(
        &self,
        group: &GroupName,
        content: &Content,
        kept: &Kept,
    ) -> Result<(Members, Position), LayerError> {
        let link = self.link(group.as_str())?;
        let mut call = self.scripts.remember.key(&link.keys.base);
        call.arg(group.as_str()).arg(&content.as_bytes()[..]);
        self.add_rule(&mut call, kept);
        let (nodes, channels, epoch, offset): (Vec<String>, Vec<String>, String, u64) =
            link.call(&call).await?;
        let unreadable = |_| LayerError::Defect("a history in Redis has no readable epoch".into());
        let epoch = epoch.parse().map_err(unreadable)?;
        Ok(((nodes, channels), Position { epoch, offset }))
    }

    pub(super) async fn group_join(
        &self,
        group: &GroupName,
        channel: &ChannelName,
        start: &Start,
    ) -> Result<(), SendError> {
        let (Some(kept), Some((node, local))) = (self.kept(group), channel.connection()) else {
            return self.group_add(group, channel, None).await;
        };
        let link = self.link(group.as_str())?;
        let mut call = self.scripts.join_from.key(&link.keys.base);
        call.arg(node.as_str()).arg(group.as_str());
        add_after(&mut call, start.after);
        call.arg(start.latest).arg(PAGE_MESSAGES_MAX).arg(PAGE_BYTES_MAX);
        self.add_rule(&mut call, &kept);
        let (count, paged): (i64, Paged) = link.call(&call).await?;
        let Page { from, messages, is_complete, .. } = page(paged)?;
        let reason = outcome_of_join(start.after, is_complete);
        self.metrics.history_joins.get_or_create(&ByReason { reason }).inc();
        let missed = messages.into_iter().map(|message| message.content).collect();
        let since = Some(Since { position: from, is_complete, missed });
        let registered = u64::try_from(count).ok();
        let (count, group) = (registered.unwrap_or(0), group.clone());
        let parcel = Parcel::Join { local, group, count, present: None, since };
        self.put_join(&node, parcel, registered).await
    }

    pub(super) async fn history(
        &self,
        group: &GroupName,
        after: After,
        limit: usize,
    ) -> Result<Page, LayerError> {
        let kept = self.kept(group).ok_or_else(|| LayerError::NotRemembered(group.clone()))?;
        self.read_history(group, after, limit, &kept).await
    }

    async fn read_history(
        &self,
        group: &GroupName,
        after: After,
        limit: usize,
        kept: &Kept,
    ) -> Result<Page, LayerError> {
        let link = self.link(group.as_str())?;
        let mut call = self.scripts.history.key(&link.keys.base);
        call.arg(group.as_str());
        add_after(&mut call, after);
        let latest = if after == After::Nothing { limit } else { 0 };
        call.arg(latest).arg(limit.min(PAGE_MESSAGES_MAX)).arg(PAGE_BYTES_MAX);
        self.add_rule(&mut call, kept);
        page(link.call(&call).await?)
    }

    /// Applies an entry of the inbox about a group, and adds what is for connections to what has arrived, in order.
    pub(super) async fn sequence(
        &self,
        node: &Node,
        parcel: Parcel,
        arrived: &mut Vec<InboxEntry>,
    ) {
        let now = Instant::now();
        match parcel {
            Parcel::Group { group, content, correlation, position: Some(position) } => {
                let mut following = node.following();
                let to = node.members_beside(&group, following.sequences.get(&group));
                following.arrive(&group, position, (content.clone(), correlation), now);
                arrived.extend(following.take());
                let is_lacking = following.is_lacking(&group, now);
                drop(following);
                if is_lacking {
                    node.lacking.notify_one();
                }
                if !to.is_empty() {
                    arrived.push(InboxEntry::Message {
                        to,
                        content,
                        from_group: true,
                        correlation,
                    });
                }
            }
            Parcel::Join { local, group, count, since: Some(since), .. } if count > 0 => {
                let mut following = node.following();
                let joined = node.join(local.clone(), group.clone(), count);
                if joined != Joined::Member {
                    drop(following);
                    return self.refuse_join(node, joined).await;
                }
                arrived.push(InboxEntry::Joined(local.clone()));
                if following.sequences.get(&group).is_some_and(|it| it.has(&local)) {
                    // A join that was made again since nobody knew whether it was done.
                    return;
                }
                let is_first = following.compare_at.is_none();
                arrived.extend(following.take());
                let end = since.end();
                arrived.extend(since.entries(&local, &group));
                following.join(local, &group, end, now);
                if is_first || following.is_lacking(&group, now) {
                    node.lacking.notify_one();
                }
            }
            leave @ (Parcel::Leave { .. } | Parcel::LeaveAll { .. }) => {
                // What came from a history before.
                arrived.extend(node.following().take());
                arrived.extend(self.hand_over(node, leave).await);
            }
            other => arrived.extend(self.hand_over(node, other).await),
        }
    }

    /// Asks histories for what members of a node lack, until the node is closed.
    pub(super) fn follow_histories(&self, node: &Arc<Node>) {
        let (Some(shared), node) = (self.itself.upgrade(), Arc::clone(node)) else { return };
        self.drain.spawn_until_stopped("redis histories", async move {
            while shared.node(&node.name).is_some() {
                let due = node.following().due(Instant::now());
                let lacking = node.lacking.notified();
                match due {
                    None => lacking.await,
                    Some(due) => tokio::select! {
                        () = lacking => {}
                        () = sleep_until(due) => {}
                    },
                }
                shared.compare(&node).await;
                shared.fill(&node).await;
            }
        });
    }

    async fn fill(&self, node: &Node) {
        let asked = node.following().ask(Instant::now());
        let reading = asked.into_iter().map(|(group, position)| async move {
            let read = match self.kept(&group) {
                Some(kept) => {
                    let after = After::Position(position);
                    self.read_history(&group, after, PAGE_MESSAGES_MAX, &kept).await
                }
                None => Err(LayerError::NotRemembered(group.clone())),
            };
            let mut following = node.following();
            let Following { sequences, out, .. } = &mut *following;
            // The last member may have left meanwhile.
            let Some(sequence) = sequences.get_mut(&group) else { return };
            let now = Instant::now();
            match read {
                Ok(page) => {
                    self.metrics.history_fills.inc();
                    sequence.filled(page, now, out);
                }
                Err(error) => {
                    tracing::debug!(%error, %group, "a history is asked again");
                    sequence.failed(now);
                }
            }
            if !following.out.is_empty() {
                node.filled.notify_one();
            }
        });
        join_all(reading).await;
    }

    /// Asks how far groups are, so that members learn of what never arrived.
    async fn compare(&self, node: &Node) {
        let groups = node.following().groups_to_compare(Instant::now());
        let mut parts: HashMap<usize, Vec<GroupName>> = HashMap::new();
        for group in groups {
            parts.entry(self.partition_of(group.as_str())).or_default().push(group);
        }
        for (partition, groups) in parts {
            let Some(link) = self.links.get(partition).filter(|link| link.is_up()) else {
                continue;
            };
            for chunk in groups.chunks(GROUPS_PER_CALL) {
                let mut call = self.scripts.positions.key(&link.keys.base);
                for group in chunk {
                    call.arg(group.as_str());
                }
                let positions = match link.call::<Vec<(String, u64)>>(&call).await {
                    Ok(positions) => positions,
                    // In 5 s again.
                    Err(error) => {
                        tracing::debug!(%error, "groups are compared later");
                        continue;
                    }
                };
                let (mut following, now) = (node.following(), Instant::now());
                for (group, (epoch, offset)) in chunk.iter().zip(positions) {
                    let Some(sequence) = following.sequences.get_mut(group) else { continue };
                    match epoch.parse() {
                        Ok(epoch) => sequence.compare(Position { epoch, offset }, now),
                        Err(_) => sequence.is_forgotten(),
                    }
                }
            }
        }
    }
}
