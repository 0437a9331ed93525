//! `tidegate:channels/layer`: sends, groups and flush, kept in the outbox.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use wasmtime::component::HasData;

use super::channel::{self, NotUsable, not_granted};
use crate::{
    capability::Lent,
    engine::{
        Entry, Limits, Outbox,
        bindings::tidegate::channels::layer::{
            FlushError, FlushReason as GuestReason, Host, SendError, SizeLimit,
        },
        instance::{Effects, Job, Run},
        outbox::{FlushReason, Outlet, Stopped},
    },
    message::{ChannelName, Content, GroupName},
};

/// The longest delay.
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 3600);

/// Sees the outbox and who sends.
pub(in crate::engine) struct LayerCalls<'a> {
    outbox: &'a mut Outbox,
    effects: &'a mut Effects,
    job: Option<&'a Job>,
    limits: &'a Limits,
}

impl HasData for LayerCalls<'static> {
    type Data<'a> = LayerCalls<'a>;
}

impl Run {
    pub(in crate::engine) fn layer_calls(&mut self) -> LayerCalls<'_> {
        LayerCalls {
            outbox: &mut self.outbox,
            effects: &mut self.effects,
            job: self.job.as_ref(),
            limits: &self.limits,
        }
    }
}

type Sent = wasmtime::Result<Result<(), SendError>>;

impl LayerCalls<'_> {
    fn put(&mut self, entry: Result<Entry, SendError>) -> Sent {
        match entry {
            Ok(entry) => {
                self.outbox.push(entry, self.limits)?;
                Ok(Ok(()))
            }
            Err(error) => {
                self.effects.sends_refused += 1;
                Ok(Err(error))
            }
        }
    }

    fn content(&self, content: Vec<u8>) -> Result<Content, SendError> {
        let (bytes, limit) = (content.len() as u64, self.limits.message_bytes as u64);
        if bytes > limit {
            return Err(SendError::TooLarge(SizeLimit { bytes, limit }));
        }
        Content::parse(Bytes::from(content))
            .map_err(|error| SendError::InvalidContent(error.to_string()))
    }

    fn lent(&self) -> Result<&Lent, SendError> {
        let none = || SendError::Forbidden("nothing is sent while routes are read".into());
        self.job.map(|job| &job.lent).ok_or_else(none)
    }

    fn channel(&self, name: &str) -> Result<ChannelName, SendError> {
        let channel = ChannelName::parse(name)
            .map_err(|error| SendError::InvalidName(format!("channel {name:?}: {error}")))?;
        let lent = self.lent()?;
        if channel.is_reserved() {
            return Err(SendError::Forbidden(format!(
                "{name}: `http.` and `websocket.` belong to the interface server; \
                 send to a reply channel or to a channel of your own"
            )));
        }
        if !channel.is_reply_channel() && !lent.may_send(&channel) {
            return Err(SendError::Forbidden(not_granted(&channel, lent)));
        }
        Ok(channel)
    }

    fn group(&self, name: &str) -> Result<GroupName, SendError> {
        channel::group(name, self.lent()?).map_err(|error| match error {
            NotUsable::Invalid(rule) => SendError::InvalidName(rule),
            NotUsable::Forbidden(rule) => SendError::Forbidden(rule),
        })
    }
}

impl Host for LayerCalls<'_> {
    fn send(&mut self, channel: String, content: Vec<u8>) -> Sent {
        let entry = self
            .channel(&channel)
            .and_then(|channel| Ok(Entry::Send { channel, content: self.content(content)? }));
        self.put(entry)
    }

    fn send_later(&mut self, channel: String, content: Vec<u8>, delay: u64) -> Sent {
        let delay = Duration::from_millis(delay);
        let entry = self.channel(&channel).and_then(|channel| {
            if delay > LONGEST_DELAY {
                let rule = format!("a message is delayed by at most {LONGEST_DELAY:?}");
                return Err(SendError::InvalidContent(rule));
            }
            Ok(Entry::SendLater { channel, content: self.content(content)?, delay })
        });
        self.put(entry)
    }

    fn group_add(&mut self, group: String, channel: String) -> Sent {
        let entry = self
            .group(&group)
            .and_then(|group| Ok(Entry::GroupAdd { group, channel: self.channel(&channel)? }));
        self.put(entry)
    }

    fn group_discard(&mut self, group: String, channel: String) -> Sent {
        let entry = self
            .group(&group)
            .and_then(|group| Ok(Entry::GroupDiscard { group, channel: self.channel(&channel)? }));
        self.put(entry)
    }

    fn group_send(&mut self, group: String, content: Vec<u8>) -> Sent {
        let entry = self
            .group(&group)
            .and_then(|group| Ok(Entry::GroupSend { group, content: self.content(content)? }));
        self.put(entry)
    }

    async fn flush(&mut self) -> wasmtime::Result<Result<(), FlushError>> {
        let Some(job) = self.job else { return Ok(Ok(())) };
        if !self.effects.sessions.is_empty() {
            let rule = "the run has asked for something of sessions, which is done when it returns; \
                        flush before, or return";
            let reason = GuestReason::Refused(rule.to_owned());
            return Ok(Err(FlushError { index: 0, channel: String::new(), reason }));
        }
        self.effects.has_flushed = true;
        let outlet: Arc<dyn Outlet> = Arc::clone(&job.outlet);
        let mut entries = self.outbox.take();
        let places = self.effects.commit(job, &mut entries).await?;
        self.effects.is_final |= !entries.is_empty();
        let Err(Stopped { index, target, reason, rest }) = outlet.send(entries).await else {
            return Ok(Ok(()));
        };
        self.outbox.put_back(rest);
        Ok(Err(FlushError {
            index: u32::try_from(places.get(index).copied().unwrap_or(index)).unwrap_or(u32::MAX),
            channel: target,
            reason: match reason {
                FlushReason::ChannelFull => GuestReason::ChannelFull,
                FlushReason::Unavailable(why) => GuestReason::Unavailable(why),
                FlushReason::Refused(why) => GuestReason::Refused(why),
            },
        }))
    }
}
