//! Names of channels, groups, modules and nodes, checked once, when they are made.
//!
//! The alphabet and the length are those of ASGI's channel layers.

use std::{fmt, sync::Arc};

use super::{CorrelationId, EventKind};

/// The longest channel or group name, in bytes.
const NAME_BYTES_MAX: usize = 99;
/// The longest module name, in bytes.
const MODULE_NAME_BYTES_MAX: usize = 63;

/// Which rule a name breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is no name.
    #[error("a name has at least 1 byte; this one is empty")]
    Empty,
    /// The name has too many bytes.
    #[error("a name has at most {limit} bytes; this one has {bytes}")]
    TooLong {
        /// The length found.
        bytes: usize,
        /// The longest allowed.
        limit: usize,
    },
    /// A character is outside the alphabet.
    #[error("{found:?} at byte {at} is not one of {allowed}")]
    Character {
        /// The character found.
        found: char,
        /// Its position in bytes.
        at: usize,
        /// The alphabet, in words.
        allowed: &'static str,
    },
    /// A reply channel lacks the part before or after its `!`, or has a second one.
    #[error("a reply channel is NODE!LOCAL with exactly one `!` and both parts filled")]
    ReplyChannel,
}

const ALPHABET: &str = "a-z A-Z 0-9 . _ -";
const MODULE_ALPHABET: &str = "a-z 0-9 -";

fn check(
    text: &str,
    limit: usize,
    allowed: &'static str,
    fits: impl Fn(u8) -> bool,
) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > limit {
        return Err(NameError::TooLong { bytes: text.len(), limit });
    }
    match text.char_indices().find(|&(_, c)| !u8::try_from(c).is_ok_and(&fits)) {
        Some((at, found)) => Err(NameError::Character { found, at, allowed }),
        None => Ok(()),
    }
}

const fn in_alphabet(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

name! {
    /// A channel: 1 to 99 bytes of `a-z A-Z 0-9 . _ -`, and for a reply channel one `!`.
    ChannelName
}
name! {
    /// A group: 1 to 99 bytes of `a-z A-Z 0-9 . _ -`.
    GroupName
}
name! {
    /// A module: 1 to 63 bytes of `a-z 0-9 -`.
    ModuleName
}
name! {
    /// A node, the part of a reply channel before the `!`.
    NodeName
}
name! {
    /// A connection on its node, the part of a reply channel after the `!`.
    LocalName
}

impl ChannelName {
    /// Checks a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check(text, NAME_BYTES_MAX, "a-z A-Z 0-9 . _ - !", |b| in_alphabet(b) || b == b'!')?;
        if let Some((node, local)) = text.split_once('!')
            && (node.is_empty() || local.is_empty() || local.contains('!'))
        {
            return Err(NameError::ReplyChannel);
        }
        Ok(Self(text.into()))
    }

    /// The channel that carries one kind of event to one module.
    pub fn of_events(kind: &EventKind, module: &ModuleName) -> Self {
        Self(format!("{}.{module}", kind.channel()).into())
    }

    /// The channel that carries one kind of event of which nobody has said yet whose it is.
    pub fn of_unrouted(kind: &EventKind) -> Self {
        Self(kind.channel().into())
    }

    /// The channel of a module's requests to servers outside.
    pub fn of_fetches(module: &ModuleName) -> Self {
        Self(format!("http.fetch.{module}").into())
    }

    /// The channel of a connection.
    pub fn of_connection(node: &NodeName, local: &LocalName) -> Self {
        Self(format!("{node}!{local}").into())
    }

    /// Node and connection, if this is a reply channel.
    pub fn connection(&self) -> Option<(NodeName, LocalName)> {
        let (node, local) = self.0.split_once('!')?;
        Some((NodeName(node.into()), LocalName(local.into())))
    }

    /// Whether this is the channel of a connection.
    pub fn is_reply_channel(&self) -> bool {
        self.0.contains('!')
    }

    /// Whether the name is in the part of the name space that belongs to the host.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with("http.") || self.0.starts_with("websocket.")
    }
}

impl GroupName {
    /// Checks a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check(text, NAME_BYTES_MAX, ALPHABET, in_alphabet).map(|()| Self(text.into()))
    }

    /// A name that is known to keep the rules.
    pub(super) fn known(text: &str) -> Self {
        Self(text.into())
    }

    /// Whether the group belongs to a module: its name starts with the module's and a dot.
    pub fn belongs_to(&self, module: &ModuleName) -> bool {
        self.within(module).is_some()
    }

    /// The name behind the part of the module that the group belongs to.
    pub fn within(&self, module: &ModuleName) -> Option<&str> {
        self.0.strip_prefix(module.as_str())?.strip_prefix('.')
    }
}

