//! `tidegate:channels/sessions`: signing in and out, asked for until the run has committed.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use wasmtime::component::HasData;

use crate::{
    capability::sessions::{Changes, Identity, Listed, OwnChange, Sessions},
    engine::{
        bindings::holding::tidegate::channels::sessions::{
            Host, Session as GuestSession, SessionError, SignedIn,
        },
        instance::{Effects, Job, Run},
    },
    message::{Content, Event, EventKind, Session, SessionData, SessionKey, SessionLookup, User},
};

/// Sees what the run asks for, and whose it is.
pub(in crate::engine) struct SessionCalls<'a> {
    effects: &'a mut Effects,
    job: Option<&'a Job>,
}

impl HasData for SessionCalls<'static> {
    type Data<'a> = SessionCalls<'a>;
}

impl Run {
    pub(in crate::engine) fn session_calls(&mut self) -> SessionCalls<'_> {
        SessionCalls { effects: &mut self.effects, job: self.job.as_ref() }
    }
}

type Done<T> = Result<T, SessionError>;

impl<'a> SessionCalls<'a> {
    fn job(&self) -> Done<&'a Job> {
        let none = || SessionError::Forbidden("no session is used while routes are read".into());
        self.job.ok_or_else(none)
    }

    fn event(&self) -> Option<&'a Event> {
        self.job.and_then(Job::event)
    }

    fn sessions(&self) -> Done<&'a Arc<Sessions>> {
        let none = || {
            let rule = "this host keeps no sessions; add the section [sessions] to the tidegate.toml \
                        of each process, workers too";
            SessionError::NoSession(rule.into())
        };
        self.job()?.lent.sessions.as_ref().ok_or_else(none)
    }

    /// The session of the connection, before what the run has asked for.
    fn found(&self) -> Option<&'a Session> {
        self.event()?.scope.session.as_ref().and_then(SessionLookup::session)
    }

    fn user(&self) -> Option<&'a str> {
        Some(self.event()?.scope.user.as_deref()?.id())
    }

    fn seen(&self) -> Option<GuestSession> {
        let begun = |data: &SessionData| {
            let expires = self.sessions().ok()?.expires(SystemTime::now());
            Some(GuestSession { key: data.to_string(), expires })
        };
        match &self.effects.sessions.own {
            None => self.found().map(|Session { data, expires, .. }| GuestSession {
                key: data.to_string(),
                expires: *expires,
            }),
            Some(OwnChange::End) => None,
            Some(OwnChange::Begin(data) | OwnChange::SignIn(_, data)) => begun(data),
        }
    }

    /// Whether the connection can get a cookie.
    fn check_cookie(&self) -> Done<()> {
        let none = |rule: &str| Err(SessionError::NoSession(rule.to_owned()));
        self.sessions()?;
        let Some(event) = self.event() else {
            return none("a message of a channel has no session");
        };
        if !matches!(event.kind, EventKind::HttpRequest(_) | EventKind::WebsocketConnect) {
            return none(
                "a browser takes a cookie with a response and with the acceptance of a handshake; \
                 begin the session there",
            );
        }
        if event.scope.session.is_none() {
            return none(
                "no session is looked for here: the consumer declares no `user`, or the request has a \
                 token, or a page of another site has sent it",
            );
        }
        if self.effects.has_flushed {
            return Err(SessionError::Invalid(
                "the run has flushed, and its answer may have left; begin the session before"
                    .into(),
            ));
        }
        Ok(())
    }

    fn check_grant(&self) -> Done<()> {
        let lent = &self.job()?.lent;
        if lent.grants.sessions {
            return Ok(());
        }
        Err(SessionError::Forbidden(format!(
            "this module may not sign users in and out; let it be granted: \
             modules.{}.grants.sessions = true",
            lent.module
        )))
    }

    fn start(&mut self) -> Done<GuestSession> {
        if let Some(session) = self.seen() {
            return Ok(session);
        }
        self.check_cookie()?;
        let data = SessionData::random();
        self.effects.sessions.own = Some(OwnChange::Begin(data));
        let expires = self.sessions()?.expires(SystemTime::now());
        Ok(GuestSession { key: data.to_string(), expires })
    }

    fn enter(&mut self, user: &str, claims: Vec<u8>) -> Done<GuestSession> {
        self.check_grant()?;
        self.check_cookie()?;
        let claims = Content::parse(Bytes::from(claims)).map_err(invalid)?;
        let user = User::new(user, claims, None).map_err(invalid)?;
        let identity = Identity { id: user.id().to_owned(), claims: user.claims().clone() };
        // What modules keep for one user is not for another.
        let data = match &self.effects.sessions.own {
            Some(OwnChange::Begin(data)) => *data,
            Some(OwnChange::SignIn(before, data)) if before.id == identity.id => *data,
            Some(_) => SessionData::random(),
            None => match (self.found(), self.user()) {
                (Some(session), None) => session.data,
                (Some(session), Some(before)) if before == identity.id => session.data,
                _ => SessionData::random(),
            },
        };
        self.effects.sessions.own = Some(OwnChange::SignIn(identity, data));
        let expires = self.sessions()?.expires(SystemTime::now());
        Ok(GuestSession { key: data.to_string(), expires })
    }

    fn leave(&mut self) -> Done<()> {
        self.sessions()?;
        if self.found().is_some() {
            self.effects.sessions.own = Some(OwnChange::End);
        } else {
            // What the run has begun does not begin.
            self.effects.sessions.own = None;
        }
        Ok(())
    }

    async fn listed(&self, user: &str) -> Done<Vec<SignedIn>> {
        self.check_grant()?;
        let own = self.found().map(|session| session.key);
        let listed = self.sessions()?.list(user).await;
        let listed = listed.map_err(|error| SessionError::Unavailable(error.to_string()))?;
        let signed_in = |Listed { key, record }: Listed| SignedIn {
            id: key.to_string(),
            is_own: own == Some(key),
            created: record.created,
            used: record.used,
            expires: record.expires,
            address: record.origin.address,
            agent: record.origin.agent,
        };
        Ok(listed.into_iter().map(signed_in).collect())
    }

    fn put(&mut self, put: impl FnOnce(&mut Changes) -> Done<()>) -> Done<()> {
        self.check_grant()?;
        self.sessions()?;
        put(&mut self.effects.sessions)
    }
}

