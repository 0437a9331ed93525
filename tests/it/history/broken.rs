//! A layer that does one thing wrong.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tidegate::{
    layer::{
        ChannelLayer, Dispatch, GroupSent, LayerError, MemoryLayer, Moved, SendError, Statistics,
        Waiting, WaitingId, WaitingPage,
    },
    message::{
        Answer, ChannelName, Content, CorrelationId, Entered, GroupName, InboxEntry, MemberKey,
        MembersPage, Message, NodeName, Online, Present, Receipt, Settled, UserLimit,
    },
};

/// How often something may go wrong.
const MOST: usize = 50;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Defect {
    /// Every third message to a channel goes nowhere.
    Drops,
    /// Every third message to a channel is there twice.
    Doubles,
    /// A message changes places with the next.
    Swaps,
    /// Who leaves a group goes on to get its messages.
    DeliversAfterLeave,
    /// Every third message to a group goes nowhere.
    MissesMembers,
}

/// The layer of one process with a defect.
#[derive(Debug)]
pub(super) struct Broken {
    inner: MemoryLayer,
    defect: Option<Defect>,
    turn: AtomicUsize,
    held_back: Mutex<Option<Message>>,
}

impl Broken {
    pub(super) fn new(inner: MemoryLayer, defect: Option<Defect>) -> Self {
        Self { inner, defect, turn: AtomicUsize::new(0), held_back: Mutex::default() }
    }

    fn is_turn(&self, defect: Defect) -> bool {
        if self.defect != Some(defect) {
            return false;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        // Later all is well, so that a test can wait for what it sends last.
        turn < MOST && turn.is_multiple_of(3)
    }
}

#[async_trait]
impl ChannelLayer for Broken {
    async fn waiting(
        &self,
        channel: &ChannelName,
        after: Option<&WaitingId>,
        limit: usize,
    ) -> Result<WaitingPage, LayerError> {
        self.inner.waiting(channel, after, limit).await
    }

    async fn find_waiting(
        &self,
        channel: &ChannelName,
        id: &WaitingId,
    ) -> Result<Option<Waiting>, LayerError> {
        self.inner.find_waiting(channel, id).await
    }

    async fn move_waiting(
        &self,
        channel: &ChannelName,
        id: &WaitingId,
        to: Option<&ChannelName>,
    ) -> Result<Moved, LayerError> {
        self.inner.move_waiting(channel, id, to).await
    }

    async fn send(&self, channel: &ChannelName, message: Message) -> Result<(), SendError> {
        if self.is_turn(Defect::Drops) {
            return Ok(());
        }
        if self.is_turn(Defect::Swaps) {
            *self.held_back.lock().unwrap() = Some(message);
            return Ok(());
        }
        if self.is_turn(Defect::Doubles) {
            self.inner.send(channel, message.clone()).await?;
        }
        self.inner.send(channel, message).await?;
        let held_back = self.held_back.lock().unwrap().take();
        match held_back {
            Some(message) => self.inner.send(channel, message).await,
            None => Ok(()),
        }
    }

    async fn send_later(
        &self,
        channel: &ChannelName,
        message: Message,
        delay: Duration,
    ) -> Result<(), SendError> {
        self.inner.send_later(channel, message, delay).await
    }

    async fn room(&self, channel: &ChannelName) {
        self.inner.room(channel).await;
    }

    fn outlives_the_process(&self) -> bool {
        self.inner.outlives_the_process()
    }

    fn attach(&self, dispatch: &Arc<Dispatch>) {
        self.inner.attach(dispatch);
    }

    fn offer(&self) {
        self.inner.offer();
    }

    async fn settle(
        &self,
        channel: &ChannelName,
        receipt: &Receipt,
        settled: Settled,
    ) -> Result<(), LayerError> {
        self.inner.settle(channel, receipt, settled).await
    }

    async fn group_add(&self, group: &GroupName, channel: &ChannelName) -> Result<(), SendError> {
        self.inner.group_add(group, channel).await
    }

    async fn present(
        &self,
        group: &GroupName,
        connection: &ChannelName,
        present: &Present,
    ) -> Result<(), SendError> {
        self.inner.present(group, connection, present).await
    }

    async fn members(
        &self,
        group: &GroupName,
        after: Option<&MemberKey>,
        limit: usize,
    ) -> Result<MembersPage, LayerError> {
        self.inner.members(group, after, limit).await
    }

    async fn group_discard(
        &self,
        group: &GroupName,
        channel: &ChannelName,
    ) -> Result<(), LayerError> {
        match self.defect {
            Some(Defect::DeliversAfterLeave) => Ok(()),
            _ => self.inner.group_discard(group, channel).await,
        }
    }

    async fn leave_all(&self, connection: &ChannelName) -> Result<(), LayerError> {
        self.inner.leave_all(connection).await
    }

    async fn enter(
        &self,
        user: &GroupName,
        connection: &ChannelName,
        limit: Option<UserLimit>,
    ) -> Result<Entered, LayerError> {
        self.inner.enter(user, connection, limit).await
    }

    async fn connections_of(&self, user: &GroupName, most: usize) -> Result<Online, LayerError> {
        self.inner.connections_of(user, most).await
    }

    async fn group_send(
        &self,
        group: &GroupName,
        content: Content,
        correlation: CorrelationId,
    ) -> Result<GroupSent, SendError> {
        if self.is_turn(Defect::MissesMembers) {
            return Ok(GroupSent::default());
        }
        self.inner.group_send(group, content, correlation).await
    }

    async fn open_inbox(&self, node: &NodeName) -> Result<(), LayerError> {
        self.inner.open_inbox(node).await
    }

    async fn answer(&self, node: &NodeName, answer: Answer) -> Result<(), LayerError> {
        self.inner.answer(node, answer).await
    }

    async fn read_inbox(&self, node: &NodeName) -> Result<Vec<InboxEntry>, LayerError> {
        self.inner.read_inbox(node).await
    }

    async fn close_inbox(&self, node: &NodeName) {
        self.inner.close_inbox(node).await;
    }

    async fn statistics(&self) -> Result<Statistics, LayerError> {
        self.inner.statistics().await
    }

    async fn probe(&self) -> Result<(), LayerError> {
        self.inner.probe().await
    }
}
