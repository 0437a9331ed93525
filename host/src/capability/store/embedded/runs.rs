//! The runs whose outcome an embedded store remembers.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use super::super::{RunId, RunOutcome};

/// How long a run is remembered.
const RUN_KEPT: Duration = Duration::from_secs(600);
/// Runs that are remembered at most. A caller that got its answer never asks, so that few are asked for.
const RUNS_MAX: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Runs {
    outcomes: HashMap<RunId, RunOutcome>,
    since: VecDeque<(Instant, RunId)>,
}

impl Runs {
    pub(super) fn get(&self, run: RunId) -> Option<RunOutcome> {
        self.outcomes.get(&run).copied()
    }

    pub(super) fn insert(&mut self, run: RunId, outcome: RunOutcome) {
        let now = Instant::now();
        while let Some(&(since, oldest)) = self.since.front()
            && (self.since.len() >= RUNS_MAX || now.duration_since(since) > RUN_KEPT)
        {
            self.since.pop_front();
            self.outcomes.remove(&oldest);
        }
        if self.outcomes.insert(run, outcome).is_none() {
            self.since.push_back((now, run));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_runs_are_remembered() {
        let mut runs = Runs::default();
        for number in 0..=RUNS_MAX {
            runs.insert(RunId(number as u128), RunOutcome::NotCommitted);
        }
        assert_eq!(runs.get(RunId(0)), None);
        assert_eq!(runs.get(RunId(1)), Some(RunOutcome::NotCommitted));
        assert_eq!((runs.outcomes.len(), runs.since.len()), (RUNS_MAX, RUNS_MAX));
    }
}
