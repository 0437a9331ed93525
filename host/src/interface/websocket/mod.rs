//! WebSocket: a handshake that the consumer decides, then frames in both directions.

mod alive;
mod end;
mod handshake;
mod kept;
mod line;
mod link;
mod lost;
mod metered;
mod offer;
mod origin;
mod outbound;
mod resume;
mod returns;
mod session;
mod socket;

#[cfg(feature = "fuzzing")]
pub(super) use handshake::ask;
pub(super) use handshake::{is_asked_for, open};
pub(super) use offer::is_offer;
pub use origin::{OriginError, OriginPolicy, OriginRule};
pub(super) use returns::Returns;
