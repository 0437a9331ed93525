//! The declarations of a module about presence in its groups.

use std::time::Duration;

use crate::message::{
    ChannelName, GroupName, GroupPattern, GroupPatternError, MEMBERS_PER_READ_MAX, ModuleName,
    PresenceRule,
};

/// The longest that a member without connections may stay.
const LEAVE_AFTER_MAX: Duration = Duration::from_secs(3600);
/// The shortest and the longest time between two announcements.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));
/// The patterns of one declaration, at most.
const PATTERNS_MAX: usize = 32;

/// The audience of a declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The clients that are in the group.
    Clients,
    /// A channel of the module.
    Channel(ChannelName),
}

/// The declaration of one consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceDeclaration {
    patterns: Vec<GroupPattern>,
    audience: Audience,
    leave_after: Duration,
    interval: Duration,
    listed_max: usize,
}

/// Which rule a declaration breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PresenceRuleError {
    /// There are no patterns, or too many.
    #[error("give 1 to {PATTERNS_MAX} names of groups")]
    Patterns,
    /// A pattern names no groups.
    #[error("pattern {0:?}: {1}")]
    Pattern(String, GroupPatternError),
    /// A member would stay too long.
    #[error("`leave_after` is {LEAVE_AFTER_MAX:?} at most")]
    LeaveAfter,
    /// Announcements would come too fast or too slowly.
    #[error("`interval` is {:?} to {:?}", INTERVALS.0, INTERVALS.1)]
    Interval,
    /// The list would be too long.
    #[error("`list` is {MEMBERS_PER_READ_MAX} at most")]
    Listed,
}

impl PresenceDeclaration {
    /// Checks a declaration. What is left out is as in [`PresenceRule::default`].
    pub fn new(
        groups: &[String],
        audience: Audience,
        (leave_after, interval): (Option<Duration>, Option<Duration>),
        listed_max: Option<usize>,
    ) -> Result<Self, PresenceRuleError> {
        if groups.is_empty() || groups.len() > PATTERNS_MAX {
            return Err(PresenceRuleError::Patterns);
        }
        let pattern = |text: &String| {
            text.parse().map_err(|error| PresenceRuleError::Pattern(text.clone(), error))
        };
        let default = PresenceRule::default();
        let declared = Self {
            patterns: groups.iter().map(pattern).collect::<Result<_, _>>()?,
            audience,
            leave_after: leave_after.unwrap_or(default.leave_after),
            interval: interval.unwrap_or(default.interval),
            listed_max: listed_max.unwrap_or(default.listed_max),
        };
        if declared.leave_after > LEAVE_AFTER_MAX {
            return Err(PresenceRuleError::LeaveAfter);
        }
        if declared.interval < INTERVALS.0 || declared.interval > INTERVALS.1 {
            return Err(PresenceRuleError::Interval);
        }
        if declared.listed_max > MEMBERS_PER_READ_MAX {
            return Err(PresenceRuleError::Listed);
        }
        Ok(declared)
    }
}

/// The declarations of a module about presence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PresenceRules(Vec<PresenceDeclaration>);

impl PresenceRules {
    /// The declarations of all consumers; none where nobody declares any.
    pub fn of(declared: impl Iterator<Item = PresenceDeclaration>) -> Option<Self> {
        let rules: Vec<_> = declared.collect();
        (!rules.is_empty()).then_some(Self(rules))
    }

    /// How a group announces who comes and goes. Where several declarations are about it, the longest times and the
    /// longest list hold.
    pub fn rule(&self, module: &ModuleName, group: &GroupName) -> PresenceRule {
        let name = group.within(module);
        let fits = |it: &&PresenceDeclaration| {
            name.is_some_and(|name| it.patterns.iter().any(|pattern| pattern.matches(name)))
        };
        let mut declared = self.0.iter().filter(fits);
        let Some(first) = declared.next() else { return PresenceRule::default() };
        let mut rule = PresenceRule {
            leave_after: first.leave_after,
            interval: first.interval,
            listed_max: first.listed_max,
            ..PresenceRule::default()
        };
        for it in std::iter::once(first).chain(declared) {
            rule.leave_after = rule.leave_after.max(it.leave_after);
            rule.interval = rule.interval.max(it.interval);
            rule.listed_max = rule.listed_max.max(it.listed_max);
            match &it.audience {
                Audience::Clients => rule.clients = true,
                Audience::Channel(channel) => rule.channels.push(channel.clone()),
            }
        }
        rule
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(groups: &[&str], audience: Audience, leave: u64) -> PresenceDeclaration {
        let groups: Vec<_> = groups.iter().map(ToString::to_string).collect();
        let leave = Some(Duration::from_secs(leave));
        PresenceDeclaration::new(&groups, audience, (leave, None), None).unwrap()
    }

    #[test]
    fn a_group_has_what_all_declarations_about_it_say() {
        let channel = ChannelName::parse("m.changes").unwrap();
        let rules = PresenceRules::of(
            [
                declared(&["room.*", "lobby"], Audience::Clients, 5),
                declared(&["room.a"], Audience::Channel(channel.clone()), 7),
            ]
            .into_iter(),
        )
        .unwrap();
        let module = ModuleName::parse("m").unwrap();
        let rule = |name: &str| rules.rule(&module, &GroupName::parse(name).unwrap());
        let clients = PresenceRule { clients: true, ..PresenceRule::default() };
        let five = Duration::from_secs(5);
        assert_eq!(rule("m.lobby"), PresenceRule { leave_after: five, ..clients.clone() });
        assert_eq!(rule("m.room.b"), PresenceRule { leave_after: five, ..clients.clone() });
        let both = PresenceRule {
            leave_after: Duration::from_secs(7),
            channels: vec![channel],
            ..clients
        };
        assert_eq!(rule("m.room.a"), both);
        for other in ["m.lobby2", "m.room", "other.lobby", "mm.lobby", "lobby"] {
            assert_eq!(rule(other), PresenceRule::default(), "{other}");
        }
    }

    #[test]
    fn each_broken_rule_is_named() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let new = |groups: &[&str], times, listed| {
            let groups: Vec<_> = groups.iter().map(ToString::to_string).collect();
            PresenceDeclaration::new(&groups, Audience::Clients, times, listed).map(drop)
        };
        assert_eq!(new(&["*"], (seconds(0), None), Some(0)), Ok(()));
        assert_eq!(new(&[], (None, None), None), Err(PresenceRuleError::Patterns));
        for wrong in ["", "a*", "a*b", "a b", "*a", "a!b"] {
            let error = new(&[wrong], (None, None), None).unwrap_err();
            assert!(matches!(&error, PresenceRuleError::Pattern(text, _) if text == wrong));
        }
        let a = &["a"][..];
        assert_eq!(new(a, (seconds(3601), None), None), Err(PresenceRuleError::LeaveAfter));
        assert_eq!(new(a, (None, seconds(0)), None), Err(PresenceRuleError::Interval));
        assert_eq!(new(a, (None, seconds(61)), None), Err(PresenceRuleError::Interval));
        assert_eq!(new(a, (None, None), Some(1_001)), Err(PresenceRuleError::Listed));
    }
}
