//! Connections that outlive the line to their client.
//!
//! A client that asks for it gets a token with its connection. When the line breaks, the connection waits for a time
//! that its consumer declares, with its state and its groups. A client that brings the token and says how many messages
//! it has got goes on where it was. What it may not have got is kept until the answer to a ping shows that it has it.

use std::{
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use prometheus_client::metrics::gauge::Gauge;
use serde::Serialize;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    end::End,
    kept::Kept,
    offer::{Claim, Secret},
    returns::{Arrived, Listed, NotResumed, Return, Visitor},
};
use crate::{
    interface::{
        Hub,
        admission::{Place, Share},
        encoded::EncodedFrame,
    },
    message::{Frame, LocalName, Scope},
    routing::Route,
};

/// A connection that goes on when its client comes back.
pub(super) struct Resumption {
    hub: Arc<Hub>,
    listed: Listed,
    returns: mpsc::Receiver<Box<Return>>,
    window: Duration,
    secret: Secret,
    /// The secret that the client came back with, until it has shown that it has got the one of now.
    before: Option<Secret>,
    /// How often the client has come back.
    turn: u32,
    kept: Kept,
    /// When the client was last asked what it has got.
    asked: Instant,
    /// The client's messages that were read.
    pub(super) read: u64,
    /// A client whose handshake is being answered.
    pub(super) arriving: Option<Box<Arriving>>,
    /// None while there is a line.
    pub(super) lost: Option<Lost>,
}

/// A client that has come back, and whose line comes soon.
pub(super) struct Arriving {
    pub(super) line: oneshot::Receiver<Arrived>,
    pub(super) visitor: Visitor,
    claim: Claim,
}

impl Arriving {
    /// The messages that the client has got.
    pub(super) const fn received(&self) -> u64 {
        self.claim.received
    }
}

/// How the line was lost.
pub(super) struct Lost {
    /// How the connection ends if nobody comes.
    pub(super) end: End,
    /// When that is.
    pub(super) until: Instant,
    /// The messages that had been sent: the client has got no more. Once it has come back, those that it has got.
    sent: u64,
    _counted: (Place, Share, Gone),
}

/// Counted among the lost clients.
struct Gone(Gauge);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The first frame of a line.
#[derive(Default, Serialize)]
#[serde(tag = "tidegate", rename = "connection")]
struct Greeting {
    resumed: bool,
    /// The client's messages that the host has read.
    received: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// For how many milliseconds the connection is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<u64>,
}

impl Greeting {
    fn frame(self) -> EncodedFrame {
        let text = serde_json::to_string(&self).expect("texts and numbers can be written");
        EncodedFrame::new(Frame::Text(text)).uncounted()
    }
}

/// The first frame for a client that asks to come back, of a consumer that does not keep its connections.
pub(super) fn plain_greeting() -> EncodedFrame {
    Greeting::default().frame()
}

impl Resumption {
    pub(super) fn new(hub: &Arc<Hub>, local: &LocalName, window: Duration) -> Self {
        let (listed, returns) = hub.returns.list(local);
        Self {
            hub: Arc::clone(hub),
            listed,
            returns,
            window,
            secret: Secret::random(),
            before: None,
            turn: 0,
            kept: Kept::default(),
            asked: Instant::now(),
            read: 0,
            arriving: None,
            lost: None,
        }
    }

    /// The first frame of the line.
    pub(super) fn greeting(&self) -> EncodedFrame {
        let token = format!("{}{}", self.listed.local.as_str(), self.secret.digits());
        Greeting {
            resumed: self.turn > 0,
            received: self.read,
            token: Some(token),
            window: u64::try_from(self.window.as_millis()).ok(),
        }
        .frame()
    }

    /// Keeps a message for the client.
    pub(super) fn keep(&mut self, frame: &EncodedFrame) {
        self.kept.push(frame);
    }

    /// Whether the client is to be asked what it has got.
    pub(super) const fn wants_sign(&self) -> bool {
        self.kept.wants_sign()
    }

    /// Whether anything is kept of which the client was not asked for so long.
    pub(super) fn is_unasked_for(&self, span: Duration) -> bool {
        !self.kept.is_asked && !self.kept.frames.is_empty() && self.asked.elapsed() >= span
    }

