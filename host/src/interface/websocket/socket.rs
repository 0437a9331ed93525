//! An open WebSocket: frames become events one after the other, replies become frames.

use std::{collections::VecDeque, future::Future, pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep_until, timeout_at},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message, error::CapacityError},
};

use super::{
    alive::{Alive, Due},
    metered::TooFast,
    outbound::Outbound,
};
use crate::{
    interface::{
        access_log,
        connection::Busy,
        connections::CountedSocket,
        conversation::{Conversation, Happening},
        limits_log::Reason,
        read_out,
    },
    layer::SendError,
    message::{Close, EventKind, Frame, HostAnswer, Outcome, Reply},
    routing::OnFault,
    telemetry::DropReason,
};

type Sending = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send>>;

/// An open WebSocket.
pub(super) struct Socket {
    conversation: Conversation,
    outbound: Outbound,
    /// Frames that wait for their turn.
    backlog: VecDeque<Frame>,
    backlog_bytes: usize,
    /// An event that waits for room in its channel.
    sending: Option<Sending>,
    /// What a group message that came before the handshake was decided asks for.
    ending: Option<End>,
    alive: Alive,
    /// Whether the client takes nothing more.
    is_over: bool,
    /// The connection below is in use as long as this is.
    _busy: Busy,
    _counted: CountedSocket,
}

/// How a socket ended.
struct End {
    close: Close,
    by: By,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Client,
    Application,
    Host,
}

impl Socket {
    pub(super) fn new(conversation: Conversation, early: Vec<Reply>, busy: Busy) -> Self {
        let config = &conversation.hub.config;
        let alive = Alive::new(&config.liveness);
        let counted = CountedSocket::new(&conversation.hub.open_sockets);
        let mut session = Self {
            conversation,
            outbound: Outbound::default(),
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            sending: None,
            ending: None,
            alive,
            is_over: false,
            _busy: busy,
            _counted: counted,
        };
        session.ending = early.into_iter().find_map(|reply| session.reply(reply).err());
        session
    }

