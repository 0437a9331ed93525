//! The reader's side of Durable Streams 1.0: the query (sections 5.5 to 5.7), offsets (section 6) and cursors (section 8).
//!
//! <https://github.com/durable-streams/durable-streams/blob/main/PROTOCOL.md>

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::message::Position;

/// Digits of the number in an offset: all have as many, so that offsets of an epoch are in the order of their texts.
const OFFSET_DIGITS: usize = 16;
/// The moment from which cursors count, in seconds since 1970.
const CURSOR_EPOCH_SECONDS: u64 = 1_728_432_000;
/// How long one cursor lasts.
const CURSOR_SECONDS: u64 = 20;
/// The highest cursor that is looked at: what JavaScript can count.
const CURSOR_MAX: u64 = 1 << 53;

/// From where on a reader wants messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offset {
    /// From the first one that is kept.
    Start,
    /// From now on.
    Now,
    /// Behind a place.
    Behind(Position),
}

/// Whether a reader waits for messages that are not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Live {
    No,
    LongPoll,
    Events,
}

/// The query of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) offset: Offset,
    pub(super) live: Live,
    /// The cursor of the answer before.
    cursor: Option<u64>,
}

impl Asked {
    /// Reads a query. The error is for the client.
    pub(super) fn parse(query: &str) -> Result<Self, &'static str> {
        let values = |wanted: &'static str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(move |(name, _)| *name == wanted).map(|(_, value)| value)
        };
        let one = |name, error| {
            let mut found = values(name);
            let first = found.next();
            if found.next().is_some() { Err(error) } else { Ok(first) }
        };
        let given = one("offset", "there are two offsets")?;
        let offset = match given {
            None | Some("-1") => Offset::Start,
            Some("now") => Offset::Now,
            Some(text) => {
                let position = position(text).ok_or("the offset is none of this stream")?;
                Offset::Behind(position)
            }
        };
        let live = match one("live", "live is there twice")? {
            None => Live::No,
            Some("long-poll") => Live::LongPoll,
            Some("sse") => Live::Events,
            Some(_) => return Err("live is long-poll or sse"),
        };
        if live != Live::No && given.is_none() {
            return Err("a live reader says its offset; -1 is the start");
        }
        let cursor = one("cursor", "there are two cursors")?;
        let cursor = cursor.and_then(|text| text.parse().ok()).filter(|it| *it < CURSOR_MAX);
        Ok(Self { offset, live, cursor })
    }

    /// The cursor of the answer: the same for readers who ask at about the same time, and never that of the answer before.
    pub(super) fn cursor(&self, now: SystemTime) -> u64 {
        let since = now.duration_since(UNIX_EPOCH + Duration::from_secs(CURSOR_EPOCH_SECONDS));
        let current = since.unwrap_or_default().as_secs() / CURSOR_SECONDS;
        self.cursor.map_or(current, |before| current.max(before + 1))
    }
}

/// A position as an offset: a text without characters that a query has a meaning for.
pub(super) fn offset(Position { epoch, offset }: Position) -> String {
    format!("{epoch}_{offset:0OFFSET_DIGITS$}")
}

fn position(offset: &str) -> Option<Position> {
    let (epoch, digits) = offset.split_once('_')?;
    let is_whole = digits.len() == OFFSET_DIGITS && digits.bytes().all(|it| it.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| is_whole)?;
    Some(Position { epoch: epoch.parse().ok()?, offset: number })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Epoch;

    #[test]
    fn a_query_says_from_where_and_whether_to_wait() {
        let at = |offset| Position { epoch: "00000000000000ff".parse().unwrap(), offset };
        let text = offset(at(42));
        assert_eq!(text, "00000000000000ff_0000000000000042");
        let plain = |offset, live| Ok(Asked { offset, live, cursor: None });
        for (query, expected) in [
            ("", plain(Offset::Start, Live::No)),
            ("other=1", plain(Offset::Start, Live::No)),
            ("offset=-1", plain(Offset::Start, Live::No)),
            ("offset=now", plain(Offset::Now, Live::No)),
            ("offset=now&live=sse", plain(Offset::Now, Live::Events)),
            ("live=long-poll&offset=-1", plain(Offset::Start, Live::LongPoll)),
            (&format!("offset={text}"), plain(Offset::Behind(at(42)), Live::No)),
            ("cursor=x", plain(Offset::Start, Live::No)),
            ("cursor=99999999999999999999", plain(Offset::Start, Live::No)),
            ("live=sse", Err("a live reader says its offset; -1 is the start")),
            ("offset=-1&live=true", Err("live is long-poll or sse")),
            ("offset=-1&offset=-1", Err("there are two offsets")),
            ("offset=-1&live=sse&live=sse", Err("live is there twice")),
            ("cursor=1&cursor=2", Err("there are two cursors")),
        ] {
            assert_eq!(Asked::parse(query), expected, "{query}");
        }
        for wrong in
            ["", "0", "-2", "Now", "00000000000000ff", "00000000000000ff_42", "_0000000000000042"]
                .into_iter()
                .chain(["00000000000000ff_00000000000000420", "00000000000000fg_0000000000000042"])
                .chain(["00000000000000ff_+000000000000042", "00000000000000ff-0000000000000042"])
        {
            let query = format!("offset={wrong}");
            assert_eq!(Asked::parse(&query), Err("the offset is none of this stream"), "{wrong}");
        }
    }

    #[test]
    fn offsets_of_an_epoch_are_in_the_order_of_their_texts() {
        let epoch = Epoch::random();
        let offsets = [0, 1, 9, 10, 99, 1_000, (1 << 53) - 1];
        let texts: Vec<_> =
            offsets.iter().map(|&number| offset(Position { epoch, offset: number })).collect();
        assert!(texts.is_sorted(), "{texts:?}");
        for (text, number) in texts.iter().zip(offsets) {
            assert_eq!(position(text), Some(Position { epoch, offset: number }));
        }
    }

    #[test]
    fn a_cursor_is_that_of_the_moment_and_never_the_one_before() {
        let now = UNIX_EPOCH + Duration::from_secs(CURSOR_EPOCH_SECONDS + 1_000);
        let cursor = |query| Asked::parse(query).unwrap().cursor(now);
        assert_eq!(cursor(""), 50);
        assert_eq!(cursor("cursor=7"), 50);
        assert_eq!(cursor("cursor=50"), 51);
        assert_eq!(cursor("cursor=60"), 61);
        assert_eq!(Asked::parse("").unwrap().cursor(UNIX_EPOCH), 0);
    }
}
