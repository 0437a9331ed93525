//! `tidegate:channels/timers`: messages that are sent later, set and cancelled with the run's transaction.

use bytes::Bytes;
use wasmtime::component::HasData;

use super::channel::check_later;
use crate::{
    capability::store::{DueTime, Key, Parcel, Transaction},
    engine::{
        Limits,
        bindings::storing::tidegate::channels::timers::{Host, Moment, TimerError},
        instance::{Effects, Job, Run},
    },
    message::{ChannelName, Content, seal_relayed},
};

/// Sees the transaction and whose it is.
pub(in crate::engine) struct TimerCalls<'a> {
    effects: &'a mut Effects,
    job: Option<&'a Job>,
    limits: &'a Limits,
}

impl HasData for TimerCalls<'static> {
    type Data<'a> = TimerCalls<'a>;
}

impl Run {
    pub(in crate::engine) fn timer_calls(&mut self) -> TimerCalls<'_> {
        TimerCalls { effects: &mut self.effects, job: self.job.as_ref(), limits: &self.limits }
    }
}

impl<'a> TimerCalls<'a> {
    fn job(&self) -> Result<&'a Job, TimerError> {
        let none = || TimerError::Forbidden("no timer is set while routes are read".into());
        self.job.ok_or_else(none)
    }

    fn channel(&self, name: &str) -> Result<ChannelName, TimerError> {
        let channel = ChannelName::parse(name)
            .map_err(|error| TimerError::Invalid(format!("channel {name:?}: {error}")))?;
        check_later(&channel, &self.job()?.lent, "the timer is due")
            .map_err(TimerError::Forbidden)?;
        Ok(channel)
    }

    fn content(&self, content: Vec<u8>) -> Result<Content, TimerError> {
        let limit = self.limits.message_bytes;
        if content.len() > limit {
            let bytes = content.len();
            let rule = format!("a message has at most {limit} bytes; this one has {bytes}");
            return Err(TimerError::Invalid(rule));
        }
        Content::parse(Bytes::from(content)).map_err(invalid)
    }

    fn transaction(&mut self) -> Result<&mut Transaction, TimerError> {
        let job = self.job()?;
        Ok(self.effects.transaction.get_or_insert_with(|| job.lent.transaction()))
    }

    fn put(
        &mut self,
        key: Option<String>,
        channel: &str,
        content: Vec<u8>,
        due: Moment,
    ) -> Result<(), TimerError> {
        let key = key.map(|key| Key::parse(&key)).transpose().map_err(invalid)?;
        let due = match due {
            Moment::After(millis) => DueTime::after_millis(millis),
            Moment::At(millis) => DueTime::at_millis(millis),
        };
        let due = due.map_err(invalid)?;
        let target = self.channel(channel)?.to_string();
        let content = self.content(content)?;
        let job = self.job()?;
        let payload = seal_relayed(None, job.correlation, &content);
        self.transaction()?.set_timer(key, due, Parcel { target, payload }).map_err(invalid)
    }

    fn take_away(&mut self, key: &str) -> Result<(), TimerError> {
        let key = Key::parse(key).map_err(invalid)?;
        self.transaction()?.cancel_timer(key).map_err(invalid)
    }
}

fn invalid(error: impl std::fmt::Display) -> TimerError {
    TimerError::Invalid(error.to_string())
}

impl Host for TimerCalls<'_> {
    fn set(
        &mut self,
        key: Option<String>,
        channel: String,
        content: Vec<u8>,
        due: Moment,
    ) -> wasmtime::Result<Result<(), TimerError>> {
        Ok(self.put(key, &channel, content, due))
    }

    fn cancel(&mut self, key: String) -> wasmtime::Result<Result<(), TimerError>> {
        Ok(self.take_away(&key))
    }
}
