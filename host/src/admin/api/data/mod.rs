//! Reads and changes the data of modules.

#![expect(unused_qualifications, reason = "utoipa names queries in full")]

mod change;
mod contents;
mod export;
mod import;

use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub(super) use self::{
    change::{__path_delete, __path_set, commit, delete, set},
    contents::{DataEntry, NewValue, json_of},
    export::{__path_export, export},
    import::{__path_import, import},
};
use super::{Answer, Call, State, json, paging, problem::Problem, read};
use crate::{
    capability::store::{
        CommitError, Found, Key, KeyRange, Prefix, Quota, ReadError, StoreError, StoreGrant, Usage,
    },
    message::ModuleName,
};

/// The media type of an export: JSON, an object a line.
const LINES_TYPE: &str = "application/jsonl";

/// A part of the data of a module.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DataPage {
    /// Keys with their values, in the order of the keys.
    entries: Vec<DataEntry>,
    /// Give it as `cursor` for what follows. Without it: this is the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// How much a module keeps, and may keep.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DataUsage {
    /// Bytes of keys and values.
    bytes: u64,
    bytes_max: u64,
    keys: u64,
    keys_max: u64,
    /// Messages that wait to be relayed.
    relayed: u64,
    relayed_max: u64,
}

/// Selects keys.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Those that begin with it.
    #[param(max_length = 512)]
    prefix: String,
    /// Those that follow another page of the same prefix.
    cursor: Option<String>,
    /// At most so many, 100 if it is not given; fewer if they are large.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Names a key.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct KeyQuery {
    /// The key.
    #[param(min_length = 1, max_length = 512)]
    key: String,
}

impl KeyQuery {
    /// Returns the key of a query.
    pub(super) fn read(query: &str) -> Result<Key, Box<Problem>> {
        let Self { key } = read::parse(query)?;
        Key::parse(&key).map_err(|error| Problem::bad("key", error.to_string()))
    }
}

/// Lists keys with their values.
#[utoipa::path(get, path = "/api/v1/modules/{name}/data", tag = "data",
    params(ListQuery, ("name" = String, Path, description = "The module")),
    responses(
        (status = 200, description = "A page", body = DataPage),
        (status = 400, description = "No name, or the query is not valid", body = Problem),
        (status = 404, description = "No such module, and no data of one", body = Problem),
        (status = 500, description = "The store is damaged", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
    ),
)]
pub(super) async fn list(call: &Call) -> Result<Answer, Box<Problem>> {
    let name = call.module()?;
    let ListQuery { prefix, cursor, limit } = read::parse(&call.query)?;
    let limit = paging::limit(limit)?;
    let prefix =
        Prefix::parse(&prefix).map_err(|error| Problem::bad("prefix", error.to_string()))?;
    let after = cursor.map(|cursor| after(&cursor, &prefix)).transpose()?;
    there(&call.state, &name).await?;
    let (mut range, mut clock) = (KeyRange::new(prefix, after), None);
    loop {
        let page = call.state.data.scan(&name, &range, limit, clock).await?;
        // All that was looked at has expired.
        if page.entries.is_empty() && page.last.is_some() {
            (range.after, clock) = (page.last, Some(page.clock));
            continue;
        }
        let entries =
            page.entries.iter().map(|(key, entry)| DataEntry::shown(key, entry, page.clock));
        let cursor = page.last.map(|last| last.to_string());
        return Ok(json(StatusCode::OK, &DataPage { entries: entries.collect(), cursor }));
    }
}

/// Reads a cursor: the last key of the page before.
fn after(cursor: &str, prefix: &Prefix) -> Result<Key, Box<Problem>> {
    let key = Key::parse(cursor).ok().filter(|key| key.as_str().starts_with(prefix.as_str()));
    key.ok_or_else(|| {
        let text = format!(
            "{cursor:?} is not a cursor of a listing of {prefix:?}; give the one of the page before, \
             with the same prefix"
        );
        Problem::bad("cursor", text)
    })
}

