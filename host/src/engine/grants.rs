//! What a module may besides what every module may. Nothing, unless its settings say so.

use std::{fmt, path::PathBuf};

use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::message::{ChannelName, GroupName};

/// What a module is granted.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Variables of its environment, secrets among them.
    pub environment: Vec<(String, String)>,
    /// Directories that it sees.
    pub directories: Vec<GrantedDirectory>,
    /// Channels of other modules that it may send to.
    pub channels: Vec<ChannelName>,
    /// Groups of other modules that it may use: names, or all that begin with a name and a dot.
    pub groups: Vec<GrantedGroups>,
}

/// A directory that a module sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedDirectory {
    /// What the module calls it.
    pub guest: String,
    /// Where it is.
    pub host: PathBuf,
    /// Whether the module may change what is in it.
    pub write: bool,
}

/// Groups that a module may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantedGroups {
    /// The one of that name.
    One(GroupName),
    /// All whose names begin with this, which ends with a dot.
    Below(String),
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        f.debug_struct("Grants")
            .field("environment", &names)
            .field("directories", &self.directories)
            .field("channels", &self.channels)
            .field("groups", &self.groups)
            .finish()
    }
}

impl Grants {
    pub(super) fn channel(&self, channel: &ChannelName) -> bool {
        self.channels.contains(channel)
    }

    pub(super) fn group(&self, group: &GroupName) -> bool {
        self.groups.iter().any(|granted| match granted {
            GrantedGroups::One(name) => name == group,
            GrantedGroups::Below(prefix) => group.as_str().starts_with(prefix),
        })
    }

    /// Lets the guest see what it is granted. A directory that is gone is an error.
    pub(super) fn show(&self, wasi: &mut WasiCtxBuilder) -> wasmtime::Result<()> {
        for (name, value) in &self.environment {
            wasi.env(name, value);
        }
        for GrantedDirectory { guest, host, write } in &self.directories {
            let permissions = if *write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
            wasi.preopened_dir(host, guest, permissions).map_err(|error| {
                let place = host.display();
                wasmtime::Error::msg(format!("the directory {place} cannot be opened: {error}"))
            })?;
        }
        Ok(())
    }
}
