//! Channels and groups of other modules.

use crate::message::{ChannelName, GroupName};

/// Channels and groups of other modules that a module may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addressing {
    /// Channels that it may send to.
    pub channels: Vec<ChannelName>,
    /// Groups that it may use.
    pub groups: Vec<GrantedGroups>,
}

/// Groups that a module may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantedGroups {
    /// The one of that name.
    One(GroupName),
    /// All whose names begin with this, which ends with a dot.
    Below(String),
}

impl Addressing {
    pub(super) fn channel(&self, channel: &ChannelName) -> bool {
        self.channels.contains(channel)
    }

    pub(super) fn group(&self, group: &GroupName) -> bool {
        self.groups.iter().any(|granted| match granted {
            GrantedGroups::One(name) => name == group,
            GrantedGroups::Below(prefix) => group.as_str().starts_with(prefix),
        })
    }
}
