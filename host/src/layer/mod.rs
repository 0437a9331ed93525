//! The channel layer: carries messages from interface servers to workers and answers back.
//!
//! Delivery is at most once, unless a channel keeps its messages until they are done, and first in first
//! out per channel with one reader. Every message that is lost is counted with a reason. `conformance`
//! holds what every implementation must do.

mod capacity;
#[cfg(test)]
mod conformance;
mod dispatch;
mod error;
mod histories;
mod memory;
mod presence;
mod question;
mod redis;
mod waiting;

use std::{
    collections::{HashMap, HashSet},
    fmt, io,
    path::Path,
    sync::{Arc, Weak, atomic::AtomicUsize},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;

pub use capacity::{BUILT_IN, Capacities, PatternError};
pub use dispatch::{Dispatch, Feeding};
pub use error::{LayerError, SendError};
pub use histories::{Histories, PAGE_BYTES_MAX, PAGE_MESSAGES_MAX};
pub use memory::MemoryLayer;
pub use question::{Respondent, Unanswered};
pub use redis::RedisLayer;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use redis::fuzzing;
pub use waiting::{Moved, Waiting, WaitingId, WaitingPage};

use crate::message::{
    After, Answer, ChannelName, Content, CorrelationId, Entered, GroupName, InboxEntry, Lasting,
    LocalName, MemberKey, MembersPage, Message, MessageId, ModuleName, NodeName, Online, Page,
    Present, Receipt, Settled, Start, UserLimit,
};

/// How long a message waits in a channel that delivers at least once.
pub const KEPT: Duration = Duration::from_secs(86_400);

/// The limits and expiries of a layer.
#[derive(Clone, Debug)]
pub struct LayerConfig {
    /// The largest message, in bytes.
    pub message_bytes: usize,
    /// Messages that a channel holds.
    pub capacities: Capacities,
    /// How long a message waits to be read, unless it says otherwise.
    pub expiry: Duration,
    /// How long a named channel stays in a group after it was last added. Connections stay until
    /// they end.
    pub group_expiry: Duration,
    /// Groups that one connection is a member of.
    pub groups_per_connection: Option<usize>,
    /// Members that are present in one group.
    pub presence_members: usize,
    /// Bytes of data that wait in a node's inbox.
    pub inbox_bytes: usize,
    /// Messages that wait to be sent later.
    pub delayed_messages: usize,
    /// Bytes of all messages that wait in channels or to be sent later.
    pub total_bytes: usize,
}

impl Default for LayerConfig {
    fn default() -> Self {
        Self {
            message_bytes: (1024 + 64) * 1024,
            capacities: Capacities::default(),
            expiry: Duration::from_secs(60),
            group_expiry: Duration::from_secs(86_400),
            groups_per_connection: Some(100),
            presence_members: 100_000,
            inbox_bytes: 64 * 1024 * 1024,
            delayed_messages: 10_000,
            total_bytes: 256 * 1024 * 1024,
        }
    }
}

/// The channels that are read, with the module that each belongs to.
pub type Owners = HashMap<ChannelName, ModuleName>;

/// The channels among them that deliver at least once.
pub type LastingChannels = HashMap<ChannelName, Lasting>;

/// The messages that a worker takes at present.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// How many messages it takes at most.
    pub max: usize,
    /// The channels it reads.
    pub owners: &'a Arc<Owners>,
    /// Which of them keep messages until they are done.
    pub lasting: &'a Arc<LastingChannels>,
    /// How many slots each module holds. The module that holds fewest is served first.
    pub held: &'a HashMap<ModuleName, usize>,
    /// How many slots one module may hold.
    pub ceiling: usize,
}

/// A message that was taken from a channel.
#[derive(Debug)]
pub struct Received {
    /// The channel.
    pub channel: ChannelName,
    /// The module that the channel belongs to.
    pub module: ModuleName,
    /// The message.
    pub message: Message,
    /// How long it waited.
    pub waited: Duration,
    /// With it the message is settled, if its channel delivers at least once.
    pub receipt: Option<Receipt>,
}

