//! One request and its response: answered, streamed, held, or made of a history.

mod feed;

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::{Response, StatusCode, body::Frame};
use tokio::time::{Instant, timeout_at};

use super::{
    answer::{self, Aborted, ResponseBody, plain},
    place::Place,
};
use crate::{
    interface::{
        Hub,
        conversation::{Conversation, Happening},
        limits_log::Reason,
        online::{self, NotEntered},
        registration::Registration,
        spans::Began,
        unsent::{Expected, Kept},
    },
    layer::SendError,
    message::{
        self, CorrelationId, EventKind, HostAnswer, Outcome, Reply, ResponseHead, Scope,
        TraceContext,
    },
    routing::Route,
};

/// A request that is being answered. Dropped before its end, the client has left.
#[derive(Debug)]
pub(super) struct Exchange {
    /// None when it is over.
    conversation: Option<Conversation>,
    /// Whether the consumer knows of the request.
    is_sent: bool,
    hold: Option<Hold>,
    was_held: bool,
    /// Room for the response, until it is there or no run makes it.
    expected: Option<Expected>,
    stopping: bool,
    /// Whether somebody closed the connections of its user while its consumer ran.
    closed: bool,
    /// Where it stands in the history of a group.
    place: Place,
}

/// The request waits without a slot.
#[derive(Debug)]
struct Hold {
    hub: Arc<Hub>,
    until: Instant,
    fallback: Option<message::Response>,
}

impl Hold {
    /// And whether it is one too many.
    fn new(hub: Arc<Hub>, until: Instant, fallback: Option<message::Response>) -> (Self, bool) {
        let before = hub.metrics.holds.inc();
        let limit = hub.config.limits.holds.and_then(|limit| i64::try_from(limit).ok());
        let is_beyond = limit.is_some_and(|limit| before >= limit);
        (Self { hub, until, fallback }, is_beyond)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.hub.metrics.holds.dec();
    }
}

/// Why a request is not held.
enum NotHeld {
    /// Too many are.
    TooMany,
    /// It cannot be noted as one of its user.
    NotEntered(NotEntered),
}

impl NotHeld {
    const fn into_first(self) -> First {
        match self {
            Self::TooMany => {
                First::Status(StatusCode::SERVICE_UNAVAILABLE, "too many requests wait")
            }
            Self::NotEntered(NotEntered::Full) => {
                First::Status(StatusCode::TOO_MANY_REQUESTS, "this user has too many connections")
            }
            Self::NotEntered(NotEntered::Unavailable) => {
                First::Status(StatusCode::SERVICE_UNAVAILABLE, "the request cannot wait now")
            }
        }
    }
}

enum First {
    Whole(message::Response, Option<Kept>),
    Stream(ResponseHead),
    Status(StatusCode, &'static str),
}

impl Exchange {
    pub(super) fn new(
        route: Arc<Route>,
        scope: Scope,
        registration: Registration,
        expected: Option<Expected>,
    ) -> Self {
        Self {
            conversation: Some(Conversation::new(route, scope, registration)),
            is_sent: false,
            hold: None,
            was_held: false,
            expected,
            stopping: false,
            closed: false,
            place: Place::default(),
        }
    }

    /// The same with the span of the request.
    pub(super) fn traced(mut self, trace: Option<TraceContext>) -> Self {
        self.conversation = self.conversation.take().map(|it| it.traced(trace.map(Began::new)));
        self
    }

    /// Sends the request. False if its channel is full.
    pub(super) async fn send(&mut self, kind: EventKind) -> Result<bool, SendError> {
        let Some(conversation) = &mut self.conversation else { return Ok(false) };
        self.is_sent = conversation.send(kind).await?.is_none();
        Ok(self.is_sent)
    }

    /// The response, whose body may go on for long.
    pub(super) async fn response(mut self, id: CorrelationId) -> Response<ResponseBody> {
        match self.first().await {
            First::Whole(mut response, kept) => {
                if feed::is_named(&response.head) {
                    return self.feed(response, id).await;
                }
                self.place.mark(&mut response.head);
                self.finish().await;
                let mut whole =
                    answer::with_head(response.head, answer::counted(response.body, kept));
                if self.was_held {
                    answer::forbid_storing(&mut whole);
                }
                whole
            }
            First::Status(status, text) => {
                self.finish().await;
                plain(status, text, id)
            }
            First::Stream(head) if self.has_no_body(&head) => {
                // Nobody will ask for the parts: that is not a client that left.
                self.finish().await;
                answer::with_head(head, answer::empty())
            }
            First::Stream(mut head) => {
                feed::take_names(&mut head);
                self.place.begin_stream(&head);
                let parts = stream::unfold(Some(self), |exchange| async {
                    let mut exchange = exchange?;
                    match exchange.chunk().await {
                        Ok(Some(chunk)) => Some((Ok(Frame::data(chunk)), Some(exchange))),
                        Ok(None) => {
                            exchange.finish().await;
                            None
                        }
                        Err(aborted) => {
                            exchange.finish().await;
                            Some((Err(aborted), None))
                        }
                    }
                });
                answer::with_head(head, StreamBody::new(parts).boxed_unsync())
            }
        }
    }

