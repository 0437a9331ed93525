//! `tidegate:channels/store`: reads and writes of the run's transaction.

use bytes::Bytes;
use wasmtime::component::HasData;

use crate::{
    capability::store::{
        Data, InputError, Key, Listed, Prefix, ReadError, TimeToLive, Transaction, Value,
    },
    engine::{
        Fault,
        bindings::storing::tidegate::channels::store::{
            Data as GuestData, Entry as GuestEntry, Host, Page, StoreError, Value as GuestValue,
        },
        instance::{Job, Run},
    },
    message::ModuleName,
};

/// Sees the transaction and whose it is.
pub(in crate::engine) struct StoreCalls<'a> {
    transaction: &'a mut Option<Transaction>,
    job: Option<&'a Job>,
}

impl HasData for StoreCalls<'static> {
    type Data<'a> = StoreCalls<'a>;
}

impl Run {
    pub(in crate::engine) fn store_calls(&mut self) -> StoreCalls<'_> {
        StoreCalls { transaction: &mut self.effects.transaction, job: self.job.as_ref() }
    }
}

type Answer<T> = wasmtime::Result<Result<T, StoreError>>;

impl<'a> StoreCalls<'a> {
    fn job(&self) -> Result<&'a Job, StoreError> {
        let none = || StoreError::Forbidden("no data is used while routes are read".into());
        self.job.ok_or_else(none)
    }

    fn transaction(&mut self) -> Result<&mut Transaction, StoreError> {
        let job = self.job()?;
        Ok(self.transaction.get_or_insert_with(|| job.lent.transaction()))
    }

    /// Checks that the keys of a module may be read.
    fn module(&self, name: &str) -> Result<ModuleName, StoreError> {
        let module = ModuleName::parse(name)
            .map_err(|error| StoreError::Invalid(format!("module {name:?}: {error}")))?;
        let lent = &self.job()?.lent;
        if lent.module == module || lent.grants.store.modules.contains(&module) {
            return Ok(module);
        }
        Err(StoreError::Forbidden(format!(
            "the keys of {module} belong to another module; let them be granted: \
             modules.{}.grants.data = [\"{module}\"]",
            lent.module
        )))
    }

    async fn read_many(&mut self, keys: Vec<String>) -> Result<Vec<Option<Value>>, Refused> {
        let keys = parse(&keys)?;
        Ok(self.transaction()?.get_many(&keys).await?)
    }

    async fn read_many_of(
        &mut self,
        module: &str,
        keys: Vec<String>,
    ) -> Result<Vec<Option<Value>>, Refused> {
        let module = self.module(module)?;
        let keys = parse(&keys)?;
        Ok(self.transaction()?.get_many_of(&module, &keys).await?)
    }

    async fn read_page(
        &mut self,
        prefix: &str,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<Listed, Refused> {
        let prefix = Prefix::parse(prefix)?;
        let cursor = cursor.map(|text| text.parse()).transpose()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(self.transaction()?.list(&prefix, cursor, limit).await?)
    }

    fn write(
        &mut self,
        key: &str,
        write: impl FnOnce(&mut Transaction, Key) -> Result<(), InputError>,
    ) -> Result<(), Refused> {
        let key = Key::parse(key)?;
        Ok(write(self.transaction()?, key)?)
    }
}

fn parse(keys: &[String]) -> Result<Vec<Key>, InputError> {
    keys.iter().map(|key| Key::parse(key)).collect()
}

/// A call that did nothing.
enum Refused {
    /// The guest is told.
    Told(StoreError),
    /// The run can only be thrown away.
    Ended(Fault),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Told(error)
    }
}

impl From<InputError> for Refused {
    fn from(error: InputError) -> Self {
        Self::Told(StoreError::Invalid(error.to_string()))
    }
}

impl From<ReadError> for Refused {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Input(error) => error.into(),
            ReadError::Conflict(what) => Self::Ended(Fault::Conflict(what.to_string())),
            ReadError::Store(error) => Self::Told(StoreError::Unavailable(error.to_string())),
        }
    }
}

fn answer<T>(done: Result<T, Refused>) -> Answer<T> {
    match done {
        Ok(value) => Ok(Ok(value)),
        Err(Refused::Told(error)) => Ok(Err(error)),
        Err(Refused::Ended(fault)) => Err(fault.into()),
    }
}

impl Host for StoreCalls<'_> {
    async fn get(&mut self, key: String) -> Answer<Option<GuestValue>> {
        let read = self.read_many(vec![key]).await;
        answer(read.map(|values| values.into_iter().next().flatten().map(to_guest)))
    }

    async fn get_many(&mut self, keys: Vec<String>) -> Answer<Vec<Option<GuestValue>>> {
        answer(self.read_many(keys).await.map(all_to_guest))
    }

    async fn get_many_of(
        &mut self,
        module: String,
        keys: Vec<String>,
    ) -> Answer<Vec<Option<GuestValue>>> {
        answer(self.read_many_of(&module, keys).await.map(all_to_guest))
    }

    fn set(&mut self, key: String, value: GuestValue, time_to_live: Option<u64>) -> Answer<()> {
        answer(self.write(&key, |transaction, key| {
            let live = time_to_live
                .map(|millis| TimeToLive::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)));
            transaction.set(key, from_guest(value)?, live.transpose()?)
        }))
    }

    fn delete(&mut self, key: String) -> Answer<()> {
        answer(self.write(&key, Transaction::delete))
    }

    fn add(&mut self, key: String, delta: i64) -> Answer<()> {
        answer(self.write(&key, |transaction, key| transaction.add(key, delta)))
    }

    async fn list(&mut self, prefix: String, cursor: Option<String>, limit: u32) -> Answer<Page> {
        let read = self.read_page(&prefix, cursor, limit).await;
        answer(read.map(|Listed { entries, cursor }| {
            let entry = |(key, value): (Key, Value)| GuestEntry {
                key: key.to_string(),
                value: to_guest(value),
            };
            Page {
                entries: entries.into_iter().map(entry).collect(),
                cursor: cursor.map(|cursor| cursor.to_string()),
            }
        }))
    }
}

fn to_guest(Value { data, schema }: Value) -> GuestValue {
    let data = match data {
        Data::Bytes(bytes) => GuestData::Bytes(bytes.into()),
        Data::Integer(integer) => GuestData::Integer(integer),
    };
    GuestValue { data, schema }
}

fn all_to_guest(values: Vec<Option<Value>>) -> Vec<Option<GuestValue>> {
    values.into_iter().map(|value| value.map(to_guest)).collect()
}

fn from_guest(GuestValue { data, schema }: GuestValue) -> Result<Value, InputError> {
    match data {
        GuestData::Bytes(bytes) => Value::of_bytes(Bytes::from(bytes), schema),
        GuestData::Integer(integer) => Ok(Value { data: Data::Integer(integer), schema }),
    }
}
