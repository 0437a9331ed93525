//! As `interface invocation` of the contract; documented there.

use super::call;

/// What a test host knows of the message that a run is for.
pub(crate) trait InvocationHost {
    fn message_id(&self) -> Option<String>;
    fn attempt(&self) -> u32;
}

pub(crate) fn message_id() -> Option<String> {
    call(|host| host.message_id())
}

pub(crate) fn attempt() -> u32 {
    call(|host| host.attempt())
}
