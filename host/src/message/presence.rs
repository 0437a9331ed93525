//! Presence: who is in a group, by member, and how changes are announced.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use rmpv::Value;
use serde_json::{Map, Value as Json};

use super::{ChannelName, Content, ContentError};

/// The longest key of a member, in bytes: as long as the id of a user.
pub const MEMBER_KEY_BYTES_MAX: usize = 256;
/// The most that the facts of a member may take as MessagePack, in bytes.
pub const FACTS_BYTES_MAX: usize = 1024;
/// The most members that one read returns, and that an announcement may list.
pub const MEMBERS_PER_READ_MAX: usize = 1_000;
/// The connections by which one member is present in a group.
pub const CONNECTIONS_PER_MEMBER_MAX: usize = 100;

/// The key of a member of a group. All connections that join with it are one member.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberKey(Arc<str>);

/// Which rule a member breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemberError {
    /// The key is empty, too long, or has control characters.
    #[error("the key of a member has 1 to {MEMBER_KEY_BYTES_MAX} bytes and no control characters")]
    Key,
    /// The facts are no content.
    #[error("the facts of a member: {0}")]
    Content(#[from] ContentError),
    /// The facts are too large.
    #[error("the facts of a member take {bytes} bytes; at most {FACTS_BYTES_MAX} are taken")]
    FactsBytes {
        /// The bytes found.
        bytes: usize,
    },
    /// The facts have a value that JSON does not have.
    #[error(
        "the fact {0:?} has bytes, or a number that is not finite; clients get facts as JSON, so send text in its \
         place"
    )]
    NotJson(String),
}

impl MemberKey {
    /// Checks a key.
    pub fn parse(text: &str) -> Result<Self, MemberError> {
        let is_valid = !text.is_empty()
            && text.len() <= MEMBER_KEY_BYTES_MAX
            && !text.chars().any(char::is_control);
        if is_valid { Ok(Self(text.into())) } else { Err(MemberError::Key) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MemberKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for MemberKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The facts of a member: a small map whose values JSON has, too.
#[derive(Clone, PartialEq, Eq)]
pub struct Facts(Content);

impl Facts {
    /// Checks facts.
    pub fn parse(bytes: Bytes) -> Result<Self, MemberError> {
        if bytes.len() > FACTS_BYTES_MAX {
            return Err(MemberError::FactsBytes { bytes: bytes.len() });
        }
        let facts = Self(Content::parse(bytes)?);
        let wrong = facts.entries().find(|(_, value)| value.is_none());
        if let Some((name, _)) = wrong {
            return Err(MemberError::NotJson(name.to_owned()));
        }
        Ok(facts)
    }

    /// The bytes of the map.
    pub const fn as_bytes(&self) -> &Bytes {
        self.0.as_bytes()
    }

    /// The facts as clients get them.
    pub fn to_json(&self) -> Json {
        let entries =
            self.entries().map(|(name, value)| (name.to_owned(), value.unwrap_or_default()));
        Json::Object(entries.collect())
    }

    fn entries(&self) -> impl Iterator<Item = (&str, Option<Json>)> {
        self.0.entries().map(|(name, mut value)| {
            (name, rmpv::decode::read_value(&mut value).ok().and_then(json))
        })
    }
}

impl fmt::Debug for Facts {
    /// Facts are personal: they are not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Facts({} bytes)", self.as_bytes().len())
    }
}

/// The value of JSON for one of MessagePack, if there is one.
fn json(value: Value) -> Option<Json> {
    Some(match value {
        Value::Nil => Json::Null,
        Value::Boolean(flag) => flag.into(),
        Value::Integer(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.as_u64()?.into(),
        },
        Value::F32(number) => serde_json::Number::from_f64(number.into())?.into(),
        Value::F64(number) => serde_json::Number::from_f64(number)?.into(),
        Value::String(text) => text.into_str()?.into(),
        Value::Array(items) => items.into_iter().map(json).collect::<Option<Vec<_>>>()?.into(),
        Value::Map(entries) => {
            let entry = |(name, value): (Value, Value)| {
                let Value::String(name) = name else { return None };
                Some((name.into_str()?, json(value)?))
            };
            Json::Object(entries.into_iter().map(entry).collect::<Option<Map<_, _>>>()?)
        }
        Value::Binary(_) | Value::Ext(..) => return None,
    })
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its key.
    pub key: MemberKey,
    /// The facts that its newest connection gave.
    pub facts: Facts,
}

/// How a connection is present in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// The member, with the facts of this connection.
    pub member: Member,
    /// How the group announces its changes from now on, unless the rule only stands in.
    pub rule: PresenceRule,
}

/// How a group announces who comes and goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceRule {
    /// How long a member without connections stays.
    pub leave_after: Duration,
    /// The time between two announcements, at least.
    pub interval: Duration,
    /// The members up to which clients get a list; beyond, they get the count.
    pub listed_max: usize,
    /// Whether the clients of the group are told.
    pub clients: bool,
    /// The channels that are told.
    pub channels: Vec<ChannelName>,
    /// Whether it holds only where the group has no rule so far: that of a module which is in a group of another.
    pub is_stand_in: bool,
}

