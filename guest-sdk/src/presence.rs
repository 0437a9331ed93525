//! Presence: the members of groups.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::host::presence;
use crate::{Context, Group, payload};

/// A member of a group; see [`Context::members`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<T> {
    /// Its key.
    pub key: String,
    /// The facts that it gave last.
    pub facts: T,
}

/// A part of the members of a group; see [`Context::members`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members<T> {
    /// Members, in the order of their keys.
    pub members: Vec<Member<T>>,
    /// All members of the group.
    pub count: u64,
    /// Where the list goes on, for [`Context::members`]. None at its end.
    pub cursor: Option<String>,
}

/// The members that came to a group and left it: the message to a consumer of a channel with
/// [`#[presence]`](macro@crate::presence).
///
/// A member is in one of the three. With many changes at once there is more than one message of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceChange<T> {
    /// The name of the group.
    pub group: String,
    /// The version that the message before led to. Where it is higher than that one's
    /// [`version`](Self::version), a message is missing.
    pub from: u64,
    /// The version that this message leads to. Each is higher than the one before, also when the group was empty
    /// in between.
    pub version: u64,
    /// All members of the group.
    pub count: u64,
    /// Members that came, with their facts.
    pub joined: BTreeMap<String, T>,
    /// Members whose facts changed.
    pub updated: BTreeMap<String, T>,
    /// Members that left.
    pub left: Vec<String>,
}

/// Why presence in a group was refused, or its members are not known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PresenceError {
    /// The call breaks a rule; the text says which. Trying again gives the same answer.
    Invalid(String),
    /// The group belongs to somebody else; the text says to whom.
    Forbidden(String),
    /// The layer does not answer. Trying again later may work.
    Unavailable(String),
    /// The event came from a channel of the application, so there is no own connection.
    NoConnection,
    /// Nobody is signed in, or the consumer asks for no user.
    NoUser,
}

impl fmt::Display for PresenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) | Self::Forbidden(text) | Self::Unavailable(text) => {
                f.write_str(text)
            }
            Self::NoConnection => f.write_str(
                "this event has no connection: name the reply channel of one with present_channel",
            ),
            Self::NoUser => f.write_str(
                "there is no user: put #[user] before the consumer in export!, or name the member with present",
            ),
        }
    }
}

impl std::error::Error for PresenceError {}

impl From<presence::PresenceError> for PresenceError {
    fn from(error: presence::PresenceError) -> Self {
        match error {
            presence::PresenceError::Invalid(text) => Self::Invalid(text),
            presence::PresenceError::Forbidden(text) => Self::Forbidden(text),
            presence::PresenceError::Unavailable(text) => Self::Unavailable(text),
        }
    }
}

/// Presence in groups.
impl Context {
    /// Makes this connection a member of a group, as [`group_add`](Self::group_add) does, and present in it as the
    /// member of a key. All connections with one key are one member: three tabs of a browser are one member, which
    /// leaves with the last of them. `facts` is a struct with named fields or a map, at most 1 KiB, of values that
    /// JSON has, too. Calling it again changes them.
    ///
    /// [`#[presence]`](macro@crate::presence) says who hears of it.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use tidegate_sdk::{Handshake, Result, Socket, Websocket, export, testing::TestHost, websocket};
    ///
    /// struct Board {
    ///     name: String,
    /// }
    ///
    /// #[websocket("/board/{name}")]
    /// impl Websocket for Board {
    ///     type State = ();
    ///     type Incoming = String;
    ///
    ///     fn connect(&self, socket: &mut Socket<()>) -> Result<Handshake> {
    ///         socket.present("board", &self.name, &BTreeMap::from([("colour", "blue")]))?;
    ///         Ok(Handshake::accept())
    ///     }
    ///
    ///     fn receive(&self, socket: &mut Socket<()>, _: String) -> Result<()> {
    ///         let there = socket.member_count("board")?;
    ///         Ok(socket.send(there.to_string())?)
    ///     }
    /// }
    ///
    /// export! { Board }
    ///
    /// let host = TestHost::new(consumers());
    /// let [one, two] = [(); 2].map(|()| host.websocket("/board/ada").connect().unwrap());
    /// one.send("how many?");
    /// one.expect_text("1");
    /// ```
    ///
    /// # Errors
    /// When the event has no connection, or the host refuses the group, the key or the facts.
    pub fn present<'a>(
        &mut self,
        group: impl Into<Group<'a>>,
        key: &str,
        facts: &impl Serialize,
    ) -> Result<(), PresenceError> {
        let channel = self.reply_channel().ok_or(PresenceError::NoConnection)?;
        present(&group.into().full_name(self.module()), channel, key, facts)
    }

    /// The same with the id of the [user](Self::user) as the key, so that all connections of a user are one member.
    ///
    /// # Errors
    /// As [`present`](Self::present), and when there is no user.
    pub fn present_user<'a>(
        &mut self,
        group: impl Into<Group<'a>>,
        facts: &impl Serialize,
    ) -> Result<(), PresenceError> {
        let user = self.user().ok_or(PresenceError::NoUser)?;
        let channel = self.reply_channel().ok_or(PresenceError::NoConnection)?;
        present(&group.into().full_name(self.module()), channel, user.id(), facts)
    }

    /// The same for any connection, by its reply channel.
    ///
    /// # Errors
    /// When the host refuses the group, the channel, the key or the facts.
    pub fn present_channel<'a>(
        &mut self,
        group: impl Into<Group<'a>>,
        channel: &str,
        key: &str,
        facts: &impl Serialize,
    ) -> Result<(), PresenceError> {
        present(&group.into().full_name(self.module()), channel, key, facts)
    }

    /// Lists the members of a group in the order of their keys: up to `limit`, which is at most 1,000. The
    /// [cursor](Members::cursor) of a part gets the next one; the first has none. Parts are of different moments,
    /// and what is in the outbox is in none: this connection is there from its next event on. A member whose last
    /// connection has ended is there until it has left. A run reads 100 parts at most.
    ///
    /// # Errors
    /// When the host refuses the call, the layer does not answer, or facts do not read as `T`.
    pub fn members<'a, T: DeserializeOwned>(
        &self,
        group: impl Into<Group<'a>>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Members<T>, PresenceError> {
        let group = group.into().full_name(self.module());
        let page = presence::members(&group, cursor, limit)?;
        let member = |presence::Member { key, facts }: presence::Member| {
            let facts = payload::decode(&facts).map_err(|error| {
                let type_name = std::any::type_name::<T>();
                PresenceError::Invalid(format!(
                    "the facts of member {key:?} do not read as `{type_name}`: {error}"
                ))
            })?;
            Ok(Member { key, facts })
        };
        let members = page.members.into_iter().map(member).collect::<Result<_, PresenceError>>()?;
        Ok(Members { members, count: page.count, cursor: page.cursor })
    }

    /// Counts the members of a group.
    ///
    /// # Errors
    /// As [`members`](Self::members).
    pub fn member_count<'a>(&self, group: impl Into<Group<'a>>) -> Result<u64, PresenceError> {
        Ok(presence::member_count(&group.into().full_name(self.module()))?)
    }
}

fn present(
    group: &str,
    channel: &str,
    key: &str,
    facts: &impl Serialize,
) -> Result<(), PresenceError> {
    let facts = payload::encode(facts)
        .map_err(|error| PresenceError::Invalid(format!("the facts of a member: {error}")))?;
    Ok(presence::present(group, channel, key, &facts)?)
}
