//! One connection's talk with its consumer: one event in flight, state between events.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::{
    Hub,
    admission::Share,
    encoded::EncodedFrame,
    mailbox::{Mail, NoRoom, SharedReply},
    registration::Registration,
    spans::Began,
    unsent::Kept,
};
use crate::{
    layer::SendError,
    message::{
        Close, Done, Event, EventKind, Gap, GroupName, LocalName, Message, Outcome, Payload,
        Position, Reply, Scope,
    },
    routing::Route,
    telemetry::{ByReason, DropReason},
};

/// What comes next on a connection.
#[derive(Debug)]
pub(super) enum Happening {
    /// A WebSocket message for the client.
    Frame(EncodedFrame),
    /// Anything else for the client.
    Reply(Reply),
    /// A reply to a request that sees positions, and the place behind it.
    Numbered(Position, Reply),
    /// A request gets all messages of a group from there on.
    From(Standing),
    /// The event in flight is over.
    Done(Outcome),
    /// The event in flight will never be over.
    Lost,
    /// More waits for the client than may.
    Overflow,
    /// Messages to its groups may be missing: the connection is to end.
    Missed,
    /// An operator closes the connection.
    Closed(Close),
    /// The interface server stops.
    Drain,
}

/// From where on a request gets all messages of a group.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) group: GroupName,
    pub(super) position: Position,
    /// Whether nothing is missing before it.
    pub(super) is_complete: bool,
    /// The bytes that it took in the mailbox.
    pub(super) cost: usize,
}

/// The state of the talk. Knows no socket.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) hub: Arc<Hub>,
    pub(super) route: Arc<Route>,
    pub(super) scope: Arc<Scope>,
    /// The subprotocol of a WebSocket, if one was chosen.
    pub(super) subprotocol: Option<String>,
    /// The span of its request or handshake, if there are spans.
    pub(super) trace: Option<Box<Began>>,
    registration: Registration,
    next_order: u64,
    in_flight: Option<InFlight>,
    /// Replies of one mail that were not looked at yet.
    replies: Replies,
    /// Whether they came through a group.
    pub(super) from_group: bool,
    state: Option<Bytes>,
    /// The highest activation of the module that served the connection.
    activation: u64,
    /// Messages to its groups may be missing; told when the event in flight is over.
    missed: Option<Gap>,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    order: u64,
    lost_at: Instant,
}

/// Replies of one mail, those that are left.
#[derive(Debug)]
enum Replies {
    None,
    /// Of an answer.
    Own(std::vec::IntoIter<Reply>),
    /// Of a message that others may have got as well, from one of them on.
    Shared(Arc<[SharedReply]>, usize),
}

impl Replies {
    fn next(&mut self) -> Option<SharedReply> {
        let next = match self {
            Self::None => return None,
            Self::Own(replies) => replies.next().map(SharedReply::from),
            Self::Shared(replies, at) => {
                *at += 1;
                replies.get(*at - 1).cloned()
            }
        };
        if next.is_none() {
            *self = Self::None;
        }
        next
    }
}

impl Conversation {
    pub(super) fn new(route: Arc<Route>, scope: Scope, registration: Registration) -> Self {
        let scope = Arc::new(scope);
        registration.describe(&route, &scope);
        Self {
            hub: registration.hub(),
            route,
            scope,
            subprotocol: None,
            trace: None,
            registration,
            next_order: 0,
            in_flight: None,
            replies: Replies::None,
            from_group: false,
            state: None,
            activation: 0,
            missed: None,
        }
    }

    /// The same with the span of its request or handshake.
    pub(super) fn traced(mut self, began: Option<Began>) -> Self {
        self.trace = began.map(Box::new);
        self
    }

    /// The local name of the connection.
    pub(super) const fn local(&self) -> &LocalName {
        self.registration.local()
    }

    /// Gives up its share of what one address may have.
    pub(super) fn take_share(&mut self) -> Option<Share> {
        self.registration.take_share()
    }

    /// Goes on with a client that has come back: its address, user and session are those of now.
    pub(super) fn moved(&mut self, now: Scope, share: Option<Share>) {
        let Scope { client, server, user, session, .. } = now;
        let scope = Scope { client, server, user, session, ..(*self.scope).clone() };
        self.scope = Arc::new(scope);
        self.registration.moved(&self.scope, share);
    }