fn invalid(error: impl std::fmt::Display) -> SessionError {
    SessionError::Invalid(error.to_string())
}

type Answer<T> = wasmtime::Result<Done<T>>;

impl Host for SessionCalls<'_> {
    fn current(&mut self) -> wasmtime::Result<Option<GuestSession>> {
        Ok(self.seen())
    }

    fn begin(&mut self) -> Answer<GuestSession> {
        Ok(self.start())
    }

    fn sign_in(&mut self, user: String, claims: Vec<u8>) -> Answer<GuestSession> {
        Ok(self.enter(&user, claims))
    }

    fn sign_out(&mut self) -> Answer<()> {
        Ok(self.leave())
    }

    async fn list_of(&mut self, user: String) -> Answer<Vec<SignedIn>> {
        Ok(self.listed(&user).await)
    }

    fn end(&mut self, user: String, id: String) -> Answer<()> {
        Ok(self.put(|changes| {
            let key = SessionKey::parse(&id)
                .ok_or_else(|| invalid("an id of a session is what `list-of` gives"))?;
            changes.end(&user, key).map_err(invalid)
        }))
    }

    fn end_all(&mut self, user: String, but_own: bool) -> Answer<()> {
        let own = self.found().map(|session| session.key).filter(|_| but_own);
        Ok(self.put(|changes| changes.end_all(&user, own).map_err(invalid)))
    }
}
