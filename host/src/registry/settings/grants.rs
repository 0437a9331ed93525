//! `[modules.NAME.grants]`, as written and as checked.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    capability::{Directory, GrantedGroups, Grants, outside::DestinationError},
    message::{ChannelName, GroupName, ModuleName},
    setting::error::{Checked, ConfigError},
};

/// The grants of a module, as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenGrants {
    /// Variables of its environment.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    environment: BTreeMap<String, String>,
    /// Variables whose values are never shown: null stands for the one that is kept.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    secrets: BTreeMap<String, Secret>,
    /// Directories that it may read, by what it calls them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    read: BTreeMap<String, PathBuf>,
    /// Directories that it may read and change, by what it calls them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    write: BTreeMap<String, PathBuf>,
    /// Channels of other modules that it may send to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    channels: Vec<String>,
    /// Groups of other modules that it may use, such as `chat.all`, or `chat.*` for all below.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    /// Modules whose keys in the store it may read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    data: Vec<String>,
    /// Servers outside that it may reach, such as `api.example.com`, `*.example.com`, `https://10.1.2.3:8443` or
    /// `10.1.0.0/16`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    http: Vec<String>,
    /// Whether it may sign users in and out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    sessions: bool,
}

/// A value that is never shown; none where it is left out.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Secret(Option<String>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl WrittenGrants {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns a copy to show, without the values of secrets.
    pub(super) fn shown(&self) -> Self {
        let names = self.secrets.keys().cloned();
        Self { secrets: names.map(|name| (name, Secret(None))).collect(), ..self.clone() }
    }

    /// Fills in stored secrets where they are left out.
    pub(super) fn complete(&mut self, kept: &Self) {
        for (name, secret) in &mut self.secrets {
            if let (None, Some(kept)) = (&secret.0, kept.secrets.get(name)) {
                secret.clone_from(kept);
            }
        }
    }

    /// Returns the checked grants, with those of `below` for kinds that are not written.
    pub(super) fn over(&self, below: &Grants, place: &str) -> Checked<Grants> {
        let key = |name: &str| format!("{place}.{name}");
        let mut grants = below.clone();
        for (name, value) in &self.environment {
            variable(&key("environment"), name, value)?;
            grants.environment.set(name, value);
        }
        for (name, Secret(value)) in &self.secrets {
            let place = key("secrets");
            let Some(value) = value else {
                let problem = format!("{name} has no value, and none is kept; give one");
                return Err(ConfigError::new(&place, &problem));
            };
            variable(&place, name, value)?;
            grants.environment.set(name, value);
        }
        let kinds = [("read", &self.read, false), ("write", &self.write, true)];
        for (kind, written, write) in kinds {
            for (guest, host) in written {
                grants.directories.grant(directory(&key(kind), guest, host, write)?);
            }
        }
        for name in &self.channels {
            grants.addressing.channels.push(channel(&key("channels"), name)?);
        }
        for name in &self.groups {
            grants.addressing.groups.push(groups(&key("groups"), name)?);
        }
        for name in &self.data {
            let wrong = |error| ConfigError::new(&key("data"), &format!("{name:?}: {error}"));
            grants.store.modules.push(ModuleName::parse(name).map_err(wrong)?);
        }
        for text in &self.http {
            let wrong =
                |error: DestinationError| ConfigError::new(&key("http"), &error.to_string());
            grants.outside.destinations.grant(text.parse().map_err(wrong)?);
        }
        grants.sessions |= self.sessions;
        Ok(grants)
    }
}

fn variable(place: &str, name: &str, value: &str) -> Checked<()> {
    if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
        let problem = format!(
            "{name:?} is not the name of a variable: write one without `=`, and no zero bytes"
        );
        return Err(ConfigError::new(place, &problem));
    }
    Ok(())
}

fn directory(place: &str, guest: &str, host: &std::path::Path, write: bool) -> Checked<Directory> {
    if !guest.starts_with('/') {
        let problem = format!("{guest:?} is not an absolute path; write one such as \"/data\"");
        return Err(ConfigError::new(place, &problem));
    }
    if !host.is_dir() {
        let problem = format!("{} is not a directory", host.display());
        return Err(ConfigError::new(place, &problem));
    }
    Ok(Directory { guest: guest.to_owned(), host: host.to_owned(), write })
}

fn channel(place: &str, name: &str) -> Checked<ChannelName> {
    let channel = ChannelName::parse(name)
        .map_err(|error| ConfigError::new(place, &format!("{name:?}: {error}")))?;
    if channel.is_reserved() || channel.is_reply_channel() {
        let rule = "channels of the interface server and of connections are granted to nobody";
        return Err(ConfigError::new(place, &format!("{name}: {rule}")));
    }
    Ok(channel)
}

fn groups(place: &str, name: &str) -> Checked<GrantedGroups> {
    let wrong = |error| ConfigError::new(place, &format!("{name:?}: {error}"));
    if GroupName::reserves(name) {
        return Err(wrong("groups of users and of sessions are granted to nobody".to_owned()));
    }
    match name.strip_suffix('*') {
        Some(prefix) if prefix.ends_with('.') => {
            GroupName::parse(prefix).map_err(|error| wrong(error.to_string()))?;
            Ok(GrantedGroups::Below(prefix.to_owned()))
        }
        Some(_) => Err(wrong("`*` stands behind a dot, as in `chat.*`".to_owned())),
        None => {
            let group = GroupName::parse(name).map_err(|error| wrong(error.to_string()))?;
            Ok(GrantedGroups::One(group))
        }
    }
}
