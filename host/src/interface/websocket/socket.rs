//! An open WebSocket: frames become events one after the other, replies become frames.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    sync::oneshot::error::RecvError,
    time::{Instant, Sleep, sleep_until},
};
use tokio_tungstenite::tungstenite::{self, Message};

use super::{
    alive::{Alive, Due},
    end::{By, End},
    line::{Line, Wire, part},
    link::Link,
    outbound::Outbound,
    resume::{Resumption, plain_greeting},
    returns::{Arrived, Return},
    session::Renewal,
};
use crate::{
    interface::{
        access_log,
        connections::CountedSocket,
        conversation::{Conversation, Happening},
        encoded::EncodedFrame,
        limits_log::Reason,
    },
    layer::SendError,
    message::{Close, EventKind, Frame, HostAnswer, Outcome, Reply},
    routing::OnFault,
    telemetry::DropReason,
};

/// Frames that a socket keeps room for while none waits.
const KEPT_FRAMES: usize = 4;
type Sending = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send>>;

/// An open WebSocket.
pub(super) struct Socket {
    pub(super) conversation: Conversation,
    pub(super) outbound: Outbound,
    /// What lets its client come back. None where the client does not ask for that, or its consumer does not allow it.
    pub(super) resumption: Option<Box<Resumption>>,
    /// Frames that wait for their turn.
    backlog: VecDeque<Frame>,
    backlog_bytes: usize,
    /// An event that waits for room in its channel.
    sending: Option<Sending>,
    pub(super) renewal: Renewal,
    /// What a group message that came before the handshake was decided asks for.
    ending: Option<End>,
    pub(super) alive: Alive,
    /// Whether the client takes nothing more.
    is_over: bool,
    _counted: CountedSocket,
}

/// The next step of an open WebSocket.
pub(super) enum Step {
    /// Bytes have gone to the client, or there are more for it: look at everything again.
    Again,
    Happening(Happening),
    /// The event that waited for room in its channel is sent.
    Sent(Result<(), SendError>),
    /// It is noted that the session is used. False: it is over.
    Renewed(bool),
    Frame(Option<Result<Message, tungstenite::Error>>),
    /// It is time to look whether the client is alive.
    Look,
    Broken(io::Error),
    /// A client asks for this connection.
    Return(Box<Return>),
    /// The line of a client that has come back is there, or will not be.
    Arrived(Result<Arrived, RecvError>),
}

impl Socket {
    /// A socket after its handshake. `early` came before that was decided. `comes_back` says that the client asks to be
    /// able to come back.
    pub(super) fn new(conversation: Conversation, early: Vec<Happening>, comes_back: bool) -> Self {
        let config = &conversation.hub.config;
        let renewal = Renewal::new(&conversation.hub, &conversation.scope);
        let expires = renewal.end_of(&conversation.hub.users, &conversation.scope);
        let alive = Alive::new(&config.liveness, expires, renewal.interval());
        let counted = CountedSocket::new(&conversation.hub.open_sockets);
        let window = conversation.route.resume.filter(|_| comes_back);
        let resumption = window.map(|window| {
            Box::new(Resumption::new(&conversation.hub, conversation.local(), window))
        });
        let mut outbound = Outbound::default();
        if comes_back {
            let greeting = resumption.as_ref().map_or_else(plain_greeting, |it| it.greeting());
            outbound.push(greeting);
        }
        let mut session = Self {
            conversation,
            outbound,
            resumption,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            sending: None,
            renewal,
            ending: None,
            alive,
            is_over: false,
            _counted: counted,
        };
        session.ending = early.into_iter().find_map(|early| session.on(early).err());
        session
    }

    /// Serves the socket to its end, and tells the consumer.
    pub(super) async fn run(mut self: Box<Self>, line: Line) {
        let mut line = Some(line);
        let end = self.talk(&mut line).await;
        self.is_over = true;
        let by_host = end.by == By::Host;
        let Conversation { hub, scope, .. } = &self.conversation;
        access_log::websocket_end(hub, scope, &end.close, end.by != By::Client);
        if let Some(trace) = &self.conversation.trace {
            trace.ended(hub, scope, &end.close);
        }
        // Nobody comes back to a connection that is over.
        self.resumption = None;
        let until = Instant::now() + hub.config.timeouts.close;
        let outbound = std::mem::take(&mut self.outbound);
        let held = match line {
            Some(Line { link, held }) => {
                part(link, outbound, &end, until).await;
                Some(held)
            }
            None => None,
        };
        if end.by == By::Client {
            self.serve_backlog().await;
        }
        if !self.backlog.is_empty() && by_host {
            tracing::debug!(
                frames = self.backlog.len(), correlation = %self.conversation.scope.correlation,
                "frames of a closed socket are not served"
            );
        }
        for _ in 0..self.backlog.len() {
            self.conversation.hub.metrics.dropped(DropReason::Unread);
        }
        if let Some(sending) = self.sending.take() {
            // The frame has its place in the line; the disconnect event must come after it.
            if sending.await.is_ok() {
                self.conversation.is_sent();
            }
        }
        self.conversation.end(Some(EventKind::WebsocketDisconnect(end.close))).await;
        drop(held);
    }

