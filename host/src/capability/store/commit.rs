//! What a run has read and wants to write, and what comes of it.

use std::{collections::BTreeMap, fmt, time::Duration};

use bytes::Bytes;

use super::{
    Data, Entry, InputError, Key, KeyRange, Moment, TimeToLive, TimerWrite, Value, Version,
};

/// The most keys and timers that a run writes.
pub const WRITES_MAX: usize = 4_096;
/// The most bytes that a run writes: keys, values and timers together.
pub const WRITTEN_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One attempt of a run: 128 random bits. A run that is done again has another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub(super) u128);

impl RunId {
    /// Returns a new id.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// The version of all values that the run writes: half of its random bits.
    pub(super) const fn version(self) -> Version {
        let [a, b, c, d, e, f, g, h, ..] = self.0.to_be_bytes();
        Version(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a store has below a key, at the clock of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Absent,
    /// A value that has expired and is not swept yet.
    Expired(Version),
    /// A value.
    Live(Entry),
}

impl Found {
    /// Tells live from expired.
    pub(super) fn at(clock: Moment, entry: Option<Entry>) -> Self {
        match entry {
            None => Self::Absent,
            Some(entry) if entry.is_expired(clock) => Self::Expired(entry.version),
            Some(entry) => Self::Live(entry),
        }
    }

    /// Returns what a run remembers of it.
    pub const fn seen(&self) -> Seen {
        match self {
            Self::Absent => Seen::Absent,
            Self::Expired(version) => Seen::Expired(*version),
            Self::Live(entry) => Seen::Live(entry.version),
        }
    }
}

/// What a run remembers of a key that it read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// There was nothing.
    Absent,
    /// The value had expired, so the run was told that there is nothing.
    Expired(Version),
    /// There was a value.
    Live(Version),
}

impl Seen {
    /// Whether what is stored now, expired or not, is what the run saw. A value that had expired may have
    /// been swept.
    pub(super) fn still_holds(self, stored: Option<Version>) -> bool {
        match (self, stored) {
            (Self::Absent | Self::Expired(_), None) => true,
            (Self::Expired(seen) | Self::Live(seen), Some(stored)) => seen == stored,
            (Self::Absent, Some(_)) | (Self::Live(_), None) => false,
        }
    }
}

/// Stands for keys and versions of a range. Only the store that made it can compare it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest(pub(super) Bytes);

/// Keys that were read at once.
#[derive(Clone, Debug)]
pub struct Read {
    /// The clock of the store at the first read of the run.
    pub clock: Moment,
    /// What there is, in the order of the keys.
    pub found: Vec<Found>,
}

/// A part of a range that was read at once.
#[derive(Clone, Debug)]
pub struct Page {
    /// The clock of the store at the first read of the run.
    pub clock: Moment,
    /// The values that had not expired, in the order of their keys.
    pub entries: Vec<(Key, Entry)>,
    /// How far the page goes. None: to the end of the range.
    pub last: Option<Key>,
    /// Stands for all of that.
    pub digest: Digest,
}

/// All that a run has read.
#[derive(Clone, Debug, Default)]
pub struct Reads {
    /// The clock of the store at the first read. None: nothing was read.
    pub clock: Option<Moment>,
    /// Each key that was read.
    pub keys: BTreeMap<Key, Seen>,
    /// Each range that was listed.
    pub ranges: Vec<(KeyRange, Digest)>,
}

/// What becomes of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// It gets a value.
    Set {
        /// The value.
        value: Value,
        /// How long the value lives. None: until it is changed.
        time_to_live: Option<TimeToLive>,
    },
    /// It is gone.
    Delete,
    /// Its integer changes by so much. A key that is not there counts as 0.
    Add(i64),
}

impl Write {
    /// Returns how many bytes the write carries, without its key.
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Set { value, .. } => value.data.len(),
            Self::Delete => 0,
            Self::Add(_) => size_of::<i64>(),
        }
    }
}

/// Says that a message is done. A commit with a note that is there already fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// The id of the message.
    pub message: u128,
    /// How long the store keeps the note: longer than the message can be redelivered.
    pub kept: Duration,
}

/// A message that is stored with a commit, until it is relayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// Where it goes, as the relay understands it.
    pub target: String,
    /// What goes there.
    pub payload: Bytes,
}

impl Parcel {
    /// Writes the parcel as it stands in a store: the length of the target in two bytes, the target, the
    /// payload. A target that is longer than 65,535 bytes is cut there.
    pub(super) fn seal(&self) -> Bytes {
        let target = self.target.as_bytes();
        let bytes = u16::try_from(target.len()).unwrap_or(u16::MAX);
        let target = target.get(..bytes.into()).unwrap_or(target);
        let sealed = [&bytes.to_be_bytes(), target, &self.payload].concat();
        sealed.into()
    }

    /// Reads where a parcel goes, also of one whose payload is cut off. None: the bytes are not a parcel.
    pub(super) fn target_of(sealed: &[u8]) -> Option<String> {
        let (bytes, rest) = sealed.split_first_chunk()?;
        let (target, _) = rest.split_at_checked(u16::from_be_bytes(*bytes).into())?;
        String::from_utf8(target.to_vec()).ok()
    }

    /// Reads a parcel. None: the bytes are not one.
    pub(super) fn open(sealed: &[u8]) -> Option<Self> {
        let (bytes, rest) = sealed.split_first_chunk()?;
        let (target, payload) = rest.split_at_checked(u16::from_be_bytes(*bytes).into())?;
        let target = String::from_utf8(target.to_vec()).ok()?;
        Some(Self { target, payload: Bytes::copy_from_slice(payload) })
    }
}

