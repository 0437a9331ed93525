//! The guard of outside calls: where a module may call, by the grants of its settings.
//!
//! The guard refuses by default. [`Destinations`] are the grants. [`Destinations::check`] reads the URL of
//! a call and compares scheme, host and port with them. [`Destinations::check_addresses`] then judges the
//! addresses that the resolver found. The caller connects to the addresses that it returns and to no
//! others, so that a second answer of the resolver changes nothing. Both checks run again for each
//! redirect. The guard does no I/O.

mod addresses;
mod destination;
mod destinations;
mod embedded;
mod origin;
mod parse;
mod redact;
mod refusal;
mod target;
#[cfg(test)]
mod tests;

pub use addresses::AddressRange;
pub use destination::Destination;
pub use destinations::Destinations;
pub use origin::{Host, Origin, Scheme};
pub use parse::{DestinationError, DestinationProblem};
pub use refusal::{Refusal, RefusalCounts, RefusalReason, UrlProblem};
pub use target::Target;