    /// Whether the connection is to end when the event in flight is over.
    pub(super) const fn has_missed(&self) -> bool {
        self.missed.is_some()
    }

    /// Whether the handshake was the last event.
    pub(super) const fn is_first(&self) -> bool {
        self.next_order <= 1
    }

    /// Whether an event is not over yet.
    pub(super) const fn is_busy(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Puts the next event in flight. It comes back as a message if its channel is full.
    pub(super) async fn send(&mut self, kind: EventKind) -> Result<Option<Message>, SendError> {
        let channel = self.route.channels.carrying(&kind).clone();
        let message = self.message(kind);
        let hub = Arc::clone(&self.hub);
        let back = hub.lines.try_send(&*hub.layer, &channel, message).await?;
        if back.is_none() {
            self.is_sent();
        }
        Ok(back)
    }

    /// The event that was last made is on its channel now.
    pub(super) fn is_sent(&mut self) {
        let lost_at = Instant::now() + self.route.policy.lost_after();
        self.in_flight = Some(InFlight { order: self.next_order - 1, lost_at });
    }

    fn message(&mut self, kind: EventKind) -> Message {
        let event = Event {
            scope: Arc::clone(&self.scope),
            consumer: Arc::clone(&self.route.consumer),
            order: self.next_order,
            kind,
            state: self.state.clone(),
            activation: match self.next_order {
                0 => self.route.policy.activation,
                _ => self.activation,
            },
            wants_done: true,
        };
        self.next_order += 1;
        Message {
            payload: Payload::Event(Box::new(event)),
            correlation: self.scope.correlation,
            id: None,
            trace: self.trace.as_ref().map(|began| began.context()),
            expires_after: Some(self.route.policy.event_expiry),
        }
    }

    /// What comes next. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Happening {
        match self.lost_at() {
            None => poll_fn(|context| self.poll_next(context)).await,
            Some(at) => {
                let next = poll_fn(|context| self.poll_next(context));
                match timeout_at(at, next).await {
                    Ok(happening) => happening,
                    Err(_) => self.lose(),
                }
            }
        }
    }

    /// Returns the moment at which the event in flight counts as lost, if there is one.
    pub(super) fn lost_at(&self) -> Option<Instant> {
        self.in_flight.map(|event| event.lost_at)
    }

    /// Counts the event in flight as lost.
    pub(super) fn lose(&mut self) -> Happening {
        self.in_flight = None;
        self.hub.metrics.events_lost.inc();
        Happening::Lost
    }

