//! Calls that break a rule.

/// A call breaks a rule. Told at the call; nothing has happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The key is empty.
    #[error("a key has at least 1 byte; this one is empty. Name the value")]
    KeyEmpty,
    /// The key or the prefix has too many bytes.
    #[error(
        "a key has at most {limit} bytes; this one has {bytes}. Shorten it, or use a digest of it"
    )]
    KeyTooLong {
        /// The length found.
        bytes: usize,
        /// The longest allowed.
        limit: usize,
    },
    /// The value has too many bytes.
    #[error(
        "a value has at most {limit} bytes; this one has {bytes}. Divide it among several keys"
    )]
    ValueTooLarge {
        /// The size found.
        bytes: usize,
        /// The largest allowed.
        limit: usize,
    },
    /// The time to live is not positive, or has no end.
    #[error(
        "a time to live is 1 to {limit} ms; this one is {millis} ms. Leave it out for a value that \
         stays, and delete a key that is to go"
    )]
    TimeToLive {
        /// The span found.
        millis: i64,
        /// The longest allowed.
        limit: u128,
    },
    /// The delay of a timer is too long.
    #[error(
        "a timer is due in {limit} ms at most; this one is in {millis} ms. Set one that is due earlier, \
         and let its consumer set the next"
    )]
    TimerDelay {
        /// The delay found.
        millis: u64,
        /// The longest allowed.
        limit: u128,
    },
    /// The moment of a timer is too far ahead.
    #[error(
        "a timer is due in {limit} ms at most; this one is at {millis} ms since 1970. Set one that is due \
         earlier, and let its consumer set the next"
    )]
    TimerMoment {
        /// The moment found.
        millis: i64,
        /// The longest allowed, from now on.
        limit: u128,
    },
    /// A call asks for too much at once, or for nothing.
    #[error("a call reads 1 to {limit} keys; this one asks for {asked}. Ask in several calls")]
    ReadCount {
        /// The number found.
        asked: usize,
        /// The largest allowed.
        limit: usize,
    },
    /// The run reads too many keys.
    #[error("a run reads at most {limit} keys. Read fewer, or raise `store.reads` of the module")]
    TooManyReads {
        /// The largest number allowed.
        limit: usize,
    },
    /// The text is not a cursor.
    #[error("the text is not a cursor. Pass a cursor as `list` returned it, or none")]
    CursorInvalid,
    /// The cursor continues another listing.
    #[error(
        "the cursor continues a listing of the prefix {own:?}, not of {prefix:?}. Begin the listing \
         of this prefix without a cursor"
    )]
    CursorOfOtherPrefix {
        /// The prefix of the call.
        prefix: String,
        /// The prefix of the cursor.
        own: String,
    },
    /// The run writes too many keys, timers and requests.
    #[error(
        "a run writes at most {limit} keys, timers and requests. Divide the work among several messages"
    )]
    TooManyWrites {
        /// The largest number allowed.
        limit: usize,
    },
    /// The run writes too many bytes.
    #[error("a run writes at most {limit} bytes. Divide the work among several messages")]
    TooManyBytes {
        /// The largest number allowed.
        limit: usize,
    },
    /// The value is not one that `add` can change.
    #[error(
        "{key:?} is not an integer, and `add` changes integers only. Use another key for the counter, \
         or delete this one first"
    )]
    NotAnInteger {
        /// The key.
        key: String,
    },
    /// The sum is beyond 64 bits.
    #[error("{key:?} would leave the range of 64-bit integers. Set it to a smaller value first")]
    Overflow {
        /// The key.
        key: String,
    },
}
