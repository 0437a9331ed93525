//! WebSocket: a handshake that the consumer decides, then frames in both directions.

mod handshake;
mod outbound;
mod session;

pub(super) use handshake::{is_upgrade, open};