    /// Serves the socket to its end, and tells the consumer.
    pub(super) async fn run<S>(mut self, socket: WebSocketStream<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut sink, mut stream) = socket.split();
        let end = self.talk(&mut sink, &mut stream).await;
        self.is_over = true;
        let by_host = end.by == By::Host;
        let Conversation { hub, scope, .. } = &self.conversation;
        access_log::websocket_end(hub, scope, &end.close, end.by != By::Client);
        if end.by == By::Client {
            // After its close frame a client takes no others.
            self.outbound.clear();
        } else {
            self.outbound.push_close(&end.close);
        }
        let until = Instant::now() + self.conversation.hub.config.timeouts.close;
        // A client that takes no more must not keep the connection.
        drop(timeout_at(until, self.shake_hands(&mut sink, &mut stream)).await);
        if let (true, Ok(mut socket)) = (end.is_violation(), sink.reunite(stream)) {
            // Otherwise it may never see the close frame.
            drop(timeout_at(until, read_out(socket.get_mut())).await);
        }
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
    }

    async fn talk<K, R>(&mut self, sink: &mut K, stream: &mut R) -> End
    where
        K: futures_util::Sink<Message, Error = tungstenite::Error> + Unpin,
        R: Stream<Item = Result<Message, tungstenite::Error>> + Unpin,
    {
        if let Some(end) = self.ending.take() {
            return end;
        }
        let look = sleep_until(self.alive.next());
        tokio::pin!(look);
        loop {
            if let Err(end) = self.send_next().await {
                return end;
            }
            let reads = self.has_room();
            tokio::select! {
                biased;
                written = self.outbound.write(sink), if !self.outbound.is_idle() => match written {
                    Ok(bytes) => self.conversation.written(bytes),
                    Err(error) => {
                        self.count_stall(&error);
                        return End::broken();
                    }
                },
                happening = self.conversation.next() => {
                    if let Err(end) = self.on(happening) {
                        return end;
                    }
                }
                sent = poll_sending(&mut self.sending) => {
                    self.sending = None;
                    match sent {
                        Ok(()) => self.conversation.is_sent(),
                        Err(error) => return End::unsendable(&error),
                    }
                }
                frame = stream.next(), if reads => {
                    if let Err(end) = self.on_frame(frame) {
                        return end;
                    }
                }
                () = look.as_mut() => {
                    if let Err(end) = self.look(reads) {
                        return end;
                    }
                    // Frames do not move the timer: it looks what they have changed.
                    look.as_mut().reset(self.alive.next());
                }
            }
        }
    }

    /// Nothing may have happened for a while.
    fn look(&mut self, reads: bool) -> Result<(), End> {
        match self.alive.due(reads) {
            None => Ok(()),
            Some(Due::Ping) => {
                self.outbound.push_ping();
                Ok(())
            }
            Some(Due::Dead) => {
                self.refuse(Reason::PingTime);
                // What waits for a client that is gone will not be taken.
                self.outbound.clear();
                Err(End::host(1013, "a ping was not answered in time"))
            }
            Some(Due::Idle) => Err(End::host(1001, "nothing was said for too long")),
            Some(Due::Old) => Err(End::host(1001, "the connection is too old")),
        }
    }

    /// Counts a client that took nothing for too long.
    fn count_stall(&self, error: &tungstenite::Error) {
        let kind = std::io::ErrorKind::TimedOut;
        if matches!(error, tungstenite::Error::Io(error) if error.kind() == kind) {
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
        if self.backlog.is_empty() {
            // An idle connection keeps no memory here.
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
            Happening::Reply(reply) => self.reply(reply),
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
            Happening::Drain => Err(End::host(1001, "the server goes away")),
        }
    }

    fn reply(&mut self, reply: Reply) -> Result<(), End> {
        let cost = reply.cost();
        match reply {
            Reply::Send(frame) => {
                self.alive.used();
                self.outbound.push(frame, cost);
            }
            Reply::Close(close) => return Err(End { close, by: By::Application }),
            // Let in already: Channels 1 says to ignore these.
            Reply::Accept(_) | Reply::Deny => self.conversation.written(cost),
            other => self.conversation.misfit(&other),
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
                return Err(End { close, by: By::Client });
            }
            // The library answers pings.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return Ok(()),
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
        self.backlog_bytes += frame.len();
        self.backlog.push_back(frame);
        Ok(())
    }

    /// Writes what is left with the close frame, and waits for the client's. Frames that still come
    /// are not served.
    async fn shake_hands<K, R>(&mut self, sink: &mut K, stream: &mut R)
    where
        K: futures_util::Sink<Message, Error = tungstenite::Error> + Unpin,
        R: Stream<Item = Result<Message, tungstenite::Error>> + Unpin,
    {
        if self.outbound.write(sink).await.is_ok() {
            while let Some(Ok(_)) = stream.next().await {}
        }
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
                Happening::Reply(reply) => {
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
                Happening::Missed => return,
                Happening::Lost | Happening::Overflow | Happening::Drain => {}
            }
        }
    }
}

impl End {
    fn host(code: u16, reason: impl Into<String>) -> Self {
        Self { close: Close::new(code, reason), by: By::Host }
    }

    /// The connection ended without a close frame.
    fn broken() -> Self {
        Self { close: Close::new(1006, ""), by: By::Client }
    }

    /// The client broke a rule of RFC 6455, or the connection broke.
    fn of(error: &tungstenite::Error) -> Self {
        use tungstenite::Error;
        match error {
            Error::Capacity(CapacityError::MessageTooLong { .. }) => {
                Self::host(1009, "the message is too large")
            }
            Error::Utf8(_) => Self::host(1007, "a text message is not UTF-8"),
            Error::Io(error) if error.get_ref().is_some_and(|it| it.is::<TooFast>()) => {
                Self::host(1008, "too many frames in a second")
            }
            Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)
            | Error::Io(_)
            | Error::ConnectionClosed
            | Error::AlreadyClosed => Self::broken(),
            _ => Self::host(1002, "a frame breaks the protocol"),
        }
    }

    /// Whether the client broke a rule, so that its frames cannot be read any more.
    fn is_violation(&self) -> bool {
        self.by == By::Host && matches!(self.close.code, 1002 | 1007 | 1008 | 1009)
    }

    fn unsendable(error: &SendError) -> Self {
        match error {
            SendError::TooLarge { .. } => Self::host(1009, "the message is too large"),
            SendError::ChannelFull(_)
            | SendError::TooManyDelayed { .. }
            | SendError::TooManyGroups { .. }
            | SendError::Layer(_) => Self::host(1013, "the message cannot be served now"),
        }
    }
}

/// Resolves when the waiting event is sent; never if none waits.
async fn poll_sending(sending: &mut Option<Sending>) -> Result<(), SendError> {
    match sending {
        Some(sending) => sending.await,
        None => std::future::pending().await,
    }
}
