//! All keys of a module at one moment: of a copy that the server makes when the export begins.

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;

use super::{
    super::{Entry, Export, Key, Moment, StoreError},
    replies,
    scripts::Scripts,
};
use crate::{message::ModuleName, redis::Link};

/// Reads the copy. The last step drops it, and otherwise the server does 10 minutes after the last.
pub(super) struct RedisExport {
    link: Arc<Link>,
    scripts: Arc<Scripts>,
    module: ModuleName,
    id: String,
    clock: Moment,
    /// Where the next step begins. None at the end.
    cursor: Option<String>,
}

impl RedisExport {
    pub(super) fn new(
        link: Arc<Link>,
        scripts: Arc<Scripts>,
        module: ModuleName,
        id: String,
        clock: Moment,
    ) -> Self {
        Self { link, scripts, module, id, clock, cursor: Some("0".to_owned()) }
    }

    /// Of a module without keys there is no copy.
    pub(super) fn ended(self) -> Self {
        Self { cursor: None, ..self }
    }
}

#[async_trait]
impl Export for RedisExport {
    async fn next(&mut self) -> Result<Vec<(Key, Entry)>, StoreError> {
        while let Some(cursor) = self.cursor.take() {
            let mut call = self.scripts.data_export_step.key(&self.link.keys.base);
            call.arg(&self.id).arg(cursor);
            let mut answer: VecDeque<Vec<u8>> = self.link.call::<Vec<_>>(&call).await?.into();
            let Some(next) = answer.pop_front() else {
                let reason = "the copy of the export is gone; export again".to_owned();
                return Err(StoreError::Away { reason });
            };
            if next != b"0" {
                self.cursor = Some(String::from_utf8_lossy(&next).into_owned());
            }
            let mut entries = replies::pairs(&self.module, answer.make_contiguous())?;
            entries.retain(|(_, entry)| !entry.is_expired(self.clock));
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
        Ok(Vec::new())
    }
}
