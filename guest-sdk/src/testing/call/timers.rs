//! The timers of one invocation.

use std::time::{Duration, UNIX_EPOCH};

use super::{Call, SharedCall};
use crate::host::TimerHost;
use crate::host::layer::SendError;
use crate::host::store::StoreError;
use crate::host::timers::{Moment, TimerError};
use crate::testing::data::TimerWrite;
use crate::testing::rules;

/// How far ahead a timer may be due.
const AHEAD_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

impl Call {
    fn may_set_timer(&self, channel: &str) -> Result<(), TimerError> {
        rules::channel(channel).map_err(invalid)?;
        if channel.contains('!') {
            return Err(TimerError::Forbidden(format!(
                "{channel} is a reply channel: its connection may be over when the timer is due; send to \
                 a channel of your own, and from there to a group"
            )));
        }
        self.may_send(channel).map_err(|error| TimerError::Forbidden(text(error)))
    }

    /// When the clock of the test host is at the moment.
    fn due(&self, moment: Moment) -> Result<Duration, TimerError> {
        let world = self.world.borrow();
        let limit = AHEAD_MAX.as_millis();
        match moment {
            Moment::After(millis) if Duration::from_millis(millis) > AHEAD_MAX => {
                Err(TimerError::Invalid(format!(
                    "a timer is due in {limit} ms at most; this one is in {millis} ms. Set one that is due \
                     earlier, and let its consumer set the next"
                )))
            }
            Moment::After(millis) => Ok(world.now + Duration::from_millis(millis)),
            Moment::At(millis) => {
                let since = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
                let ahead = (UNIX_EPOCH + since).duration_since(world.clock()).unwrap_or_default();
                if ahead > AHEAD_MAX {
                    return Err(TimerError::Invalid(format!(
                        "a timer is due in {limit} ms at most; this one is at {millis} ms since 1970. Set \
                         one that is due earlier, and let its consumer set the next"
                    )));
                }
                Ok(world.now + ahead)
            }
        }
    }
}

fn invalid(error: SendError) -> TimerError {
    TimerError::Invalid(text(error))
}

fn text(error: SendError) -> String {
    crate::SendError::from(error).to_string()
}

fn refused(error: StoreError) -> TimerError {
    match error {
        StoreError::Invalid(text) | StoreError::Forbidden(text) | StoreError::Unavailable(text) => {
            TimerError::Invalid(text)
        }
    }
}

impl TimerHost for SharedCall {
    fn set_timer(
        &mut self,
        key: Option<&str>,
        channel: &str,
        content: &[u8],
        due: Moment,
    ) -> Result<(), TimerError> {
        let mut call = self.0.borrow_mut();
        let due = call.due(due)?;
        call.may_set_timer(channel)?;
        rules::content(content).map_err(invalid)?;
        let (key, channel) = (key.map(str::to_owned), channel.to_owned());
        let write = TimerWrite::Set { key, channel, content: content.to_owned(), due };
        call.transaction.get_or_insert_default().write_timer(write).map_err(refused)
    }

    fn cancel_timer(&mut self, key: &str) -> Result<(), TimerError> {
        let mut call = self.0.borrow_mut();
        let write = TimerWrite::Cancel { key: key.to_owned() };
        call.transaction.get_or_insert_default().write_timer(write).map_err(refused)
    }
}
