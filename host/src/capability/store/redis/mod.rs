//! The store of many processes: hashes, sorted sets and scripts in Redis.
//!
//! All keys of a module are in the partition that the CRC-32 of its name says, so that a commit is one
//! script and one round trip. All moments are the server's. `docs/store.md` describes keys and formats.

mod export;
mod replies;
mod request;
mod scripts;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::join_all;

use self::{
    export::RedisExport,
    request::{commit_arguments, key_argument, next_place, place_as_bytes, timer_place_arguments},
    scripts::Scripts,
};
use super::{
    Commit, CommitError, Committed, Due, Export, Key, KeyRange, Moment, PAGE_BYTES, Page, Parcel,
    Place, Read, RunId, RunOutcome, Store, StoreError, Timer, TimerPlace, Usage,
    timer::{DUE_BYTES, DUE_STEP},
};
use crate::{
    message::{CorrelationId, ModuleName},
    redis::{FromRedisValue, Link, Redis, RedisFailure, Script, ScriptInvocation, partition_of},
};

/// The format of keys and entries. A release reads its own only.
const FORMAT: u32 = 1;
/// Expired entries that a page steps over at most.
const STEPPED_OVER_MAX: usize = 1_000;
/// Runs of a module whose answers came and whose notes the next commit takes away.
const ANSWERED_MAX: usize = 256;

/// The store in Redis cannot be used as the settings say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedisStoreError {
    /// A server is not reached.
    #[error(transparent)]
    Unavailable(#[from] RedisFailure),
    /// Other processes keep data in another number of partitions.
    #[error(
        "the data of modules is in {found} partitions, and this process would look for it in {wanted}. \
         Start with as many as before; to change the number, export the data, delete all keys that begin \
         with {base}store: in each partition, and import it"
    )]
    Partitions {
        /// The number found.
        found: String,
        /// The number of this process.
        wanted: usize,
        /// The start of the keys.
        base: String,
    },
    /// Another release wrote the data.
    #[error(
        "the data of modules has format {found}, and this release knows format {FORMAT}. Run the release \
         that wrote it, or export there and import here"
    )]
    Format {
        /// The format found.
        found: String,
    },
}

/// The store of all processes of a layer.
#[derive(Debug)]
pub struct RedisStore {
    links: Arc<[Arc<Link>]>,
    scripts: Arc<Scripts>,
    layout: String,
    /// Runs whose answers came, by module. Nobody asks for their outcome any more.
    answered: Mutex<HashMap<ModuleName, Vec<RunId>>>,
    /// Keeps the connections open.
    _redis: Redis,
}

impl RedisStore {
    /// Uses connections that are open. Refuses servers whose data is laid out in another way.
    pub async fn open(redis: &Redis) -> Result<Self, RedisStoreError> {
        Self::with_scripts(redis, Scripts::new("")).await
    }

    async fn with_scripts(redis: &Redis, scripts: Scripts) -> Result<Self, RedisStoreError> {
        let links = redis.links();
        let layout = format!("{FORMAT} {}", links.len());
        for link in &*links {
            let mut call = scripts.data_layout.key(&link.keys.base);
            call.arg(&layout);
            let found: String = link.call(&call).await?;
            if found != layout {
                return Err(refused(&found, links.len(), link));
            }
        }
        Ok(Self {
            links,
            scripts: Arc::new(scripts),
            layout,
            answered: Mutex::default(),
            _redis: redis.clone(),
        })
    }

    fn link(&self, module: &ModuleName) -> Result<&Arc<Link>, StoreError> {
        let link = self.links.get(partition_of(module.as_str(), self.links.len()));
        link.ok_or_else(|| StoreError::Away { reason: "there is no partition".to_owned() })
    }

