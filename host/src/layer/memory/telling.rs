//! Messages to the members of a group, whether it is remembered or not.

use tokio::time::Instant;

use super::{MemoryLayer, lock};
use crate::{
    layer::{GroupSent, SendError},
    message::{ChannelName, Content, CorrelationId, GroupName, InboxEntry, Message},
    telemetry::DropReason,
};

impl MemoryLayer {
    /// Sends a message to the members of a group. Nobody remembers it.
    pub(super) fn tell(
        &self,
        group: &GroupName,
        content: &Content,
        correlation: CorrelationId,
    ) -> Result<GroupSent, SendError> {
        self.check_size(content.as_bytes().len())?;
        let sent = self.send_to_nodes(group, content, correlation);
        Ok(self.send_to_named(sent, content, correlation))
    }

    /// Sends a message of a group to the named channels that are its members, and counts them.
    pub(super) fn send_to_named(
        &self,
        (mut sent, named): (GroupSent, Vec<ChannelName>),
        content: &Content,
        correlation: CorrelationId,
    ) -> GroupSent {
        for channel in named {
            let put = self.put(&channel, Message::custom(content.clone(), correlation));
            if put.is_err() {
                self.metrics.dropped(DropReason::GroupChannelFull);
            }
            sent.count(put.is_ok());
        }
        sent
    }

    /// Sends a message to the connections of a group. Returns the named channels that are left to send to.
    fn send_to_nodes(
        &self,
        group: &GroupName,
        content: &Content,
        correlation: CorrelationId,
    ) -> (GroupSent, Vec<ChannelName>) {
        let members = lock(&self.groups).members(group, Instant::now());
        let mut sent = GroupSent::default();
        // Followers of a group that its module does not have remembered any more are members like all others.
        for (node, to) in members.connections.into_iter().chain(members.following) {
            let content = content.clone();
            let entry = InboxEntry::Message { to, content, from_group: true, correlation };
            sent.count(lock(&self.inboxes).put(&node, entry, &self.metrics));
        }
        (sent, members.named)
    }
}
