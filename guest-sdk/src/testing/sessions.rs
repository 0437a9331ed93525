//! Sessions of the test host, kept by the rules of the host.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use crate::host::sessions::SignedIn;
use crate::host::types::Header;
use crate::host::users::User;

use super::world::World;

/// The name of the cookie, as without the setting.
pub(super) const COOKIE: &str = "__Host-session";
/// How long a session lasts, as without the setting.
pub(super) const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// A session that is open.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) user: Option<User>,
    /// Names what the module keeps for it.
    pub(super) key: String,
    pub(super) created: u64,
    pub(super) expires: u64,
    pub(super) address: String,
    pub(super) agent: String,
}

/// What is found of the session of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Lookup {
    /// Nobody looked.
    #[default]
    NotAsked,
    None,
    /// The id of the session.
    Found(String),
}

impl Lookup {
    /// The id of the session, if there is one.
    pub(super) fn id(&self) -> Option<&str> {
        match self {
            Self::Found(id) => Some(id),
            Self::NotAsked | Self::None => None,
        }
    }
}

impl World {
    /// Seconds since 1970.
    pub(super) fn seconds(&self) -> u64 {
        self.clock().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }

    /// Takes the cookie of the session out of a request. Returns what it is of: nobody who has brought a user
    /// besides.
    pub(super) fn look_up(
        &self,
        headers: &mut Vec<Header>,
        user: Option<User>,
    ) -> (Option<User>, Lookup) {
        let found = take_cookie(headers);
        if user.is_some() {
            return (user, Lookup::NotAsked);
        }
        let now = self.seconds();
        let open = found.and_then(|id| Some((self.sessions.get(&id)?, id)));
        match open.filter(|(open, _)| now < open.expires) {
            Some((open, id)) => (open.user.clone(), Lookup::Found(id)),
            None => (None, Lookup::None),
        }
    }

    /// The sessions of a user, the newest first.
    pub(super) fn signed_in(&self, user: &str, own: Option<&str>) -> Vec<SignedIn> {
        let now = self.seconds();
        let of_user =
            |open: &Open| now < open.expires && open.user.as_ref().is_some_and(|it| it.id == user);
        let mut listed: Vec<SignedIn> = self
            .sessions
            .iter()
            .filter(|(_, open)| of_user(open))
            .map(|(id, open)| SignedIn {
                id: id.clone(),
                is_own: own == Some(id),
                created: open.created,
                used: open.created,
                expires: open.expires,
                address: open.address.clone(),
                agent: open.agent.clone(),
            })
            .collect();
        listed.sort_by_key(|it| (std::cmp::Reverse(it.created), it.id.clone()));
        listed
    }

    /// Ends a session and closes its sockets.
    pub(super) fn end_session(&mut self, id: &str) {
        self.sessions.remove(id);
        let is_of = |lookup: &Lookup| lookup.id() == Some(id);
        let of: Vec<String> = self
            .connections
            .iter()
            .filter(|(_, connection)| is_of(&connection.session))
            .map(|(channel, _)| channel.clone())
            .collect();
        for channel in of {
            self.close(&channel, crate::Close::new(4401, "the session has ended"));
        }
    }
}

/// The sessions of a test, by their ids.
pub(super) type Table = BTreeMap<String, Open>;

/// The cookie of a session among the cookies of a request, which keep the others.
fn take_cookie(headers: &mut Vec<Header>) -> Option<String> {
    let mut found = Vec::new();
    for header in headers.iter_mut().filter(|header| header.name == "cookie") {
        let text = String::from_utf8_lossy(&header.value).into_owned();
        let (own, others): (Vec<&str>, Vec<&str>) = text
            .split(';')
            .map(str::trim)
            .partition(|pair| pair.split_once('=').is_some_and(|(name, _)| name == COOKIE));
        if !own.is_empty() {
            header.value = others.join("; ").into_bytes();
        }
        found.extend(own.iter().filter_map(|pair| Some(pair.split_once('=')?.1.to_owned())));
    }
    headers.retain(|header| header.name != "cookie" || !header.value.is_empty());
    // Of two none counts.
    if found.len() == 1 { found.pop() } else { None }
}

/// The field that gives a browser the cookie of a session, or takes it away.
pub(super) fn set_cookie(id: Option<&str>) -> Header {
    let (value, seconds) = id.map_or(("", 0), |id| (id, LIFETIME.as_secs()));
    let text =
        format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax; Secure");
    Header { name: "set-cookie".to_owned(), value: text.into_bytes() }
}
