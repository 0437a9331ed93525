//! Entry points of `fuzz/`: entries as another program may have left them in Redis.

use super::{Parcel, Taken, open, seal};
use crate::message::NodeName;

/// The server's time, as an entry of a channel is read.
const NOW: u64 = 1_000_000;

/// An entry of a channel is refused, or comes back the same when it is written again.
///
/// # Panics
///
/// Otherwise.
pub fn channel(entry: &[u8]) {
    let Ok(first) = open(entry, NOW) else { return };
    let header = entry.get(..super::message::HEADER).unwrap_or_default();
    let again = open(&[header, &seal(&first.message)].concat(), NOW);
    let again = again.expect("what was written by this host can be read");
    assert_eq!(format!("{first:?}"), format!("{again:?}"));
}

/// An entry of an inbox is refused, or comes back the same when it is written again. What it takes of
/// the inbox is what it has.
///
/// # Panics
///
/// Otherwise.
pub fn inbox(entry: &[u8]) {
    let node = NodeName::random();
    let mut taken = Taken::default();
    let read = Parcel::open(entry, &node, &mut taken);
    assert!(taken.messages + taken.answers <= entry.len(), "it takes no more than it has");
    let Ok(first) = read else { return };
    let again = Parcel::open(&first.seal(), &node, &mut taken);
    let again = again.expect("what was written by this host can be read");
    assert_eq!(format!("{first:?}"), format!("{again:?}"));
}