    /// Calls a script for a module.
    async fn call<T: FromRedisValue>(
        &self,
        module: &ModuleName,
        script: &Script,
        arguments: impl FnOnce(&mut ScriptInvocation<'_>),
    ) -> Result<T, StoreError> {
        let link = self.link(module)?;
        let mut call = script.key(&link.keys.base);
        call.arg(module.as_str());
        arguments(&mut call);
        Ok(link.call(&call).await?)
    }

    /// Moves the timers of one server that are due.
    async fn due_of(&self, link: &Link, limit: usize) -> Result<Due, StoreError> {
        let mut call = self.scripts.data_due.key(&link.keys.base);
        call.arg(limit.min(DUE_STEP)).arg(DUE_BYTES);
        let answer: Vec<Vec<u8>> = link.call(&call).await?;
        replies::due(&answer)
    }

    fn take_answered(&self, module: &ModuleName) -> Vec<RunId> {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.remove(module).unwrap_or_default()
    }

    fn note_answered(&self, module: &ModuleName, run: RunId) {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let runs = answered.entry(module.clone()).or_default();
        // The rest is forgotten by the server in its time.
        if runs.len() < ANSWERED_MAX {
            runs.push(run);
        }
    }
}

fn refused(found: &str, wanted: usize, link: &Link) -> RedisStoreError {
    match found.split_once(' ') {
        Some((format, partitions)) if format == FORMAT.to_string() => RedisStoreError::Partitions {
            found: partitions.to_owned(),
            wanted,
            base: link.keys.base.clone(),
        },
        _ => RedisStoreError::Format { found: found.to_owned() },
    }
}

impl From<RedisFailure> for StoreError {
    fn from(error: RedisFailure) -> Self {
        Self::Away { reason: error.to_string() }
    }
}

fn clock_argument(clock: Option<Moment>) -> String {
    clock.map(|moment| moment.0.to_string()).unwrap_or_default()
}

#[async_trait]
impl Store for RedisStore {
    async fn read(
        &self,
        module: &ModuleName,
        keys: &[Key],
        clock: Option<Moment>,
    ) -> Result<Read, StoreError> {
        let answer: Vec<Vec<u8>> = self
            .call(module, &self.scripts.data_read, |call| {
                call.arg(clock_argument(clock));
                for key in keys {
                    call.arg(key.as_str());
                }
            })
            .await?;
        replies::read(module, keys, &answer)
    }

    async fn scan(
        &self,
        module: &ModuleName,
        range: &KeyRange,
        limit: usize,
        clock: Option<Moment>,
    ) -> Result<Page, StoreError> {
        let answer: Vec<Vec<u8>> = self
            .call(module, &self.scripts.data_scan, |call| {
                call.arg(clock_argument(clock))
                    .arg(range.prefix.as_str())
                    .arg(key_argument(range.after.as_ref()))
                    .arg(key_argument(range.last.as_ref()))
                    .arg(limit)
                    .arg(PAGE_BYTES)
                    .arg(STEPPED_OVER_MAX);
            })
            .await?;
        replies::page(module, &answer)
    }

    async fn commit(&self, module: &ModuleName, commit: Commit) -> Result<Committed, CommitError> {
        if commit.is_trivial() {
            return Ok(Committed { number: None });
        }
        let link = self.link(module)?;
        let answered = self.take_answered(module);
        let mut call = self.scripts.data_commit.key(&link.keys.base);
        for argument in commit_arguments(module, &commit, &answered, &self.layout) {
            call.arg(argument);
        }
        let answer: Vec<Vec<u8>> = match link.call(&call).await {
            Ok(answer) => answer,
            Err(error) if error.may_have_run() && !commit.is_check() => {
                return Err(CommitError::Unknown { reason: error.to_string() });
            }
            Err(error) => return Err(StoreError::from(error).into()),
        };
        let committed = replies::committed(module, &answer)?;
        if committed.number.is_some() {
            self.note_answered(module, commit.run);
        }
        Ok(committed)
    }

