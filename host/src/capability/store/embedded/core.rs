//! What the thread that writes and the calls that read share.

use redb::Database;

use super::{clock::Clock, lock::Lock};

/// The file. Fields are dropped in this order: the lock last.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) database: Database,
    pub(super) clock: Clock,
    pub(super) _lock: Option<Lock>,
}
