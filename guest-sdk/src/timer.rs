//! Messages that are sent later, and can be replaced and cancelled until then.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::host::timers;
use crate::{context, payload};

#[doc = include_str!("docs/timer.md")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    key: String,
}

impl Timer {
    pub(crate) const fn new(key: String) -> Self {
        Self { key }
    }

    /// Sends a message to a channel at a moment, at most a year ahead; at once if the moment has passed.
    /// It takes the place of what the timer was set to before. `payload` is as in
    /// [`Context::send`](crate::Context::send).
    ///
    /// # Errors
    /// When the host refuses the call, or serde cannot write the payload.
    pub fn send_at(
        &self,
        channel: &str,
        payload: &impl Serialize,
        moment: SystemTime,
    ) -> Result<(), TimerError> {
        set(Some(&self.key), channel, payload, at(moment))
    }

    /// Sends a message to a channel when `delay` has passed since the commit, at most a year. As
    /// [`Timer::send_at`] otherwise.
    ///
    /// # Errors
    /// As [`Timer::send_at`].
    pub fn send_later(
        &self,
        channel: &str,
        payload: &impl Serialize,
        delay: Duration,
    ) -> Result<(), TimerError> {
        set(Some(&self.key), channel, payload, timers::Moment::After(context::milliseconds(delay)))
    }

    /// Cancels the timer. If it is not set, it does nothing.
    ///
    /// # Errors
    /// When the host refuses the key.
    pub fn cancel(&self) -> Result<(), TimerError> {
        Ok(timers::cancel(&self.key)?)
    }
}

/// Sends a message at a moment, without a key.
pub(crate) fn send_at(
    channel: &str,
    payload: &impl Serialize,
    moment: SystemTime,
) -> Result<(), TimerError> {
    set(None, channel, payload, at(moment))
}

fn set(
    key: Option<&str>,
    channel: &str,
    payload: &impl Serialize,
    due: timers::Moment,
) -> Result<(), TimerError> {
    let content =
        payload::encode(payload).map_err(|error| TimerError::Invalid(error.to_string()))?;
    Ok(timers::set(key, channel, &content, due)?)
}

fn at(moment: SystemTime) -> timers::Moment {
    let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    timers::Moment::At(match moment.duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        Err(before) => -millis(before.duration()),
    })
}

/// Why a timer was not set or cancelled. Trying again gives the same answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimerError {
    /// The call breaks a rule; the text says which.
    Invalid(String),
    /// The channel belongs to somebody else; the text says to whom.
    Forbidden(String),
}

impl fmt::Display for TimerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Invalid(text) | Self::Forbidden(text)) = self;
        f.write_str(text)
    }
}

impl std::error::Error for TimerError {}

impl From<timers::TimerError> for TimerError {
    fn from(error: timers::TimerError) -> Self {
        match error {
            timers::TimerError::Invalid(text) => Self::Invalid(text),
            timers::TimerError::Forbidden(text) => Self::Forbidden(text),
        }
    }
}
