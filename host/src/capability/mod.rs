//! Capabilities: what a module may use besides what every module may. One file or folder for each.
//!
//! A capability has three lifetimes. What the process has of it is made once, at the start. [`Grants`]
//! narrow it for a module, as its settings say; nothing is granted otherwise. [`Lent`] is the one value
//! that a run gets. How a guest sees a capability is the business of `engine/host_calls`.

mod addressing;
mod directories;
mod environment;
pub mod outside;
pub mod presence;
pub mod schedule;
pub mod sessions;
pub mod store;

use std::{collections::HashMap, sync::Arc};

pub use addressing::{Addressing, GrantedGroups};
pub use directories::{Directories, Directory};
pub use environment::Environment;

use self::{
    outside::OutsideGrant,
    presence::PresenceRules,
    sessions::Sessions,
    store::{Store, StoreGrant, Transaction},
};
use crate::message::{ChannelName, GroupName, HistoryBounds, Lasting, ModuleName, ProcessTag};

/// The capabilities that a module is granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Variables of its environment, secrets among them.
    pub environment: Environment,
    /// Directories that it sees.
    pub directories: Directories,
    /// Channels and groups of other modules that it may use.
    pub addressing: Addressing,
    /// What it may keep in the store, and whose keys it may read.
    pub store: StoreGrant,
    /// The servers outside that it may reach.
    pub outside: OutsideGrant,
    /// What the histories of its groups may take.
    pub history: HistoryBounds,
    /// Whether it may sign users in and out.
    pub sessions: bool,
}

/// The capabilities that one run of a module has.
#[derive(Clone, Debug)]
pub struct Lent {
    /// The module.
    pub module: ModuleName,
    /// Its grants.
    pub grants: Arc<Grants>,
    /// Which module declares which channel.
    pub owners: Arc<HashMap<ChannelName, ModuleName>>,
    /// Which channels keep messages until they are done.
    pub lasting: Arc<HashMap<ChannelName, Lasting>>,
    /// The process, whose relay sends what the run stores.
    pub process: ProcessTag,
    /// The data of modules.
    pub store: Arc<dyn Store>,
    /// The sessions of the host; none if it keeps none.
    pub sessions: Option<Arc<Sessions>>,
    /// How groups of the module announce who comes and goes; none if it declares nothing about that.
    pub presence: Option<Arc<PresenceRules>>,
}

impl Lent {
    /// Whether the run may send to a channel of an application: its own, or one that is granted.
    pub fn may_send(&self, channel: &ChannelName) -> bool {
        self.owners.get(channel) == Some(&self.module) || self.grants.addressing.channel(channel)
    }

    /// Begins a transaction over the keys of the module.
    pub fn transaction(&self) -> Transaction {
        Transaction::new(Arc::clone(&self.store), self.module.clone())
            .with_reads_max(self.grants.store.reads)
    }

    /// Whether the run may use a group: its own, or one that is granted. Those of users are the host's.
    pub fn may_use(&self, group: &GroupName) -> bool {
        let is_open = group.belongs_to(&self.module) || self.grants.addressing.group(group);
        is_open && !group.is_reserved()
    }
}
