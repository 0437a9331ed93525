//! The format of entries in Redis: MessagePack maps with the names of ASGI 3. `docs/redis.md` describes it for
//! other languages.
//!
//! Entries may come from another program: they are checked like a client's input.

mod event;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod inbox;
mod message;
mod presence;
mod reply;

#[cfg(test)]
mod tests;

pub(super) use self::{
    inbox::{Parcel, Since, Taken},
    message::{Envelope, open, seal, times},
    presence::{pack_rule, unpack_rule},
};
use crate::message::Blob;

/// The version of layout and formats. Processes with another version are refused.
pub(super) const VERSION: u8 = 1;

/// An entry that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("it is of version {0}; this host reads {VERSION}")]
    Version(u8),
    #[error("its kind {0:#04x} is not known")]
    Kind(u8),
    #[error("it ends too early")]
    Short,
    #[error("the map is not valid: {0}")]
    Map(#[from] rmp_serde::decode::Error),
    #[error("{field}: {reason}")]
    Field { field: &'static str, reason: String },
}

impl WireError {
    fn field(field: &'static str) -> impl Fn(&dyn std::fmt::Display) -> Self {
        move |reason| Self::Field { field, reason: reason.to_string() }
    }
}

fn encode(value: &impl serde::Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(value)
        .expect("maps of text, bytes and numbers can be written to memory")
}
