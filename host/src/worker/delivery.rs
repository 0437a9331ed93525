//! Sends what an invocation put into its outbox: in order, the done mark last.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::{
    fallback_reply::FallbackReply,
    overlaps::Overlaps,
    relay::Relay,
    spans::{self, Place},
};
use crate::{
    capability::store::Note,
    engine::{Entry, FlushReason, HistoryFailure, MembersUnread, Outlet, Stopped},
    layer::{ChannelLayer, LayerError, SendError},
    message::{
        After, Answer, ChannelName, Content, CorrelationId, Done, GroupName, LocalName, MemberKey,
        MembersPage, Message, MessageId, ModuleName, NodeName, Outcome, Page, Receipt, Reply,
        Settled,
    },
    routing::FULL_CHANNEL_TIMEOUT,
    telemetry::{Metrics, WarnLimit},
};

/// How long a failed join is tried again. Shorter than the time after which the node gives up the event.
const JOIN_RETRY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the store may take to close the moment of a schedule. The lease of the message is longer than its run by
/// more than that.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The pause between two tries.
const JOIN_RETRY_PAUSE: Duration = Duration::from_millis(100);

/// The event that is answered.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) node: NodeName,
    pub(super) local: LocalName,
    pub(super) order: u64,
    /// Makes the reply that a node gets instead of a done mark. None if it asks for marks.
    pub(super) words: Option<FallbackReply>,
}

/// Limits the warnings about messages that a worker could not send. A module, or a server that is down, can
/// cause one with each run.
#[derive(Debug, Default)]
pub(super) struct DeliveryWarnings {
    full: WarnLimit,
    too_large: WarnLimit,
    too_many_groups: WarnLimit,
    unavailable: WarnLimit,
    answer: WarnLimit,
    settlement: WarnLimit,
    schedule: WarnLimit,
}

impl DeliveryWarnings {
    const fn dropped(&self, error: &SendError) -> &WarnLimit {
        match error {
            SendError::TooManyGroups { .. } => &self.too_many_groups,
            SendError::TooLarge { .. } => &self.too_large,
            SendError::Layer(_) => &self.unavailable,
            SendError::ChannelFull(_) | SendError::TooManyDelayed { .. } => &self.full,
        }
    }
}

/// The means by which all invocations of a worker send.
#[derive(Debug)]
pub(super) struct Means {
    pub(super) layer: Arc<dyn ChannelLayer>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) warnings: DeliveryWarnings,
    pub(super) relay: Arc<Relay>,
    pub(super) overlaps: Overlaps,
}

/// Sends for one invocation.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) means: Arc<Means>,
    pub(super) correlation: CorrelationId,
    /// Its place in the trace, if there are spans.
    pub(super) place: Option<Place>,
    /// None for a message on a channel of the application.
    pub(super) origin: Option<Origin>,
    /// The channel and what settles the message, if it delivers at least once.
    pub(super) receipt: Option<(ChannelName, Receipt)>,
    /// The module that reads the channel of the message.
    pub(super) module: ModuleName,
    /// The message's own id, if it has one.
    pub(super) id: Option<MessageId>,
    /// The content of a message of a channel that delivers at least once.
    pub(super) content: Option<Content>,
    /// Whether the connection has had a reply.
    pub(super) answered: Arc<AtomicBool>,
}

/// Where sending stopped.
pub(super) struct Halted {
    index: usize,
    failed: Entry,
    error: SendError,
    rest: Vec<Entry>,
}

impl Delivery {
    /// Sends entries in order. The replies at the end are not sent but returned, so that they can go
    /// together with the done mark.
    async fn send_all(&self, entries: Vec<Entry>) -> Result<Vec<Reply>, Box<Halted>> {
        let mut replies = Vec::new();
        let mut entries = entries.into_iter().enumerate();
        while let Some((index, entry)) = entries.next() {
            if let Entry::Reply(reply) = entry {
                replies.push(reply);
                continue;
            }
            if !replies.is_empty() {
                self.answer(std::mem::take(&mut replies), None).await;
            }
            if let Err(error) = self.send_one(&entry).await {
                let rest = entries.map(|(_, entry)| entry).collect();
                return Err(Box::new(Halted { index, failed: entry, error, rest }));
            }
        }
        Ok(replies)
    }

    async fn send_one(&self, entry: &Entry) -> Result<(), SendError> {
        match entry {
            Entry::Send { channel, content } => {
                let message =
                    Message::custom(content.clone(), spans::cause(self.correlation, self.place));
                self.means.layer.send(channel, message).await
            }
            Entry::SendLater { channel, content, delay } => {
                let message =
                    Message::custom(content.clone(), spans::cause(self.correlation, self.place));
                self.means.layer.send_later(channel, message, *delay).await
            }
            Entry::GroupAdd { group, channel } => self.means.layer.group_add(group, channel).await,
            Entry::GroupJoin { group, channel, start } => {
                self.means.layer.group_join(group, channel, start).await
            }
            Entry::GroupDiscard { group, channel } => {
                Ok(self.means.layer.group_discard(group, channel).await?)
            }
            Entry::GroupSend { group, content } => {
                // Members that missed it are counted by the layer.
                self.means
                    .layer
                    .group_send(group, content.clone(), self.correlation)
                    .await
                    .map(drop)
            }
            Entry::Present { group, connection, present } => {
                self.means.layer.present(group, connection, present).await
            }
            Entry::Reply(_) => Ok(()),
        }
    }

