//! One change of a module at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::DeployError;
use crate::message::ModuleName;

/// The purpose of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// A user asked for it.
    Change,
    /// Another process changed it.
    Follow,
}

/// The modules that are being changed.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Locked for single operations only.
    taken: Mutex<HashMap<ModuleName, Purpose>>,
    ended: Notify,
}

/// The right to change a module, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    pub(super) module: ModuleName,
    turns: Arc<Turns>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.taken().remove(&self.module);
        self.turns.ended.notify_waiters();
    }
}

impl Turns {
    fn taken(&self) -> MutexGuard<'_, HashMap<ModuleName, Purpose>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the right, or returns the purpose of the change under way.
    fn take(self: &Arc<Self>, module: &ModuleName, purpose: Purpose) -> Result<Turn, Purpose> {
        let mut taken = self.taken();
        if let Some(&purpose) = taken.get(module) {
            return Err(purpose);
        }
        taken.insert(module.clone(), purpose);
        Ok(Turn { module: module.clone(), turns: Arc::clone(self) })
    }

    /// Takes the right for a change that a user asked for. Refuses the second of two.
    pub(super) async fn change(self: &Arc<Self>, module: &ModuleName) -> Result<Turn, DeployError> {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            match self.take(module, Purpose::Change) {
                Ok(turn) => return Ok(turn),
                Err(Purpose::Change) => return Err(DeployError::Busy(module.clone())),
                Err(Purpose::Follow) => ended.await,
            }
        }
    }

    /// Takes the right to adopt a change of another process. Returns none while a change is under way.
    pub(super) fn follow(self: &Arc<Self>, module: &ModuleName) -> Option<Turn> {
        self.take(module, Purpose::Follow).ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_change_waits_for_what_follows_others_and_for_no_other_change_or_module() {
        let turns = Arc::<Turns>::default();
        let module = |name: &str| ModuleName::parse(name).unwrap();
        let following = turns.follow(&module("a")).unwrap();
        assert!(turns.follow(&module("a")).is_none());
        let other = turns.change(&module("b")).now_or_never().unwrap().unwrap();
        let a = module("a");
        let mut waiting = Box::pin(turns.change(&a));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(following);
        let turn = waiting.now_or_never().unwrap().unwrap();
        assert!(turns.follow(&a).is_none());
        let refused = turns.change(&a).now_or_never().unwrap();
        assert!(matches!(refused, Err(DeployError::Busy(_))), "{refused:?}");
        drop((turn, other));
        assert!(turns.follow(&a).is_some());
    }
}