impl ModuleName {
    /// Stands for the module of an event that has no route yet. No module can have this name.
    pub fn unrouted() -> Self {
        Self("*".into())
    }

    /// Whether this stands for no module.
    pub fn is_unrouted(&self) -> bool {
        &*self.0 == "*"
    }

    /// Stands for the sessions of the host where the store asks whose data it is. No module can have this name.
    pub fn of_sessions() -> Self {
        Self("*sessions".into())
    }

    /// Stands likewise for what the host keeps of schedules.
    pub fn of_schedules() -> Self {
        Self("*schedules".into())
    }

    /// Whether this stands for what the host keeps for itself.
    pub fn is_of_host(&self) -> bool {
        self.0.starts_with('*')
    }

    /// Checks a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check(text, MODULE_NAME_BYTES_MAX, MODULE_ALPHABET, |b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'
        })
        .map(|()| Self(text.into()))
    }
}

impl NodeName {
    /// Checks a name: it must be possible as the first part of a reply channel.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check(text, NAME_BYTES_MAX, ALPHABET, in_alphabet).map(|()| Self(text.into()))
    }

    /// A name that no other node has.
    pub fn random() -> Self {
        Self(format!("node-{}", CorrelationId::random()).into())
    }
}

impl LocalName {
    /// 128 random bits: who was not handed the name cannot guess it.
    pub fn random() -> Self {
        Self(CorrelationId::random().to_string().into())
    }

    /// Reads the text of a name that [`random`](Self::random) made.
    pub fn parse_random(text: &str) -> Option<Self> {
        let id: CorrelationId = text.parse().ok()?;
        Some(Self(id.to_string().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_99_bytes_pass_and_100_do_not() {
        let longest = "x".repeat(99);
        assert!(ChannelName::parse(&longest).is_ok());
        assert!(GroupName::parse(&longest).is_ok());
        let error = ChannelName::parse(&"x".repeat(100)).unwrap_err();
        assert_eq!(error.to_string(), "a name has at most 99 bytes; this one has 100");
    }

    #[test]
    fn the_error_says_which_character_and_where() {
        let error = GroupName::parse("chat.room 7").unwrap_err();
        assert_eq!(error.to_string(), "' ' at byte 9 is not one of a-z A-Z 0-9 . _ -");
        // Python's `\d` and `$` let these pass; an ASCII rule must not.
        assert!(ChannelName::parse("a٣").is_err());
        assert!(ChannelName::parse("a\n").is_err());
        assert!(ChannelName::parse("").is_err());
    }

    #[test]
    fn a_reply_channel_has_two_parts() {
        let channel = ChannelName::parse("node-1!abc").unwrap();
        let (node, local) = channel.connection().unwrap();
        assert_eq!((node.as_str(), local.as_str()), ("node-1", "abc"));
        for wrong in ["!", "a!", "!b", "a!b!c"] {
            assert_eq!(ChannelName::parse(wrong), Err(NameError::ReplyChannel), "{wrong}");
        }
        assert!(GroupName::parse("a!b").is_err());
    }

    #[test]
    fn a_generated_reply_channel_is_a_valid_name() {
        let channel = ChannelName::of_connection(&NodeName::random(), &LocalName::random());
        assert_eq!(ChannelName::parse(channel.as_str()), Ok(channel));
    }

    #[test]
    fn a_group_of_a_module_whose_name_is_longer_is_not_ours() {
        let chat = ModuleName::parse("chat").unwrap();
        assert!(GroupName::parse("chat.lobby").unwrap().belongs_to(&chat));
        assert!(!GroupName::parse("chat2.lobby").unwrap().belongs_to(&chat));
        assert!(!GroupName::parse("chat").unwrap().belongs_to(&chat));
    }

    #[test]
    fn channels_of_events_are_reserved_with_and_without_a_module_which_nobody_can_be_named_like() {
        for name in ["http.request", "http.request.chat", "websocket.receive", "http.anything"] {
            assert!(ChannelName::parse(name).unwrap().is_reserved(), "{name}");
        }
        assert!(!ChannelName::parse("https.request").unwrap().is_reserved());
        let unrouted = ModuleName::unrouted();
        assert!(unrouted.is_unrouted() && ModuleName::parse(unrouted.as_str()).is_err());
        for own in [ModuleName::of_sessions(), ModuleName::of_schedules()] {
            assert!(own.is_of_host() && ModuleName::parse(own.as_str()).is_err());
        }
    }

    #[test]
    fn a_module_name_has_no_dot() {
        // With a dot, `http.request.a.b` could be read in two ways.
        assert!(ModuleName::parse("a.b").is_err());
        assert!(ModuleName::parse("Chat").is_err());
        assert!(ModuleName::parse(&"m".repeat(63)).is_ok());
        assert!(ModuleName::parse(&"m".repeat(64)).is_err());
    }
}
