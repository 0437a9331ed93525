//! The one thread that writes the file. What is asked of it while it syncs goes together into its next
//! transaction, so that many commits cost one sync. An answer leaves when its transaction is synced.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{mpsc, oneshot};

use super::{
    super::{
        Commit, CommitError, Committed, Due, Place, RunId, RunOutcome, StoreError, timer::DUE_BYTES,
    },
    apply::{Batch, Refused},
    core::Core,
    read::Failure,
    runs::Runs,
};
use crate::message::ModuleName;

/// Requests of one transaction.
const BATCH_REQUESTS_MAX: usize = 512;
/// Bytes from which on a transaction takes no more.
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Requests that may wait.
pub(super) const QUEUE_MAX: usize = 1_024;

/// Answers a request.
pub(super) type Answer<T, E> = oneshot::Sender<Result<T, E>>;

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Request {
    Commit(ModuleName, Box<Commit>, Answer<Committed, CommitError>),
    Outcome(RunId, Answer<RunOutcome, StoreError>),
    Forget(ModuleName, Vec<Place>, Answer<usize, StoreError>),
    Due(usize, Answer<Due, StoreError>),
    Sweep(Answer<usize, StoreError>),
    Clear(ModuleName, Answer<usize, StoreError>),
}

/// An answer that waits for the sync.
enum Ready {
    Commit(Result<Committed, CommitError>, Answer<Committed, CommitError>),
    Outcome(RunOutcome, Answer<RunOutcome, StoreError>),
    Due(Due, Answer<Due, StoreError>),
    Count(usize, Answer<usize, StoreError>),
}

impl Ready {
    /// Lets the answer leave. Nobody may want it any more.
    fn deliver(self) {
        match self {
            Self::Commit(result, answer) => drop(answer.send(result)),
            Self::Outcome(outcome, answer) => drop(answer.send(Ok(outcome))),
            Self::Due(due, answer) => drop(answer.send(Ok(due))),
            Self::Count(count, answer) => drop(answer.send(Ok(count))),
        }
    }

    /// Lets another answer leave, since the transaction failed: before its commit, or in it.
    fn fail(self, reason: &str, is_unknown: bool) {
        let stopped = || StoreError::Stopped { reason: reason.to_owned() };
        match self {
            Self::Commit(Ok(Committed { number: Some(_) }), answer) if is_unknown => {
                drop(answer.send(Err(CommitError::Unknown { reason: reason.to_owned() })));
            }
            Self::Commit(_, answer) => drop(answer.send(Err(stopped().into()))),
            Self::Outcome(_, answer) => drop(answer.send(Err(stopped()))),
            Self::Due(_, answer) => drop(answer.send(Err(stopped()))),
            Self::Count(_, answer) => drop(answer.send(Err(stopped()))),
        }
    }
}

impl Request {
    /// How many bytes it writes.
    fn bytes(&self) -> usize {
        match self {
            Self::Commit(_, commit, _) => commit.bytes(),
            Self::Due(..) => DUE_BYTES,
            Self::Outcome(..) | Self::Forget(..) | Self::Sweep(_) | Self::Clear(..) => 0,
        }
    }

    fn fail(self, error: StoreError) {
        match self {
            Self::Commit(.., answer) => drop(answer.send(Err(error.into()))),
            Self::Outcome(_, answer) => drop(answer.send(Err(error))),
            Self::Due(_, answer) => drop(answer.send(Err(error))),
            Self::Forget(.., answer) | Self::Sweep(answer) | Self::Clear(_, answer) => {
                drop(answer.send(Err(error)));
            }
        }
    }
}

/// What the thread has.
pub(super) struct Writer {
    pub(super) core: Arc<Core>,
    pub(super) runs: Runs,
    pub(super) requests: mpsc::Receiver<Request>,
    /// Why nothing is written any more. Shared with who asks.
    pub(super) stopped: Arc<Mutex<Option<StoreError>>>,
}

impl Writer {
    /// Writes until nobody can ask any more.
    pub(super) fn run(mut self) {
        while let Some(first) = self.requests.blocking_recv() {
            let mut bytes = first.bytes();
            let mut batch = vec![first];
            while batch.len() < BATCH_REQUESTS_MAX
                && bytes < BATCH_BYTES_MAX
                && let Ok(next) = self.requests.try_recv()
            {
                bytes += next.bytes();
                batch.push(next);
            }
            let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match stopped {
                Some(error) => batch.into_iter().for_each(|request| request.fail(error.clone())),
                None => self.write(batch),
            }
        }
    }

