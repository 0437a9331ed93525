//! `tidegate:channels/presence`: the members of groups.

use bytes::Bytes;
use wasmtime::component::HasData;

use super::channel::{NotUsable, group};
use crate::{
    capability::Lent,
    engine::{
        Entry, Limits, Outbox,
        bindings::meeting::tidegate::channels::presence::{
            Host, Member as GuestMember, Page, PresenceError,
        },
        instance::{Effects, Job, Run},
    },
    message::{
        ChannelName, Facts, GroupName, MEMBERS_PER_READ_MAX, Member, MemberError, MemberKey,
        MembersPage, PresenceRule, Present,
    },
};

/// Parts of lists that one run reads.
const READS_PER_RUN_MAX: u32 = 100;

/// Sees the outbox and who joins.
pub(in crate::engine) struct PresenceCalls<'a> {
    outbox: &'a mut Outbox,
    effects: &'a mut Effects,
    job: Option<&'a Job>,
    limits: &'a Limits,
}

impl HasData for PresenceCalls<'static> {
    type Data<'a> = PresenceCalls<'a>;
}

impl Run {
    pub(in crate::engine) fn presence_calls(&mut self) -> PresenceCalls<'_> {
        PresenceCalls {
            outbox: &mut self.outbox,
            effects: &mut self.effects,
            job: self.job.as_ref(),
            limits: &self.limits,
        }
    }
}

type Answer<T> = wasmtime::Result<Result<T, PresenceError>>;

impl From<MemberError> for PresenceError {
    fn from(error: MemberError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<NotUsable> for PresenceError {
    fn from(error: NotUsable) -> Self {
        match error {
            NotUsable::Invalid(rule) => Self::Invalid(rule),
            NotUsable::Forbidden(rule) => Self::Forbidden(rule),
        }
    }
}

impl PresenceCalls<'_> {
    fn job(&self) -> Result<&Job, PresenceError> {
        let none = || PresenceError::Forbidden("nobody is present while routes are read".into());
        self.job.ok_or_else(none)
    }

    fn lent(&self) -> Result<&Lent, PresenceError> {
        Ok(&self.job()?.lent)
    }

    fn entry(
        &self,
        name: &str,
        channel: &str,
        key: &str,
        facts: Vec<u8>,
    ) -> Result<Entry, PresenceError> {
        let lent = self.lent()?;
        let group = group(name, lent)?;
        let connection = ChannelName::parse(channel).ok().filter(ChannelName::is_reply_channel);
        let Some(connection) = connection else {
            return Err(PresenceError::Invalid(format!(
                "{channel:?} is no reply channel, and connections are present; give the reply channel of one"
            )));
        };
        let member =
            Member { key: MemberKey::parse(key)?, facts: Facts::parse(Bytes::from(facts))? };
        let rule = match &lent.presence {
            // How a group announces its members is up to the module that it belongs to.
            _ if !group.belongs_to(&lent.module) => {
                PresenceRule { is_stand_in: true, ..PresenceRule::default() }
            }
            Some(rules) => rules.rule(&lent.module, &group),
            None => PresenceRule::default(),
        };
        let present = Box::new(Present { member, rule });
        Ok(Entry::Present { group, connection, present })
    }

    fn reading(&mut self, name: &str) -> Result<GroupName, PresenceError> {
        let group = group(name, self.lent()?)?;
        self.effects.members_reads += 1;
        if self.effects.members_reads > READS_PER_RUN_MAX {
            return Err(PresenceError::Invalid(format!(
                "a run reads {READS_PER_RUN_MAX} parts of lists of members; leave the rest to another run"
            )));
        }
        Ok(group)
    }

    async fn read(
        &mut self,
        name: &str,
        cursor: Option<String>,
        limit: usize,
    ) -> Result<MembersPage, PresenceError> {
        let group = self.reading(name)?;
        let after = cursor.map(|cursor| MemberKey::parse(&cursor)).transpose();
        let after = after.map_err(|_| {
            PresenceError::Invalid("the cursor is none that a list of members returned".to_owned())
        })?;
        let read = self.job()?.outlet.members(&group, after.as_ref(), limit).await;
        read.map_err(|error| PresenceError::Unavailable(error.to_string()))
    }
}

impl Host for PresenceCalls<'_> {
    fn present(
        &mut self,
        group: String,
        channel: String,
        key: String,
        facts: Vec<u8>,
    ) -> Answer<()> {
        match self.entry(&group, &channel, &key, facts) {
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

    async fn members(&mut self, group: String, cursor: Option<String>, limit: u32) -> Answer<Page> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if !(1..=MEMBERS_PER_READ_MAX).contains(&limit) {
            let rule =
                format!("a part of a list has 1 to {MEMBERS_PER_READ_MAX} members, not {limit}");
            return Ok(Err(PresenceError::Invalid(rule)));
        }
        let read = self.read(&group, cursor, limit).await;
        Ok(read.map(|MembersPage { count, members, has_more, .. }| {
            let last = members.last().filter(|_| has_more);
            let cursor = last.map(|member| member.key.to_string());
            let member = |Member { key, facts }: Member| GuestMember {
                key: key.to_string(),
                facts: facts.as_bytes().to_vec(),
            };
            Page { members: members.into_iter().map(member).collect(), count, cursor }
        }))
    }

    async fn member_count(&mut self, group: String) -> Answer<u64> {
        Ok(self.read(&group, None, 0).await.map(|page| page.count))
    }
}
