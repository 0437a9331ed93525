//! The rules about channels and groups of others, for all calls that name one.

use crate::{
    capability::Lent,
    message::{ChannelName, GroupName},
};

/// Why a run may not use a name.
pub(super) enum NotUsable {
    /// It breaks a rule.
    Invalid(String),
    /// It belongs to somebody else.
    Forbidden(String),
}

/// Checks the name of a group: one of the module's own, or one that is granted.
pub(super) fn group(name: &str, lent: &Lent) -> Result<GroupName, NotUsable> {
    let group = GroupName::parse(name)
        .map_err(|error| NotUsable::Invalid(format!("group {name:?}: {error}")))?;
    if group.is_reserved() {
        return Err(NotUsable::Forbidden(format!(
            "group {name} is one of the host's own; `online` reaches the connections of a user"
        )));
    }
    if !lent.may_use(&group) {
        let module = &lent.module;
        return Err(NotUsable::Forbidden(format!(
            "group {name} is not this module's; its groups start with `{module}.`, and others \
             are granted by modules.{module}.grants.groups = [\"{name}\"]"
        )));
    }
    Ok(group)
}

/// Says why a run may not have a message sent to a channel, and which setting grants it.
pub(super) fn not_granted(channel: &ChannelName, lent: &Lent) -> String {
    format!(
        "channel {channel} is not declared by this module; declare a consumer of it, as #[channel(\"{channel}\")] in Rust \
         and @channel(\"{channel}\") in Python, or let it be granted: modules.{}.grants.channels = [\"{channel}\"]",
        lent.module
    )
}

/// Checks the channel of a message that comes later than its run: one of the module's own, or one that is granted.
/// `comes` says of what, as in "the timer is due".
pub(super) fn check_later(channel: &ChannelName, lent: &Lent, comes: &str) -> Result<(), String> {
    if channel.is_reply_channel() {
        return Err(format!(
            "{channel} is a reply channel: its connection may be over when {comes}; name a channel of your own, and \
             send from there to a group"
        ));
    }
    if channel.is_reserved() || !lent.may_send(channel) {
        return Err(not_granted(channel, lent));
    }
    Ok(())
}
