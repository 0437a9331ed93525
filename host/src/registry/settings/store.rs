//! `[modules.NAME.store]`, as written and as checked.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    capability::store::{Quota, StoreGrant},
    setting::{
        checks::{at_least_one, positive, size},
        error::Checked,
        units::Size,
    },
};

/// The rights of a module in the store, as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenStore {
    /// Bytes of keys and values that it may keep.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, minimum = 1)]
    bytes: Option<Size>,
    /// Keys that it may keep.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    keys: Option<u64>,
    /// Messages that may wait to be relayed to channels with retries.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    relayed: Option<u64>,
    /// Timers that may stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    timers: Option<u64>,
    /// Keys that one run may read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    reads: Option<usize>,
}

impl WrittenStore {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn over(&self, below: &StoreGrant, place: &str) -> Checked<StoreGrant> {
        let key = |name: &str| format!("{place}.{name}");
        let below_bytes = usize::try_from(below.quota.bytes).unwrap_or(usize::MAX);
        Ok(StoreGrant {
            quota: Quota {
                bytes: size(&key("bytes"), self.bytes, below_bytes)? as u64,
                keys: positive(&key("keys"), self.keys, below.quota.keys)?,
                relayed: positive(&key("relayed"), self.relayed, below.quota.relayed)?,
                timers: positive(&key("timers"), self.timers, below.quota.timers)?,
            },
            reads: at_least_one(&key("reads"), self.reads, below.reads)?,
            modules: below.modules.clone(),
        })
    }
}
