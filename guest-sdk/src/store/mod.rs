//! The data of the module: keys and values that outlive connections and versions.

use std::time::Duration;

use crate::context;
use crate::host::store;

mod error;
mod list;
mod stored;
mod view;

pub use error::StoreError;
pub use stored::{OldValue, Stored};
pub use view::StoreView;

pub(crate) use stored::{decode, encode};

#[doc = include_str!("../docs/store.md")]
#[derive(Debug, Clone, Copy)]
pub struct Store(());

impl Store {
    pub(crate) const fn new() -> Self {
        Self(())
    }

    /// Reads a key. None if nothing is there, or if it has expired.
    ///
    /// # Errors
    /// When the host refuses the call, or the value does not read as `T`.
    pub fn get<T: Stored>(&self, key: &str) -> Result<Option<T>, StoreError> {
        store::get(key)?.map(|value| decode(key, value)).transpose()
    }

    /// Reads up to 1,000 keys as they are at one moment, in their order.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn get_many<T: Stored>(
        &self,
        keys: &[impl AsRef<str>],
    ) -> Result<Vec<Option<T>>, StoreError> {
        let keys = owned(keys);
        decode_all(&keys, store::get_many(&keys)?)
    }

    /// Sets a key.
    ///
    /// # Errors
    /// When the host refuses the call, or serde cannot write the value.
    pub fn set<T: Stored>(&self, key: &str, value: &T) -> Result<(), StoreError> {
        Ok(store::set(key, &encode(key, value)?, None)?)
    }

    /// Sets a key that is gone after `time_to_live`, which counts from the commit: 1 ms to ten years.
    ///
    /// # Errors
    /// As [`Store::set`].
    pub fn set_for<T: Stored>(
        &self,
        key: &str,
        value: &T,
        time_to_live: Duration,
    ) -> Result<(), StoreError> {
        let millis = context::milliseconds(time_to_live);
        Ok(store::set(key, &encode(key, value)?, Some(millis))?)
    }

    /// Deletes a key. Without one, it does nothing.
    ///
    /// # Errors
    /// When the host refuses the call.
    pub fn delete(&self, key: &str) -> Result<(), StoreError> {
        Ok(store::delete(key)?)
    }

    /// Adds to an integer without reading it: runs that add to one key do not disturb each other. A key
    /// that is not there counts as 0. If the key holds anything but an integer at the commit, the run
    /// fails with the fault `type`.
    ///
    /// # Errors
    /// When the host refuses the call.
    pub fn add(&self, key: &str, delta: i64) -> Result<(), StoreError> {
        Ok(store::add(key, delta)?)
    }

    /// Reads an integer. 0 if nothing is there.
    ///
    /// # Errors
    /// When the host refuses the call, or the value is not an integer.
    pub fn counter(&self, key: &str) -> Result<i64, StoreError> {
        stored::integer(key, store::get(key)?)
    }

    /// Lists the keys that begin with `prefix`, with their values, in the order of the keys' bytes. An
    /// empty prefix lists all keys of the module. The iterator asks the host as it goes on, for 100 keys
    /// at a time; keys that the run changes meanwhile are listed as they are then.
    ///
    /// An item is an error if its value does not read as `T`; the listing goes on behind it. It ends with
    /// an error of the host.
    ///
    /// ```
    /// use tidegate_sdk::{Context, Result, export, http, testing::TestHost};
    ///
    /// #[http("GET /scores")]
    /// fn scores(cx: &mut Context) -> Result<String> {
    ///     let mut lines = String::new();
    ///     for entry in cx.store().list::<u32>("score:") {
    ///         let (key, score) = entry?;
    ///         lines += &format!("{key} {score}\n");
    ///     }
    ///     Ok(lines)
    /// }
    ///
    /// export! { scores }
    ///
    /// let host = TestHost::new(consumers());
    /// host.data().set("score:ada", &7_u32);
    /// host.data().set("score:bob", &5_u32);
    /// assert_eq!(host.get("/scores").text(), "score:ada 7\nscore:bob 5\n");
    /// ```
    #[must_use = "the iterator asks the host as it goes on"]
    pub fn list<T: Stored>(
        &self,
        prefix: &str,
    ) -> impl Iterator<Item = Result<(String, T), StoreError>> + use<T> {
        list::Entries::of(prefix).map(|entry| {
            let store::Entry { key, value } = entry?;
            let value = decode(&key, value)?;
            Ok((key, value))
        })
    }

    /// Lists the keys that begin with `prefix`, as [`Store::list`] does.
    #[must_use = "the iterator asks the host as it goes on"]
    pub fn keys(&self, prefix: &str) -> impl Iterator<Item = Result<String, StoreError>> + use<> {
        list::Entries::of(prefix).map(|entry| entry.map(|entry| entry.key))
    }

    /// Reads the bytes below a key, whatever their schema number. An integer is its MessagePack, as in
    /// [`OldValue::bytes`].
    ///
    /// # Errors
    /// When the host refuses the call.
    pub fn get_bytes(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        store::get(key)?.map(|value| stored::bytes(key, value.data)).transpose()
    }

    /// Sets a key to bytes as they are, with schema number 0.
    ///
    /// # Errors
    /// When the host refuses the call.
    pub fn set_bytes(&self, key: &str, bytes: impl Into<Vec<u8>>) -> Result<(), StoreError> {
        Ok(store::set(key, &raw(bytes), None)?)
    }

    /// Sets a key to bytes as they are, for a time as in [`Store::set_for`].
    ///
    /// # Errors
    /// When the host refuses the call.
    pub fn set_bytes_for(
        &self,
        key: &str,
        bytes: impl Into<Vec<u8>>,
        time_to_live: Duration,
    ) -> Result<(), StoreError> {
        Ok(store::set(key, &raw(bytes), Some(context::milliseconds(time_to_live)))?)
    }

    /// The keys of another module, to be read. An operator grants them with `grants.data`.
    ///
    /// They are not part of the transaction: the run is not done again if they change.
    ///
    /// ```
    /// use tidegate_sdk::{Context, Result, export, http, testing::TestHost};
    ///
    /// #[http("GET /visits")]
    /// fn visits(cx: &mut Context) -> Result<String> {
    ///     Ok(cx.store().of("counter").counter("visits")?.to_string())
    /// }
    ///
    /// export! { visits }
    ///
    /// let host = TestHost::new(consumers()).granted_data("counter");
    /// host.data_of("counter").set("visits", &3_u32);
    /// assert_eq!(host.get("/visits").text(), "3");
    /// ```
    #[must_use]
    pub fn of(&self, module: &str) -> StoreView {
        StoreView::new(module)
    }
}

fn raw(bytes: impl Into<Vec<u8>>) -> store::Value {
    store::Value { data: store::Data::Bytes(bytes.into()), schema: 0 }
}

fn owned(keys: &[impl AsRef<str>]) -> Vec<String> {
    keys.iter().map(|key| key.as_ref().to_owned()).collect()
}

fn decode_all<T: Stored>(
    keys: &[String],
    values: Vec<Option<store::Value>>,
) -> Result<Vec<Option<T>>, StoreError> {
    let read = |(key, value): (&String, Option<store::Value>)| {
        value.map(|value| decode(key, value)).transpose()
    };
    keys.iter().zip(values).map(read).collect()
}
