//! Does things to a layer and notes them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tests::{
    Slots, background,
    history::{History, Stamp, Step},
};
use tidegate::{
    layer::{ChannelLayer, LastingChannels, Owners, SendError},
    message::{
        ChannelName, Content, CorrelationId, GroupName, InboxEntry, Lasting, LocalName, Message,
        ModuleName, NodeName, Payload, Settled,
    },
};
use tokio::task::JoinHandle;

pub(super) fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name).unwrap()
}

pub(super) fn group(name: &str) -> GroupName {
    GroupName::parse(name).unwrap()
}

/// `{"p": producer, "s": sequence}`
pub(super) fn content(stamp: Stamp) -> Content {
    let mut map = b"\x82\xa1p\xce".to_vec();
    map.extend(stamp.producer.to_be_bytes());
    map.extend(b"\xa1s\xcf");
    map.extend(stamp.sequence.to_be_bytes());
    Content::parse(Bytes::from(map)).unwrap()
}

pub(super) fn stamp_of(content: &Content) -> Stamp {
    let bytes = content.as_bytes();
    Stamp {
        producer: u32::from_be_bytes(*bytes.get(4..).unwrap().first_chunk().unwrap()),
        sequence: u64::from_be_bytes(*bytes.get(11..).unwrap().first_chunk().unwrap()),
    }
}

/// The channels of a reader.
pub(super) fn owners(channels: &[&str]) -> Arc<Owners> {
    let module = ModuleName::parse("module").unwrap();
    Arc::new(channels.iter().map(|name| (channel(name), module.clone())).collect())
}

/// One who does things, one after the other.
pub(super) struct Producer {
    layer: Arc<dyn ChannelLayer>,
    history: Arc<History>,
    next: Stamp,
}

impl Producer {
    pub(super) fn new(
        layer: &Arc<dyn ChannelLayer>,
        history: &Arc<History>,
        producer: u32,
    ) -> Self {
        let next = Stamp { producer, sequence: 0 };
        Self { layer: Arc::clone(layer), history: Arc::clone(history), next }
    }

    fn stamp(&mut self) -> Stamp {
        self.next.sequence += 1;
        self.next
    }

    /// Sends until there is room. Returns whether it was taken for certain.
    pub(super) async fn send(&mut self, name: &str) -> bool {
        let (stamp, to) = (self.stamp(), channel(name));
        self.history.note(Step::Sending(name.to_owned(), stamp));
        loop {
            let message = Message::custom(content(stamp), CorrelationId::random());
            match self.layer.send(&to, message).await {
                Ok(()) => {
                    self.history.note(Step::Sent(name.to_owned(), stamp));
                    return true;
                }
                Err(SendError::ChannelFull(_)) => self.layer.room(&to).await,
                Err(_) => {
                    self.history.note(Step::Unknown(stamp));
                    return false;
                }
            }
        }
    }

    pub(super) async fn join(&self, to: &str, member: &ChannelName) {
        self.history.note(Step::Joining(to.to_owned(), member.to_string()));
        if self.layer.group_add(&group(to), member).await.is_ok() {
            self.history.note(Step::Joined(to.to_owned(), member.to_string()));
        }
    }

    pub(super) async fn leave(&self, from: &str, member: &ChannelName) {
        self.history.note(Step::Leaving(from.to_owned(), member.to_string()));
        if self.layer.group_discard(&group(from), member).await.is_ok() {
            self.history.note(Step::Left(from.to_owned(), member.to_string()));
        }
    }

    pub(super) async fn publish(&mut self, to: &str) {
        let stamp = self.stamp();
        self.history.note(Step::Publishing(to.to_owned(), stamp));
        let sent = self.layer.group_send(&group(to), content(stamp), CorrelationId::random()).await;
        if sent.is_ok() {
            self.history.note(Step::Published(to.to_owned(), stamp));
        }
    }
}

/// Reads channels until it is aborted.
pub(super) fn reader(
    layer: &Arc<dyn ChannelLayer>,
    history: &Arc<History>,
    reader: u32,
    owners: &Arc<Owners>,
) -> JoinHandle<()> {
    let history = Arc::clone(history);
    let slots = Slots::read(layer, owners, &Arc::default(), 3);
    background(async move {
        loop {
            let received = slots.next().await;
            let Payload::Custom(content) = &received.message.payload else { continue };
            let (channel, stamp) = (received.channel.to_string(), stamp_of(content));
            history.note(Step::Received { reader, channel, stamp });
        }
    })
}

/// Takes a message of a channel that delivers at least once, and does not live to settle it, now and
/// then; else it does what it has to.
pub(super) fn dying_reader(
    layer: &Arc<dyn ChannelLayer>,
    history: &Arc<History>,
    reader: u32,
    name: &str,
    lease: Duration,
) -> JoinHandle<()> {
    let (layer, history) = (Arc::clone(layer), Arc::clone(history));
    let (name, owners) = (channel(name), owners(&[name]));
    let lasting = Lasting { retries: 100, lease };
    let lasting = Arc::new(LastingChannels::from([(name.clone(), lasting)]));
    let slots = Slots::read(&layer, &owners, &lasting, 3);
    background(async move {
        for turn in 1_u32.. {
            let received = slots.next().await;
            let receipt = received.receipt.expect("the channel delivers at least once");
            let Payload::Custom(content) = &received.message.payload else { continue };
            if turn.is_multiple_of(5) {
                continue;
            }
            let (channel, stamp) = (received.channel.to_string(), stamp_of(content));
            history.note(Step::Received { reader, channel, stamp });
            // What is not heard comes again.
            drop(layer.settle(&name, &receipt, Settled::Done).await);
        }
    })
}

/// A node whose connections note what they get, until it is aborted.
pub(super) async fn node(
    layer: &Arc<dyn ChannelLayer>,
    history: &Arc<History>,
    name: &NodeName,
) -> JoinHandle<()> {
    layer.open_inbox(name).await.unwrap();
    let (layer, history, name) = (Arc::clone(layer), Arc::clone(history), name.clone());
    background(async move {
        loop {
            let Ok(entries) = layer.read_inbox(&name).await else {
                tokio::task::yield_now().await;
                continue;
            };
            for (member, stamp) in entries.iter().flat_map(|entry| deliveries(&name, entry)) {
                history.note(Step::Delivered(member, stamp));
            }
        }
    })
}

/// Who gets which message.
pub(super) fn deliveries(node: &NodeName, entry: &InboxEntry) -> Vec<(String, Stamp)> {
    let InboxEntry::Message { to, content, .. } = entry else { return Vec::new() };
    let channel = |local: &LocalName| ChannelName::of_connection(node, local).to_string();
    to.iter().map(|local| (channel(local), stamp_of(content))).collect()
}
