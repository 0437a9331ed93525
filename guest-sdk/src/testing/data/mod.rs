//! The store of the test host: the data of each module, and how a test sees and changes it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::rc::Rc;
use std::time::Duration;

use super::{SharedWorld, TestHost};
use crate::host::store::{Data as Contents, Value};
use crate::store::{decode, encode};
use crate::{StoreError, Stored};

mod rules;
mod transaction;

pub(super) use transaction::{Ended, TimerWrite, Transaction, View};

/// A value with its version and the time when it is gone.
#[derive(Debug, Clone)]
struct Entry {
    version: u64,
    expires: Option<Duration>,
    value: Value,
}

impl Entry {
    fn is_live(&self, now: Duration) -> bool {
        self.expires.is_none_or(|expires| expires > now)
    }
}

/// The data of all modules.
#[derive(Debug, Default)]
pub(super) struct Data {
    modules: BTreeMap<String, BTreeMap<String, Entry>>,
    versions: u64,
}

impl Data {
    fn live(&self, module: &str, key: &str, now: Duration) -> Option<&Entry> {
        self.modules.get(module)?.get(key).filter(|entry| entry.is_live(now))
    }

    /// The entries of a prefix that are behind a key.
    fn range<'a>(
        &'a self,
        module: &str,
        prefix: &'a str,
        after: Option<&'a str>,
        now: Duration,
    ) -> impl Iterator<Item = (&'a String, &'a Entry)> {
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let entries = self.modules.get(module).into_iter();
        entries
            .flat_map(move |keys| keys.range::<str, _>((from, Bound::Unbounded)))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .filter(move |(_, entry)| entry.is_live(now))
    }

    fn put(&mut self, module: &str, key: &str, value: Value, expires: Option<Duration>) {
        self.versions += 1;
        let entry = Entry { version: self.versions, expires, value };
        self.modules.entry(module.to_owned()).or_default().insert(key.to_owned(), entry);
    }

    fn remove(&mut self, module: &str, key: &str) {
        if let Some(keys) = self.modules.get_mut(module) {
            keys.remove(key);
        }
    }
}

type Change = Box<dyn FnOnce(&TestData)>;

/// Changes that a test makes between a run and its commit.
#[derive(Default)]
pub(super) struct Changes(std::collections::VecDeque<Change>);

impl Changes {
    pub(super) fn pop(&mut self) -> Option<Change> {
        self.0.pop_front()
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Changes").field(&self.0.len()).finish()
    }
}

/// The data of a module in the [`Store`](crate::Store), seen and changed by a test.
///
/// ```
/// use tidegate_sdk::{Context, Result, export, http, testing::TestHost};
///
/// #[http("POST /visit")]
/// fn visit(cx: &mut Context) -> Result<&'static str> {
///     cx.store().add("visits", 1)?;
///     Ok("welcome\n")
/// }
///
/// export! { visit }
///
/// let host = TestHost::new(consumers());
/// host.data().set("visits", &41_u32);
/// assert_eq!(host.request("POST", "/visit").send().text(), "welcome\n");
/// assert_eq!(host.data().counter("visits"), 42);
/// assert_eq!(host.data().keys(), ["visits"]);
/// ```
#[derive(Debug)]
pub struct TestData {
    world: SharedWorld,
    module: String,
}

impl TestData {
    pub(super) fn new(world: &SharedWorld, module: &str) -> Self {
        Self { world: Rc::clone(world), module: module.to_owned() }
    }

    /// Reads a key.
    ///
    /// # Panics
    /// When the value does not read as `T`.
    #[must_use]
    #[track_caller]
    pub fn get<T: Stored>(&self, key: &str) -> Option<T> {
        self.value(key).map(|value| must(decode(key, value)))
    }

    /// Reads an integer. 0 if nothing is there.
    ///
    /// # Panics
    /// When the value is not an integer.
    #[must_use]
    #[track_caller]
    pub fn counter(&self, key: &str) -> i64 {
        match self.value(key).map(|value| value.data) {
            None => 0,
            Some(Contents::Integer(integer)) => integer,
            Some(Contents::Bytes(_)) => panic!("{key:?} is not an integer"),
        }
    }

    /// The keys that are there, in their order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let world = self.world.borrow();
        world.data.range(&self.module, "", None, world.now).map(|(key, _)| key.clone()).collect()
    }

    /// Sets a key, as another run would.
    ///
    /// # Panics
    /// When the store does not take the key or the value.
    #[track_caller]
    pub fn set<T: Stored>(&self, key: &str, value: &T) {
        self.put(key, value, None);
    }

    /// Sets a key that is gone after a time, which [`TestHost::advance`] lets pass.
    ///
    /// # Panics
    /// When the store does not take the key or the value.
    #[track_caller]
    pub fn set_for<T: Stored>(&self, key: &str, value: &T, time_to_live: Duration) {
        self.put(key, value, Some(time_to_live));
    }

    /// Deletes a key.
    pub fn delete(&self, key: &str) {
        self.world.borrow_mut().data.remove(&self.module, key);
    }

    #[track_caller]
    fn put<T: Stored>(&self, key: &str, value: &T, time_to_live: Option<Duration>) {
        let value = must(encode(key, value));
        must(rules::key(key).and_then(|()| rules::value(&value)).map_err(StoreError::from));
        let mut world = self.world.borrow_mut();
        let expires = time_to_live.map(|span| world.now + span);
        world.data.put(&self.module, key, value, expires);
    }

    fn value(&self, key: &str) -> Option<Value> {
        let world = self.world.borrow();
        world.data.live(&self.module, key, world.now).map(|entry| entry.value.clone())
    }

    /// Writes a key anew with the value that it has.
    fn touch(&self, key: &str) {
        let mut world = self.world.borrow_mut();
        let now = world.now;
        match world.data.live(&self.module, key, now).cloned() {
            Some(Entry { value, expires, .. }) => {
                world.data.put(&self.module, key, value, expires);
            }
            None => {
                let value = Value { data: Contents::Bytes(Vec::new()), schema: 0 };
                world.data.put(&self.module, key, value, None);
            }
        }
    }
}

#[track_caller]
fn must<T>(done: Result<T, StoreError>) -> T {
    match done {
        Ok(done) => done,
        Err(error) => panic!("{error}"),
    }
}

/// The data of modules.
impl TestHost {
    /// The module's data in the [`Store`](crate::Store).
    #[must_use]
    pub fn data(&self) -> TestData {
        TestData::new(&self.world, &self.world.borrow().module)
    }

    /// The data of another module.
    #[must_use]
    pub fn data_of(&self, module: &str) -> TestData {
        TestData::new(&self.world, module)
    }

    /// Allows the module to read the data of another, as `grants.data` does.
    #[must_use]
    pub fn granted_data(self, module: &str) -> Self {
        self.world.borrow_mut().granted_data.insert(module.to_owned());
        self
    }

    /// Changes data between the end of the next run that uses the store and its commit. If the run has
    /// read what `change` changes, it is done again. Several calls are for several commits, one each.
    ///
    /// See [`Store`](crate::Store) for an example.
    pub fn before_commit(&self, change: impl FnOnce(&TestData) + 'static) {
        self.world.borrow_mut().changes.0.push_back(Box::new(change));
    }

    /// Lets the next run that uses the store find that a key has changed when it commits. If it has read
    /// the key, it is done again and sees the same. Several calls are for several commits, one each.
    ///
    /// A key without a value gets an empty one, which does not read as a type: set the key before.
    pub fn conflict_once(&self, key: &str) {
        let key = key.to_owned();
        self.before_commit(move |data| data.touch(&key));
    }
}
