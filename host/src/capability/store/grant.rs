//! What the settings allow a module in the store.

use super::Quota;
use crate::message::ModuleName;

/// What a module may do in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreGrant {
    /// What it may keep.
    pub quota: Quota,
    /// Keys that a run may read, those of listings among them.
    pub reads: usize,
    /// Modules whose keys it may read.
    pub modules: Vec<ModuleName>,
}

impl Default for StoreGrant {
    fn default() -> Self {
        Self {
            quota: Quota { bytes: 1 << 30, keys: 10_000_000, relayed: 100_000, timers: 1_000_000 },
            reads: 10_000,
            modules: Vec::new(),
        }
    }
}