/// One value.
#[utoipa::path(get, path = "/api/v1/modules/{name}/data/value", tag = "data",
    params(KeyQuery, ("name" = String, Path, description = "The module")),
    responses(
        (status = 200, description = "The value", body = DataEntry),
        (status = 400, description = "No name or no key", body = Problem),
        (status = 404, description = "No such module, or no value", body = Problem),
        (status = 500, description = "The store is damaged", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
    ),
)]
pub(super) async fn get(call: &Call) -> Result<Answer, Box<Problem>> {
    let name = call.module()?;
    let key = KeyQuery::read(&call.query)?;
    let mut read = call.state.data.read(&name, std::slice::from_ref(&key), None).await?;
    match read.found.pop() {
        Some(Found::Live(entry)) => {
            Ok(json(StatusCode::OK, &DataEntry::shown(&key, &entry, read.clock)))
        }
        Some(Found::Absent | Found::Expired(_)) | None => {
            there(&call.state, &name).await?;
            Err(no_value(&name, &key))
        }
    }
}

/// How much a module keeps.
#[utoipa::path(get, path = "/api/v1/modules/{name}/data/usage", tag = "data",
    params(("name" = String, Path, description = "The module")),
    responses(
        (status = 200, description = "The usage, and its quotas", body = DataUsage),
        (status = 400, description = "No name", body = Problem),
        (status = 404, description = "No such module, and no data of one", body = Problem),
        (status = 500, description = "The store is damaged", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
    ),
)]
pub(super) async fn usage(call: &Call) -> Result<Answer, Box<Problem>> {
    let name = call.module()?;
    there(&call.state, &name).await?;
    let Usage { bytes, keys, relayed, .. } = call.state.data.usage(&name).await?;
    let quota = quota(call, &name);
    let usage = DataUsage {
        bytes,
        bytes_max: quota.bytes,
        keys,
        keys_max: quota.keys,
        relayed,
        relayed_max: quota.relayed,
    };
    Ok(json(StatusCode::OK, &usage))
}

/// Refuses a module that is not deployed and has no data.
pub(super) async fn there(state: &State, module: &ModuleName) -> Result<(), Box<Problem>> {
    let Err(error) = state.deployments.written(module) else { return Ok(()) };
    let usage = state.data.usage(module).await?;
    if usage.keys > 0 || usage.relayed > 0 || usage.timers > 0 { Ok(()) } else { Err(error.into()) }
}

/// Returns what a module may keep: the quotas of the active version, or the default without one.
pub(super) fn quota(call: &Call, module: &ModuleName) -> Quota {
    let modules = call.state.deployments.registry().snapshot();
    let active = modules.version(module).map(|version| version.grants.store.quota);
    active.unwrap_or_else(|| StoreGrant::default().quota)
}

fn no_value(module: &ModuleName, key: &Key) -> Box<Problem> {
    let text = format!(
        "the module {module} has no value {key:?}; GET /api/v1/modules/{module}/data and `tidegate \
         data list {module}` list what there is"
    );
    Problem::new(StatusCode::NOT_FOUND, "no-such-key", text)
}

impl From<StoreError> for Box<Problem> {
    fn from(error: StoreError) -> Self {
        let (status, code) = match &error {
            StoreError::Damaged { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "store"),
            StoreError::Away { .. } | StoreError::Stopped { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "store-away")
            }
        };
        Problem::new(status, code, error.to_string())
    }
}

impl From<ReadError> for Box<Problem> {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Input(error) => error.into(),
            ReadError::Conflict(_) => conflict(),
            ReadError::Store(error) => error.into(),
        }
    }
}

impl From<CommitError> for Box<Problem> {
    fn from(error: CommitError) -> Self {
        let text = error.to_string();
        match error {
            CommitError::Conflict(_) | CommitError::AlreadyDone => conflict(),
            CommitError::Quota { needed, limit, .. } => {
                Problem::new(StatusCode::INSUFFICIENT_STORAGE, "quota", text)
                    .with_numbers(Some((needed, limit)))
            }
            CommitError::Value(error) => error.into(),
            CommitError::Unknown { .. } => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown", text)
            }
            CommitError::Store(error) => error.into(),
        }
    }
}

fn conflict() -> Box<Problem> {
    let text = "the value changed meanwhile, and nothing was written; look at it and try again";
    Problem::new(StatusCode::CONFLICT, "conflict", text)
}
