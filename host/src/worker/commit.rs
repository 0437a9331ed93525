//! Commits what a run wrote, decides what becomes of the run, and ends it.

use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout_at};

use super::{
    Record, RecordOutcome, Shared, access, answer, attempt::Attempt, sessions, spans, verdict,
};
use crate::{
    capability::{
        Lent,
        store::{CommitError, Committed, Transaction, commit_surely},
    },
    engine::{Fault, Finished, Job, Limits, Task, has_messages_to_store, store_messages},
    registry::Version,
    telemetry::ByModule,
};

/// How long a commit may take where the deadline of the run leaves less.
const COMMIT_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// Ends an attempt. Returns the next one, where there is one and the slot is still with it. While a commit
/// is on its way the slot is free, and a further attempt waits in `Shared::again`.
pub(super) async fn conclude(
    shared: &Arc<Shared>,
    attempt: Attempt,
    mut finished: Finished,
) -> Option<Attempt> {
    let transaction = transaction(&mut finished);
    if transaction.is_none() && finished.sessions.is_none() {
        return end(shared, attempt, finished).await;
    }
    let Ok(permit) = Arc::clone(&shared.committing).try_acquire_owned() else {
        settle(shared, &attempt, &mut finished, transaction).await;
        return end(shared, attempt, finished).await;
    };
    // Slots are there until it is done.
    let feeding = shared.dispatch.feeding();
    let of = Arc::clone(shared);
    let mut committing = Box::pin(async move {
        settle(&of, &attempt, &mut finished, transaction).await;
        let next = end(&of, attempt, finished).await;
        drop(permit);
        (next, feeding)
    });
    let drain = &shared.drain;
    if let Some((next, _feeding)) = drain.enter(|| committing.as_mut().now_or_never()) {
        return next;
    }
    let of = Arc::clone(shared);
    drop(drain.spawn("commit", async move {
        let (next, _feeding) = committing.await;
        if let Some(next) = next {
            of.again.push(next);
        }
    }));
    None
}

/// The transaction of a run; none if it has used no data and sends nothing that is stored first.
fn transaction(finished: &mut Finished) -> Option<Transaction> {
    if let Some(transaction) = finished.transaction.take() {
        return Some(transaction);
    }
    let lent = &finished.job.as_ref()?.lent;
    has_messages_to_store(&finished.outbox, lent).then(|| lent.transaction())
}

/// Commits what a run wrote, and then does what it has asked for of sessions.
async fn settle(
    shared: &Shared,
    attempt: &Attempt,
    finished: &mut Finished,
    transaction: Option<Transaction>,
) {
    if finished.sessions.is_some() {
        sessions::check(finished);
    }
    if let Some(transaction) = transaction {
        commit(shared, attempt, finished, transaction).await;
    }
    if finished.sessions.is_some() {
        let deadline = Instant::from_std(attempt.began) + attempt.version.limits.deadline;
        sessions::apply(shared, finished, deadline).await;
    }
}

/// Commits what a run wrote. Of one that failed it asks only whether what it read still holds.
async fn commit(
    shared: &Shared,
    attempt: &Attempt,
    finished: &mut Finished,
    mut transaction: Transaction,
) {
    let version = &attempt.version;
    let has_failed = finished.fault.is_some();
    let commit = if has_failed {
        transaction.check()
    } else {
        if let Some(job) = &finished.job {
            let of = (&job.lent, job.correlation);
            store_messages(&mut finished.outbox, &mut transaction, of);
        }
        let mut commit = transaction.take(version.grants.store.quota);
        commit.note = attempt.delivery.note();
        commit
    };
    let has_set_timers = !commit.timers.is_empty();
    let stores = !commit.relayed.is_empty() || has_set_timers;
    if commit.is_trivial() || matches!(finished.fault, Some(Fault::Conflict(_))) {
        return;
    }
    let changes = !commit.is_check();
    let now = Instant::now();
    let deadline = Instant::from_std(attempt.began) + version.limits.deadline;
    let until = deadline.max(now + COMMIT_TIMEOUT_MIN);
    let _shared = match attempt.turn {
        None if changes => shared.turns.shared(&version.name).await,
        _ => None,
    };
    let committed = timeout_at(until, commit_surely(&*shared.store, &version.name, commit)).await;
    let committed = committed.unwrap_or_else(|_| {
        let reason = format!("the store did not answer within {:?}", until - now);
        Err(CommitError::Unknown { reason })
    });
    let by = ByModule { module: version.name.as_str().to_owned() };
    match committed {
        Ok(Committed { .. }) if changes => {
            shared.metrics.store_commits.get_or_create(&by).inc();
            shared.metrics.store_commit_time.observe(now.elapsed().as_secs_f64());
            if stores {
                shared.means.relay.stored(&version.name, has_set_timers);
            }
        }
        Ok(Committed { .. }) => {}
        Err(CommitError::Conflict(what)) => finished.fail(Fault::Conflict(what.to_string())),
        // Another run has done the message: nothing of this one counts.
        Err(CommitError::AlreadyDone) => {
            shared.metrics.store_repeats.get_or_create(&by).inc();
            finished.outbox = Vec::new();
            finished.state = None;
            finished.sessions = None;
        }
        // Its own fault counts.
        Err(_) if has_failed => {}
        Err(error) => finished.fail(Fault::of_commit(error)),
    }
}

