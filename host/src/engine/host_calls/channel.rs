//! The rule about channels of others, for all calls that name one.

use crate::{capability::Lent, message::ChannelName};

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
