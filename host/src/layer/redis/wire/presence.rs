//! Presence: how a connection is present, and how a group announces changes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Blob, WireError, encode};
use crate::{
    message::{ChannelName, Facts, MEMBERS_PER_READ_MAX, Member, MemberKey, PresenceRule, Present},
    redis::micros,
};

/// How a connection is present in the group that it joins.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WirePresent {
    member: String,
    facts: Blob,
    rule: WireRule,
}

/// Spans are in microseconds.
#[derive(Debug, Serialize, Deserialize)]
struct WireRule {
    leave_after: u64,
    interval: u64,
    listed: usize,
    clients: bool,
    channels: Vec<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    stand_in: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl From<&Present> for WirePresent {
    fn from(Present { member, rule }: &Present) -> Self {
        Self {
            member: member.key.to_string(),
            facts: Blob(member.facts.as_bytes().clone()),
            rule: rule.into(),
        }
    }
}

impl WirePresent {
    pub(super) fn into_present(self) -> Result<Present, WireError> {
        let key = MemberKey::parse(&self.member).map_err(|it| WireError::field("member")(&it))?;
        let facts = Facts::parse(self.facts.0).map_err(|it| WireError::field("facts")(&it))?;
        Ok(Present { member: Member { key, facts }, rule: self.rule.into() })
    }
}

impl From<&PresenceRule> for WireRule {
    fn from(rule: &PresenceRule) -> Self {
        Self {
            leave_after: micros(rule.leave_after),
            interval: micros(rule.interval),
            listed: rule.listed_max,
            clients: rule.clients,
            channels: rule.channels.iter().map(ToString::to_string).collect(),
            stand_in: rule.is_stand_in,
        }
    }
}

impl From<WireRule> for PresenceRule {
    fn from(rule: WireRule) -> Self {
        let channels = rule.channels.iter().filter_map(|it| ChannelName::parse(it).ok());
        Self {
            leave_after: Duration::from_micros(rule.leave_after),
            interval: Duration::from_micros(rule.interval),
            listed_max: rule.listed.min(MEMBERS_PER_READ_MAX),
            clients: rule.clients,
            channels: channels.collect(),
            is_stand_in: rule.stand_in,
        }
    }
}

/// A rule as scripts read it.
pub(in super::super) fn pack_rule(rule: &PresenceRule) -> Vec<u8> {
    encode(&WireRule::from(rule))
}

/// A rule that a script returns, if it is one.
pub(in super::super) fn unpack_rule(bytes: &[u8]) -> Option<PresenceRule> {
    rmp_serde::from_slice::<WireRule>(bytes).ok().map(Into::into)
}