    /// What happens next, or none when a hold is over.
    async fn next(&mut self) -> Option<Happening> {
        let conversation = self.conversation.as_mut()?;
        match &self.hold {
            Some(hold) if !conversation.is_busy() => {
                timeout_at(hold.until, conversation.next()).await.ok()
            }
            _ => Some(conversation.next().await),
        }
    }

    async fn first(&mut self) -> First {
        use StatusCode as S;
        loop {
            let Some(happening) = self.next().await else { return self.late() };
            match self.placed(happening) {
                Happening::Reply(reply @ Reply::Respond(_)) => {
                    let kept = self.answered(Some(reply.cost()));
                    let Reply::Respond(response) = reply else { continue };
                    return First::Whole(response, kept);
                }
                Happening::Reply(Reply::StreamStart(head)) => {
                    self.answered(None);
                    return First::Stream(head);
                }
                Happening::Reply(Reply::Hold { timeout, fallback }) => {
                    if let Err(refused) = self.hold(timeout, fallback).await {
                        return refused.into_first();
                    }
                }
                Happening::Reply(Reply::Close(_)) if self.hold.is_some() => {
                    if self.is_held() {
                        return self.late();
                    }
                    self.closed = true;
                }
                // The head of a stream may follow.
                early @ Happening::Numbered(_, Reply::StreamChunk(_)) => self.place.keep(early),
                Happening::From(standing) => {
                    self.place.from(&standing);
                    self.place.keep(Happening::From(standing));
                    if self.is_held()
                        && let Some(response) = self.place.gap()
                    {
                        return First::Whole(response, None);
                    }
                }
                Happening::Reply(other) | Happening::Numbered(_, other) => {
                    self.misfit(other.cost());
                }
                Happening::Frame(frame) => self.misfit(frame.cost()),
                Happening::Done(Outcome::Ok) if self.hold.is_some() => {
                    if self.stopping {
                        return First::Status(S::SERVICE_UNAVAILABLE, "shutting down");
                    }
                    if self.closed {
                        return self.late();
                    }
                    if let Some(response) = self.place.gap() {
                        return First::Whole(response, None);
                    }
                }
                Happening::Done(outcome) => return unanswered(outcome),
                Happening::Lost => {
                    return First::Status(S::SERVICE_UNAVAILABLE, "no worker took the request");
                }
                Happening::Overflow => {
                    self.refuse(Reason::Unsent);
                    let text = "too much waits for this client already";
                    return First::Status(S::SERVICE_UNAVAILABLE, text);
                }
                Happening::Missed => {
                    let text = "a message to a group may be missing";
                    return First::Status(S::SERVICE_UNAVAILABLE, text);
                }
                Happening::Closed(_) => {
                    return First::Status(S::SERVICE_UNAVAILABLE, "an operator ended the request");
                }
                Happening::Drain => {
                    self.stopping = true;
                    if self.is_held() {
                        return First::Status(S::SERVICE_UNAVAILABLE, "shutting down");
                    }
                }
            }
        }
    }

    /// Notes where a response stands, and makes it one like others.
    fn placed(&mut self, happening: Happening) -> Happening {
        match happening {
            Happening::Numbered(position, reply @ (Reply::Respond(_) | Reply::StreamStart(_))) => {
                self.place.at(position);
                Happening::Reply(reply)
            }
            other => other,
        }
    }

