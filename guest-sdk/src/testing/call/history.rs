//! The histories that one invocation reads, and the groups that it joins from a position.

use super::{Call, SharedCall};
use crate::host::HistoryHost;
use crate::host::history::{HistoryError, Page};
use crate::testing::history::MESSAGES_MAX;
use crate::testing::world::Item;

impl Call {
    fn may_remember(&self, group: &str) -> Result<(), HistoryError> {
        use crate::host::layer::SendError;
        self.may_use(group).map_err(|error| match error {
            SendError::Forbidden(text) => HistoryError::Forbidden(text),
            error => HistoryError::Invalid(crate::SendError::from(error).to_string()),
        })?;
        if self.world.borrow().keeps_history(group) {
            return Ok(());
        }
        Err(HistoryError::Invalid(format!(
            "group {group} is not remembered; its module declares that it is: \
             export! {{ #[history(\"room.*\")] .. }}"
        )))
    }
}

impl HistoryHost for SharedCall {
    fn read_history(
        &mut self,
        group: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page, HistoryError> {
        let call = self.0.borrow();
        call.may_remember(group)?;
        if !(1..=MESSAGES_MAX).contains(&limit) {
            let rule =
                format!("a page has 1 to {MESSAGES_MAX} messages; this call asks for {limit}");
            return Err(HistoryError::Invalid(rule));
        }
        let page = call.world.borrow_mut().page(group, after, limit);
        page.ok_or_else(|| HistoryError::Invalid(format!("group {group} is not remembered")))
    }

    fn group_join(
        &mut self,
        group: &str,
        after: Option<&str>,
        latest: u32,
    ) -> Result<(), HistoryError> {
        let mut call = self.0.borrow_mut();
        call.may_remember(group)?;
        if latest > MESSAGES_MAX {
            let rule =
                format!("a join sends at most the latest {MESSAGES_MAX} messages, not {latest}");
            return Err(HistoryError::Invalid(rule));
        }
        let Some(channel) = call.facts.connection.clone() else {
            let rule = "a message on a channel has no connection of its own that could join";
            return Err(HistoryError::Invalid(rule.to_owned()));
        };
        let (group, after) = (group.to_owned(), after.map(str::to_owned));
        call.put(Item::GroupJoin { group, channel, after, latest });
        Ok(())
    }
}