    async fn answer(&self, mut replies: Vec<Reply>, mut done: Option<Done>) {
        let Some(origin) = &self.origin else { return };
        if !replies.is_empty() {
            self.answered.store(true, Ordering::Relaxed);
        }
        if let (Some(words), Some(mark)) = (origin.words, &done) {
            let answered = self.answered.load(Ordering::Relaxed);
            replies.extend(words.instead_of(mark.outcome, answered, self.correlation));
            done = None;
        }
        if replies.is_empty() && done.is_none() {
            return;
        }
        let to = origin.local.clone();
        let answer = Answer { to, order: origin.order, replies, done };
        if let Err(error) = self.means.layer.answer(&origin.node, answer).await {
            // The node notices by itself that the event is not done.
            if let Some(held_back) = self.means.warnings.answer.admit() {
                tracing::warn!(
                    %error, correlation = %self.correlation, held_back, "an answer is lost"
                );
            }
        }
    }

    /// Sends everything and the done mark, if no channel is full. Otherwise says where it stopped.
    pub(super) async fn conclude(
        &self,
        entries: Vec<Entry>,
        done: Option<Done>,
    ) -> Result<(), (Box<Halted>, Option<Done>)> {
        match self.send_all(entries).await {
            Ok(replies) => {
                self.answer(replies, done).await;
                Ok(())
            }
            Err(halted) => Err((halted, done)),
        }
    }

    /// Tries entries for full channels again, for up to 2 s in all, and failed joins for up to 10 s. Runs
    /// beside the slot, not on it. Returns the number of messages that were dropped.
    pub(super) async fn conclude_patiently(
        &self,
        halted: Box<Halted>,
        mut done: Option<Done>,
    ) -> usize {
        let started = Instant::now();
        let until = started + FULL_CHANNEL_TIMEOUT;
        let mut dropped = 0;
        let mut halted = halted;
        loop {
            let Halted { failed, error, mut rest, .. } = *halted;
            match &error {
                SendError::ChannelFull(channel) if Instant::now() < until => {
                    // Out of time: the next check of the clock drops it.
                    drop(timeout_at(until, self.means.layer.room(channel)).await);
                    rest.insert(0, failed);
                }
                SendError::Layer(error)
                    if error.is_transient() && Self::waits_for(&failed, started) =>
                {
                    sleep_until(Instant::now() + JOIN_RETRY_PAUSE).await;
                    rest.insert(0, failed);
                }
                _ => {
                    dropped += 1;
                    if self.is_own_join(&failed) && matches!(error, SendError::Layer(_)) {
                        // A connection must not go on without a group that its consumer counts on.
                        rest.retain(|entry| !matches!(entry, Entry::Reply(_)));
                        done = done.map(|it| Done { outcome: Outcome::Refused, state: None, ..it });
                    }
                    self.means.metrics.dropped(error.drop_reason());
                    if let Some(held_back) = self.means.warnings.dropped(&error).admit() {
                        tracing::warn!(
                            %error, channel = failed.target(), correlation = %self.correlation,
                            held_back, "{} of a consumer that has returned is dropped", noun(&failed)
                        );
                    }
                }
            }
            match self.conclude(rest, done).await {
                Ok(()) => return dropped,
                Err((again, mark)) => (halted, done) = (again, mark),
            }
        }
    }
}

impl Delivery {
    /// Whether a failed join is tried again.
    fn waits_for(failed: &Entry, started: Instant) -> bool {
        let is_join = matches!(
            failed,
            Entry::GroupAdd { .. } | Entry::GroupJoin { .. } | Entry::Present { .. }
        );
        is_join && started.elapsed() < JOIN_RETRY_TIMEOUT
    }

    /// Whether the entry is a join of the connection that sent the event.
    fn is_own_join(&self, failed: &Entry) -> bool {
        let (Entry::GroupAdd { channel, .. }
        | Entry::GroupJoin { channel, .. }
        | Entry::Present { connection: channel, .. }) = failed
        else {
            return false;
        };
        let Some(origin) = &self.origin else { return false };
        *channel == ChannelName::of_connection(&origin.node, &origin.local)
    }
}

/// How long the store notes that a message is done: longer than it can be redelivered.
const NOTE_KEPT: Duration = Duration::from_secs(49 * 3600);

impl Delivery {
    /// The note that the message is done, for the commit of its run: if its channel redelivers messages.
    pub(super) fn note(&self) -> Option<Note> {
        self.receipt.as_ref()?;
        Some(Note { message: self.id?.0, kept: NOTE_KEPT })
    }
}