    /// The next part of a streamed body; none at its end.
    async fn chunk(&mut self) -> Result<Option<Bytes>, Aborted> {
        loop {
            let happening = match self.place.early() {
                Some(early) => early,
                None => match self.next().await {
                    Some(happening) => happening,
                    None => return Ok(None),
                },
            };
            match happening {
                Happening::Reply(Reply::StreamChunk(chunk)) => {
                    let cost = Reply::StreamChunk(chunk.clone()).cost();
                    return Ok(Some(self.counted(chunk, cost)));
                }
                Happening::Numbered(position, Reply::StreamChunk(chunk)) => {
                    let cost = Reply::StreamChunk(chunk.clone()).cost();
                    return Ok(Some(self.counted(self.place.event(position, chunk), cost)));
                }
                Happening::From(standing) => match self.place.standing(&standing) {
                    Some(chunk) => return Ok(Some(self.counted(chunk, standing.cost))),
                    None => self.written(standing.cost),
                },
                Happening::Reply(Reply::StreamEnd) | Happening::Numbered(_, Reply::StreamEnd) => {
                    return Ok(None);
                }
                Happening::Reply(Reply::Hold { timeout, fallback }) => {
                    if self.hold(timeout, fallback).await.is_err() {
                        return Err(Aborted);
                    }
                }
                Happening::Reply(Reply::Close(_)) if self.hold.is_some() => {
                    if self.is_held() {
                        return Ok(None);
                    }
                    self.closed = true;
                }
                Happening::Reply(other) | Happening::Numbered(_, other) => {
                    self.misfit(other.cost());
                }
                Happening::Frame(frame) => self.misfit(frame.cost()),
                Happening::Done(Outcome::Ok)
                    if self.hold.is_none() || self.stopping || self.closed =>
                {
                    return Ok(None);
                }
                Happening::Done(Outcome::Ok) => {}
                Happening::Done(_) | Happening::Lost | Happening::Missed => return Err(Aborted),
                Happening::Overflow => {
                    self.refuse(Reason::Unsent);
                    return Err(Aborted);
                }
                Happening::Closed(_) => return Ok(None),
                Happening::Drain => {
                    self.stopping = true;
                    if self.is_held() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// A part of the body, whose bytes count until they are written.
    fn counted(&self, chunk: Bytes, cost: usize) -> Bytes {
        match self.conversation.as_ref().and_then(|conversation| conversation.keep(cost)) {
            Some(kept) => kept.around(chunk),
            None => chunk,
        }
    }

    fn written(&self, cost: usize) {
        if let Some(conversation) = &self.conversation {
            conversation.written(cost);
        }
    }

    /// RFC 9110, section 6.4.1.
    fn has_no_body(&self, head: &ResponseHead) -> bool {
        let is_head = |conversation: &Conversation| conversation.scope.method == "HEAD";
        matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || self.conversation.as_ref().is_some_and(is_head)
    }

    /// What a request gets that nobody answered.
    fn late(&mut self) -> First {
        let fallback = self.hold.take().and_then(|mut hold| hold.fallback.take());
        let late = First::Status(StatusCode::GATEWAY_TIMEOUT, "nobody answered in time");
        fallback.map_or(late, |response| {
            let kept = self.answered(Some(response.body.len()));
            First::Whole(response, kept)
        })
    }

    async fn hold(
        &mut self,
        timeout: std::time::Duration,
        fallback: Option<message::Response>,
    ) -> Result<(), NotHeld> {
        let Some(conversation) = &self.conversation else { return Err(NotHeld::TooMany) };
        // A hold that takes the place of another is not one more.
        self.hold = None;
        let until = Instant::now() + timeout;
        let (hold, is_beyond) = Hold::new(Arc::clone(&conversation.hub), until, fallback);
        if is_beyond && self.refuse(Reason::Holds) {
            return Err(NotHeld::TooMany);
        }
        if !self.was_held {
            // The connection of its user from now on.
            online::enter(conversation).await.map_err(NotHeld::NotEntered)?;
        }
        self.hold = Some(hold);
        self.was_held = true;
        // Nobody knows when the answer comes.
        self.expected = None;
        Ok(())
    }

    /// Notes how much a consumer answers with, and hands over the count of bytes that leave with the
    /// body.
    fn answered(&mut self, bytes: Option<usize>) -> Option<Kept> {
        let conversation = self.conversation.as_ref()?;
        if self.expected.take().is_some() {
            let size = bytes.unwrap_or_else(|| conversation.unsent());
            conversation.hub.response_sizes.note(&conversation.route, size);
        }
        conversation.keep(bytes?)
    }

    fn refuse(&self, reason: Reason) -> bool {
        self.conversation.as_ref().is_none_or(|conversation| {
            conversation.hub.refuse(reason, conversation.scope.client.ip())
        })
    }

    fn is_held(&self) -> bool {
        let idle = |conversation: &Conversation| !conversation.is_busy();
        self.hold.is_some() && self.conversation.as_ref().is_some_and(idle)
    }

    fn misfit(&self, cost: usize) {
        if let Some(conversation) = &self.conversation {
            conversation.misfit(cost);
        }
    }

    /// The response is complete, or will never be.
    async fn finish(&mut self) {
        let Some(conversation) = self.conversation.take() else { return };
        if conversation.is_busy() {
            // Answered before the consumer has returned.
            spawn(conversation, |conversation| conversation.end(None));
        } else {
            conversation.leave().await;
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some(conversation) = self.conversation.take() else { return };
        let wants = self.is_sent && conversation.route.disconnect;
        let disconnect = wants.then_some(EventKind::HttpDisconnect);
        if self.is_sent {
            spawn(conversation, move |conversation| conversation.end(disconnect));
        }
    }
}

fn spawn<F>(conversation: Conversation, end: impl FnOnce(Conversation) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let drain = conversation.hub.drain.clone();
    drain.spawn("end of a request", end(conversation));
}

fn unanswered(outcome: Outcome) -> First {
    let answer = outcome.failure().unwrap_or(HostAnswer::NO_RESPONSE);
    First::Status(answer.status, answer.text)
}
