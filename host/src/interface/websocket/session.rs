//! Sockets of a session: each is closed when the session ends, and keeps it in use while it is open.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use hyper::{Response, StatusCode};
use tokio::time::Instant;

use super::end::End;
use crate::{
    capability::sessions::Sessions,
    interface::{
        Hub,
        http::{ResponseBody, plain},
        users::{Refused, Users},
    },
    message::{
        ChannelName, CorrelationId, GroupName, SESSION_ENDED, SIGNED_OUT, Scope, Session,
        SessionLookup,
    },
};

/// The session of a connection, if there is one.
pub(super) fn of(scope: &Scope) -> Option<&Session> {
    scope.session.as_ref().and_then(SessionLookup::session)
}

/// Has a socket told of the end of its session. The response in its place if the session has ended already.
pub(super) async fn follow(
    hub: &Hub,
    channel: &ChannelName,
    session: &Session,
    id: CorrelationId,
) -> Result<(), Box<Response<ResponseBody>>> {
    let Some(sessions) = &hub.users.sessions else { return Ok(()) };
    let refused = |status, text| Box::new(plain(status, text, id));
    let group = GroupName::of_session(&session.key);
    if let Err(error) = hub.layer.group_add(&group, channel).await {
        tracing::warn!(%error, correlation = %id, "a handshake with a session is refused");
        let text = "the channel layer is not available";
        return Err(refused(StatusCode::SERVICE_UNAVAILABLE, text));
    }
    // It may have ended before the socket was one of those that are told.
    match sessions.find(session.key, SystemTime::now()).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => {
            hub.users.count(Refused::Ended, &hub.metrics);
            Err(refused(StatusCode::UNAUTHORIZED, "sign in first"))
        }
        Err(error) => {
            hub.users.warn_away(&error, id, &hub.metrics);
            Err(refused(StatusCode::SERVICE_UNAVAILABLE, "sessions cannot be read now"))
        }
    }
}

/// Notes that the session of an open socket is used.
pub(super) struct Renewal {
    /// None: there is no session.
    of: Option<(Arc<Sessions>, Session)>,
    /// The note that is on its way.
    going: Option<Pin<Box<dyn Future<Output = bool> + Send>>>,
}

impl Renewal {
    pub(super) fn new(hub: &Hub, scope: &Scope) -> Self {
        let of = hub.users.sessions.clone().zip(of(scope).cloned());
        Self { of, going: None }
    }

    /// When the socket is to be closed in any case. None: never.
    pub(super) fn end_of(&self, users: &Users, scope: &Scope) -> Option<Instant> {
        match &self.of {
            Some((_, session)) => Users::end_at(session.expires, Duration::ZERO),
            None => scope.user.as_deref().and_then(|user| users.end_of(user)),
        }
    }

    /// Whether there is a session.
    pub(super) const fn is_of_session(&self) -> bool {
        self.of.is_some()
    }

    /// How the socket ends when its token has expired, or its session is over.
    pub(super) fn over(&self) -> End {
        if self.is_of_session() {
            return End::host(SIGNED_OUT, SESSION_ENDED);
        }
        // The client may come back with another token.
        End::host(SIGNED_OUT, "the token has expired").lost()
    }

    /// How often it is to be noted. None: never.
    pub(super) fn interval(&self) -> Option<Duration> {
        self.of.as_ref().map(|(sessions, _)| sessions.renewal_interval())
    }

    /// Begins to note it, unless that goes on already.
    pub(super) fn begin(&mut self, hub: &Arc<Hub>) {
        if let (Some((sessions, session)), None) = (&self.of, &self.going) {
            let renewing = renew(Arc::clone(hub), Arc::clone(sessions), session.clone());
            self.going = Some(Box::pin(renewing));
        }
    }

    /// Polls for the end of what goes on. False: the session is over.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let Some(going) = &mut self.going else { return Poll::Pending };
        let is_open = ready!(going.as_mut().poll(context));
        self.going = None;
        Poll::Ready(is_open)
    }
}

/// Notes that a session is used. Returns whether it is still there; where nobody can say, it is.
async fn renew(hub: Arc<Hub>, sessions: Arc<Sessions>, session: Session) -> bool {
    let now = SystemTime::now();
    let renewed = match sessions.find(session.key, now).await {
        Ok(None) => return false,
        Ok(Some(open)) => sessions.touch(&open, now).await,
        Err(error) => Err(error),
    };
    renewed.unwrap_or_else(|error| {
        hub.users.warn_untouched(&error);
        true
    })
}