    fn write(&mut self, batch: Vec<Request>) {
        let (mut ready, mut rest) = (Vec::with_capacity(batch.len()), batch.into_iter());
        let mut is_unknown = false;
        // The library panics at some damage of the file.
        let written = catch_unwind(AssertUnwindSafe(|| {
            self.transact(&mut rest, &mut ready, &mut is_unknown)
        }));
        let failure = match written {
            Ok(Ok(committed)) => {
                for (run, number) in committed {
                    self.runs.insert(run, RunOutcome::Committed { number });
                }
                return ready.into_iter().for_each(Ready::deliver);
            }
            Ok(Err(failure)) => failure.to_string(),
            Err(_) => "its file is damaged".to_owned(),
        };
        tracing::error!(reason = failure, "the store stops writing until it is opened again");
        let error = StoreError::Stopped { reason: failure.clone() };
        let stopped = Some(error.clone());
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = stopped;
        ready.into_iter().for_each(|ready| ready.fail(&failure, is_unknown));
        rest.for_each(|request| request.fail(error.clone()));
    }

    /// Does all that is asked for in one transaction. Returns the commits that it has. Sets `is_unknown` when
    /// the transaction may have taken effect although this fails.
    fn transact(
        &mut self,
        requests: &mut impl Iterator<Item = Request>,
        ready: &mut Vec<Ready>,
        is_unknown: &mut bool,
    ) -> Result<Vec<(RunId, u64)>, Failure> {
        let transaction = self.core.database.begin_write()?;
        let mut batch = Batch::new(&transaction, self.core.clock.now())?;
        for request in requests {
            self.serve(request, &mut batch, ready)?;
        }
        let has_changes = batch.has_changes;
        let committed = batch.finish()?;
        if has_changes {
            *is_unknown = true;
            transaction.commit()?;
        } else {
            transaction.abort()?;
        }
        Ok(committed)
    }

    /// Does one thing. A request that fails the whole transaction gets its answer by that.
    fn serve(
        &mut self,
        request: Request,
        batch: &mut Batch<'_>,
        ready: &mut Vec<Ready>,
    ) -> Result<(), Failure> {
        match request {
            Request::Commit(module, commit, answer) => {
                let result = match self.known(commit.run, batch) {
                    Some(RunOutcome::Committed { number }) => {
                        Ok(Committed { number: Some(number) })
                    }
                    Some(RunOutcome::NotCommitted) => Err(CommitError::Unknown {
                        reason: "the outcome of the run was asked for before".to_owned(),
                    }),
                    None => match batch.commit(&module, &commit) {
                        Ok(committed) => Ok(committed),
                        Err(Refused::Commit(error)) => Err(error),
                        // Found before anything was changed: others are not concerned.
                        Err(Refused::Failure(Failure::Damaged(what))) => {
                            Err(StoreError::Damaged { what }.into())
                        }
                        Err(Refused::Failure(failure)) => {
                            ready.push(Ready::Commit(Ok(Committed { number: None }), answer));
                            return Err(failure);
                        }
                    },
                };
                ready.push(Ready::Commit(result, answer));
            }
            Request::Outcome(run, answer) => {
                let outcome = self.known(run, batch).unwrap_or_else(|| {
                    self.runs.insert(run, RunOutcome::NotCommitted);
                    RunOutcome::NotCommitted
                });
                ready.push(Ready::Outcome(outcome, answer));
            }
            Request::Forget(module, places, answer) => {
                let forgotten = batch.forget(&module, &places);
                ready.push(Ready::Count(places.len(), answer));
                forgotten?;
            }
            Request::Due(limit, answer) => {
                let due = batch.due(limit);
                ready.push(Ready::Due(due.as_ref().ok().cloned().unwrap_or_default(), answer));
                due?;
            }
            Request::Sweep(answer) => {
                let swept = batch.sweep();
                ready.push(Ready::Count(*swept.as_ref().unwrap_or(&0), answer));
                swept?;
            }
            Request::Clear(module, answer) => {
                let cleared = batch.clear(&module);
                ready.push(Ready::Count(*cleared.as_ref().unwrap_or(&0), answer));
                cleared?;
            }
        }
        Ok(())
    }

    fn known(&self, run: RunId, batch: &Batch<'_>) -> Option<RunOutcome> {
        let here = batch.committed.iter().find(|(committed, _)| *committed == run);
        let here = here.map(|&(_, number)| RunOutcome::Committed { number });
        here.or_else(|| self.runs.get(run))
    }
}
