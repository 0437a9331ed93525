//! Keys of another module.

use super::{StoreError, Stored, decode_all, owned, stored};
use crate::host::store;

/// The keys of another module, to be read; see [`Store::of`](crate::Store::of).
#[derive(Debug, Clone)]
pub struct StoreView {
    module: String,
}

impl StoreView {
    pub(super) fn new(module: &str) -> Self {
        Self { module: module.to_owned() }
    }

    /// Reads a key. None if nothing is there, or if it has expired.
    ///
    /// # Errors
    /// [`StoreError::Forbidden`] without a grant; else as [`Store::get`](crate::Store::get).
    pub fn get<T: Stored>(&self, key: &str) -> Result<Option<T>, StoreError> {
        Ok(self.get_many(&[key])?.into_iter().next().flatten())
    }

    /// Reads up to 1,000 keys as they are at one moment, in their order.
    ///
    /// # Errors
    /// As [`StoreView::get`].
    pub fn get_many<T: Stored>(
        &self,
        keys: &[impl AsRef<str>],
    ) -> Result<Vec<Option<T>>, StoreError> {
        let keys = owned(keys);
        decode_all(&keys, store::get_many_of(&self.module, &keys)?)
    }

    /// Reads an integer. 0 if nothing is there.
    ///
    /// # Errors
    /// As [`StoreView::get`], or when the value is not an integer.
    pub fn counter(&self, key: &str) -> Result<i64, StoreError> {
        stored::integer(key, self.read(key)?)
    }

    /// Reads the bytes below a key, as [`Store::get_bytes`](crate::Store::get_bytes) does.
    ///
    /// # Errors
    /// As [`StoreView::get`].
    pub fn get_bytes(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(key)?.map(|value| stored::bytes(key, value.data)).transpose()
    }

    fn read(&self, key: &str) -> Result<Option<store::Value>, StoreError> {
        let values = store::get_many_of(&self.module, &[key.to_owned()])?;
        Ok(values.into_iter().next().flatten())
    }
}
