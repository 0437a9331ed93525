//! Modules that rest: they failed too often and are not run for a while.

use std::{sync::PoisonError, time::SystemTime};

use super::Registry;
use crate::message::ModuleName;

/// A pause of a module: its events are answered without running it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// The moment of the next trial run.
    pub until: SystemTime,
    /// The last failure.
    pub fault: String,
}

impl Registry {
    /// Notes that the circuit breaker of an activation opened.
    pub fn note_rest(&self, module: &ModuleName, activation: u64, rest: Rest) {
        let mut rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        rests.insert(module.clone(), (activation, rest));
    }

    /// The pause of a module, if its active version has one now.
    pub fn rest(&self, module: &ModuleName) -> Option<Rest> {
        let activation = self.snapshot().version(module)?.activation;
        let mut rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        rests.retain(|_, (_, rest)| rest.until > now);
        let (of, rest) = rests.get(module)?;
        (*of == activation).then(|| rest.clone())
    }
}
