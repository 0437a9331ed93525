//! What one invocation asks for of sessions.

use crate::host::SessionHost;
use crate::host::consumer::Failure;
use crate::host::sessions::{Session, SessionError, SignedIn};
use crate::host::types::Header;
use crate::host::users::User;
use crate::testing::forms::Reply;
use crate::testing::sessions::{LIFETIME, Lookup, Open, set_cookie};
use crate::testing::users;
use crate::testing::world::Item;

use super::{Call, EventKind, SharedCall};

/// What a run asks for.
#[derive(Debug, Default)]
pub(super) struct Changes {
    own: Option<Own>,
    ends: Vec<Ends>,
}

/// What becomes of the session of the connection.
#[derive(Debug)]
enum Own {
    Begin(String),
    SignIn(User, String),
    End,
}

/// Sessions that end besides.
#[derive(Debug)]
enum Ends {
    One(String, String),
    All(String, Option<String>),
}

type Done<T> = Result<T, SessionError>;

impl Changes {
    pub(super) const fn is_empty(&self) -> bool {
        self.own.is_none() && self.ends.is_empty()
    }
}

impl Call {
    fn lookup(&self) -> Lookup {
        self.connection(|connection| connection.session.clone()).unwrap_or_default()
    }

    fn session_until(&self, key: &str) -> Session {
        let expires = self.world.borrow().seconds() + LIFETIME.as_secs();
        Session { key: key.to_owned(), expires }
    }

    fn session(&self) -> Option<Session> {
        match &self.changes.own {
            Some(Own::End) => None,
            Some(Own::Begin(key) | Own::SignIn(_, key)) => Some(self.session_until(key)),
            None => {
                let world = self.world.borrow();
                let found = world.sessions.get(self.lookup_in(&world)?.id()?)?;
                Some(Session { key: found.key.clone(), expires: found.expires })
            }
        }
    }

    /// As [`Call::lookup`], while the world is borrowed.
    fn lookup_in(&self, world: &crate::testing::world::World) -> Option<Lookup> {
        let channel = self.facts.connection.as_deref()?;
        world.connections.get(channel).map(|connection| connection.session.clone())
    }

    fn check_cookie(&self) -> Done<()> {
        let none = |rule: &str| Err(SessionError::NoSession(rule.to_owned()));
        match (self.kind, self.lookup()) {
            (EventKind::Message, _) => none("a message of a channel has no session"),
            (EventKind::HttpRequest | EventKind::Connect, Lookup::NotAsked) => none(
                "no session is looked for here: the consumer declares no `user`, or the request has a token",
            ),
            (EventKind::HttpRequest | EventKind::Connect, _) if self.is_final => {
                Err(SessionError::Invalid(
                    "the run has flushed, and its answer may have left; begin the session before"
                        .into(),
                ))
            }
            (EventKind::HttpRequest | EventKind::Connect, _) => Ok(()),
            _ => none(
                "a browser takes a cookie with a response and with the acceptance of a handshake; begin \
                 the session there",
            ),
        }
    }

    fn check_grant(&self) -> Done<()> {
        let world = self.world.borrow();
        if world.signs_in {
            return Ok(());
        }
        Err(SessionError::Forbidden(format!(
            "this module may not sign users in and out; let it be granted: \
             modules.{}.grants.sessions = true, and `granted_sessions` in a test",
            world.module
        )))
    }

    fn enter(&mut self, user: &str, claims: &[u8]) -> Done<Session> {
        self.check_grant()?;
        self.check_cookie()?;
        let user = users::checked(user, claims).map_err(SessionError::Invalid)?;
        let fresh = || self.world.borrow_mut().next_id();
        let key = match &self.changes.own {
            Some(Own::Begin(key)) => key.clone(),
            Some(Own::SignIn(before, key)) if before.id == user.id => key.clone(),
            Some(_) => fresh(),
            None => {
                let before = self.connection(|connection| connection.user.clone()).flatten();
                match self.session() {
                    Some(session) if before.is_none_or(|it| it.id == user.id) => session.key,
                    _ => fresh(),
                }
            }
        };
        let session = self.session_until(&key);
        self.changes.own = Some(Own::SignIn(user, key));
        Ok(session)
    }

