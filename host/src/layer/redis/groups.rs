//! Groups: Redis knows which nodes have members, and each node which of its connections they are.

use std::collections::HashMap;

use super::{
    Shared,
    inbox::Put,
    node::{Emptied, Node, Over},
    wire::Parcel,
};
use crate::{
    layer::{GroupSent, LayerError, SendError},
    message::{
        Beyond, ChannelName, Content, CorrelationId, Entered, GroupName, Message, NodeName, Online,
        Position, Present, UserLimit, is_for_those_present,
    },
    redis::{Link, micros},
    telemetry::DropReason,
};

/// Groups that one command names.
const GROUPS_PER_CALL: usize = 500;

/// Names of the nodes and of the channels that get a message to a group.
pub(super) type Members = (Vec<String>, Vec<String>);

impl Shared {
    pub(super) async fn group_add(
        &self,
        group: &GroupName,
        channel: &ChannelName,
        present: Option<&Present>,
    ) -> Result<(), SendError> {
        let Some((node, local)) = channel.connection() else {
            let link = self.link(group.as_str())?;
            let mut call = self.scripts.join_named.key(&link.keys.base);
            call.arg(group.as_str()).arg(channel.as_str()).arg(micros(self.config.group_expiry));
            let _: u8 = link.call(&call).await?;
            return Ok(());
        };
        let registered = self.register(&node, group).await?;
        // After the registration, so that the entry is before any message to the group. Where the group's
        // partition does not know the node, the put tells whether the node is gone.
        let count = registered.unwrap_or(0);
        let (group_name, present) = (group.clone(), present.cloned());
        let parcel = Parcel::Join { local, group: group_name, count, present, since: None };
        self.put_join(&node, parcel, registered).await
    }

    /// Tells a node of a member, after it was registered for the group.
    pub(super) async fn put_join(
        &self,
        node: &NodeName,
        parcel: Parcel,
        registered: Option<u64>,
    ) -> Result<(), SendError> {
        let put = self.put(node, &parcel).await;
        let Parcel::Join { group, count, .. } = parcel else { return Ok(()) };
        // The registration of a first member is undone. Others may rely on a later one.
        if count == 1 && matches!(put, Ok(Put::Full | Put::Gone)) {
            self.deregister(node, vec![(group.clone(), count)]).await?;
        }
        match put? {
            Put::Taken if registered.is_some() => Ok(()),
            Put::Taken => {
                let error = format!("node {node} has not renewed its lease where group {group} is");
                Err(LayerError::NotRegistered(error).into())
            }
            Put::Full => Err(LayerError::InboxFull(node.clone()).into()),
            Put::Gone => {
                self.metrics.dropped(DropReason::ConnectionGone);
                Ok(())
            }
        }
    }

    pub(super) async fn group_discard(
        &self,
        group: &GroupName,
        channel: &ChannelName,
    ) -> Result<(), LayerError> {
        if let Some((node, local)) = channel.connection() {
            let parcel = Parcel::Leave { local, group: group.clone() };
            return self.deliver(&node, &parcel).await.map(drop);
        }
        let link = self.link(group.as_str())?;
        let mut call = self.scripts.leave_named.key(&link.keys.base);
        call.arg(group.as_str()).arg(channel.as_str());
        let _: u8 = link.call(&call).await?;
        Ok(())
    }

    pub(super) async fn leave_all(&self, connection: &ChannelName) -> Result<(), LayerError> {
        let Some((name, local)) = connection.connection() else { return Ok(()) };
        match self.node(&name) {
            Some(node) => {
                self.release(&node, node.leave_all(&local)).await;
                self.tell_presence(&node).await;
                Ok(())
            }
            None => self.deliver(&name, &Parcel::LeaveAll { local }).await.map(drop),
        }
    }

    /// Makes a connection of a node of this process one of a user's. The node knows it before Redis does: whatever
    /// becomes of this call, `leave_all` takes it away.
    pub(super) async fn enter(
        &self,
        user: &GroupName,
        connection: &ChannelName,
        limit: Option<UserLimit>,
    ) -> Result<Entered, LayerError> {
        let Some((name, local)) = connection.connection() else {
            return Err(LayerError::Defect(format!("{connection} is no connection")));
        };
        let node = self.node(&name).ok_or_else(|| LayerError::NoInbox(name.clone()))?;
        node.enters(&local, user);
        let most = limit.map_or(0, |limit| limit.connections.get());
        let beyond = match limit.map(|limit| limit.beyond).unwrap_or_default() {
            Beyond::Refuse => "refuse",
            Beyond::CloseOldest => "close_oldest",
        };
        let mut call = self.scripts.enter.key(&self.link(user.as_str())?.keys.base);
        call.arg(name.as_str()).arg(user.as_str()).arg(connection.as_str()).arg(most).arg(beyond);
        let (count, connections, displaced): (i64, usize, Vec<String>) =
            self.link(user.as_str())?.call(&call).await?;
        match count {
            -2 => Ok(Entered::Full),
            count => {
                let count = u64::try_from(count).map_err(|_| {
                    let place = "where the connections of its user are";
                    LayerError::NotRegistered(format!(
                        "node {name} has not renewed its lease {place}"
                    ))
                })?;
                node.join(local, user.clone(), count);
                let displaced = displaced.iter().filter_map(|name| ChannelName::parse(name).ok());
                Ok(Entered::In { connections, displaced: displaced.collect() })
            }
        }
    }

    pub(super) async fn connections_of(
        &self,
        user: &GroupName,
        most: usize,
    ) -> Result<Online, LayerError> {
        let link = self.link(user.as_str())?;
        let mut call = self.scripts.online.key(&link.keys.base);
        call.arg(user.as_str()).arg(most);
        let (count, some): (usize, Vec<String>) = link.call(&call).await?;
        let some = some.iter().filter_map(|name| ChannelName::parse(name).ok()).collect();
        Ok(Online { count, some })
    }

