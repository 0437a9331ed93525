//! Clients on their way back to their connections.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{mpsc, oneshot};

use super::{line::Line, offer::Claim, session};
use crate::{
    interface::admission::Share,
    message::{LocalName, Scope},
    routing::Route,
};

/// Clients that may ask for one connection at the same time.
const RETURNS: usize = 1;

/// Why a connection does not go on with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotResumed {
    /// This process has no such connection: its time is over, or it is elsewhere.
    Gone,
    /// The secret is another one, or was used before.
    Secret,
    /// The client is another user or has other claims, has another session or asks for another path.
    Other,
    /// Messages that the client has not got are not kept any more.
    Behind,
    /// More connections are open than may be.
    Full,
}

impl NotResumed {
    /// The value of the label.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Secret => "wrong_token",
            Self::Other => "wrong_client",
            Self::Behind => "behind",
            Self::Full => "full",
        }
    }
}

/// A client that has come back for a connection.
pub(super) struct Return {
    pub(super) claim: Claim,
    pub(super) visitor: Visitor,
    /// Learns whether the connection goes on with the client, and the subprotocol that was chosen for it.
    pub(super) answer: oneshot::Sender<Result<Option<String>, NotResumed>>,
    /// Brings the line once the handshake is answered.
    pub(super) arriving: oneshot::Receiver<Arrived>,
}

/// A line to a client, and its share of what one address may have.
pub(super) type Arrived = (Line, Option<Share>);

/// Who has come back.
pub(super) struct Visitor {
    pub(super) route: Arc<Route>,
    pub(super) scope: Scope,
}

impl Visitor {
    /// Whether it may be the client of a connection.
    pub(super) fn may_be(&self, route: &Route, scope: &Scope) -> bool {
        let session = |scope: &Scope| session::of(scope).map(|session| session.key);
        self.route.module == route.module
            && self.route.consumer == route.consumer
            && self.scope.path == scope.path
            && match (&self.scope.user, &scope.user) {
                (Some(now), Some(before)) => now.may_do_the_same_as(before),
                (now, before) => now.is_none() && before.is_none(),
            }
            && session(&self.scope) == session(scope)
    }
}

/// Boxed: a channel reserves room for 32 of what goes through it, in every connection.
type ByName = HashMap<LocalName, mpsc::Sender<Box<Return>>>;

/// The connections of a process whose clients may come back.
#[derive(Clone, Debug, Default)]
pub(in crate::interface) struct Returns(Arc<Mutex<ByName>>);

impl Returns {
    /// Locked for single operations only.
    fn lock(&self) -> MutexGuard<'_, ByName> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists a connection. Its clients come out of the channel.
    pub(super) fn list(&self, local: &LocalName) -> (Listed, mpsc::Receiver<Box<Return>>) {
        let (sender, receiver) = mpsc::channel(RETURNS);
        self.lock().insert(local.clone(), sender);
        (Listed { returns: self.clone(), local: local.clone() }, receiver)
    }

    /// Hands a client to the connection that it asks for. It gets no answer where there is none. Dropping the future
    /// before the connection takes it takes it back.
    pub(super) async fn bring(&self, back: Return) {
        let sender = self.lock().get(&back.claim.local).cloned();
        if let Some(sender) = sender {
            drop(sender.send(Box::new(back)).await);
        }
    }
}

/// Keeps a connection among those whose clients may come back.
pub(super) struct Listed {
    returns: Returns,
    pub(super) local: LocalName,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.returns.lock().remove(&self.local);
    }
}
