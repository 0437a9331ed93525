//! What the settings allow a module outside.

use std::time::Duration;

use super::Destinations;
use crate::message::Lasting;

/// How long a process has for a request besides its timeout: it notes, and stores the result.
const LEASE_EXTRA: Duration = Duration::from_secs(5);
/// A message of a request that ends so many processes is dead.
const DELIVERIES_MAX: u32 = 1_000;

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
