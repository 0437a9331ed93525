//! The circuit breaker of each module: after too many faults in a short time its events are answered
//! without running it, for a pause that grows while it keeps failing.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::message::ModuleName;

/// When to stop running a module, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Off: modules run however often they fail.
    pub enabled: bool,
    /// So many faults ...
    pub faults: usize,
    /// ... within this time open the breaker ...
    pub window: Duration,
    /// ... for this long, the first time. Each failed trial doubles it ...
    pub pause: Duration,
    /// ... up to this.
    pub longest_pause: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            faults: 20,
            window: Duration::from_secs(10),
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
        }
    }
}

#[derive(Debug)]
enum State {
    /// Runs; the moments of recent faults.
    Shut(VecDeque<Instant>),
    /// Does not run until a moment; the pause that led there.
    Open { until: Instant, pause: Duration },
    /// One trial runs; its outcome decides.
    HalfOpen { pause: Duration },
}

/// The breakers of all modules.
#[derive(Debug)]
pub(super) struct Breakers {
    config: BreakerConfig,
    states: Mutex<HashMap<ModuleName, State>>,
}

impl Breakers {
    pub(super) fn new(config: BreakerConfig) -> Self {
        Self { config, states: Mutex::default() }
    }

    fn states(&self) -> MutexGuard<'_, HashMap<ModuleName, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a module may run now.
    pub(super) fn admits(&self, module: &ModuleName) -> bool {
        let mut states = self.states();
        let Some(state) = states.get_mut(module) else { return true };
        match *state {
            State::Shut(_) => true,
            State::HalfOpen { .. } => false,
            State::Open { until, pause } if Instant::now() >= until => {
                *state = State::HalfOpen { pause };
                true
            }
            State::Open { .. } => false,
        }
    }

    /// Notes how a run ended. Returns the pause if it opened the breaker.
    pub(super) fn note(&self, module: &ModuleName, faulted: bool) -> Option<Duration> {
        if !self.config.enabled {
            return None;
        }
        let mut states = self.states();
        if !faulted {
            // Without an entry it is shut; a good run while shut forgives nothing.
            if let Some(State::HalfOpen { .. }) = states.get(module) {
                states.remove(module);
            }
            return None;
        }
        let now = Instant::now();
        let state = states.entry(module.clone()).or_insert_with(|| State::Shut(VecDeque::new()));
        let pause = match state {
            State::Shut(faults) => {
                faults.push_back(now);
                while faults.front().is_some_and(|&at| now - at > self.config.window) {
                    faults.pop_front();
                }
                if faults.len() < self.config.faults {
                    return None;
                }
                self.config.pause
            }
            State::HalfOpen { pause } => (*pause * 2).min(self.config.longest_pause),
            // A run that began before the breaker opened.
            State::Open { .. } => return None,
        };
        *state = State::Open { until: now + pause, pause };
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module() -> ModuleName {
        ModuleName::parse("m").unwrap()
    }

    fn failed(breakers: &Breakers, times: usize) -> Option<Duration> {
        (0..times).filter_map(|_| breakers.note(&module(), true)).last()
    }

    #[tokio::test(start_paused = true)]
    async fn opens_after_20_faults_in_10_seconds_and_not_after_19() {
        let breakers = Breakers::new(BreakerConfig::default());
        assert_eq!(failed(&breakers, 19), None);
        tokio::time::advance(Duration::from_millis(10_001)).await;
        assert_eq!(failed(&breakers, 19), None, "the first 19 are too long ago");
        assert!(breakers.admits(&module()));
        assert_eq!(failed(&breakers, 1), Some(Duration::from_secs(1)));
        assert!(!breakers.admits(&module()));
        assert!(breakers.admits(&ModuleName::parse("other").unwrap()));
    }

    #[tokio::test(start_paused = true)]
    async fn one_trial_after_the_pause_decides_and_pauses_grow_to_a_minute() {
        let breakers = Breakers::new(BreakerConfig::default());
        let mut pause = failed(&breakers, 20).unwrap();
        for expected in [2, 4, 8, 16, 32, 60, 60] {
            tokio::time::advance(pause).await;
            assert!(breakers.admits(&module()), "a trial");
            assert!(!breakers.admits(&module()), "one trial only");
            pause = failed(&breakers, 1).unwrap();
            assert_eq!(pause, Duration::from_secs(expected));
        }
        tokio::time::advance(pause).await;
        assert!(breakers.admits(&module()));
        breakers.note(&module(), false);
        assert_eq!(failed(&breakers, 19), None, "shut again, with nothing remembered");
        assert!(breakers.admits(&module()));
    }
}