impl Default for PresenceRule {
    fn default() -> Self {
        Self {
            leave_after: Duration::from_secs(10),
            interval: Duration::from_secs(1),
            listed_max: 100,
            clients: false,
            channels: Vec::new(),
            is_stand_in: false,
        }
    }
}

impl PresenceRule {
    /// Whether anybody hears of changes.
    pub fn tells_anybody(&self) -> bool {
        self.clients || !self.channels.is_empty()
    }
}

/// A part of the members of a group, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MembersPage {
    /// Counts the changes of the group: higher after each.
    pub version: u64,
    /// All members of the group.
    pub count: u64,
    /// The members of this part.
    pub members: Vec<Member>,
    /// Whether there may be more behind the last of them.
    pub has_more: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts(value: &Json) -> Result<Facts, MemberError> {
        Facts::parse(rmp_serde::to_vec_named(value).unwrap().into())
    }

    #[test]
    fn keys_have_bounds() {
        let long = "x".repeat(MEMBER_KEY_BYTES_MAX + 1);
        for (key, is_valid) in
            [("ada", true), ("Ada Lovelace", true), ("", false), ("a\nb", false), (&long, false)]
        {
            assert_eq!(MemberKey::parse(key).is_ok(), is_valid, "{key:?}");
        }
        assert!(MemberKey::parse(&"x".repeat(MEMBER_KEY_BYTES_MAX)).is_ok());
    }

    #[test]
    fn facts_are_what_json_has() {
        let value = json!({ "name": "Ada", "at": [1, -2, 1.5, null, true], "more": { "a": {} } });
        assert_eq!(facts(&value).unwrap().to_json(), value);
        let bytes = Bytes::from_static(b"\x81\xa4blob\xc4\x01\x00");
        assert_eq!(Facts::parse(bytes), Err(MemberError::NotJson("blob".into())));
        let nan = rmp_serde::to_vec_named(
            &[("x", f64::NAN)].into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        );
        assert_eq!(Facts::parse(nan.unwrap().into()), Err(MemberError::NotJson("x".into())));
        assert_eq!(
            Facts::parse(Bytes::from_static(b"\x90")),
            Err(MemberError::Content(ContentError::NotAMap))
        );
    }

    #[test]
    fn facts_have_a_size() {
        // {"a": "..."} with a text of 16 bits of length.
        let of = |bytes: usize| facts(&json!({ "a": "x".repeat(bytes - 6) }));
        assert!(of(FACTS_BYTES_MAX).is_ok());
        let bytes = FACTS_BYTES_MAX + 1;
        assert_eq!(of(bytes), Err(MemberError::FactsBytes { bytes }));
    }
}
