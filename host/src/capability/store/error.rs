//! What goes wrong with a store: it does not answer, or refuses a commit.

use super::{InputError, Key, Prefix};

/// The store does not do what it was asked to. It has not done any of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The server is not reached.
    #[error("the store is not reached: {reason}")]
    Away {
        /// What was tried.
        reason: String,
    },
    /// The store does not write any more.
    #[error(
        "the store stopped writing, and starts again when it is opened anew: {reason}. Mend the cause \
         and restart the process"
    )]
    Stopped {
        /// The failure after which it stopped.
        reason: String,
    },
    /// What stands in the store cannot be read.
    #[error("the store is damaged: {what}. Restore it from an export")]
    Damaged {
        /// The place and the damage.
        what: String,
    },
}

/// What a commit finds changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflicting {
    /// A key that was read.
    Key(Key),
    /// The keys of a prefix that was listed.
    Prefix(Prefix),
}

impl std::fmt::Display for Conflicting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(key) => write!(f, "the key {key:?}"),
            Self::Prefix(prefix) => write!(f, "the keys that begin with {prefix:?}"),
        }
    }
}

/// A read failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The call breaks a rule.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Something that the run read before has changed since: its commit can only be refused.
    #[error("{0} changed while the run read it")]
    Conflict(Conflicting),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A commit has no effect, or it is not known whether it has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Something that was read has changed: the run is done again.
    #[error("{0} changed since the run read it")]
    Conflict(Conflicting),
    /// Another run has done the same message.
    #[error("another run has done this message already")]
    AlreadyDone,
    /// The module may not keep so much.
    #[error(
        "the module would keep {needed} {what}, and its quota is {limit}. Delete what is not needed, \
         or raise the quota"
    )]
    Quota {
        /// What is counted.
        what: Counted,
        /// The number after the commit.
        needed: u64,
        /// The largest allowed.
        limit: u64,
    },
    /// A value is not what the commit needs it to be.
    #[error(transparent)]
    Value(InputError),
    /// The connection broke, or the disk failed, before the answer came: [`super::Store::outcome`] knows.
    #[error("it is not known whether the commit took effect: {reason}")]
    Unknown {
        /// What happened.
        reason: String,
    },
    /// The store failed; nothing was committed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Bytes of keys and values.
    Bytes,
    /// Keys.
    Keys,
    /// Messages that wait to be relayed.
    Relayed,
    /// Timers.
    Timers,
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Keys => "keys",
            Self::Relayed => "messages to be relayed",
            Self::Timers => "timers",
        })
    }
}
