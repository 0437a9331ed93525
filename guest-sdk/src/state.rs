//! State that the host keeps with a WebSocket connection.

use serde::{Serialize, de::DeserializeOwned};

use crate::host::connection;
use crate::payload;
use crate::{Error, ReplyError, Result};

#[doc = include_str!("docs/state.md")]
pub trait State: Serialize + DeserializeOwned {
    /// The shape's number, written next to the state. Change it when the new shape cannot read the
    /// old one by serde alone.
    const SCHEMA: u32 = 1;

    /// Turns state with another number into this shape. It may be an older number, or a newer one
    /// after a rollback. Without it, or when it fails, the connection closes with code 1012.
    ///
    /// # Errors
    /// When the old state cannot be turned into the new.
    fn migrate(schema: u32, old: OldState<'_>) -> Result<Self> {
        let _ = old;
        Err(Error::failed(format!(
            "state has schema {schema}, this version reads schema {}",
            Self::SCHEMA
        )))
    }
}

impl State for () {}

/// State as another version wrote it.
#[derive(Debug, Clone, Copy)]
pub struct OldState<'a>(&'a [u8]);

impl OldState<'_> {
    /// Reads it as any shape, for example one with the old version's fields.
    ///
    /// # Errors
    /// When it does not read as `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        payload::decode(self.0).map_err(Error::failed)
    }
}

// What is stored is the map `{"schema": number, "state": state}`, with the keys in this order. Written
// and read by hand, since going through serde for it costs each event a second pass.
const BEFORE_SCHEMA: &[u8] = b"\x82\xa6schema\xce";
const BEFORE_STATE: &[u8] = b"\xa5state";

/// Whether there is anything to keep.
const fn is_kept<S>() -> bool {
    size_of::<S>() > 0
}

/// The connection's state, migrated if need be.
pub(crate) fn load<S: State>() -> Result<Option<S>> {
    if !is_kept::<S>() {
        return Ok(None);
    }
    connection::get_state().map(|bytes| read(&bytes)).transpose()
}

/// Reads what [`write`] made, also of another version.
pub(crate) fn read<S: State>(bytes: &[u8]) -> Result<S> {
    let unreadable = |text| Error::state_unreadable(format!("state is unreadable: {text}"));
    let (schema, state) =
        split(bytes).ok_or_else(|| unreadable("it was not written by this SDK".to_owned()))?;
    if schema != S::SCHEMA {
        return S::migrate(schema, OldState(state)).map_err(|error| unreadable(error.to_string()));
    }
    payload::decode(state).map_err(unreadable)
}

/// The number and the state.
fn split(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (schema, rest) = bytes.strip_prefix(BEFORE_SCHEMA)?.split_first_chunk()?;
    Some((u32::from_be_bytes(*schema), rest.strip_prefix(BEFORE_STATE)?))
}

/// The state with its number, if there is anything to keep.
pub(crate) fn write<S: State>(state: &S) -> Result<Option<Vec<u8>>> {
    if !is_kept::<S>() {
        return Ok(None);
    }
    let mut bytes = [BEFORE_SCHEMA, &S::SCHEMA.to_be_bytes(), BEFORE_STATE].concat();
    rmp_serde::encode::write_named(&mut bytes, state)?;
    Ok(Some(bytes))
}

/// Hands the state to the host.
pub(crate) fn store<S: State>(state: &S) -> Result<()> {
    if let Some(bytes) = write(state)? {
        connection::set_state(&bytes).map_err(|error| ReplyError::state(&error, bytes.len()))?;
    }
    Ok(())
}
