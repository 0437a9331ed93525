//! Presence, as one invocation asks for it.

use super::{Call, SharedCall};
use crate::host::PresenceHost;
use crate::host::layer::SendError;
use crate::host::presence::{Page, PresenceError};
use crate::testing::world::Item;
use crate::testing::{rules, value};

const KEY_BYTES_MAX: usize = 256;
const FACTS_BYTES_MAX: usize = 1024;
const MEMBERS_PER_READ_MAX: u32 = 1_000;
const READS_PER_RUN_MAX: u32 = 100;

impl Call {
    fn may_be_in(&self, group: &str) -> Result<(), PresenceError> {
        self.may_use(group).map_err(|error| match error {
            SendError::Forbidden(text) => PresenceError::Forbidden(text),
            other => PresenceError::Invalid(crate::SendError::from(other).to_string()),
        })
    }
}

fn check_key(key: &str) -> Result<(), PresenceError> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX || key.chars().any(char::is_control) {
        return Err(PresenceError::Invalid(format!(
            "the key of a member has 1 to {KEY_BYTES_MAX} bytes and no control characters"
        )));
    }
    Ok(())
}

fn check_facts(facts: &[u8]) -> Result<(), PresenceError> {
    let bytes = facts.len();
    if bytes > FACTS_BYTES_MAX {
        return Err(PresenceError::Invalid(format!(
            "the facts of a member take {bytes} bytes; at most {FACTS_BYTES_MAX} are taken"
        )));
    }
    rules::content(facts).map_err(|error| {
        let error = crate::SendError::from(error);
        PresenceError::Invalid(format!("the facts of a member: {error}"))
    })?;
    let entries = value::read(facts).unwrap_or_default();
    match entries.iter().find(|(_, value)| !value.is_json()) {
        Some((name, _)) => Err(PresenceError::Invalid(format!(
            "the fact {name:?} has bytes, or a number that is not finite; clients get facts as JSON, so send text in \
             its place"
        ))),
        None => Ok(()),
    }
}

impl PresenceHost for SharedCall {
    fn present(
        &mut self,
        group: &str,
        channel: &str,
        key: &str,
        facts: &[u8],
    ) -> Result<(), PresenceError> {
        let mut call = self.0.borrow_mut();
        call.may_be_in(group)?;
        if !channel.contains('!') || rules::channel(channel).is_err() {
            return Err(PresenceError::Invalid(format!(
                "{channel:?} is no reply channel, and connections are present; give the reply channel of one"
            )));
        }
        check_key(key)?;
        check_facts(facts)?;
        call.put(Item::Present {
            group: group.to_owned(),
            channel: channel.to_owned(),
            key: key.to_owned(),
            facts: facts.to_owned(),
        });
        Ok(())
    }

    fn members(
        &mut self,
        group: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page, PresenceError> {
        let mut call = self.0.borrow_mut();
        call.may_be_in(group)?;
        if !(1..=MEMBERS_PER_READ_MAX).contains(&limit) {
            return Err(PresenceError::Invalid(format!(
                "a part of a list has 1 to {MEMBERS_PER_READ_MAX} members, not {limit}"
            )));
        }
        call.members_reads += 1;
        if call.members_reads > READS_PER_RUN_MAX {
            return Err(PresenceError::Invalid(format!(
                "a run reads {READS_PER_RUN_MAX} parts of lists of members; leave the rest to another run"
            )));
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(call.world.borrow().presence.page(group, cursor, limit))
    }
}
