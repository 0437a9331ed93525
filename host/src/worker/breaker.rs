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

/// The verdict of a run about its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The module works.
    Good,
    /// The module fails.
    Bad,
    /// None: something else failed.
    None,
}

/// Permission to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pass {
    /// Whether the run is the one whose outcome decides. Others may run beside it: the ends of
    /// connections, and what began earlier.
    trial: bool,
}

#[derive(Debug)]
enum State {
    /// Runs; the moments of recent faults.
    Shut(VecDeque<Instant>),
    /// Does not run until a moment; the pause that led there.
    Open { until: Instant, pause: Duration },
    /// One trial runs; its outcome decides. The pause that led there.
    HalfOpen { pause: Duration },
}

#[derive(Debug)]
struct Breaker {
    /// Another activation begins with another breaker.
    activation: u64,
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

    /// Gives permission to run an activation of a module now, unless its breaker is open.
    pub(super) fn admit(&self, module: &ModuleName, activation: u64) -> Option<Pass> {
        let mut breakers = self.breakers();
        let Some(breaker) = breakers.get_mut(module).filter(|it| it.activation == activation)
        else {
            return Some(Pass::default());
        };
        match breaker.state {
            State::Shut(_) => Some(Pass::default()),
            State::Open { until, pause } if Instant::now() >= until => {
                breaker.state = State::HalfOpen { pause };
                Some(Pass { trial: true })
            }
            State::HalfOpen { .. } | State::Open { .. } => None,
        }
    }

    /// Notes how a run ended. Returns the pause if it opened the breaker.
    pub(super) fn note(
        &self,
        module: &ModuleName,
        activation: u64,
        pass: Pass,
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
            .or_insert_with(|| Breaker { activation, state: State::Shut(VecDeque::new()) });
        if breaker.activation != activation {
            // A run of an earlier activation says nothing about this one.
            if breaker.activation > activation {
                return None;
            }
            *breaker = Breaker { activation, state: State::Shut(VecDeque::new()) };
        }
        let pause = match (&mut breaker.state, verdict) {
            (State::HalfOpen { .. }, _) if !pass.trial => return None,
            (State::HalfOpen { .. }, Verdict::Good) => {
                breaker.state = State::Shut(VecDeque::new());
                return None;
            }
            (State::HalfOpen { pause }, Verdict::None) => {
                // Another trial, at once.
                breaker.state = State::Open { until: now, pause: *pause };
                return None;
            }
            (State::HalfOpen { pause }, Verdict::Bad) => {
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
            // A good run does not take back earlier faults, and runs that began before the pause do not count.
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

    const TRIAL: Pass = Pass { trial: true };
    const BESIDE: Pass = Pass { trial: false };

    fn module() -> ModuleName {
        ModuleName::parse("m").unwrap()
    }

    fn failed(breakers: &Breakers, times: usize) -> Option<Duration> {
        let note = |_| breakers.note(&module(), 1, BESIDE, Verdict::Bad);
        (0..times).filter_map(note).last()
    }

    #[tokio::test(start_paused = true)]
    async fn opens_after_20_faults_in_10_seconds_and_not_after_19() {
        let breakers = Breakers::new(BreakerConfig::default());
        assert_eq!(failed(&breakers, 19), None);
        tokio::time::advance(Duration::from_millis(10_001)).await;
        assert_eq!(failed(&breakers, 19), None, "the first 19 are too long ago");
        assert_eq!(breakers.admit(&module(), 1), Some(BESIDE));
        assert_eq!(failed(&breakers, 1), Some(Duration::from_secs(1)));
        assert_eq!(breakers.admit(&module(), 1), None);
        assert_eq!(breakers.admit(&ModuleName::parse("other").unwrap(), 1), Some(BESIDE));
    }

    #[tokio::test(start_paused = true)]
    async fn one_trial_after_the_pause_decides_and_pauses_grow_to_a_minute() {
        let breakers = Breakers::new(BreakerConfig::default());
        let mut pause = failed(&breakers, 20).unwrap();
        for expected in [2, 4, 8, 16, 32, 60, 60] {
            tokio::time::advance(pause).await;
            assert_eq!(breakers.admit(&module(), 1), Some(TRIAL));
            assert_eq!(breakers.admit(&module(), 1), None, "one trial only");
            pause = breakers.note(&module(), 1, TRIAL, Verdict::Bad).unwrap();
            assert_eq!(pause, Duration::from_secs(expected));
        }
        tokio::time::advance(pause).await;
        assert_eq!(breakers.admit(&module(), 1), Some(TRIAL));
        breakers.note(&module(), 1, TRIAL, Verdict::Good);
        assert_eq!(failed(&breakers, 19), None, "shut again, with nothing remembered");
        assert_eq!(breakers.admit(&module(), 1), Some(BESIDE));
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_trial_decides_and_a_new_version_is_not_blamed() {
        let breakers = Breakers::new(BreakerConfig::default());
        let pause = failed(&breakers, 20).unwrap();
        tokio::time::advance(pause).await;
        assert_eq!(breakers.admit(&module(), 1), Some(TRIAL));
        // Runs that began earlier, and the ends of connections, end while it runs.
        for verdict in [Verdict::Bad, Verdict::Good, Verdict::None] {
            assert_eq!(breakers.note(&module(), 1, BESIDE, verdict), None);
            assert_eq!(breakers.admit(&module(), 1), None, "{verdict:?}");
        }
        // The trial itself says nothing: there is another one.
        breakers.note(&module(), 1, TRIAL, Verdict::None);
        assert_eq!(breakers.admit(&module(), 1), Some(TRIAL));
        breakers.note(&module(), 1, TRIAL, Verdict::Bad);
        assert_eq!(breakers.admit(&module(), 1), None);
        assert_eq!(breakers.admit(&module(), 2), Some(BESIDE), "other code");
        breakers.note(&module(), 2, BESIDE, Verdict::Bad);
        assert_eq!(breakers.note(&module(), 1, TRIAL, Verdict::Bad), None);
        assert_eq!(breakers.admit(&module(), 2), Some(BESIDE));
    }
}