    async fn outcome(&self, module: &ModuleName, run: RunId) -> Result<RunOutcome, StoreError> {
        let link = self.link(module)?;
        let mut call = self.scripts.data_outcome.key(&link.keys.base);
        call.arg(run.to_string());
        let answer: String = link.call(&call).await?;
        match answer.parse() {
            Ok(number) => Ok(RunOutcome::Committed { number }),
            Err(_) => Ok(RunOutcome::NotCommitted),
        }
    }

    async fn waiting(
        &self,
        module: &ModuleName,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Vec<(Place, Parcel)>, StoreError> {
        let first = after.map_or(Place { number: 0, at: 0 }, next_place);
        let answer: Vec<Vec<u8>> = self
            .call(module, &self.scripts.data_waiting, |call| {
                call.arg(&place_as_bytes(first)[..]).arg(limit);
            })
            .await?;
        answer.iter().map(|member| replies::parcel(module, member)).collect()
    }

    async fn forget(&self, module: &ModuleName, places: &[Place]) -> Result<(), StoreError> {
        for some in places.chunks(1_000) {
            let forgotten = self.call::<u64>(module, &self.scripts.data_forget, |call| {
                for &place in some {
                    call.arg(&place_as_bytes(place)[..]);
                    call.arg(&place_as_bytes(next_place(place))[..]);
                }
            });
            forgotten.await?;
        }
        Ok(())
    }

    async fn due(&self, limit: usize) -> Result<Due, StoreError> {
        // A server that is slow does not hold up the timers of another.
        let steps = join_all(self.links.iter().map(|link| self.due_of(link, limit))).await;
        let (mut all, mut failed) = (Due::default(), None);
        for step in steps {
            match step {
                Ok(Due { modules, next }) => {
                    all.modules.extend(modules);
                    all.next = [all.next, next].into_iter().flatten().min();
                }
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if all.modules.is_empty() => Err(error),
            // The next call tells of it.
            Some(_) => Ok(Due { next: Some(Duration::ZERO), ..all }),
            None => Ok(all),
        }
    }

    async fn timers(
        &self,
        module: &ModuleName,
        after: Option<TimerPlace>,
        limit: usize,
    ) -> Result<Vec<Timer>, StoreError> {
        let answer: Vec<Vec<u8>> = self
            .call(module, &self.scripts.data_timers, |call| {
                for argument in timer_place_arguments(after) {
                    call.arg(argument);
                }
                call.arg(limit);
            })
            .await?;
        replies::timers(module, &answer)
    }

    async fn usage(&self, module: &ModuleName) -> Result<Usage, StoreError> {
        let called = self.call(module, &self.scripts.data_usage, |_| {});
        let (number, bytes, keys, relayed, timers) = called.await?;
        Ok(Usage { number, bytes, keys, relayed, timers })
    }

    async fn modules(&self) -> Result<Vec<ModuleName>, StoreError> {
        let mut modules = Vec::new();
        for link in &*self.links {
            let call = self.scripts.data_modules.key(&link.keys.base);
            let names: Vec<String> = link.call(&call).await?;
            modules.extend(names.iter().filter_map(|name| ModuleName::parse(name).ok()));
        }
        Ok(modules)
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        for link in &*self.links {
            let call = self.scripts.data_sweep.key(&link.keys.base);
            match link.call(&call).await? {
                0 => {}
                swept => return Ok(swept),
            }
        }
        Ok(0)
    }

    async fn export(&self, module: &ModuleName) -> Result<Box<dyn Export>, StoreError> {
        let id = CorrelationId::random().to_string();
        let called = self.call(module, &self.scripts.data_export, |call| {
            call.arg(&id);
        });
        let (clock, entries): (u64, u64) = called.await?;
        let (link, scripts) = (Arc::clone(self.link(module)?), Arc::clone(&self.scripts));
        let export = RedisExport::new(link, scripts, module.clone(), id, Moment(clock));
        Ok(Box::new(if entries == 0 { export.ended() } else { export }))
    }

    async fn clear(&self, module: &ModuleName) -> Result<(), StoreError> {
        self.call::<u8>(module, &self.scripts.data_clear, |_| {}).await.map(drop)
    }
}