    /// Why the run fails although its consumer has returned.
    pub(super) fn check_sessions(&mut self) -> Result<(), Failure> {
        let needs_head = matches!(self.changes.own, Some(Own::Begin(_) | Own::SignIn(..)));
        if needs_head && !self.outbox.iter_mut().any(|item| headers_of(item).is_some()) {
            return Err(Failure::Failed(
                "it began a session and did not answer, so the browser would get no cookie; return a \
                 response, or accept the handshake"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Does what the run has asked for. The answer gets the cookie.
    pub(super) fn apply_sessions(&mut self) {
        let Changes { own, ends } = std::mem::take(&mut self.changes);
        let lookup = self.lookup();
        let facts = self.connection(|connection| {
            let agent = connection.scope.headers.iter().find(|it| it.name == "user-agent");
            let agent = agent.map(|it| String::from_utf8_lossy(&it.value).into_owned());
            (connection.scope.client.host.clone(), agent.unwrap_or_default())
        });
        let (address, agent) = facts.unwrap_or_default();
        let mut world = self.world.borrow_mut();
        let own_id = lookup.id().map(str::to_owned);
        for ends in ends {
            let (user, but, only) = match ends {
                Ends::One(user, id) => (user, None, Some(id)),
                Ends::All(user, but) => (user, but, None),
            };
            for listed in world.signed_in(&user, None) {
                let is_meant = only.as_ref().is_none_or(|id| *id == listed.id);
                if is_meant && but.as_ref() != Some(&listed.id) {
                    world.end_session(&listed.id);
                }
            }
        }
        let Some(own) = own else { return };
        if let Some(id) = &own_id {
            world.end_session(id);
        }
        let (user, key) = match own {
            Own::End => (None, None),
            Own::Begin(key) => (None, Some(key)),
            Own::SignIn(user, key) => (Some(user), Some(key)),
        };
        let id = key.map(|key| {
            let (id, created) = (format!("{:0>64}", world.next_id()), world.seconds());
            let expires = created + LIFETIME.as_secs();
            let user = user.map(|user| User { expires: Some(expires), ..user });
            let open = Open { user, key, created, expires, address, agent };
            world.sessions.insert(id.clone(), open);
            id
        });
        drop(world);
        if let Some(headers) = self.outbox.iter_mut().find_map(headers_of) {
            headers.push(set_cookie(id.as_deref()));
        }
    }
}

/// The header fields that an item sends.
const fn headers_of(item: &mut Item) -> Option<&mut Vec<Header>> {
    match item {
        Item::Reply(Reply::Respond(response)) => Some(&mut response.headers),
        Item::Reply(Reply::Start(head)) => Some(&mut head.headers),
        Item::Reply(Reply::Accept(handshake)) => Some(&mut handshake.headers),
        _ => None,
    }
}

impl SessionHost for SharedCall {
    fn current_session(&mut self) -> Option<Session> {
        self.0.borrow().session()
    }

    fn begin_session(&mut self) -> Done<Session> {
        let mut call = self.0.borrow_mut();
        if let Some(session) = call.session() {
            return Ok(session);
        }
        call.check_cookie()?;
        let key = call.world.borrow_mut().next_id();
        let session = call.session_until(&key);
        call.changes.own = Some(Own::Begin(key));
        Ok(session)
    }

    fn sign_in(&mut self, user: &str, claims: &[u8]) -> Done<Session> {
        self.0.borrow_mut().enter(user, claims)
    }

    fn sign_out(&mut self) -> Done<()> {
        let mut call = self.0.borrow_mut();
        let is_open = call.lookup().id().is_some();
        call.changes.own = is_open.then_some(Own::End);
        Ok(())
    }

    fn sessions_of(&mut self, user: &str) -> Done<Vec<SignedIn>> {
        let call = self.0.borrow();
        call.check_grant()?;
        let own = call.lookup();
        Ok(call.world.borrow().signed_in(user, own.id()))
    }

    fn end_session(&mut self, user: &str, id: &str) -> Done<()> {
        let mut call = self.0.borrow_mut();
        call.check_grant()?;
        call.changes.ends.push(Ends::One(user.to_owned(), id.to_owned()));
        Ok(())
    }

    fn end_sessions(&mut self, user: &str, but_own: bool) -> Done<()> {
        let mut call = self.0.borrow_mut();
        call.check_grant()?;
        let own = call.lookup().id().filter(|_| but_own).map(str::to_owned);
        call.changes.ends.push(Ends::All(user.to_owned(), own));
        Ok(())
    }
}
