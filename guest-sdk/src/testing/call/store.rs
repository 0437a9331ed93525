//! The store's calls of one invocation, and its commits.

use std::panic::resume_unwind;

use super::{Call, Limit, SharedCall, Stop};
use crate::host::StoreHost;
use crate::host::consumer::Failure;
use crate::host::store::{Page, StoreError, Value};
use crate::testing::data::{Ended, TestData, Transaction, View};
use crate::testing::rules;
use crate::testing::world::World;

/// A commit found that something has changed; travels as a panic out of `flush`.
pub(super) struct Conflict(pub(super) String);

impl From<Ended> for Stop {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Conflict(what) => Self::Conflict(what),
            Ended::Type(text) => Self::Failed(Failure::Failed(text)),
        }
    }
}

impl Call {
    /// Commits at the end of a run. Of one that failed it asks only whether what it read still holds.
    pub(super) fn settle_data(&mut self, outcome: Result<(), Stop>) -> Result<(), Stop> {
        match outcome {
            Ok(()) => Ok(self.commit_data()?),
            Err(Stop::Failed(failure)) => {
                self.check_data()?;
                Err(Stop::Failed(failure))
            }
            conflict @ Err(Stop::Conflict(_)) => conflict,
        }
    }

    fn commit_data(&mut self) -> Result<(), Ended> {
        self.change_data();
        let Some(transaction) = &mut self.transaction else { return Ok(()) };
        let mut world = self.world.borrow_mut();
        let World { data, module, now, .. } = &mut *world;
        let (timers, fetches) = transaction.commit(data, module, *now)?;
        world.write_timers(timers, &self.facts);
        world.write_fetches(fetches, &self.facts);
        Ok(())
    }

    fn check_data(&mut self) -> Result<(), Ended> {
        self.change_data();
        let Some(transaction) = &self.transaction else { return Ok(()) };
        let world = self.world.borrow();
        transaction.check(View { data: &world.data, module: &world.module, now: world.now })
    }

    /// Does what a test asked for between a run and its commit.
    fn change_data(&self) {
        if self.transaction.is_none() {
            return;
        }
        let (change, module) = {
            let mut world = self.world.borrow_mut();
            (world.changes.pop(), world.module.clone())
        };
        if let Some(change) = change {
            change(&TestData::new(&self.world, &module));
        }
    }

    /// Commits in the middle of a run.
    pub(super) fn flush_data(&mut self) {
        let changes = self.transaction.as_ref().is_some_and(Transaction::changes_something);
        match self.commit_data() {
            Ok(()) => self.is_final |= changes,
            Err(Ended::Conflict(what)) => resume_unwind(Box::new(Conflict(what))),
            Err(Ended::Type(text)) => resume_unwind(Box::new(Limit(text))),
        }
    }

    fn with_data<T>(
        &mut self,
        of: Option<&str>,
        call: impl FnOnce(&mut Transaction, View<'_>) -> T,
    ) -> T {
        let world = self.world.borrow();
        let module = of.unwrap_or(&world.module);
        let view = View { data: &world.data, module, now: world.now };
        call(self.transaction.get_or_insert_default(), view)
    }

    fn may_read(&self, module: &str) -> Result<(), StoreError> {
        if !rules::is_module(module) {
            let text = format!("module {module:?}: a name is 1 to 63 bytes of a-z 0-9 -");
            return Err(StoreError::Invalid(text));
        }
        let world = self.world.borrow();
        if module == world.module || world.granted_data.contains(module) {
            return Ok(());
        }
        Err(StoreError::Forbidden(format!(
            "the keys of {module} belong to another module; let them be granted: \
             modules.{}.grants.data = [\"{module}\"]",
            world.module
        )))
    }
}

impl StoreHost for SharedCall {
    fn get_many(&mut self, keys: &[String]) -> Result<Vec<Option<Value>>, StoreError> {
        self.0.borrow_mut().with_data(None, |transaction, view| transaction.get_many(view, keys))
    }

    fn get_many_of(
        &mut self,
        module: &str,
        keys: &[String],
    ) -> Result<Vec<Option<Value>>, StoreError> {
        let mut call = self.0.borrow_mut();
        call.may_read(module)?;
        call.with_data(Some(module), |transaction, view| transaction.get_many_of(view, keys))
    }

    fn set(
        &mut self,
        key: &str,
        value: &Value,
        time_to_live: Option<u64>,
    ) -> Result<(), StoreError> {
        let mut call = self.0.borrow_mut();
        call.with_data(None, |transaction, _| transaction.set(key, value, time_to_live))
    }

    fn delete(&mut self, key: &str) -> Result<(), StoreError> {
        self.0.borrow_mut().with_data(None, |transaction, _| transaction.delete(key))
    }

    fn add(&mut self, key: &str, delta: i64) -> Result<(), StoreError> {
        self.0.borrow_mut().with_data(None, |transaction, _| transaction.add(key, delta))
    }

    fn list(&mut self, prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page, StoreError> {
        let mut call = self.0.borrow_mut();
        call.with_data(None, |transaction, view| transaction.list(view, prefix, cursor, limit))
    }
}
