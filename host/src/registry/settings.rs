//! The settings of a module, as written and as checked.
//!
//! `[modules.NAME]` of `tidegate.toml` and the settings of the admin API are the same text in TOML and
//! in JSON.

mod grants;
mod history;
mod outside;
mod store;

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use http::HeaderValue;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::{
    grants::WrittenGrants, history::WrittenHistory, outside::WrittenFetch, store::WrittenStore,
};

use crate::{
    capability::Grants,
    engine::{Limits, MEMORY_CEILING, MOST_RETRIES},
    message::{Beyond, ChannelName},
    routing::{Files, OnFault, PrefixError},
    setting::{
        by_name,
        checks::{at_least_one, positive, size, span},
        error::{Checked, ConfigError},
        units::{Size, Span},
        with_suggestion,
    },
};

/// The checked settings of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleSettings {
    /// The limits of an invocation.
    pub limits: Limits,
    /// How many events an instance serves. 1: each gets a fresh one.
    pub reuse: u32,
    /// How long an event may wait for a slot.
    pub event_expiry: Duration,
    /// The reaction of a connection to an event of its own that failed or was lost.
    pub on_fault: OnFault,
    /// The sections of `auth` whose users may come; none for all of them.
    pub auth: Option<Arc<BTreeSet<String>>>,
    /// How many connections a user may have; none for any number.
    pub connections_per_user: Option<NonZeroU32>,
    /// The treatment of a connection of a user who has as many.
    pub connections_beyond: Beyond,
    /// Directories that are served as they are.
    pub files: Vec<Files>,
    /// How often messages of a channel are run again, in place of what its consumer says; 0: each is
    /// run at most once.
    pub retries: BTreeMap<ChannelName, u32>,
    /// Its permissions beyond those of every module.
    pub grants: Grants,
}

impl Default for ModuleSettings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            reuse: 1,
            event_expiry: Duration::from_secs(10),
            on_fault: OnFault::Close,
            auth: None,
            connections_per_user: None,
            connections_beyond: Beyond::Refuse,
            files: Vec::new(),
            retries: BTreeMap::new(),
            grants: Grants::default(),
        }
    }
}

/// Settings of a module as they are written. Missing ones stay as they are below.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Written {
    /// The .wasm file. In `tidegate.toml` only: over the admin API files are deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub file: Option<PathBuf>,
    /// How many events an instance serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 4294967295_u64)]
    reuse: Option<u32>,
    /// How long an event may wait for a slot, such as `10s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^[1-9][0-9]{0,6}(ms|s|m|h)$")]
    event_expiry: Option<Span>,
    /// The reaction of a connection to an event of its own that failed or was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_fault: Option<OnFault>,
    /// The sections of `auth` whose users may come.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    auth: Option<BTreeSet<String>>,
    /// How many connections a user may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 4294967295_u64)]
    connections_per_user: Option<NonZeroU32>,
    /// The treatment of a connection of a user who has as many.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^(refuse|close_oldest)$")]
    connections_beyond: Option<Beyond>,
    /// Directories that are served as they are, by the prefix of their paths.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    files: BTreeMap<String, PathBuf>,
    /// The header field `cache-control` of their files, by the same prefix.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    cache_control: BTreeMap<String, String>,
    /// How often messages of a channel are run again, in place of what its consumer says.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    retries: BTreeMap<String, u32>,
    #[serde(skip_serializing_if = "WrittenLimits::is_empty", deserialize_with = "by_name")]
    limits: WrittenLimits,
    #[serde(skip_serializing_if = "WrittenStore::is_empty", deserialize_with = "by_name")]
    store: WrittenStore,
    #[serde(skip_serializing_if = "WrittenFetch::is_empty", deserialize_with = "by_name")]
    fetch: WrittenFetch,
    #[serde(skip_serializing_if = "WrittenHistory::is_empty", deserialize_with = "by_name")]
    history: WrittenHistory,
    #[serde(skip_serializing_if = "WrittenGrants::is_empty", deserialize_with = "by_name")]
    grants: WrittenGrants,
}

/// `[limits]`, and `[modules.NAME.limits]` over it, as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WrittenLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    fuel: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^[1-9][0-9]{0,6}(ms|s|m|h)$")]
    deadline: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 268435456)]
    memory: Option<Size>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    outbox_messages: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, minimum = 1)]
    outbox_bytes: Option<Size>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, minimum = 1)]
    log_bytes: Option<Size>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    host_calls: Option<u64>,
}

impl Written {
    /// Whether nothing is written.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns a copy to show, without the values of secrets.
    #[must_use]
    pub fn shown(&self) -> Self {
        Self { grants: self.grants.shown(), ..self.clone() }
    }

    /// Fills in stored secrets where they are left out.
    pub fn complete(&mut self, kept: &Self) {
        self.grants.complete(&kept.grants);
    }

    /// The same with single settings changed, as a JSON Merge Patch says.
    pub fn patched(&self, patch: &serde_json::Value) -> Result<Self, ConfigError> {
        let wrong = |error: serde_json::Error| {
            ConfigError::new("settings", &with_suggestion(&error.to_string()))
        };
        let mut merged = serde_json::to_value(self).map_err(wrong)?;
        merge(&mut merged, patch);
        by_name(merged).map_err(wrong)
    }

