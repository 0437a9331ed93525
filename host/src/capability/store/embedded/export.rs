//! All keys of a module at one moment.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use async_trait::async_trait;
use redb::ReadOnlyTable;

use super::{
    super::{Entry, Export, Key, KeyRange, Moment, Prefix, StoreError},
    core::Core,
    read,
};
use crate::message::ModuleName;

/// Entries of one step.
const STEP: usize = 1_000;

/// Reads a table as it was when the export began. The file keeps what changes meanwhile until it is dropped.
pub(super) struct EmbeddedExport {
    values: ReadOnlyTable<&'static [u8], &'static [u8]>,
    module: ModuleName,
    clock: Moment,
    /// None at the end.
    rest: Option<KeyRange>,
    /// The file is open as long as the export is.
    _core: Arc<Core>,
}

impl EmbeddedExport {
    pub(super) fn new(
        core: Arc<Core>,
        values: ReadOnlyTable<&'static [u8], &'static [u8]>,
        module: ModuleName,
        clock: Moment,
    ) -> Self {
        let rest = Prefix::parse("").ok().map(|all| KeyRange::new(all, None));
        Self { values, module, clock, rest, _core: core }
    }
}

#[async_trait]
impl Export for EmbeddedExport {
    async fn next(&mut self) -> Result<Vec<(Key, Entry)>, StoreError> {
        while let Some(mut range) = self.rest.take() {
            let scan = || read::scan(&self.values, &self.module, &range, STEP, self.clock);
            let page = catch_unwind(AssertUnwindSafe(scan));
            let damaged = |what: String| StoreError::Damaged { what };
            let page = page.map_err(|_| damaged("its file cannot be read".to_owned()))?;
            let page = page.map_err(|failure| damaged(failure.to_string()))?;
            if let Some(last) = page.last {
                range.after = Some(last);
                self.rest = Some(range);
            }
            if !page.entries.is_empty() {
                return Ok(page.entries);
            }
        }
        Ok(Vec::new())
    }
}