    async fn talk(&mut self, line: &mut Option<Line>) -> End {
        if let Some(end) = self.ending.take() {
            return end;
        }
        let look = sleep_until(self.next_look());
        tokio::pin!(look);
        loop {
            if let Err(end) = self.send_next().await {
                return end;
            }
            if let Some(lost_at) = self.conversation.lost_at()
                && lost_at < look.deadline()
            {
                look.as_mut().reset(lost_at);
            }
            let step = poll_fn(|context| self.poll_step(context, line, look.as_mut())).await;
            let done = match step {
                Step::Again => Ok(()),
                Step::Happening(happening) => self.on(happening),
                Step::Sent(sent) => {
                    self.sending = None;
                    sent.map(|()| self.conversation.is_sent())
                        .map_err(|error| End::unsendable(&error))
                }
                Step::Renewed(true) => Ok(()),
                Step::Renewed(false) => Err(self.renewal.over()),
                Step::Frame(frame) => self.on_frame(frame),
                Step::Look => {
                    let looked = self.look();
                    // Frames do not move the timer: it looks what they have changed.
                    look.as_mut().reset(self.next_look());
                    looked
                }
                Step::Broken(error) => {
                    self.count_stall(&error);
                    Err(End::broken())
                }
                Step::Return(back) => {
                    let taken = self.on_return(*back, line);
                    look.as_mut().reset(self.next_look());
                    taken
                }
                Step::Arrived(arrived) => {
                    self.on_arrived(arrived, line);
                    look.as_mut().reset(self.next_look());
                    Ok(())
                }
            };
            if let Err(end) = done {
                if let Err(end) = self.lose(end, line) {
                    return end;
                }
                look.as_mut().reset(self.next_look());
            }
        }
    }

    /// Polls for the next step. All mail is taken before it is written, so that one call writes all of it.
    /// Frames of the client come last.
    fn poll_step(
        &mut self,
        context: &mut Context<'_>,
        line: &mut Option<Line>,
        look: Pin<&mut Sleep>,
    ) -> Poll<Step> {
        let Some(Line { link, .. }) = line else { return self.poll_lost(context, look) };
        let takes_mail = self.outbound.has_room();
        if takes_mail && let Poll::Ready(happening) = self.conversation.poll_next(context) {
            return Poll::Ready(Step::Happening(happening));
        }
        let is_blocked = match self.poll_write(context, link) {
            Poll::Ready(Err(error)) => return Poll::Ready(Step::Broken(error)),
            Poll::Ready(Ok(0)) => false,
            // There is room for mail, and perhaps for the answer to the next event.
            Poll::Ready(Ok(_)) if !takes_mail || !self.backlog.is_empty() => {
                return Poll::Ready(Step::Again);
            }
            Poll::Ready(Ok(_)) => false,
            Poll::Pending => true,
        };
        // A client that takes nothing must not keep its mailbox from saying that it is full.
        if is_blocked
            && !takes_mail
            && let Poll::Ready(happening) = self.conversation.poll_next(context)
        {
            return Poll::Ready(Step::Happening(happening));
        }
        if let Poll::Ready(step) = self.poll_inside(context) {
            return Poll::Ready(step);
        }
        if self.has_room()
            && let Poll::Ready(frame) = link.poll_next(context, &mut self.outbound)
        {
            return Poll::Ready(Step::Frame(frame));
        }
        if !is_blocked && !self.outbound.is_idle() {
            // The library has answered a ping.
            return Poll::Ready(Step::Again);
        }
        look.poll(context).map(|()| Step::Look)
    }

    /// Polls for what needs no line.
    pub(super) fn poll_inside(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        if let Some(sending) = &mut self.sending
            && let Poll::Ready(sent) = sending.as_mut().poll(context)
        {
            return Poll::Ready(Step::Sent(sent));
        }
        if let Poll::Ready(is_open) = self.renewal.poll(context) {
            return Poll::Ready(Step::Renewed(is_open));
        }
        let Some(resumption) = &mut self.resumption else { return Poll::Pending };
        resumption.poll_return(context).map(Step::Return)
    }

