//! As `interface timers` of the contract; documented there.

use super::call;

/// When a timer is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    After(u64),
    At(i64),
}

/// Why a call did nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimerError {
    Invalid(String),
    Forbidden(String),
}

/// What a test host does with the timers of a consumer.
pub(crate) trait TimerHost {
    fn set_timer(
        &mut self,
        key: Option<&str>,
        channel: &str,
        content: &[u8],
        due: Moment,
    ) -> Result<(), TimerError>;
    fn cancel_timer(&mut self, key: &str) -> Result<(), TimerError>;
}

pub(crate) fn set(
    key: Option<&str>,
    channel: &str,
    content: &[u8],
    due: Moment,
) -> Result<(), TimerError> {
    call(|host| host.set_timer(key, channel, content, due))
}

pub(crate) fn cancel(key: &str) -> Result<(), TimerError> {
    call(|host| host.cancel_timer(key))
}
