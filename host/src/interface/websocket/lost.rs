//! A socket without a line: its client was lost and may come back.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    sync::oneshot::error::RecvError,
    time::{Instant, Sleep},
};

use super::{
    end::End,
    line::{self, Line},
    returns::{Arrived, Return},
    session::Renewal,
    socket::{Socket, Step},
};
use crate::{
    interface::conversation::Conversation,
    message::{Close, SIGNED_OUT},
};

/// What the line before is closed with when the client has come back by another one.
const REPLACED: &str = "the client has come back on another connection";

impl Socket {
    /// Whether there is no line to a client.
    pub(super) fn is_lost(&self) -> bool {
        self.resumption.as_ref().is_some_and(|it| it.lost.is_some())
    }

    /// Keeps the connection for a client that was lost. The end comes back where it is not kept.
    pub(super) fn lose(&mut self, end: End, line: &mut Option<Line>) -> Result<(), End> {
        let client = self.conversation.scope.client.ip();
        let Some(resumption) = &mut self.resumption else { return Err(end) };
        if !end.is_loss || line.is_none() {
            return Err(end);
        }
        // One that answers no pings may still read, and would take a close frame as the end of the connection.
        let close = (end.close.code == SIGNED_OUT).then(|| end.close.clone());
        resumption.lose(end, client)?;
        tracing::debug!(correlation = %self.conversation.scope.correlation, "a client is lost");
        self.drop_line(line, close);
        Ok(())
    }

    /// Closes a line, and does not wait for that. The messages that it was to carry are among those kept.
    fn drop_line(&mut self, line: &mut Option<Line>, close: Option<Close>) {
        let mut outbound = std::mem::take(&mut self.outbound);
        self.conversation.written(outbound.cost());
        // A lost client is counted apart.
        drop(self.conversation.take_share());
        let (Some(Line { link, held }), Some(close)) = (line.take(), close) else { return };
        let hub = Arc::clone(&self.conversation.hub);
        let until = Instant::now() + hub.config.timeouts.close;
        outbound.clear();
        drop(hub.drain.spawn("line of a lost client", async move {
            line::part(link, outbound, &End::by_host(close), until).await;
            drop(held);
        }));
    }

    /// Polls for the next step of a socket without a line.
    pub(super) fn poll_lost(
        &mut self,
        context: &mut Context<'_>,
        look: Pin<&mut Sleep>,
    ) -> Poll<Step> {
        if let Poll::Ready(happening) = self.conversation.poll_next(context) {
            return Poll::Ready(Step::Happening(happening));
        }
        if let Poll::Ready(step) = self.poll_inside(context) {
            return Poll::Ready(step);
        }
        if let Poll::Ready(arrived) = self.poll_arriving(context) {
            return Poll::Ready(Step::Arrived(arrived));
        }
        look.poll(context).map(|()| Step::Look)
    }

    fn poll_arriving(&mut self, context: &mut Context<'_>) -> Poll<Result<Arrived, RecvError>> {
        let arriving = self.resumption.as_mut().and_then(|it| it.arriving.as_mut());
        let Some(arriving) = arriving else { return Poll::Pending };
        Poll::Ready(ready!(Pin::new(&mut arriving.line).poll(context)))
    }

    /// A client asks for this connection. It may be lost without that anybody here has noticed.
    pub(super) fn on_return(&mut self, back: Return, line: &mut Option<Line>) -> Result<(), End> {
        let Conversation { route, scope, subprotocol, .. } = &self.conversation;
        let Some(resumption) = &mut self.resumption else { return Ok(()) };
        if !resumption.admit(back, (route, scope), subprotocol.clone()) {
            return Err(End::host(
                1013,
                "a message that the client has not got is not kept any more",
            ));
        }
        if self.is_lost() && line.is_some() {
            self.drop_line(line, Some(Close::new(1000, REPLACED)));
        }
        Ok(())
    }

    /// The line of a client that has come back is there, or will not be.
    pub(super) fn on_arrived(
        &mut self,
        arrived: Result<Arrived, RecvError>,
        line: &mut Option<Line>,
    ) {
        let Some(resumption) = &mut self.resumption else { return };
        let (Some(arriving), Ok((arrived, share))) = (resumption.arriving.take(), arrived) else {
            return;
        };
        for frame in resumption.arrived(&arriving) {
            self.outbound.push(frame);
        }
        tracing::debug!(
            correlation = %self.conversation.scope.correlation, received = arriving.received(),
            "a client has come back"
        );
        self.conversation.moved(arriving.visitor.scope, share);
        let Conversation { hub, scope, .. } = &self.conversation;
        self.renewal = Renewal::new(hub, scope);
        self.alive.comes_back(self.renewal.end_of(&hub.users, scope));
        *line = Some(arrived);
    }

    /// Looks at a socket without a line: its time may be over.
    pub(super) fn look_at_lost(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.renewal.is_of_session() && self.alive.expires().is_some_and(|at| at <= now) {
            return Err(self.renewal.over());
        }
        let Some(resumption) = &mut self.resumption else { return Ok(()) };
        match resumption.lost.take_if(|lost| lost.until <= now) {
            Some(lost) => Err(lost.end),
            None => Ok(()),
        }
    }

    /// When to look at a socket without a line.
    pub(super) fn next_look_at_lost(&self) -> Option<Instant> {
        let until = self.resumption.as_ref()?.lost.as_ref()?.until;
        let expires = self.alive.expires().filter(|_| self.renewal.is_of_session());
        Some(expires.map_or(until, |at| at.min(until)))
    }
}
