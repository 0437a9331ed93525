//! The layer of one process: bounded queues in memory, nothing is serialized.

mod announcing;
mod groups;
mod inboxes;
mod logs;
mod presence;
mod queues;
mod remembering;
mod telling;
mod waiting;

use std::{
    collections::HashSet,
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use self::{
    groups::{Groups, TooMany},
    inboxes::Inboxes,
    logs::Logs,
    presence::Presences,
    queues::{Popped, Queues, Returned},
};
use super::{
    ChannelLayer, Dispatch, GroupSent, Histories, LayerConfig, LayerError, LostAtStop, Moved,
    Owners, Recipient, Respondent, SendError, Statistics, Unanswered, Waiting, WaitingId,
    WaitingPage,
};
use crate::{
    message::{
        After, Answer, ChannelName, Content, CorrelationId, Entered, GroupName, InboxEntry,
        LocalName, MemberKey, MembersPage, Message, MessageId, ModuleName, NodeName, Online, Page,
        Payload, Present, Receipt, Settled, Start, UserLimit, is_for_those_present,
    },
    telemetry::{DropReason, Metrics},
};

/// The channel layer of a single process.
#[derive(Debug)]
pub struct MemoryLayer {
    config: LayerConfig,
    metrics: Arc<Metrics>,
    // Each lock is held for a few operations on maps, never across an await. Under one of these that of a
    // dispatch is taken, under that of presence those of groups and inboxes, and under that of the groups those
    // of the logs and the inboxes.
    queues: Mutex<Queues>,
    /// The workers.
    dispatches: ArcSwap<Vec<Weak<Dispatch>>>,
    groups: Mutex<Groups>,
    presence: Mutex<Presences>,
    /// Whether any connection ever was present in a group.
    has_presence: AtomicBool,
    inboxes: Mutex<Inboxes>,
    /// The histories of groups that are remembered.
    logs: Mutex<Logs>,
    /// Which groups are.
    histories: OnceLock<Histories>,
    /// The last change of those that is known.
    known_changes: AtomicU64,
    /// Told when something is due earlier than was known.
    earlier: Notify,
    /// Told when a queue that was full has room.
    room: Notify,
}

/// How long a probe may take.
const PROBE: Duration = Duration::from_secs(2);
/// How soon room is looked for where nothing tells of it.
const ROOM_HINT: Duration = Duration::from_millis(10);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves the maps whole: every change is a single operation.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryLayer {
    /// An empty layer.
    pub fn new(config: LayerConfig, metrics: Arc<Metrics>) -> Self {
        Self {
            queues: Mutex::new(Queues::new(&config)),
            groups: Mutex::new(Groups::new(&config)),
            presence: Mutex::new(Presences::new(config.presence_members)),
            has_presence: AtomicBool::new(false),
            inboxes: Mutex::new(Inboxes::new(config.inbox_bytes)),
            logs: Mutex::default(),
            histories: OnceLock::new(),
            known_changes: AtomicU64::new(0),
            config,
            metrics,
            dispatches: ArcSwap::default(),
            earlier: Notify::new(),
            room: Notify::new(),
        }
    }

    fn check_size(&self, bytes: usize) -> Result<(), SendError> {
        let limit = self.config.message_bytes;
        if bytes > limit { Err(SendError::TooLarge { bytes, limit }) } else { Ok(()) }
    }

    fn put(&self, channel: &ChannelName, message: Message) -> Result<(), SendError> {
        if let Some((node, local)) = channel.connection() {
            let Payload::Custom(content) = message.payload else {
                return Err(LayerError::EventToConnection(channel.clone()).into());
            };
            let entry = InboxEntry::Message {
                to: vec![local],
                content,
                from_group: false,
                correlation: message.correlation,
            };
            lock(&self.inboxes).put(&node, entry, &self.metrics);
            self.metrics.messages_sent.inc();
            return Ok(());
        }
        let now = Instant::now();
        let mut queues = lock(&self.queues);
        let pushed = queues.push(channel, message, now);
        self.count_drops(pushed.expired, DropReason::Expired);
        if pushed.full {
            return Err(SendError::ChannelFull(channel.clone()));
        }
        self.metrics.messages_sent.inc();
        self.hand_over(queues, now);
        Ok(())
    }

    /// Makes a channel a member of a group. False if it is a connection of a node that is not known.
    fn add(&self, group: &GroupName, channel: &ChannelName) -> Result<bool, SendError> {
        let is_new = lock(&self.groups)
            .add(group, channel, Instant::now())
            .map_err(|TooMany { limit }| SendError::TooManyGroups { limit })?;
        if is_new && let Some((node, local)) = channel.connection() {
            // Told after it is one: the node ends it at once if the connection is over. A node that is
            // not known, or has no room to look, gets no members.
            let joined = InboxEntry::Joined(local);
            let mut inboxes = lock(&self.inboxes);
            if !inboxes.put(&node, joined, &self.metrics) {
                let is_full = inboxes.is_open(&node);
                drop(inboxes);
                lock(&self.groups).discard(group, channel);
                return if is_full { Err(LayerError::InboxFull(node).into()) } else { Ok(false) };
            }
        }
        Ok(true)
    }

    /// Hands over to the workers as far as their demand goes.
    fn hand_over(&self, mut queues: MutexGuard<'_, Queues>, now: Instant) {
        let mut popped = Popped::default();
        let before = queues.earliest();
        for dispatch in self.dispatches.load().iter().filter_map(Weak::upgrade) {
            dispatch.fill(|demand| queues.pop(demand, now, &mut popped));
        }
        self.tell_if_earlier(before, queues);
        self.count_drops(popped.expired, DropReason::Expired);
        self.metrics.messages_received.inc_by(popped.received);
        if popped.made_room {
            self.room.notify_waiters();
        }
    }

    fn count(&self, returned: &Returned) {
        self.metrics.messages_redelivered.inc_by(returned.again as u64);
        self.metrics.messages_dead_lettered.inc_by(returned.dead as u64);
        self.count_drops(returned.lost, DropReason::DeadLetterFull);
    }

    fn count_drops(&self, count: usize, reason: DropReason) {
        self.metrics.dropped_many(reason, count as u64);
    }

    /// Tells the clock if something is due earlier than `before`.
    fn tell_if_earlier(&self, before: Option<Instant>, queues: MutexGuard<'_, Queues>) {
        let earliest = queues.earliest();
        drop(queues);
        if earliest.is_some_and(|earliest| before.is_none_or(|before| earliest < before)) {
            self.earlier.notify_waiters();
        }
    }

    /// Sends the delayed messages that are due, and those whose lease has run out.
    fn promote(&self, now: Instant) {
        let mut queues = lock(&self.queues);
        if !queues.is_due(now) {
            return;
        }
        let returned = queues.reclaim(now);
        let due = queues.due(now);
        queues.look_ahead();
        drop(queues);
        self.count(&returned);
        for (channel, delayed) in due {
            // Tried again until the message would have expired in the channel.
            if self.put(&channel, delayed.message.clone()).is_err()
                && !lock(&self.queues).postpone(channel, delayed, now)
            {
                self.metrics.dropped(DropReason::ChannelFull);
            }
        }
        self.hand_over(lock(&self.queues), now);
    }
}

/// Waits for a notice, or until a moment if there is one.
async fn wait(notice: impl Future<Output = ()>, until: Option<Instant>) {
    match until {
        None => notice.await,
        Some(moment) => drop(tokio::time::timeout_at(moment, notice).await),
    }
}

#[async_trait]
impl ChannelLayer for MemoryLayer {
    async fn send(&self, channel: &ChannelName, message: Message) -> Result<(), SendError> {
        self.check_size(message.len())?;
        self.put(channel, message)
    }

    async fn send_later(
        &self,
        channel: &ChannelName,
        message: Message,
        delay: Duration,
    ) -> Result<(), SendError> {
        self.check_size(message.len())?;
        let mut queues = lock(&self.queues);
        let before = queues.earliest();
        if !queues.delay(channel, message, Instant::now() + delay) {
            return Err(SendError::TooManyDelayed { limit: self.config.delayed_messages });
        }
        self.tell_if_earlier(before, queues);
        Ok(())
    }

    async fn room(&self, channel: &ChannelName) {
        let notice = self.room.notified();
        tokio::pin!(notice);
        notice.as_mut().enable();
        // A channel that is not full may have been refused since the layer is; then this is a hint.
        let soon = Instant::now() + ROOM_HINT;
        let until = lock(&self.queues).room_at(channel).unwrap_or(soon);
        wait(notice, Some(until)).await;
    }

    fn attach(&self, dispatch: &Arc<Dispatch>) {
        self.dispatches.rcu(|attached| {
            let open = |it: &&Weak<Dispatch>| it.upgrade().is_some_and(|it| !it.is_closed());
            let mut attached: Vec<_> = attached.iter().filter(open).cloned().collect();
            attached.push(Arc::downgrade(dispatch));
            attached
        });
        self.offer();
    }

    fn outlives_the_process(&self) -> bool {
        false
    }

    fn offer(&self) {
        let now = Instant::now();
        self.promote(now);
        self.hand_over(lock(&self.queues), now);
    }

    async fn keep_time(&self) {
        loop {
            let earlier = self.earlier.notified();
            tokio::pin!(earlier);
            earlier.as_mut().enable();
            self.promote(Instant::now());
            self.announce().await;
            let next = [lock(&self.queues).earliest(), lock(&self.presence).earliest()];
            wait(earlier, next.into_iter().flatten().min()).await;
        }
    }

    async fn settle(
        &self,
        _channel: &ChannelName,
        receipt: &Receipt,
        settled: Settled,
    ) -> Result<(), LayerError> {
        let now = Instant::now();
        let mut queues = lock(&self.queues);
        let before = queues.earliest();
        let returned = queues.settle(receipt.id, settled, now);
        self.tell_if_earlier(before, queues);
        self.count(&returned);
        if returned.again > 0 {
            self.hand_over(lock(&self.queues), now);
        }
        Ok(())
    }

    async fn group_add(&self, group: &GroupName, channel: &ChannelName) -> Result<(), SendError> {
        self.add(group, channel).map(drop)
    }

    async fn present(
        &self,
        group: &GroupName,
        connection: &ChannelName,
        present: &Present,
    ) -> Result<(), SendError> {
        self.join_as_member(group, connection, present)
    }

    async fn members(
        &self,
        group: &GroupName,
        after: Option<&MemberKey>,
        limit: usize,
    ) -> Result<MembersPage, LayerError> {
        Ok(lock(&self.presence).page(group, after, limit))
    }

    async fn group_discard(
        &self,
        group: &GroupName,
        channel: &ChannelName,
    ) -> Result<(), LayerError> {
        lock(&self.groups).discard(group, channel);
        self.end_presence(|presence, now| presence.leave(group, channel, now));
        Ok(())
    }

    async fn leave_all(&self, connection: &ChannelName) -> Result<(), LayerError> {
        lock(&self.groups).leave_all(connection);
        self.end_presence(|presence, now| presence.leave_all(connection, now));
        Ok(())
    }

    async fn enter(
        &self,
        user: &GroupName,
        connection: &ChannelName,
        limit: Option<UserLimit>,
    ) -> Result<Entered, LayerError> {
        if let Some((node, _)) = connection.connection()
            && !lock(&self.inboxes).is_open(&node)
        {
            return Err(LayerError::NoInbox(node));
        }
        Ok(lock(&self.groups).enter(user, connection, limit))
    }

    async fn connections_of(&self, user: &GroupName, most: usize) -> Result<Online, LayerError> {
        Ok(lock(&self.groups).connections_of(user, most))
    }

    async fn group_send(
        &self,
        group: &GroupName,
        content: Content,
        correlation: CorrelationId,
    ) -> Result<GroupSent, SendError> {
        match self.kept(group).filter(|_| !is_for_those_present(&content)) {
            Some(kept) => {
                self.check_size(content.as_bytes().len())?;
                let sent = self.send_remembered(group, &content, correlation, &kept);
                Ok(self.send_to_named(sent, &content, correlation))
            }
            None => self.tell(group, &content, correlation),
        }
    }

    fn lend_histories(&self, histories: &Histories) {
        // Once: a process has one registry.
        drop(self.histories.set(histories.clone()));
    }

    fn leave_histories(&self, file: &Path) -> io::Result<usize> {
        lock(&self.logs).save(file)
    }

    fn take_up_histories(&self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.logs).restore(bytes)
    }

    fn keeps_history(&self, group: &GroupName) -> bool {
        self.kept(group).is_some()
    }

    async fn group_join(
        &self,
        group: &GroupName,
        channel: &ChannelName,
        start: &Start,
    ) -> Result<(), SendError> {
        match self.kept(group) {
            Some(kept) => self.join_remembered(group, channel, start, &kept),
            None => self.group_add(group, channel).await,
        }
    }

    async fn history(
        &self,
        group: &GroupName,
        after: After,
        limit: usize,
    ) -> Result<Page, LayerError> {
        let kept = self.kept(group).ok_or_else(|| LayerError::NotRemembered(group.clone()))?;
        Ok(self.read_history(group, after, limit, &kept))
    }

    async fn open_inbox(&self, node: &NodeName) -> Result<(), LayerError> {
        lock(&self.inboxes).open(node);
        Ok(())
    }

    async fn answer(&self, node: &NodeName, answer: Answer) -> Result<(), LayerError> {
        let mut inboxes = lock(&self.inboxes);
        if let Some(recipient) = inboxes.recipient(node) {
            drop(inboxes);
            recipient.answer(answer);
        } else {
            inboxes.put(node, InboxEntry::Answer(answer), &self.metrics);
        }
        Ok(())
    }

    fn lend_recipient(&self, node: &NodeName, recipient: Weak<dyn Recipient>) {
        lock(&self.inboxes).lend(node, recipient);
    }

    fn lend_respondent(&self, node: &NodeName, respondent: Weak<dyn Respondent>) {
        lock(&self.inboxes).lend_respondent(node, respondent);
    }

    async fn ask(
        &self,
        node: &NodeName,
        question: Bytes,
        patience: Duration,
    ) -> Result<Bytes, Unanswered> {
        let respondent = lock(&self.inboxes).respondent(node).ok_or(Unanswered::Gone)?;
        let answer = timeout(patience, respondent.respond(question)).await;
        answer.map_err(|_| Unanswered::TimedOut)
    }

    fn members_on(&self, node: &NodeName, group: &GroupName) -> Vec<LocalName> {
        lock(&self.groups).members_on(node, group)
    }

    fn groups_of(&self, connection: &ChannelName) -> Vec<GroupName> {
        lock(&self.groups).groups_of(connection)
    }

    async fn read_inbox(&self, node: &NodeName) -> Result<Vec<InboxEntry>, LayerError> {
        loop {
            let Some(arrived) = lock(&self.inboxes).notice(node) else {
                return Err(LayerError::NoInbox(node.clone()));
            };
            let notice = arrived.notified();
            tokio::pin!(notice);
            notice.as_mut().enable();
            let entries = lock(&self.inboxes).take(node);
            if !entries.is_empty() {
                return Ok(entries);
            }
            notice.await;
        }
    }

    async fn close_inbox(&self, node: &NodeName) {
        lock(&self.inboxes).close(node);
        lock(&self.groups).forget_node(node);
        self.end_presence(|presence, now| presence.forget_node(node, now));
    }

    async fn probe(&self) -> Result<(), LayerError> {
        let id = CorrelationId::random();
        let channel = ChannelName::parse(&format!("tidegate.probe.{id}"))
            .expect("a fixed prefix and hexadecimal digits are a valid name");
        let owner = ModuleName::parse("tidegate-probe").expect("a valid module name");
        let content = Content::parse(Bytes::from_static(b"\x80")).expect("an empty map");
        let mut message = Message::custom(content, id);
        message.expires_after = Some(Duration::from_secs(5));
        let sent = self.send(&channel, message).await;
        sent.map_err(|error| LayerError::Unavailable(format!("a probe is not taken: {error}")))?;
        let dispatch = Dispatch::new(1, 1);
        dispatch.read(Arc::new(Owners::from([(channel, owner)])), Arc::default());
        self.attach(&dispatch);
        match timeout(PROBE, dispatch.next(self)).await {
            Ok(_) => Ok(()),
            Err(_) => {
                Err(LayerError::TimedOut(format!("a probe was not received within {PROBE:?}")))
            }
        }
    }

    async fn stop(&self, stored: usize) -> LostAtStop {
        let now = Instant::now();
        let (mut lost, expired) = lock(&self.queues).forget_all(now);
        lost.at_least_once = lost.at_least_once.saturating_sub(stored);
        self.count_drops(expired, DropReason::Expired);
        self.count_drops(
            lost.delayed + lost.at_least_once + lost.at_most_once,
            DropReason::Shutdown,
        );
        lost
    }

    async fn waiting(
        &self,
        channel: &ChannelName,
        after: Option<&WaitingId>,
        limit: usize,
    ) -> Result<WaitingPage, LayerError> {
        lock(&self.queues).waiting(channel, after, limit)
    }

    async fn find_waiting(
        &self,
        channel: &ChannelName,
        id: &WaitingId,
    ) -> Result<Option<Waiting>, LayerError> {
        Ok(lock(&self.queues).find_waiting(channel, id))
    }

    async fn move_waiting(
        &self,
        channel: &ChannelName,
        id: &WaitingId,
        to: Option<&ChannelName>,
    ) -> Result<Moved, LayerError> {
        let now = Instant::now();
        let mut queues = lock(&self.queues);
        let (moved, expired) = queues.move_waiting(channel, id, to, now);
        self.count_drops(expired, DropReason::Expired);
        if moved == Moved::Yes {
            if to.is_none() {
                self.metrics.dropped(DropReason::ByOperator);
            }
            self.hand_over(queues, now);
            self.room.notify_waiters();
        }
        Ok(moved)
    }

    fn retain_forgotten(&self, ids: &mut HashSet<MessageId>) {
        lock(&self.queues).retain_forgotten(ids);
    }

    async fn statistics(&self) -> Result<Statistics, LayerError> {
        let (channels, delayed) = lock(&self.queues).statistics(Instant::now());
        Ok(Statistics { channels, delayed, groups: lock(&self.groups).count() })
    }
}

#[cfg(test)]
mod tests;
