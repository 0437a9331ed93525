//! WebSocket: a handshake that the consumer decides, then frames in both directions.

mod alive;
mod end;
mod handshake;
mod link;
mod metered;
mod origin;
mod outbound;
mod session;
mod socket;

#[cfg(feature = "fuzzing")]
pub(super) use handshake::ask;
pub(super) use handshake::{is_asked_for, open};
pub use origin::{OriginError, OriginPolicy, OriginRule};
