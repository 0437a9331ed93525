//! Which groups are remembered, as the active modules say, and how much a reader gets at once.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;

use crate::message::{
    After, Content, CorrelationId, GroupName, HistoryBounds, HistoryRule, InboxEntry, LocalName,
    ModuleHistories, ModuleName, Position,
};

/// Messages of a page, and of what a join catches up with.
pub const PAGE_MESSAGES_MAX: usize = 1_000;
/// Bytes of messages of a page, and of what a join catches up with. A quarter of what may wait for a WebSocket by
/// default: text grows in an envelope.
pub const PAGE_BYTES_MAX: usize = 256 * 1024;

/// How a group is remembered.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// The module that the group belongs to.
    pub(super) module: ModuleName,
    /// How much is kept of the group.
    pub(super) rule: HistoryRule,
    /// What all groups of the module may take.
    pub(super) bounds: HistoryBounds,
}

/// The groups that the active modules have remembered. Clones share it: the registry replaces what is in it,
/// and a layer looks at it for each message to a group.
#[derive(Clone, Debug, Default)]
pub struct Histories(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    modules: ArcSwap<ByModule>,
    /// How often it was replaced.
    changes: AtomicU64,
}

/// The histories of each module, by its name.
type ByModule = HashMap<Box<str>, (ModuleName, ModuleHistories)>;

impl Histories {
    /// Replaces all of it. Modules without such groups are left out.
    pub fn replace(&self, modules: impl IntoIterator<Item = (ModuleName, ModuleHistories)>) {
        let by_name = |(module, of): (ModuleName, ModuleHistories)| {
            (Box::from(module.as_str()), (module, of))
        };
        self.0.modules.store(Arc::new(modules.into_iter().map(by_name).collect()));
        self.0.changes.fetch_add(1, Ordering::Release);
    }

    /// How often it was replaced, so that a layer notices which groups are not remembered any more.
    pub(super) fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Acquire)
    }

    /// Whether a group is remembered.
    pub fn keeps(&self, group: &GroupName) -> bool {
        self.of(group).is_some()
    }

    /// How a group is remembered, if it is.
    pub(super) fn of(&self, group: &GroupName) -> Option<Kept> {
        let modules = self.0.modules.load();
        if modules.is_empty() {
            return None;
        }
        let (name, _) = group.as_str().split_once('.')?;
        let (module, of) = modules.get(name)?;
        let rule = of.rule(module, group)?;
        Some(Kept { module: module.clone(), rule, bounds: of.bounds })
    }
}

/// The word that metrics have for how a member joins.
pub(super) const fn outcome_of_join(after: After, is_complete: bool) -> &'static str {
    match (after, is_complete) {
        (After::Nothing, _) => "new",
        (_, true) => "complete",
        (_, false) => "gap",
    }
}

/// What a member that sees positions gets when it joins: from where on it gets all messages, and whether none is
/// missing before; then the messages behind that place.
pub(super) fn entries_of_join(
    local: &LocalName,
    group: &GroupName,
    (position, is_complete): (Position, bool),
    messages: Vec<Content>,
) -> impl Iterator<Item = InboxEntry> {
    let (to, group, correlation) = (vec![local.clone()], group.clone(), CorrelationId::random());
    let from = InboxEntry::From { to: to.clone(), group: group.clone(), position, is_complete };
    let messages = messages.into_iter().zip(position.offset + 1..).map(move |(content, offset)| {
        let position = Position { offset, ..position };
        InboxEntry::Numbered {
            to: to.clone(),
            group: group.clone(),
            position,
            content,
            correlation,
        }
    });
    std::iter::once(from).chain(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has all groups of a module remembered that begin so.
    fn remembered(module: &str, pattern: &str) -> (ModuleName, ModuleHistories) {
        let rule =
            HistoryRule { messages: 5, age: std::time::Duration::from_secs(60), bytes: 1024 };
        let rules = [(pattern.parse().unwrap(), rule)];
        let histories = ModuleHistories::new(rules, HistoryBounds::default());
        (ModuleName::parse(module).unwrap(), histories)
    }

    #[test]
    fn groups_of_the_host_are_not_remembered_whatever_modules_declare() {
        let histories = Histories::default();
        histories.replace([remembered("user", "*"), remembered("m", "*")]);
        let user = GroupName::of_user(&ModuleName::parse("user").unwrap(), "ada");
        assert!(user.is_reserved() && !histories.keeps(&user));
        for (group, is_kept) in
            [("m.a", true), ("user.a", true), ("_user.m", false), ("_user.user.a", false)]
        {
            assert_eq!(histories.keeps(&GroupName::parse(group).unwrap()), is_kept, "{group}");
        }
        assert!(ModuleName::parse("_user").is_err());
    }
}
