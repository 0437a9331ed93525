//! `[modules.NAME.history]`, as written and as checked.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    message::HistoryBounds,
    setting::{
        checks::{at_least_one, size},
        error::Checked,
        units::Size,
    },
};

/// The room for the histories of a module's groups, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenHistory {
    /// Groups that are remembered at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    groups: Option<usize>,
    /// Bytes of all their messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, minimum = 1)]
    bytes: Option<Size>,
}

impl WrittenHistory {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn over(&self, below: HistoryBounds, place: &str) -> Checked<HistoryBounds> {
        let key = |name: &str| format!("{place}.{name}");
        Ok(HistoryBounds {
            groups: at_least_one(&key("groups"), self.groups, below.groups)?,
            bytes: size(&key("bytes"), self.bytes, below.bytes)?,
        })
    }
}
