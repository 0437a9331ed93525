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

/// What a run says about its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It works.
    Good,
    /// It fails.
    Bad,
    /// Nothing: something else failed.
    None,
}

#[derive(Debug)]
enum State {
    /// Runs; the moments of recent faults.
    Shut(VecDeque<Instant>),
    /// Does not run until a moment; the pause that led there.
    Open { until: Instant, pause: Duration },
    /// One trial runs, which began then; its outcome decides.
    HalfOpen { began: Instant, pause: Duration },
}

#[derive(Debug)]
struct Breaker {
    /// Another version begins with another breaker.
    version: u64,
    state: State,
}

/// The breakers of all modules.
#[derive(Debug)]
pub(super) struct Breakers {
    config: BreakerConfig,
    /// A module without an entry runs.
    breakers: Mutex<HashMap<ModuleName, Breaker>>,
}

impl Breakers {
    pub(super) fn new(config: BreakerConfig) -> Self {
        Self { config, breakers: Mutex::default() }
    }

    fn breakers(&self) -> MutexGuard<'_, HashMap<ModuleName, Breaker>> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a version of a module may run now.
    pub(super) fn admits(&self, module: &ModuleName, version: u64) -> bool {
        let mut breakers = self.breakers();
        let Some(breaker) = breakers.get_mut(module).filter(|it| it.version == version) else {
            return true;
        };
        let now = Instant::now();
        match breaker.state {
            State::Shut(_) => true,
            State::HalfOpen { .. } => false,
            State::Open { until, pause } if now >= until => {
                breaker.state = State::HalfOpen { began: now, pause };
                true
            }
            State::Open { .. } => false,
        }
    }

    /// Notes how a run that began then ended. Returns the pause if it opened the breaker.
    pub(super) fn note(
        &self,
        module: &ModuleName,
        version: u64,
        began: Instant,
        verdict: Verdict,
    ) -> Option<Duration> {
        if !self.config.enabled {
            return None;
        }
        let now = Instant::now();
        let mut breakers = self.breakers();
        if verdict != Verdict::Bad && !breakers.contains_key(module) {
            return None;
        }
        let breaker = breakers
            .entry(module.clone())
            .or_insert_with(|| Breaker { version, state: State::Shut(VecDeque::new()) });
        if breaker.version != version {
            // A run of an old version says nothing about the new one.
            if breaker.version > version {
                return None;
            }
            *breaker = Breaker { version, state: State::Shut(VecDeque::new()) };
        }
        let pause = match (&mut breaker.state, verdict) {
            // Begun before the trial: only the trial decides.
            (State::HalfOpen { began: trial, .. }, _) if began < *trial => return None,
            (State::HalfOpen { .. }, Verdict::Good) => {
                breaker.state = State::Shut(VecDeque::new());
                return None;
            }
            (State::HalfOpen { pause, .. }, Verdict::None) => {
                // Another trial, at once.
                breaker.state = State::Open { until: now, pause: *pause };
                return None;
            }
            (State::HalfOpen { pause, .. }, Verdict::Bad) => {
                (*pause * 2).min(self.config.longest_pause)
            }
            (State::Shut(faults), Verdict::Bad) => {
                faults.push_back(now);
                while faults.front().is_some_and(|&at| now - at > self.config.window) {
                    faults.pop_front();
                }
                if faults.len() < self.config.faults {
                    return None;
                }
                self.config.pause
            }
            // A good run forgives nothing, and runs that began earlier do not matter.
            (State::Shut(_), Verdict::Good | Verdict::None) | (State::Open { .. }, _) => {
                return None;
            }
        };
        breaker.state = State::Open { until: now + pause, pause };
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
        let note = |_| breakers.note(&module(), 1, Instant::now(), Verdict::Bad);
        (0..times).filter_map(note).last()
    }

    #[tokio::test(start_paused = true)]
    async fn opens_after_20_faults_in_10_seconds_and_not_after_19() {
        let breakers = Breakers::new(BreakerConfig::default());
        assert_eq!(failed(&breakers, 19), None);
        tokio::time::advance(Duration::from_millis(10_001)).await;
        assert_eq!(failed(&breakers, 19), None, "the first 19 are too long ago");
        assert!(breakers.admits(&module(), 1));
        assert_eq!(failed(&breakers, 1), Some(Duration::from_secs(1)));
        assert!(!breakers.admits(&module(), 1));
        assert!(breakers.admits(&ModuleName::parse("other").unwrap(), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn one_trial_after_the_pause_decides_and_pauses_grow_to_a_minute() {
        let breakers = Breakers::new(BreakerConfig::default());
        let mut pause = failed(&breakers, 20).unwrap();
        for expected in [2, 4, 8, 16, 32, 60, 60] {
            tokio::time::advance(pause).await;
            assert!(breakers.admits(&module(), 1), "a trial");
            assert!(!breakers.admits(&module(), 1), "one trial only");
            pause = failed(&breakers, 1).unwrap();
            assert_eq!(pause, Duration::from_secs(expected));
        }
        tokio::time::advance(pause).await;
        assert!(breakers.admits(&module(), 1));
        breakers.note(&module(), 1, Instant::now(), Verdict::Good);
        assert_eq!(failed(&breakers, 19), None, "shut again, with nothing remembered");
        assert!(breakers.admits(&module(), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_trial_decides_and_a_new_version_is_not_blamed() {
        let breakers = Breakers::new(BreakerConfig::default());
        let early = Instant::now();
        let pause = failed(&breakers, 20).unwrap();
        tokio::time::advance(pause).await;
        assert!(breakers.admits(&module(), 1));
        // Runs that began before the trial end while it runs.
        assert_eq!(breakers.note(&module(), 1, early, Verdict::Bad), None);
        assert_eq!(breakers.note(&module(), 1, early, Verdict::Good), None);
        assert!(!breakers.admits(&module(), 1));
        // The trial itself says nothing: there is another one.
        breakers.note(&module(), 1, Instant::now(), Verdict::None);
        assert!(breakers.admits(&module(), 1));
        failed(&breakers, 1).unwrap();
        assert!(!breakers.admits(&module(), 1));
        assert!(breakers.admits(&module(), 2), "other code");
        breakers.note(&module(), 2, Instant::now(), Verdict::Bad);
        assert_eq!(breakers.note(&module(), 1, Instant::now(), Verdict::Bad), None);
        assert!(breakers.admits(&module(), 2));
    }
}