    /// Writes what waits; returns the bytes of the mailbox that have gone.
    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        link: &mut Link<Wire>,
    ) -> Poll<io::Result<usize>> {
        let mut all = 0;
        while !self.outbound.is_idle() {
            match self.outbound.poll_write(context, link.io()) {
                Poll::Ready(Ok(bytes)) => {
                    self.conversation.written(bytes);
                    all += bytes;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if all > 0 => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(all))
    }

    /// Returns the moment of the next look at a socket on which nothing happens.
    fn next_look(&self) -> Instant {
        let next = self.next_look_at_lost().unwrap_or_else(|| self.alive.next());
        self.conversation.lost_at().map_or(next, |lost_at| next.min(lost_at))
    }

    /// Nothing may have happened for a while.
    fn look(&mut self) -> Result<(), End> {
        if self.conversation.lost_at().is_some_and(|lost_at| lost_at <= Instant::now()) {
            let lost = self.conversation.lose();
            self.on(lost)?;
        }
        if self.is_lost() {
            return self.look_at_lost();
        }
        match self.alive.due(self.has_room()) {
            None => {
                // A client that talks is not pinged, and still has to say what it has got.
                let interval = self.conversation.hub.config.liveness.ping_interval;
                if self.resumption.as_ref().is_some_and(|it| it.is_unasked_for(interval)) {
                    self.ping();
                }
                Ok(())
            }
            Some(Due::Ping) => {
                self.ping();
                Ok(())
            }
            Some(Due::Dead) => {
                self.refuse(Reason::PingTime);
                // What waits for a client that is gone will not be taken.
                let dropped = self.outbound.clear();
                self.conversation.written(dropped);
                Err(End::host(1013, "a ping was not answered in time").lost())
            }
            Some(Due::Idle) => Err(End::host(1001, "nothing was said for too long")),
            Some(Due::Old) => Err(End::host(1001, "the connection is too old")),
            Some(Due::Expired) => Err(self.renewal.over()),
            Some(Due::Renew) => {
                self.renewal.begin(&self.conversation.hub);
                Ok(())
            }
        }
    }

    /// Asks the client for a sign of life, and what it has got.
    fn ping(&mut self) {
        let content = self.resumption.as_mut().map(|it| it.ask()).unwrap_or_default();
        self.outbound.push_ping(content);
    }

    /// Sends a message to the client, or keeps it for one that was lost.
    fn push(&mut self, frame: EncodedFrame) -> Result<(), End> {
        self.alive.used();
        let Some(resumption) = &mut self.resumption else {
            self.outbound.push(frame);
            return Ok(());
        };
        resumption.keep(&frame);
        if resumption.lost.is_some() {
            self.conversation.written(frame.cost());
            return match resumption.is_hopeless() {
                true => Err(End::host(1013, "too much waits for this client")),
                false => Ok(()),
            };
        }
        let asks = resumption.wants_sign();
        self.outbound.push(frame);
        if asks {
            self.ping();
        }
        Ok(())
    }

    /// Counts a client that took nothing for too long.
    fn count_stall(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::TimedOut {
            self.refuse(Reason::WriteTime);
        }
    }

    fn refuse(&self, reason: Reason) -> bool {
        let Conversation { hub, scope, .. } = &self.conversation;
        hub.refuse(reason, scope.client.ip())
    }

    /// Puts the next frame in flight if nothing is.
    async fn send_next(&mut self) -> Result<(), End> {
        let waits = self.conversation.is_busy() || self.conversation.has_missed();
        if waits || self.sending.is_some() {
            return Ok(());
        }
        // The answer to the next event must find room.
        if self.conversation.is_behind() && !self.is_over {
            return Ok(());
        }
        let Some(frame) = self.backlog.pop_front() else { return Ok(()) };
        self.backlog_bytes -= frame.len();
        if self.backlog.is_empty() && self.backlog.capacity() > KEPT_FRAMES {
            // An idle connection keeps little memory here.
            self.backlog = VecDeque::new();
        }
        match self.conversation.send(EventKind::WebsocketReceive(frame)).await {
            Ok(None) => Ok(()),
            Ok(Some(message)) => {
                let hub = Arc::clone(&self.conversation.hub);
                let channel = self.conversation.route.channels.websocket_receive.clone();
                self.sending = Some(Box::pin(async move {
                    hub.lines.send(&*hub.layer, &channel, message, None).await
                }));
                Ok(())
            }
            Err(error) => Err(End::unsendable(&error)),
        }
    }

    fn has_room(&self) -> bool {
        let config = &self.conversation.hub.config;
        self.backlog.len() < config.inbound_frames && self.backlog_bytes < config.inbound_bytes
    }

    fn on(&mut self, happening: Happening) -> Result<(), End> {
        match happening {
            Happening::Frame(frame) => self.push(frame),
            Happening::Reply(reply) | Happening::Numbered(_, reply) => self.reply(reply),
            Happening::From(standing) => {
                self.conversation.misfit(standing.cost);
                Ok(())
            }
            Happening::Done(outcome) => self.done(outcome),
            Happening::Lost => match self.conversation.route.policy.on_fault {
                // Whether it is in its groups is not known of one whose handshake was lost.
                OnFault::Continue if !self.conversation.is_first() => Ok(()),
                OnFault::Continue | OnFault::Close => Err(End::host(1011, "an event was lost")),
            },
            Happening::Overflow => {
                self.refuse(Reason::Unsent);
                self.outbound.clear();
                Err(End::host(1013, "too much waits for this client"))
            }
            // The JavaScript client comes back soon, each at another time.
            Happening::Missed => Err(End::host(1012, "messages to a group may be missing")),
            Happening::Closed(close) => Err(End::by_host(close)),
            Happening::Drain => Err(End::host(1001, "the server goes away")),
        }
    }

    fn reply(&mut self, reply: Reply) -> Result<(), End> {
        let cost = reply.cost();
        match reply {
            Reply::Close(close) => return Err(End::by_application(close)),
            // Let in already: Channels 1 says to ignore these.
            Reply::Accept(_) | Reply::Deny => self.conversation.written(cost),
            _ => self.conversation.misfit(cost),
        }
        Ok(())
    }

    fn done(&self, outcome: Outcome) -> Result<(), End> {
        let goes_on = matches!(outcome, Outcome::Fault(_))
            && matches!(self.conversation.route.policy.on_fault, OnFault::Continue);
        match outcome.failure() {
            Some(HostAnswer { close_code, text, record, .. }) if !goes_on => {
                let reason = match record {
                    Some(id) => format!("{text}, id {id}"),
                    None => text.to_owned(),
                };
                Err(End::host(close_code, reason))
            }
            _ => Ok(()),
        }
    }

    fn on_frame(&mut self, frame: Option<Result<Message, tungstenite::Error>>) -> Result<(), End> {
        self.alive.heard();
        let frame = match frame {
            Some(Ok(Message::Text(text))) => Frame::Text(text.as_str().to_owned()),
            Some(Ok(Message::Binary(bytes))) => Frame::Binary(bytes),
            Some(Ok(Message::Close(close))) => {
                // 1005 stands for a close frame without a code.
                let close = close.map_or_else(
                    || Close::new(1005, ""),
                    |frame| Close::new(frame.code.into(), frame.reason.as_str()),
                );
                return Err(End::by_client(close));
            }
            Some(Ok(Message::Pong(content))) => {
                if let Some(resumption) = &mut self.resumption {
                    resumption.answered(&content);
                }
                return Ok(());
            }
            // The library answers pings.
            Some(Ok(Message::Ping(_) | Message::Frame(_))) => return Ok(()),
            Some(Err(error)) => {
                let end = End::of(&error);
                if end.close.code == 1009 {
                    self.refuse(Reason::FrameBytes);
                }
                return Err(end);
            }
            None => return Err(End::broken()),
        };
        self.alive.used();
        if let Some(resumption) = &mut self.resumption {
            resumption.read += 1;
        }
        self.backlog_bytes += frame.len();
        self.backlog.push_back(frame);
        Ok(())
    }

    /// What the client sent before it left is served like the rest.
    async fn serve_backlog(&mut self) {
        loop {
            if self.send_next().await.is_err() {
                return;
            }
            if let Some(sending) = self.sending.take() {
                match sending.await {
                    Ok(()) => self.conversation.is_sent(),
                    Err(_) => return,
                }
            }
            if !self.conversation.is_busy() && self.backlog.is_empty() {
                return;
            }
            match self.conversation.next().await {
                Happening::Frame(frame) => {
                    self.conversation.written(frame.cost());
                    self.conversation.hub.metrics.dropped(DropReason::ConnectionGone);
                }
                Happening::From(standing) => self.conversation.written(standing.cost),
                Happening::Reply(reply) | Happening::Numbered(_, reply) => {
                    self.conversation.written(reply.cost());
                    self.conversation.hub.metrics.dropped(DropReason::ConnectionGone);
                    if let Reply::Close(_) = reply {
                        return;
                    }
                }
                Happening::Done(outcome) => {
                    if self.done(outcome).is_err() {
                        return;
                    }
                }
                Happening::Lost if self.conversation.route.policy.on_fault == OnFault::Close => {
                    return;
                }
                Happening::Missed | Happening::Closed(_) => return,
                Happening::Lost | Happening::Overflow | Happening::Drain => {}
            }
        }
    }
}
