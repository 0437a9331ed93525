//! `tidegate:channels/history`: groups that are remembered.

use wasmtime::component::HasData;

use super::channel::{self, NotUsable};
use crate::{
    engine::{
        Entry, Limits, Outbox,
        bindings::remembering::tidegate::channels::history::{
            HistoryError, Host, Page as GuestPage, Remembered as GuestRemembered,
        },
        instance::{Effects, Job, Run},
        outbox::HistoryFailure,
    },
    message::{After, ChannelName, GroupName, Page, Position, Start},
};

/// The most messages that one call asks for.
const MESSAGES_MAX: u32 = 1_000;

/// Sees the outbox and whose it is.
pub(in crate::engine) struct HistoryCalls<'a> {
    outbox: &'a mut Outbox,
    effects: &'a mut Effects,
    job: Option<&'a Job>,
    limits: &'a Limits,
}

impl HasData for HistoryCalls<'static> {
    type Data<'a> = HistoryCalls<'a>;
}

impl Run {
    pub(in crate::engine) fn history_calls(&mut self) -> HistoryCalls<'_> {
        HistoryCalls {
            outbox: &mut self.outbox,
            effects: &mut self.effects,
            job: self.job.as_ref(),
            limits: &self.limits,
        }
    }
}

impl<'a> HistoryCalls<'a> {
    fn job(&self) -> Result<&'a Job, HistoryError> {
        let none = || HistoryError::Forbidden("no history is used while routes are read".into());
        self.job.ok_or_else(none)
    }

    fn group(&self, name: &str) -> Result<GroupName, HistoryError> {
        let job = self.job()?;
        let group = channel::group(name, &job.lent).map_err(|error| match error {
            NotUsable::Invalid(rule) => HistoryError::Invalid(rule),
            NotUsable::Forbidden(rule) => HistoryError::Forbidden(rule),
        })?;
        if !job.outlet.keeps_history(&group) {
            return Err(HistoryFailure::NotRemembered(group).into());
        }
        Ok(group)
    }

    async fn page(
        &mut self,
        group: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<GuestPage, HistoryError> {
        let group = self.group(group)?;
        if !(1..=MESSAGES_MAX).contains(&limit) {
            let rule =
                format!("a page has 1 to {MESSAGES_MAX} messages; this call asks for {limit}");
            return Err(HistoryError::Invalid(rule));
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let page = self.job()?.outlet.history(&group, After::said(after), limit).await?;
        Ok(to_guest(page))
    }

    fn own_join(
        &self,
        group: &str,
        after: Option<&str>,
        latest: u32,
    ) -> Result<Entry, HistoryError> {
        let group = self.group(group)?;
        if latest > MESSAGES_MAX {
            let rule =
                format!("a join sends at most the latest {MESSAGES_MAX} messages, not {latest}");
            return Err(HistoryError::Invalid(rule));
        }
        let event = self.job()?.event().ok_or_else(|| {
            let rule = "a message on a channel has no connection of its own that could join";
            HistoryError::Invalid(rule.to_owned())
        })?;
        let channel: ChannelName = event.scope.reply_channel.clone();
        let latest = usize::try_from(latest).unwrap_or(usize::MAX);
        Ok(Entry::GroupJoin { group, channel, start: Start { after: After::said(after), latest } })
    }
}

fn to_guest(page: Page) -> GuestPage {
    let (epoch, position, more) = (page.from.epoch, page.end().to_string(), page.has_more());
    let message = |offset| Position { epoch, offset }.to_string();
    GuestPage {
        complete: page.is_complete,
        messages: (page.messages.into_iter())
            .map(|it| GuestRemembered {
                position: message(it.offset),
                content: it.content.as_bytes().to_vec(),
            })
            .collect(),
        position,
        more,
    }
}

impl From<HistoryFailure> for HistoryError {
    fn from(failure: HistoryFailure) -> Self {
        let text = failure.to_string();
        match failure {
            HistoryFailure::NotRemembered(_) => Self::Invalid(text),
            HistoryFailure::Unavailable(_) => Self::Unavailable(text),
        }
    }
}

impl Host for HistoryCalls<'_> {
    async fn read(
        &mut self,
        group: String,
        after: Option<String>,
        limit: u32,
    ) -> wasmtime::Result<Result<GuestPage, HistoryError>> {
        Ok(self.page(&group, after.as_deref(), limit).await)
    }

    fn join(
        &mut self,
        group: String,
        after: Option<String>,
        latest: u32,
    ) -> wasmtime::Result<Result<(), HistoryError>> {
        match self.own_join(&group, after.as_deref(), latest) {
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
