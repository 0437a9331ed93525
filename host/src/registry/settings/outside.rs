//! `[modules.NAME.fetch]`, as written and as checked.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    capability::outside::OutsideGrant,
    setting::{
        checks::{size, span},
        error::{Checked, ConfigError},
        units::{Size, Span},
    },
};

/// The longest time that an attempt may take: a message cannot be kept for a process much longer.
const TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// How a module reaches servers outside, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenFetch {
    /// How long one attempt at a request may take, such as `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^[1-9][0-9]{0,6}(ms|s|m|h)$")]
    timeout: Option<Span>,
    /// Bytes that the body of an answer may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, minimum = 1)]
    response_bytes: Option<Size>,
    /// Whether requests are made that no entry of `grants.http` allows. They are counted, and told in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    dry_run: Option<bool>,
}

impl WrittenFetch {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn over(&self, below: &OutsideGrant, place: &str) -> Checked<OutsideGrant> {
        let key = |name: &str| format!("{place}.{name}");
        let timeout = span(&key("timeout"), self.timeout, below.timeout)?;
        if timeout > TIMEOUT_MAX {
            let problem = format!("it is at most {}s", TIMEOUT_MAX.as_secs());
            return Err(ConfigError::new(&key("timeout"), &problem));
        }
        Ok(OutsideGrant {
            destinations: below.destinations.clone(),
            timeout,
            response_bytes: size(
                &key("response_bytes"),
                self.response_bytes,
                below.response_bytes,
            )?,
            is_dry_run: self.dry_run.unwrap_or(below.is_dry_run),
        })
    }
}
