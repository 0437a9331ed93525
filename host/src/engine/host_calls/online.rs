//! `tidegate:channels/online`: the connections of users.

use bytes::Bytes;
use wasmtime::component::HasData;

use crate::{
    engine::{
        Entry, Limits, Outbox,
        bindings::reaching::tidegate::channels::online::{Host, OnlineError},
        instance::{Effects, Job, Run},
    },
    message::{Close, Content, GroupName, User},
};

/// Sees the outbox and whose it is.
pub(in crate::engine) struct OnlineCalls<'a> {
    outbox: &'a mut Outbox,
    effects: &'a mut Effects,
    job: Option<&'a Job>,
    limits: &'a Limits,
}

impl HasData for OnlineCalls<'static> {
    type Data<'a> = OnlineCalls<'a>;
}

impl Run {
    pub(in crate::engine) fn online_calls(&mut self) -> OnlineCalls<'_> {
        OnlineCalls {
            outbox: &mut self.outbox,
            effects: &mut self.effects,
            job: self.job.as_ref(),
            limits: &self.limits,
        }
    }
}

fn invalid(rule: impl std::fmt::Display) -> OnlineError {
    OnlineError::Invalid(rule.to_string())
}

impl<'a> OnlineCalls<'a> {
    fn job(&self) -> Result<&'a Job, OnlineError> {
        self.job.ok_or_else(|| invalid("no user is reached while routes are read"))
    }

    /// The group of a user's connections to the module.
    fn group(&self, user: &str) -> Result<GroupName, OnlineError> {
        User::check_id(user).map_err(invalid)?;
        Ok(GroupName::of_user(&self.job()?.lent.module, user))
    }

    fn content(&self, content: Vec<u8>) -> Result<Content, OnlineError> {
        let (bytes, limit) = (content.len(), self.limits.message_bytes);
        if bytes > limit {
            let rule = format!("a message has at most {limit} bytes; this one has {bytes}");
            return Err(invalid(rule));
        }
        Content::parse(Bytes::from(content)).map_err(invalid)
    }

    fn put(
        &mut self,
        entry: Result<Entry, OnlineError>,
    ) -> wasmtime::Result<Result<(), OnlineError>> {
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
}

impl Host for OnlineCalls<'_> {
    fn user_send(
        &mut self,
        user: String,
        content: Vec<u8>,
    ) -> wasmtime::Result<Result<(), OnlineError>> {
        let entry = self
            .group(&user)
            .and_then(|group| Ok(Entry::GroupSend { group, content: self.content(content)? }));
        self.put(entry)
    }

    fn user_close(
        &mut self,
        user: String,
        code: u16,
        reason: String,
    ) -> wasmtime::Result<Result<(), OnlineError>> {
        let close = Close::checked(code, reason).map_err(invalid);
        let entry = self
            .group(&user)
            .and_then(|group| Ok(Entry::GroupSend { group, content: close?.content() }));
        self.put(entry)
    }

    async fn user_connections(
        &mut self,
        user: String,
    ) -> wasmtime::Result<Result<u64, OnlineError>> {
        let (group, job) = match (self.group(&user), self.job()) {
            (Ok(group), Ok(job)) => (group, job),
            (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
        };
        let counted = job.outlet.connections_of(&group).await;
        Ok(counted.map(|count| count as u64).map_err(OnlineError::Unavailable))
    }
}
