//! Types of values: how they are written, and how old ones are read.

use std::any::type_name;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

use serde::{Serialize, de::DeserializeOwned};

use super::StoreError;
use crate::host::store::{Data, Value};
use crate::payload;
use crate::{Error, Result};

#[doc = include_str!("../docs/stored.md")]
#[diagnostic::on_unimplemented(
    message = "the store does not keep `{Self}`",
    label = "not a type of the store",
    note = "derive `Serialize` and `Deserialize`, and write `impl Stored for {Self} {{}}`"
)]
pub trait Stored: Serialize + DeserializeOwned {
    /// The number of the shape, kept with the value. Count it up when the new shape cannot read the old
    /// one by serde alone.
    const SCHEMA: u32 = 0;

    /// Turns a value with a lower number into this shape. One with a higher number is not asked for: it
    /// is the error [`StoreError::NewerSchema`].
    ///
    /// # Errors
    /// When the old value cannot be turned into the new. Then the read fails with
    /// [`StoreError::Unreadable`].
    fn migrate(schema: u32, old: OldValue<'_>) -> Result<Self> {
        let _ = old;
        Err(Error::failed(format!(
            "it has schema {schema}, and this version reads schema {}. Write `Stored::migrate` for {}",
            Self::SCHEMA,
            type_name::<Self>()
        )))
    }
}

/// A value as an earlier version wrote it.
#[derive(Debug, Clone, Copy)]
pub struct OldValue<'a>(&'a [u8]);

impl<'a> OldValue<'a> {
    /// Reads it as any shape, for example one with the old version's fields.
    ///
    /// # Errors
    /// When it does not read as `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        payload::decode(self.0).map_err(Error::failed)
    }

    /// The bytes: MessagePack, unless [`Store::set_bytes`](crate::Store::set_bytes) wrote others.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// Types without a number of their own.
macro_rules! plain {
    ($($type:ty)*) => {
        $(impl Stored for $type {})*
    };
}

plain! { bool char String f32 f64 i8 i16 i32 i64 isize u8 u16 u32 u64 usize serde_json::Value }

/// Collections have the number of what they hold.
macro_rules! of_elements {
    ($(impl[$($bounds:tt)*] $type:ty;)*) => {
        $(impl<T: Stored, $($bounds)*> Stored for $type {
            const SCHEMA: u32 = T::SCHEMA;
        })*
    };
}

of_elements! {
    impl[] Vec<T>;
    impl[K: Serialize + DeserializeOwned + Ord] BTreeMap<K, T>;
    impl[K: Serialize + DeserializeOwned + Eq + Hash, S: BuildHasher + Default] HashMap<K, T, S>;
}

/// Writes a value. An integer is kept as one, so that [`Store::add`](crate::Store::add) changes it.
pub(crate) fn encode<T: Stored>(key: &str, value: &T) -> Result<Value, StoreError> {
    let unwritable = |error| StoreError::Invalid(format!("{key:?} cannot be written: {error}"));
    let bytes = rmp_serde::to_vec_named(value).map_err(unwritable)?;
    let data = integer_of(&bytes).map_or(Data::Bytes(bytes), Data::Integer);
    Ok(Value { data, schema: T::SCHEMA })
}

/// The integer that the MessagePack is, if it is one of 64 bits with sign.
fn integer_of(bytes: &[u8]) -> Option<i64> {
    match bytes.first()? {
        0x00..=0x7f | 0xcc..=0xd3 | 0xe0..=0xff => payload::decode(bytes).ok(),
        _ => None,
    }
}

/// Reads a value that [`encode`] wrote, also in another version of the module.
pub(crate) fn decode<T: Stored>(key: &str, Value { data, schema }: Value) -> Result<T, StoreError> {
    if schema > T::SCHEMA {
        return Err(StoreError::NewerSchema {
            key: key.to_owned(),
            found: schema,
            known: T::SCHEMA,
        });
    }
    let bytes = bytes(key, data)?;
    if schema < T::SCHEMA {
        return T::migrate(schema, OldValue(&bytes))
            .map_err(|error| unreadable(key, error.to_string()));
    }
    payload::decode(&bytes).map_err(|error| {
        unreadable(key, format!("it does not read as `{}`: {error}", type_name::<T>()))
    })
}

pub(super) fn bytes(key: &str, data: Data) -> Result<Vec<u8>, StoreError> {
    match data {
        Data::Bytes(bytes) => Ok(bytes),
        Data::Integer(integer) => {
            rmp_serde::to_vec(&integer).map_err(|error| unreadable(key, error.to_string()))
        }
    }
}

/// Reads an integer. 0 without one.
pub(super) fn integer(key: &str, value: Option<Value>) -> Result<i64, StoreError> {
    match value.map(|value| value.data) {
        None => Ok(0),
        Some(Data::Integer(integer)) => Ok(integer),
        Some(Data::Bytes(_)) => Err(unreadable(
            key,
            "it is not an integer. Read it with `get` and the type that wrote it".to_owned(),
        )),
    }
}

fn unreadable(key: &str, problem: String) -> StoreError {
    StoreError::Unreadable { key: key.to_owned(), problem }
}
