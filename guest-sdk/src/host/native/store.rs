//! As `interface store` of the contract; documented there.

use super::call;

/// A value below a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub data: Data,
    pub schema: u32,
}

/// Contents of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    Bytes(Vec<u8>),
    Integer(i64),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub value: Value,
}

/// A part of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub entries: Vec<Entry>,
    pub cursor: Option<String>,
}

/// Why a call did nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    Invalid(String),
    Forbidden(String),
    /// Never in a test: its store always answers.
    Unavailable(String),
}

/// What a test host's store does for a consumer.
pub(crate) trait StoreHost {
    fn get_many(&mut self, keys: &[String]) -> Result<Vec<Option<Value>>, StoreError>;
    fn get_many_of(
        &mut self,
        module: &str,
        keys: &[String],
    ) -> Result<Vec<Option<Value>>, StoreError>;
    fn set(
        &mut self,
        key: &str,
        value: &Value,
        time_to_live: Option<u64>,
    ) -> Result<(), StoreError>;
    fn delete(&mut self, key: &str) -> Result<(), StoreError>;
    fn add(&mut self, key: &str, delta: i64) -> Result<(), StoreError>;
    fn list(&mut self, prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page, StoreError>;
}

pub(crate) fn get(key: &str) -> Result<Option<Value>, StoreError> {
    let values = get_many(&[key.to_owned()])?;
    Ok(values.into_iter().next().flatten())
}

pub(crate) fn get_many(keys: &[String]) -> Result<Vec<Option<Value>>, StoreError> {
    call(|host| host.get_many(keys))
}

pub(crate) fn get_many_of(module: &str, keys: &[String]) -> Result<Vec<Option<Value>>, StoreError> {
    call(|host| host.get_many_of(module, keys))
}

pub(crate) fn set(key: &str, value: &Value, time_to_live: Option<u64>) -> Result<(), StoreError> {
    call(|host| host.set(key, value, time_to_live))
}

pub(crate) fn delete(key: &str) -> Result<(), StoreError> {
    call(|host| host.delete(key))
}

pub(crate) fn add(key: &str, delta: i64) -> Result<(), StoreError> {
    call(|host| host.add(key, delta))
}

pub(crate) fn list(prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page, StoreError> {
    call(|host| host.list(prefix, cursor, limit))
}