    /// The settings that hold when this goes over others. `place` is for messages, such as
    /// `modules.chat`.
    pub fn over(&self, below: &ModuleSettings, place: &str) -> Result<ModuleSettings, ConfigError> {
        let key = |name: &str| format!("{place}.{name}");
        let reuse = self.reuse.unwrap_or(below.reuse) as usize;
        let reuse = at_least_one(&key("reuse"), Some(reuse), 1)?;
        let grants = self.grants.over(&below.grants, &key("grants"))?;
        Ok(ModuleSettings {
            limits: self.limits.over(&below.limits, &key("limits"))?,
            reuse: u32::try_from(reuse).unwrap_or(u32::MAX),
            event_expiry: span(&key("event_expiry"), self.event_expiry, below.event_expiry)?,
            on_fault: self.on_fault.unwrap_or(below.on_fault),
            auth: self.auth.clone().map(Arc::new).or_else(|| below.auth.clone()),
            connections_per_user: self.connections_per_user.or(below.connections_per_user),
            connections_beyond: self.connections_beyond.unwrap_or(below.connections_beyond),
            files: self.files_over(&below.files, &key)?,
            retries: if self.retries.is_empty() {
                below.retries.clone()
            } else {
                retries(&key("retries"), &self.retries)?
            },
            grants: Grants {
                store: self.store.over(&grants.store, &key("store"))?,
                outside: self.fetch.over(&grants.outside, &key("fetch"))?,
                history: self.history.over(grants.history, &key("history"))?,
                ..grants
            },
        })
    }
}

/// RFC 7396, section 2.
fn merge(target: &mut serde_json::Value, patch: &serde_json::Value) {
    let serde_json::Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = serde_json::Value::Object(serde_json::Map::new());
    }
    for (name, value) in patch {
        let Some(target) = target.as_object_mut() else { return };
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(serde_json::Value::Null), value);
        }
    }
}

impl Written {
    fn files_over(&self, below: &[Files], key: &impl Fn(&str) -> String) -> Checked<Vec<Files>> {
        let mut files = match self.files.is_empty() {
            true => below.to_owned(),
            false => files(&key("files"), &self.files)?,
        };
        for (prefix, value) in &self.cache_control {
            let place = format!("{}.{prefix:?}", key("cache_control"));
            let held = files.iter_mut().find(|files| files.prefix.to_string() == *prefix);
            let held = held.ok_or_else(|| {
                let problem = format!("`files` has no {prefix:?}; write a prefix that it has");
                ConfigError::new(&place, &problem)
            })?;
            held.cache_control = Some(HeaderValue::from_str(value).map_err(|_| {
                let problem = format!(
                    "{value:?} is not a valid header value; write \"public, max-age=3600\", for example"
                );
                ConfigError::new(&place, &problem)
            })?);
        }
        Ok(files)
    }
}

impl WrittenLimits {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn over(&self, below: &Limits, place: &str) -> Checked<Limits> {
        let key = |name: &str| format!("{place}.{name}");
        let memory = size(&key("memory"), self.memory, below.memory)?;
        if memory > MEMORY_CEILING {
            return Err(ConfigError::new(
                &key("memory"),
                &format!("{memory} bytes are too many; an instance has at most {MEMORY_CEILING}"),
            ));
        }
        let outbox = below.outbox_messages;
        Ok(Limits {
            fuel: positive(&key("fuel"), self.fuel, below.fuel)?,
            deadline: span(&key("deadline"), self.deadline, below.deadline)?,
            memory,
            outbox_messages: at_least_one(&key("outbox_messages"), self.outbox_messages, outbox)?,
            outbox_bytes: size(&key("outbox_bytes"), self.outbox_bytes, below.outbox_bytes)?,
            log_bytes: size(&key("log_bytes"), self.log_bytes, below.log_bytes)?,
            host_calls: positive(&key("host_calls"), self.host_calls, below.host_calls)?,
            state_bytes: below.state_bytes,
            message_bytes: below.message_bytes,
        })
    }
}

fn retries(place: &str, written: &BTreeMap<String, u32>) -> Checked<BTreeMap<ChannelName, u32>> {
    let one = |(channel, retries): (&String, &u32)| {
        let place = format!("{place}.{channel:?}");
        let channel = ChannelName::parse(channel)
            .map_err(|error| ConfigError::new(&place, &error.to_string()))?;
        if *retries > MOST_RETRIES {
            let problem = format!("{retries} are too many; there are at most {MOST_RETRIES}");
            return Err(ConfigError::new(&place, &problem));
        }
        Ok((channel, *retries))
    };
    written.iter().map(one).collect()
}

fn files(place: &str, written: &BTreeMap<String, PathBuf>) -> Checked<Vec<Files>> {
    let one = |(prefix, directory): (&String, &PathBuf)| {
        let place = format!("{place}.{prefix:?}");
        let wrong = |error: PrefixError| ConfigError::new(&place, &error.to_string());
        let prefix = prefix.parse().map_err(wrong)?;
        if !directory.is_dir() {
            let problem = format!("{} is not a directory", directory.display());
            return Err(ConfigError::new(&place, &problem));
        }
        Ok(Files { prefix, directory: directory.clone(), cache_control: None })
    };
    written.iter().map(one).collect()
}
