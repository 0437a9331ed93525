//! Turns of runs that conflict: an attempt that is made again commits while no other run of its module does.
//!
//! Turns hold within a process, and only save work: the store decides what commits. So nobody waits for one
//! without end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock},
    time::{Instant, sleep_until, timeout},
};

use crate::message::ModuleName;

/// How long a commit waits for an attempt that has a turn of its own.
const SHARED_TIMEOUT: Duration = Duration::from_millis(100);
/// How long an attempt waits for a turn of its own.
const OWN_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest pause before the third attempt, doubled for each further one: other processes take no turns
/// with this one.
const PAUSE: Duration = Duration::from_millis(2);

/// A turn that an attempt has alone.
pub(super) type OwnTurn = OwnedRwLockWriteGuard<()>;

/// The turns of all modules.
#[derive(Debug, Default)]
pub(super) struct Turns {
    modules: Mutex<HashMap<ModuleName, Arc<RwLock<()>>>>,
}

impl Turns {
    fn of(&self, module: &ModuleName) -> Arc<RwLock<()>> {
        // A panic elsewhere leaves the map whole: every change is a single operation.
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        match modules.get(module) {
            Some(turns) => Arc::clone(turns),
            None => Arc::clone(modules.entry(module.clone()).or_default()),
        }
    }

    /// Waits until no attempt of a module has a turn of its own; for a while.
    pub(super) async fn shared(&self, module: &ModuleName) -> Option<OwnedRwLockReadGuard<()>> {
        timeout(SHARED_TIMEOUT, self.of(module).read_owned()).await.ok()
    }

    /// Waits for a turn of its own for an attempt of a module, which counts from 1; for a while.
    pub(super) async fn own(&self, module: &ModuleName, attempt: u32) -> Option<OwnTurn> {
        if let Some(doublings) = attempt.checked_sub(3) {
            let longest = PAUSE.saturating_mul(1 << doublings.min(8));
            sleep_until(Instant::now() + longest.mul_f64(rand::random())).await;
        }
        timeout(OWN_TIMEOUT, self.of(module).write_owned()).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_has_a_turn_of_its_own_is_alone_and_nobody_waits_without_end() {
        let (turns, [shop, chat]) =
            (Turns::default(), ["shop", "chat"].map(|name| ModuleName::parse(name).unwrap()));
        let (one, other) = (turns.shared(&shop).await, turns.shared(&shop).await);
        assert!(one.is_some() && other.is_some());
        assert!(turns.own(&shop, 2).now_or_never().is_none(), "two commit");
        drop((one, other));
        let own = turns.own(&shop, 2).await;
        assert!(own.is_some());
        assert!(turns.shared(&chat).await.is_some(), "another module");
        let began = Instant::now();
        assert!(turns.shared(&shop).await.is_none());
        assert!(turns.own(&shop, 2).await.is_none());
        assert_eq!(began.elapsed(), SHARED_TIMEOUT + OWN_TIMEOUT);
        drop(own);
        assert!(turns.shared(&shop).await.is_some());
    }
}
