//! The states of all streams of a connection.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::payload::ByteBuf;
use crate::{Result, State, state};

/// The states of the streams of a connection, each as its stream wrote it, with a schema number of
/// its own. A stream that this version does not have keeps what another version wrote.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StreamStates(BTreeMap<String, ByteBuf>);

impl State for StreamStates {}

impl StreamStates {
    pub(super) fn get<S: State>(&self, stream: &str) -> Result<Option<S>> {
        self.0.get(stream).map(|bytes| state::read(&bytes.0)).transpose()
    }

    /// False if there is nothing to keep.
    pub(super) fn set<S: State>(&mut self, stream: &str, state: &S) -> Result<bool> {
        let Some(bytes) = state::write(state)? else { return Ok(false) };
        self.0.insert(stream.to_owned(), ByteBuf(bytes));
        Ok(true)
    }
}
