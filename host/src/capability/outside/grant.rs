//! What the settings allow a module outside.

use std::time::Duration;

use super::Destinations;
use crate::message::Lasting;

/// How long a process has for a request besides its timeout: it notes, and stores the result.
const LEASE_EXTRA: Duration = Duration::from_secs(5);
/// A request whose message was delivered so often is given up: it may be what ends processes. Redis counts to 255.
const DELIVERIES_MAX: u32 = 200;

/// What a module may do outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideGrant {
    /// The servers that it may reach.
    pub destinations: Destinations,
    /// How long one attempt at a request may take.
    pub timeout: Duration,
    /// Bytes that the body of an answer may have.
    pub response_bytes: usize,
}

impl Default for OutsideGrant {
    fn default() -> Self {
        Self {
            destinations: Destinations::default(),
            timeout: Duration::from_secs(30),
            response_bytes: 1024 * 1024,
        }
    }
}

impl OutsideGrant {
    /// How the channel of its requests keeps them.
    pub fn lasting(&self) -> Lasting {
        Lasting { retries: DELIVERIES_MAX, lease: self.timeout + LEASE_EXTRA }
    }
}