    /// Polls for the next happening. The loss of the event in flight is not among them: the caller watches
    /// the time.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Happening> {
        loop {
            match self.replies.next() {
                Some(SharedReply::Frame(frame)) => return Poll::Ready(Happening::Frame(frame)),
                Some(SharedReply::Other(reply)) => return Poll::Ready(Happening::Reply(reply)),
                Some(SharedReply::Numbered(position, reply)) => {
                    return Poll::Ready(Happening::Numbered(position, reply));
                }
                Some(from @ SharedReply::From { .. }) => {
                    let cost = from.cost();
                    let SharedReply::From { group, position, is_complete } = from else { continue };
                    let standing = Standing { group, position, is_complete, cost };
                    return Poll::Ready(Happening::From(standing));
                }
                None => {}
            }
            if !self.is_busy()
                && let Some(gap) = self.missed.take()
            {
                let reason = gap.reason();
                self.hub.metrics.gap_closes.get_or_create(&ByReason { reason }).inc();
                return Poll::Ready(Happening::Missed);
            }
            match ready!(self.registration.mailbox.poll_take(context)) {
                Mail::Message { replies, from_group } => {
                    self.from_group = from_group;
                    self.replies = Replies::Shared(replies, 0);
                }
                Mail::Answer { order, replies } if self.is_in_flight(order) => {
                    self.from_group = false;
                    self.replies = Replies::Own(replies.into_iter());
                }
                Mail::Done { order, done } if self.is_in_flight(order) => {
                    return Poll::Ready(Happening::Done(self.finish(done)));
                }
                Mail::Answer { replies, .. } => {
                    self.written(replies.iter().map(Reply::cost).sum());
                    self.hub.metrics.dropped(DropReason::Stale);
                }
                Mail::Done { .. } => self.hub.metrics.dropped(DropReason::Stale),
                Mail::Missed { gap, is_member } => {
                    if is_member || self.is_busy() {
                        self.missed = Some(gap);
                    }
                }
                Mail::Overflow => return Poll::Ready(Happening::Overflow),
                Mail::Closed(close) => return Poll::Ready(Happening::Closed(close)),
                Mail::Drain => return Poll::Ready(Happening::Drain),
            }
        }
    }

    fn is_in_flight(&self, order: u64) -> bool {
        self.in_flight.is_some_and(|event| event.order == order)
    }

    fn finish(&mut self, done: Done) -> Outcome {
        self.in_flight = None;
        self.activation = self.activation.max(done.activation);
        if done.state.is_some() && done.outcome == Outcome::Ok {
            self.state = done.state;
        }
        done.outcome
    }

    /// Bytes have gone to the client, or never will.
    pub(super) fn written(&self, bytes: usize) {
        if bytes > 0 {
            self.registration.mailbox.written(bytes);
        }
    }

    /// Counts bytes of a response that came from elsewhere than the mailbox.
    pub(super) fn charge(&self, bytes: usize) -> Result<Option<Kept>, NoRoom> {
        self.registration.mailbox.charge(bytes)
    }

    /// Hands over the count of bytes that leave with the body of a response.
    pub(super) fn keep(&self, bytes: usize) -> Option<Kept> {
        self.registration.mailbox.keep(bytes)
    }

    /// Bytes that wait for the client.
    pub(super) fn unsent(&self) -> usize {
        self.registration.mailbox.unsent()
    }

    /// Whether the client has to take some of what waits before the next event is sent.
    pub(super) fn is_behind(&self) -> bool {
        self.registration.mailbox.is_beyond()
    }

    /// A reply of so many bytes that this protocol has no use for.
    pub(super) fn misfit(&self, cost: usize) {
        self.written(cost);
        self.hub.metrics.dropped(DropReason::WrongProtocol);
    }

    /// Waits for the event in flight, and drops and counts what is for the client. Returns whether the
    /// consumer accepted a handshake meanwhile.
    pub(super) async fn settle(&mut self) -> bool {
        let mut accepted = false;
        while self.is_busy() {
            match self.next().await {
                Happening::Frame(frame) => {
                    self.written(frame.cost());
                    self.hub.metrics.dropped(DropReason::ConnectionGone);
                }
                Happening::From(standing) => self.written(standing.cost),
                Happening::Reply(reply) | Happening::Numbered(_, reply) => {
                    self.written(reply.cost());
                    match reply {
                        // The consumer is told of the end.
                        Reply::Accept(_) => accepted = true,
                        _ => self.hub.metrics.dropped(DropReason::ConnectionGone),
                    }
                }
                _ => {}
            }
        }
        accepted
    }

    /// Ends a handshake that was not answered as the consumer decided. A consumer that accepts is told
    /// that the connection is over; one that does not never had it.
    pub(super) async fn end_handshake(mut self, close: Close) {
        let accepted = self.settle().await;
        self.end(accepted.then_some(EventKind::WebsocketDisconnect(close))).await;
    }

    /// Tells the consumer that the connection is over, and waits until it knows. Then the connection
    /// leaves its groups.
    pub(super) async fn end(mut self, disconnect: Option<EventKind>) {
        self.settle().await;
        if let Some(kind) = disconnect {
            let until = Instant::now() + self.route.policy.event_expiry;
            let channel = self.route.channels.carrying(&kind).clone();
            let message = self.message(kind);
            let hub = Arc::clone(&self.hub);
            match hub.lines.send(&*hub.layer, &channel, message, Some(until)).await {
                Ok(()) => {
                    self.is_sent();
                    self.settle().await;
                }
                Err(error) => {
                    hub.metrics.dropped(DropReason::DisconnectLost);
                    tracing::warn!(
                        %error, correlation = %self.scope.correlation,
                        "a consumer does not learn that a connection is over"
                    );
                }
            }
        }
        self.leave().await;
    }

    /// Leaves all groups. Nothing may be in flight that could join one.
    pub(super) async fn leave(self) {
        let Self { hub, registration, .. } = self;
        let channel = registration.channel.clone();
        // First unknown, then out: whoever joins it from now on is told that it is over.
        drop(registration);
        if let Err(error) = hub.layer.leave_all(&channel).await {
            tracing::warn!(%error, "an ended connection stays in its groups for now");
        }
    }
}