/// The result of a message to a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupSent {
    /// Nodes with members and named channels that it went to.
    pub reached: usize,
    /// Those that missed it since they were full.
    pub missed: usize,
}

impl GroupSent {
    /// Counts one that it went to, or that missed it.
    fn count(&mut self, is_reached: bool) {
        let count = if is_reached { &mut self.reached } else { &mut self.missed };
        *count += 1;
    }
}

/// How full a layer is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// For each channel that holds messages: how many, and the age of the oldest.
    pub channels: HashMap<ChannelName, (usize, Duration)>,
    /// Groups with members.
    pub groups: usize,
    /// Messages that wait to be sent later.
    pub delayed: usize,
}

/// Messages that end with a process, since its layer keeps them nowhere else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostAtStop {
    /// Those that were to be sent later.
    pub delayed: usize,
    /// Those of channels that deliver at least once, and of their dead-letter channels.
    pub at_least_once: usize,
    /// Those of all other channels.
    pub at_most_once: usize,
}

/// Takes answers for the connections of a node.
pub trait Recipient: fmt::Debug + Send + Sync + 'static {
    /// Takes an answer. Slots call it, by the layer: it must not block.
    fn answer(&self, answer: Answer);
}

/// Carries messages. Used as `Arc<dyn ChannelLayer>`.
///
/// Unless a method says otherwise, dropping its future leaves the operation done or not done, and nothing between.
#[async_trait]
pub trait ChannelLayer: fmt::Debug + Send + Sync + 'static {
    /// Puts a message at the end of a channel. A message to a reply channel goes to its node's
    /// inbox. Never waits for room.
    ///
    /// Interface servers call it for each event, workers for what consumers send, the admin API and the command
    /// line for scripts. Messages of one caller that awaits each call keep their order.
    async fn send(&self, channel: &ChannelName, message: Message) -> Result<(), SendError>;

    /// Sends a message, not before `delay` has passed. Workers call it for consumers that ask for a delay.
    async fn send_later(
        &self,
        channel: &ChannelName,
        message: Message,
        delay: Duration,
    ) -> Result<(), SendError>;

    /// Resolves when a full channel may have room again. A hint: the next send may still fail.
    ///
    /// Senders that may wait call it after [`SendError::ChannelFull`], with a timeout. Dropping the future does no
    /// harm.
    async fn room(&self, channel: &ChannelName);

    /// Hands messages over to a worker from now on, as far as its demand goes, until it is closed. The
    /// worker calls it once for its dispatch, before its slots start.
    fn attach(&self, dispatch: &Arc<Dispatch>);

    /// Whether messages of channels that deliver at least once are there when the process is gone.
    fn outlives_the_process(&self) -> bool;

    /// Hands over the messages at hand. Slots call it, each on its own thread, before they sleep: it must
    /// not block. A layer whose messages come from elsewhere watches the demand instead.
    fn offer(&self) {}

    /// Sends later messages when they are due, where nobody else does. The application runs it as long as
    /// it uses the layer; dropping the future loses nothing.
    async fn keep_time(&self) {
        std::future::pending().await
    }

    /// Settles a message of an at-least-once channel that was taken. Does nothing if its lease has run out: then
    /// another worker has it.
    ///
    /// A worker calls it once, after the run and after the messages of the run are sent. A message that is not
    /// settled is redelivered when its lease has run out.
    async fn settle(
        &self,
        channel: &ChannelName,
        receipt: &Receipt,
        settled: Settled,
    ) -> Result<(), LayerError>;

    /// Makes a channel a member of a group, or renews its membership.
    ///
    /// Workers call it for consumers, before the replies of the same event are sent. They make a failed join again
    /// if its error is transient, and otherwise refuse the connection.
    async fn group_add(&self, group: &GroupName, channel: &ChannelName) -> Result<(), SendError>;

    /// Makes a connection a member of a group and present in it, or changes the facts of its member. The
    /// connection gets a list of the members where the rule says that clients are told. Beyond
    /// [`LayerConfig::presence_members`], or the connections that one member may have, the connection is in the group
    /// and not present, which is counted.
    ///
    /// Workers call it for consumers, as [`group_add`](Self::group_add), and make it again likewise. What ends the
    /// membership ends the presence, too.
    async fn present(
        &self,
        group: &GroupName,
        connection: &ChannelName,
        present: &Present,
    ) -> Result<(), SendError>;

    /// Returns the members of a group whose keys come after one, in the order of their keys: up to `limit`, 0 for
    /// their number alone. Parts are of different moments.
    ///
    /// Workers call it for consumers, the admin API for operators.
    async fn members(
        &self,
        group: &GroupName,
        after: Option<&MemberKey>,
        limit: usize,
    ) -> Result<MembersPage, LayerError>;

    /// Ends a membership, if there is one. Workers call it for consumers.
    async fn group_discard(
        &self,
        group: &GroupName,
        channel: &ChannelName,
    ) -> Result<(), LayerError>;

    /// Ends all memberships of a connection. Its interface server calls it when the connection has ended, or
    /// after an entry for a connection that is not there.
    async fn leave_all(&self, connection: &ChannelName) -> Result<(), LayerError>;

    /// Makes a connection of this process one of a user's, whose group is `user`, unless there are too many. It is
    /// in the group then, beside the groups that count for its limit.
    ///
    /// Its interface server calls it, before anything runs for the connection, and [`leave_all`](Self::leave_all)
    /// at its end, also after an error. It tells the displaced ones itself.
    async fn enter(
        &self,
        user: &GroupName,
        connection: &ChannelName,
        limit: Option<UserLimit>,
    ) -> Result<Entered, LayerError>;

    /// Returns how many connections a user has, and up to `most` of them. Workers call it for consumers.
    async fn connections_of(&self, user: &GroupName, most: usize) -> Result<Online, LayerError>;

    /// Sends a message to every member of a group. Members that are full miss it.
    ///
    /// Workers call it for consumers, the admin API and the command line for scripts. Dropping the future may leave
    /// some members with the message and others without.
    async fn group_send(
        &self,
        group: &GroupName,
        content: Content,
        correlation: CorrelationId,
    ) -> Result<GroupSent, SendError>;

    /// Lends what says which groups are remembered. The application lends it once, before anything is served; a
    /// process that only sends lends none.
    fn lend_histories(&self, _histories: &Histories) {}

    /// Leaves histories in a file for the next process, and returns of how many groups. The application calls it at its
    /// orderly end, when nobody sends any more. A layer whose histories outlive the process leaves none.
    fn leave_histories(&self, _file: &Path) -> io::Result<usize> {
        Ok(0)
    }

    /// Takes up the histories that the process before has left, by the bytes of its file. Returns of how many groups. The
    /// application removes the file, and calls it before anything is sent.
    fn take_up_histories(&self, _bytes: &[u8]) -> io::Result<usize> {
        Ok(0)
    }

    /// Whether a group is remembered. Workers call it for consumers that join or read a history.
    fn keeps_history(&self, _group: &GroupName) -> bool {
        false
    }

    /// Makes a connection a member of a group that sees positions, and sends it what it has missed: all messages
    /// behind its position, in order and once, or that they are not all there. One that sees positions already stays
    /// as it is. Of a group that is not remembered any more it is a member like others.
    ///
    /// Workers call it for consumers, as [`group_add`](Self::group_add).
    async fn group_join(
        &self,
        group: &GroupName,
        channel: &ChannelName,
        _start: &Start,
    ) -> Result<(), SendError> {
        self.group_add(group, channel).await
    }

    /// Reads the history of a group: what came after a position, oldest first, or the latest messages. At most
    /// `limit` messages, fewer if they are large.
    ///
    /// Workers call it while a consumer waits.
    async fn history(
        &self,
        group: &GroupName,
        _after: After,
        _limit: usize,
    ) -> Result<Page, LayerError> {
        Err(LayerError::NotRemembered(group.clone()))
    }

    /// Makes a node known, so that its connections can be reached. An interface server calls it once, before it
    /// accepts connections.
    async fn open_inbox(&self, node: &NodeName) -> Result<(), LayerError>;

    /// Puts an answer into a node's inbox. Data is dropped and counted when the inbox is full; the
    /// done mark never is.
    ///
    /// Workers call it for each flush with replies and at the end of each event.
    async fn answer(&self, node: &NodeName, answer: Answer) -> Result<(), LayerError>;

    /// Lends a node that takes answers by a call. A layer of one process may call it in place of the inbox.
    /// The interface server lends it once, when its inbox is open.
    fn lend_recipient(&self, _node: &NodeName, _recipient: Weak<dyn Recipient>) {}

    /// Lends a node that answers questions of any process. The interface server lends it once, when its inbox is open.
    fn lend_respondent(&self, _node: &NodeName, _respondent: Weak<dyn Respondent>) {}

    /// Asks a node, of this process or another one, and waits so long for the answer. The admin API calls it. Dropping
    /// the future leaves the question asked, and its answer unread.
    async fn ask(
        &self,
        _node: &NodeName,
        _question: Bytes,
        _patience: Duration,
    ) -> Result<Bytes, Unanswered> {
        Err(Unanswered::Gone)
    }

    /// Returns the connections of a node of this process that are members of a group. The node calls it to answer
    /// questions.
    fn members_on(&self, _node: &NodeName, _group: &GroupName) -> Vec<LocalName> {
        Vec::new()
    }

    /// Returns the groups of a connection of this process, by name. Its node calls it to answer questions.
    fn groups_of(&self, _connection: &ChannelName) -> Vec<GroupName> {
        Vec::new()
    }

    /// Lends the count of a node's open WebSockets, which others count as lost should the process die. An
    /// interface server calls it once, after [`open_inbox`](Self::open_inbox).
    fn count_sockets(&self, _node: &NodeName, _open: Arc<AtomicUsize>) {}

    /// Takes the entries that have arrived for a node, in order; waits while there are none.
    ///
    /// One task of the interface server calls it, again and again until the process stops. Dropping the future may
    /// lose entries that are on their way, so the task drops it only then.
    async fn read_inbox(&self, node: &NodeName) -> Result<Vec<InboxEntry>, LayerError>;

    /// Forgets a node with its inbox and the memberships of its connections. Its interface server calls it once,
    /// when its connections have ended.
    async fn close_inbox(&self, node: &NodeName);

    /// Counts what is lost with this process and forgets it. The application calls it once, when
    /// nobody sends or receives any more. `_stored` messages of channels that deliver at least once are in the
    /// store, too, and not lost. A layer whose messages outlive the process loses nothing.
    async fn stop(&self, _stored: usize) -> LostAtStop {
        LostAtStop::default()
    }

    /// Returns messages that wait in a named channel, behind one if it is given, the oldest first: `limit` at most, fewer
    /// if they are large. The admin API calls it for people to look at dead letters.
    async fn waiting(
        &self,
        channel: &ChannelName,
        after: Option<&WaitingId>,
        limit: usize,
    ) -> Result<WaitingPage, LayerError>;

    /// Returns a message that waits in a named channel; none if it does not any more. The admin API calls it.
    async fn find_waiting(
        &self,
        channel: &ChannelName,
        id: &WaitingId,
    ) -> Result<Option<Waiting>, LayerError>;

    /// Moves a message that waits in a named channel to the end of another one, where its tries count anew, or drops
    /// it and counts that. One step: it is never in both, nor in none. The admin API calls it to run a dead letter
    /// again.
    async fn move_waiting(
        &self,
        channel: &ChannelName,
        id: &WaitingId,
        to: Option<&ChannelName>,
    ) -> Result<Moved, LayerError>;

    /// Takes those messages out of a set that the layer still has, waiting or with a worker. A relay calls it where
    /// messages do not outlive the process; elsewhere nothing is taken out.
    fn retain_forgotten(&self, _ids: &mut HashSet<MessageId>) {}

    /// Returns how full the layer is now. The admin listener calls it for `/metrics` and `/api/v1/layer`.
    async fn statistics(&self) -> Result<Statistics, LayerError>;

    /// Sends a message through the layer and takes it off again, as work does. The admin listener calls it for
    /// `/readyz`. Dropping the future may leave a probe, which expires.
    async fn probe(&self) -> Result<(), LayerError>;
}