/// Ends an attempt whose outcome is known: it is made again, or another version runs in its place, or its
/// messages are sent and its client answered.
async fn end(
    shared: &Arc<Shared>,
    mut attempt: Attempt,
    mut finished: Finished,
) -> Option<Attempt> {
    let mut job = finished.job.take();
    if matches!(finished.fault, Some(Fault::Conflict(_))) {
        let by = ByModule { module: attempt.version.name.as_str().to_owned() };
        shared.metrics.store_conflicts.get_or_create(&by).inc();
        let job = job.take().filter(|_| finished.repeatable);
        if job.is_some_and(|job| attempt.begin_again(job, &finished.usage)) {
            if attempt.turn.is_none() {
                let turn = shared.turns.own(&attempt.version.name, attempt.number).await;
                attempt.turn = turn;
            }
            return Some(attempt);
        }
    }
    attempt.turn = None;
    finished.usage.add_attempt(&attempt.thrown_away);
    let in_its_place = job.and_then(|job| fallback(&attempt, &finished, job));
    let record = record(shared, &attempt, &mut finished, in_its_place.is_none());
    if attempt.failed.is_none() {
        note(shared, &attempt, &finished).await;
    }
    if let Some((version, job)) = in_its_place {
        attempt.begin_in_its_place(version, job, (finished, record));
        return Some(attempt);
    }
    let (finished, record) = match attempt.failed {
        // The client is told what was wrong with the version that is active.
        Some(first) if finished.fault.is_some() => *first,
        _ => (finished, record),
    };
    answer::conclude(shared, attempt.delivery, attempt.active.activation, finished, record).await;
    None
}

/// Returns the version that runs in the place of one on probation that failed, and its job; none if the run is
/// not repeatable, or its time is over.
fn fallback(attempt: &Attempt, finished: &Finished, job: Job) -> Option<(Arc<Version>, Job)> {
    if finished.fault.is_none() || !finished.repeatable || attempt.failed.is_some() {
        return None;
    }
    let fallback = attempt.version.probation.fallback()?;
    let consumer = Arc::clone(fallback.consumer(&job.consumer)?);
    if let Task::Event(event) = &job.task {
        access::check(fallback.access(&consumer).map(|it| &**it), event).ok()?;
    }
    let left = attempt.version.limits.deadline.saturating_sub(attempt.began.elapsed());
    if left.is_zero() {
        return None;
    }
    let deadline = left.min(fallback.limits.deadline);
    let limits = Arc::new(Limits { deadline, ..(*fallback.limits).clone() });
    let lent = Lent {
        grants: Arc::clone(&fallback.grants),
        presence: fallback.declarations.presence().cloned(),
        ..job.lent
    };
    let job = Job { consumer, limits, lent, ..job };
    Some((fallback, job))
}

/// Makes the record of a run, and reports it. `is_last`: no other version runs in its place.
fn record(
    shared: &Shared,
    attempt: &Attempt,
    finished: &mut Finished,
    is_last: bool,
) -> Arc<Record> {
    let version = &attempt.version;
    let record = Arc::new(Record {
        id: shared.records.next_id(),
        started: attempt.started,
        correlation: attempt.delivery.correlation,
        module: version.name.clone(),
        version: version.number,
        in_place_of: attempt.failed.as_ref().map(|_| attempt.active.number),
        attempts: attempt.number,
        consumer: Arc::clone(&attempt.consumer),
        channel: attempt.channel.clone(),
        outcome: finished.fault.clone().map_or(RecordOutcome::Ok, RecordOutcome::Fault),
        usage: finished.usage,
        log: std::mem::take(&mut finished.log),
        messages_dropped: AtomicUsize::new(0),
    });
    verdict::report(shared, &record, version.activation, (attempt.pass, is_last));
    spans::report(&shared.traces, &record, attempt.delivery.place, is_last);
    // Whoever gets the id must find the record.
    shared.records.add(Arc::clone(&record));
    record
}

/// Tells the registry how a version on probation does.
async fn note(shared: &Shared, attempt: &Attempt, finished: &Finished) {
    let fault = finished.fault.as_ref();
    if fault.is_some_and(|fault| !fault.is_of_code()) && !matches!(fault, Some(Fault::Host(_))) {
        return;
    }
    let fault = fault.map(ToString::to_string);
    let version = &attempt.version;
    if shared.registry.note(version, fault.as_deref()).await {
        let by = ByModule { module: version.name.as_str().to_owned() };
        shared.metrics.rollbacks.get_or_create(&by).inc();
    }
}