    /// The content of a ping. Its answer says that the client has got all before it.
    pub(super) fn ask(&mut self) -> Bytes {
        (self.kept.is_asked, self.asked) = (true, Instant::now());
        let [turn, next] =
            [self.turn.to_be_bytes().to_vec(), self.kept.next.to_be_bytes().to_vec()];
        Bytes::from([turn, next].concat())
    }

    /// The client has answered a ping.
    pub(super) fn answered(&mut self, content: &[u8]) {
        let Some((turn, next)) = content.split_first_chunk() else { return };
        let Ok(next) = next.try_into().map(u64::from_be_bytes) else { return };
        if u32::from_be_bytes(*turn) == self.turn && next <= self.kept.next {
            self.kept.is_asked = false;
            self.kept.got(next);
            self.before = None;
        }
    }

    /// Waits for a client to come back, for as long as the connection is kept. The end comes back where too many
    /// connections are open.
    pub(super) fn lose(&mut self, end: End, client: IpAddr) -> Result<(), End> {
        let hub = &self.hub;
        let ((place, share), beyond) = hub.admission.keep(client);
        if beyond.is_some_and(|reason| hub.refuse(reason, client)) {
            return Err(end);
        }
        hub.metrics.lost_clients.inc();
        let gone = Gone(hub.metrics.lost_clients.clone());
        self.kept.is_asked = false;
        let until = Instant::now() + self.window;
        self.lost = Some(Lost { end, until, sent: self.kept.next, _counted: (place, share, gone) });
        Ok(())
    }

    /// Whether a lost client cannot come back, since a message that it has not got is not kept any more.
    pub(super) fn is_hopeless(&self) -> bool {
        self.lost.as_ref().is_some_and(|lost| self.kept.first() > lost.sent)
    }

    /// Polls for a client that has come back.
    pub(super) fn poll_return(&mut self, context: &mut Context<'_>) -> Poll<Box<Return>> {
        match self.returns.poll_recv(context) {
            Poll::Ready(Some(back)) => Poll::Ready(back),
            // The sender is in the list as long as this is.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// Answers a client that has come back to a connection. Where it is let in, the line that the connection still has
    /// is lost. False: a message that the client has not got is not kept any more, so that nobody can go on with the
    /// connection.
    pub(super) fn admit(
        &mut self,
        back: Return,
        (route, scope): (&Route, &Scope),
        subprotocol: Option<String>,
    ) -> bool {
        if back.answer.is_closed() {
            // Its handshake does not wait any more.
            return true;
        }
        let Return { claim, visitor, answer, arriving } = back;
        let admitted =
            self.check(&claim, &visitor, (route, scope)).and_then(|()| match self.lost {
                Some(_) => Ok(()),
                None => self.lose(End::broken(), scope.client.ip()).map_err(|_| NotResumed::Full),
            });
        let is_behind = admitted == Err(NotResumed::Behind);
        let is_admitted = admitted.is_ok();
        if answer.send(admitted.map(|()| subprotocol)).is_ok()
            && is_admitted
            && let Some(lost) = &mut self.lost
        {
            // What it has not got must be kept until its line is there.
            lost.sent = claim.received;
            self.arriving = Some(Box::new(Arriving { line: arriving, visitor, claim }));
        }
        !is_behind
    }

    /// A client is let in with the right secret, as the same user, if all is kept that it has not got.
    fn check(
        &self,
        claim: &Claim,
        visitor: &Visitor,
        (route, scope): (&Route, &Scope),
    ) -> Result<(), NotResumed> {
        if claim.secret != self.secret && Some(claim.secret) != self.before {
            return Err(NotResumed::Secret);
        }
        if !visitor.may_be(route, scope) {
            return Err(NotResumed::Other);
        }
        let is_kept = (self.kept.first()..=self.kept.next).contains(&claim.received);
        is_kept.then_some(()).ok_or(NotResumed::Behind)
    }

    /// The line of a client is there: what it gets first, and then all that it has not got.
    pub(super) fn arrived(&mut self, arriving: &Arriving) -> Vec<EncodedFrame> {
        let Claim { secret, received, .. } = arriving.claim;
        self.lost = None;
        self.kept.got(received);
        (self.before, self.secret) = (Some(secret), Secret::random());
        self.turn = self.turn.saturating_add(1);
        let asking = EncodedFrame::ping(self.ask());
        [self.greeting(), asking].into_iter().chain(self.kept.frames.iter().cloned()).collect()
    }
}