/// What a module may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Keys.
    pub keys: u64,
    /// Messages that wait to be relayed. A timer that is due is relayed whatever this says.
    pub relayed: u64,
    /// Timers that stand, whatever their size.
    pub timers: u64,
}

impl Quota {
    /// No bound.
    pub const NONE: Self =
        Self { bytes: u64::MAX, keys: u64::MAX, relayed: u64::MAX, timers: u64::MAX };
}

/// All that a run asks of a store at its end. It takes effect as a whole or not at all.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The attempt.
    pub run: RunId,
    /// What must not have changed.
    pub reads: Reads,
    /// What becomes of each key.
    pub writes: BTreeMap<Key, Write>,
    /// The message that is done by it.
    pub note: Option<Note>,
    /// Messages that are relayed afterwards, in this order.
    pub relayed: Vec<Parcel>,
    /// What becomes of timers, one after the other.
    pub timers: Vec<TimerWrite>,
    /// What the module may keep. A commit that only makes room passes.
    pub quota: Quota,
}

impl Commit {
    /// Returns a commit that changes nothing.
    pub fn new(run: RunId, quota: Quota) -> Self {
        Self {
            run,
            reads: Reads::default(),
            writes: BTreeMap::new(),
            note: None,
            relayed: Vec::new(),
            timers: Vec::new(),
            quota,
        }
    }

    /// How many bytes it writes.
    pub(super) fn bytes(&self) -> usize {
        let written = self.writes.iter().map(|(key, write)| key.as_str().len() + write.len());
        let relayed = self.relayed.iter().map(|parcel| parcel.target.len() + parcel.payload.len());
        let timers = self.timers.iter().map(TimerWrite::len);
        written.sum::<usize>() + relayed.sum::<usize>() + timers.sum::<usize>()
    }

    /// Whether it only asks if what was read still holds.
    pub fn is_check(&self) -> bool {
        let is_without_messages = self.relayed.is_empty() && self.timers.is_empty();
        self.writes.is_empty() && self.note.is_none() && is_without_messages
    }

    /// Whether each store would say yes without being asked: nothing is changed, and what was read is a
    /// single key, or nothing.
    pub fn is_trivial(&self) -> bool {
        self.is_check() && self.reads.ranges.is_empty() && self.reads.keys.len() <= 1
    }
}

/// A commit has taken effect, and is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Counts the commits of the module that changed something. None: this one changed nothing.
    pub number: Option<u64>,
}

/// What has become of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// It took effect.
    Committed {
        /// Its number.
        number: u64,
    },
    /// It did not, and never will: the store refuses it if it still comes.
    NotCommitted,
}

/// Where a parcel is among those of its module: the commit's number and the place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The number of the commit.
    pub number: u64,
    /// The place in the commit.
    pub at: u32,
}

/// What a module keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The number of its last commit.
    pub number: u64,
    /// Bytes of keys and values, also of those that have expired and are not swept yet.
    pub bytes: u64,
    /// Keys, likewise.
    pub keys: u64,
    /// Parcels that wait to be relayed.
    pub relayed: u64,
    /// Timers that stand.
    pub timers: u64,
}

impl Usage {
    /// Whether the module keeps something.
    pub(super) const fn keeps_something(&self) -> bool {
        self.keys > 0 || self.relayed > 0 || self.timers > 0
    }
}

/// Returns the contents that `add` leaves.
pub(super) fn sum(key: &Key, stored: Option<&Data>, delta: i64) -> Result<i64, InputError> {
    let before = match stored {
        None => 0,
        Some(Data::Integer(integer)) => *integer,
        Some(Data::Bytes(_)) => return Err(InputError::NotAnInteger { key: key.to_string() }),
    };
    before.checked_add(delta).ok_or_else(|| InputError::Overflow { key: key.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_holds_until_another_value_stands_there() {
        let (one, two) = (Version(1), Version(2));
        for (seen, stored, holds) in [
            (Seen::Absent, None, true),
            (Seen::Absent, Some(one), false),
            (Seen::Expired(one), None, true),
            (Seen::Expired(one), Some(one), true),
            (Seen::Expired(one), Some(two), false),
            (Seen::Live(one), Some(one), true),
            (Seen::Live(one), Some(two), false),
            (Seen::Live(one), None, false),
        ] {
            assert_eq!(seen.still_holds(stored), holds, "{seen:?} {stored:?}");
        }
    }

    #[test]
    fn a_parcel_reads_back() {
        let parcel = Parcel { target: "é.mail".to_owned(), payload: Bytes::from_static(b"x") };
        assert_eq!(parcel.seal(), &b"\x00\x07\xc3\xa9.mailx"[..]);
        assert_eq!(Parcel::open(&parcel.seal()), Some(parcel));
        for damaged in [&b""[..], b"\0", b"\0\x02a", b"\0\x01\xff"] {
            assert_eq!(Parcel::open(damaged), None);
        }
    }

    #[test]
    fn a_commit_that_reads_one_key_and_changes_nothing_needs_no_check() {
        let mut commit = Commit::new(RunId::random(), Quota::NONE);
        assert!(commit.is_trivial());
        commit.reads.keys.insert(Key::parse("a").unwrap(), Seen::Absent);
        assert!(commit.is_trivial());
        commit.reads.keys.insert(Key::parse("b").unwrap(), Seen::Absent);
        assert!(!commit.is_trivial() && commit.is_check());
        commit.note = Some(Note { message: 1, kept: Duration::from_secs(1) });
        assert!(!commit.is_check());
    }
}