    /// Tells Redis of connections of users that are over, or notes that it has to be told.
    async fn tell_over(&self, node: &Node) {
        let is_up = |group: &GroupName| self.link(group.as_str()).is_ok_and(Link::is_up);
        let mut parts: HashMap<usize, Vec<Over>> = HashMap::new();
        for (user, local) in node.take_over(is_up) {
            parts.entry(self.partition_of(user.as_str())).or_default().push((user, local));
        }
        for (partition, over) in parts {
            let Some(link) = self.links.get(partition) else { continue };
            for chunk in over.chunks(GROUPS_PER_CALL) {
                let mut call = self.scripts.exit.key(&link.keys.base);
                for (user, local) in chunk {
                    let channel = ChannelName::of_connection(&node.name, local);
                    call.arg(user.as_str()).arg(channel.as_str());
                }
                if let Err(error) = link.call::<u8>(&call).await {
                    tracing::debug!(%error, "connections of users are taken away later");
                    node.owe_over(chunk.to_vec());
                }
            }
        }
    }

    pub(super) async fn group_send(
        &self,
        group: &GroupName,
        content: Content,
        correlation: CorrelationId,
    ) -> Result<GroupSent, SendError> {
        let Some(kept) = self.kept(group) else {
            let is_known = self.histories.get().is_some();
            return self.send_to_members(group, content, correlation, is_known).await;
        };
        if is_for_those_present(&content) {
            return self.send_to_members(group, content, correlation, false).await;
        }
        self.check_size(content.as_bytes().len())?;
        let (members, position) = self.remember(group, &content, &kept).await?;
        self.send_to(members, (group, Some(position)), content, correlation).await
    }

    /// Sends a message to the members of a group. Nobody remembers it, nor what the group was sent before where it is
    /// known not to be remembered any more.
    pub(super) async fn send_to_members(
        &self,
        group: &GroupName,
        content: Content,
        correlation: CorrelationId,
        is_not_remembered: bool,
    ) -> Result<GroupSent, SendError> {
        self.check_size(content.as_bytes().len())?;
        let link = self.link(group.as_str())?;
        let mut call = self.scripts.members.key(&link.keys.base);
        call.arg(group.as_str());
        if is_not_remembered {
            call.arg(1);
        }
        let members: Members = link.call(&call).await?;
        self.send_to(members, (group, None), content, correlation).await
    }

    async fn send_to(
        &self,
        (nodes, channels): Members,
        (group, position): (&GroupName, Option<Position>),
        content: Content,
        correlation: CorrelationId,
    ) -> Result<GroupSent, SendError> {
        let mut sent = GroupSent::default();
        let (group, of) = (group.clone(), content.clone());
        let parcel = Parcel::Group { group, content: of, correlation, position };
        // All at once: they are in different inboxes, and the answers come together.
        let nodes = nodes.iter().filter_map(|name| NodeName::parse(name).ok());
        let delivering = nodes.map(|node| {
            let parcel = &parcel;
            async move { self.deliver(&node, parcel).await }
        });
        for delivered in futures_util::future::join_all(delivering).await {
            if delivered? {
                sent.reached += 1;
            } else {
                sent.missed += 1;
            }
        }
        for name in channels {
            let Ok(channel) = ChannelName::parse(&name) else { continue };
            match self.send(&channel, Message::custom(content.clone(), correlation)).await {
                Ok(()) => sent.reached += 1,
                Err(_) => {
                    self.metrics.dropped(DropReason::GroupChannelFull);
                    sent.missed += 1;
                }
            }
        }
        Ok(sent)
    }

    /// Registers a node as one with members of a group. Returns the count for the join entry; none if the
    /// partition does not know the node.
    pub(super) async fn register(
        &self,
        node: &NodeName,
        group: &GroupName,
    ) -> Result<Option<u64>, LayerError> {
        let link = self.link(group.as_str())?;
        let mut call = self.scripts.join.key(&link.keys.base);
        call.arg(node.as_str()).arg(group.as_str());
        let count: i64 = link.call(&call).await?;
        Ok(u64::try_from(count).ok())
    }

    /// Registers that a node has no members of groups any more.
    async fn deregister(&self, node: &NodeName, emptied: Vec<Emptied>) -> Result<(), LayerError> {
        let mut parts: HashMap<usize, Vec<Emptied>> = HashMap::new();
        for (group, count) in emptied {
            parts.entry(self.partition_of(group.as_str())).or_default().push((group, count));
        }
        for (partition, groups) in parts {
            let Some(link) = self.links.get(partition) else { continue };
            for chunk in groups.chunks(GROUPS_PER_CALL) {
                let mut call = self.scripts.leave.key(&link.keys.base);
                call.arg(node.as_str());
                for (group, count) in chunk {
                    call.arg(group.as_str()).arg(*count);
                }
                let _: u8 = link.call(&call).await?;
            }
        }
        Ok(())
    }

    /// Deregisters groups, and does so again with the next renewal where that fails: leaving a group does not
    /// wait for Redis.
    pub(super) async fn release(&self, node: &Node, emptied: Vec<Emptied>) {
        self.tell_over(node).await;
        let is_up = |group: &GroupName| self.link(group.as_str()).is_ok_and(Link::is_up);
        let (now, later): (Vec<_>, Vec<_>) =
            emptied.into_iter().partition(|(group, _)| is_up(group));
        node.owe(later);
        if let Err(error) = self.deregister(&node.name, now.clone()).await {
            tracing::debug!(%error, "groups are left later");
            node.owe(now);
        }
    }
}