impl Delivery {
    /// Which delivery of the message it is. Counts from 1.
    pub(super) fn attempt(&self) -> u32 {
        self.receipt.as_ref().map_or(1, |(_, receipt)| receipt.attempt.saturating_add(1))
    }
}

/// The longest pause before a message is redelivered.
pub(super) const REDELIVERY_PAUSE_MAX: Duration = Duration::from_secs(60);

impl Delivery {
    /// Says that the run of a schedule is over, so that the next moment has its turn. Where nobody hears of it the run
    /// counts as over in its time.
    async fn close_moment(&self, channel: &ChannelName) {
        let Some(content) = &self.content else { return };
        let closed = self.means.overlaps.close(&self.module, channel, content);
        let error = match timeout(CLOSE_TIMEOUT, closed).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("the store did not answer within {CLOSE_TIMEOUT:?}"),
        };
        if let Some(held_back) = self.means.warnings.schedule.admit() {
            tracing::warn!(
                error, %channel, correlation = %self.correlation, held_back,
                "a schedule waits for a run that is over"
            );
        }
    }

    /// Settles a message of an at-least-once channel: done, redelivered after a pause, or dead. The pause
    /// doubles with each attempt, beginning with `first_pause`.
    pub(super) async fn settle(&self, is_done: bool, first_pause: Duration) {
        let Some((channel, receipt)) = &self.receipt else { return };
        let settled = if is_done {
            Settled::Done
        } else if receipt.attempt >= receipt.retries {
            Settled::Dead
        } else {
            let pause = first_pause.saturating_mul(1 << receipt.attempt.min(16));
            Settled::Again(pause.min(REDELIVERY_PAUSE_MAX))
        };
        if matches!(settled, Settled::Done | Settled::Dead) {
            self.close_moment(channel).await;
        }
        match (settled, self.id, &self.content) {
            (Settled::Done, Some(id), _) => self.means.relay.settled(id),
            (Settled::Dead, Some(id), Some(content)) => {
                self.means.relay.buried(id, channel, self.correlation, content).await;
            }
            _ => {}
        }
        if let Err(error) = self.means.layer.settle(channel, receipt, settled).await {
            // It is redelivered when its lease has run out.
            if let Some(held_back) = self.means.warnings.settlement.admit() {
                tracing::warn!(
                    %error, %channel, correlation = %self.correlation, held_back,
                    "a message is not settled"
                );
            }
        }
    }
}

/// An entry as a log line names it.
const fn noun(entry: &Entry) -> &'static str {
    match entry {
        Entry::Send { .. } | Entry::Reply(_) => "a message",
        Entry::SendLater { .. } => "a delayed message",
        Entry::GroupSend { .. } => "a message to a group",
        Entry::GroupAdd { .. } | Entry::GroupJoin { .. } | Entry::Present { .. } => {
            "the joining of a group"
        }
        Entry::GroupDiscard { .. } => "the leaving of a group",
    }
}

#[async_trait]
impl Outlet for Delivery {
    fn stored(&self) {
        self.means.relay.stored(&self.module, true);
    }

    async fn connections_of(&self, user: &GroupName) -> Result<usize, String> {
        let online = self.means.layer.connections_of(user, 0).await;
        online.map(|online| online.count).map_err(|error| error.to_string())
    }

    async fn members(
        &self,
        group: &GroupName,
        after: Option<&MemberKey>,
        limit: usize,
    ) -> Result<MembersPage, MembersUnread> {
        let read = self.means.layer.members(group, after, limit).await;
        read.map_err(|error| MembersUnread(error.to_string()))
    }

    fn keeps_history(&self, group: &GroupName) -> bool {
        self.means.layer.keeps_history(group)
    }

    async fn history(
        &self,
        group: &GroupName,
        after: After,
        limit: usize,
    ) -> Result<Page, HistoryFailure> {
        let read = self.means.layer.history(group, after, limit).await;
        read.map_err(|error| match error {
            LayerError::NotRemembered(group) => HistoryFailure::NotRemembered(group),
            error => HistoryFailure::Unavailable(error.to_string()),
        })
    }

    async fn send(&self, entries: Vec<Entry>) -> Result<(), Stopped> {
        match self.send_all(entries).await {
            Ok(replies) => {
                self.answer(replies, None).await;
                Ok(())
            }
            Err(halted) => {
                let Halted { index, failed, error, rest } = *halted;
                let reason = match &error {
                    SendError::ChannelFull(_) | SendError::TooManyDelayed { .. } => {
                        FlushReason::ChannelFull
                    }
                    SendError::TooManyGroups { .. } | SendError::TooLarge { .. } => {
                        FlushReason::Refused(error.to_string())
                    }
                    SendError::Layer(it) if it.is_transient() => {
                        FlushReason::Unavailable(error.to_string())
                    }
                    SendError::Layer(_) => FlushReason::Refused(error.to_string()),
                };
                Err(Stopped { index, target: failed.target().to_owned(), reason, rest })
            }
        }
    }
}
