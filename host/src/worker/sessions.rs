//! Does what a run has asked for of sessions: when it has committed, and before its answer leaves.

use std::time::{Duration, SystemTime};

use tokio::time::{Instant, timeout_at};

use super::Shared;
use crate::{
    capability::sessions::{Applied, Changes, SignInOrigin},
    engine::{Entry, Fault, Finished, Job},
    message::{
        Close, Event, GroupName, Header, Reply, SESSION_ENDED, SIGNED_OUT, SessionKey,
        SessionLookup, User,
    },
    telemetry::ByReason,
};

/// How long it may take where the deadline of the run leaves less.
const CHANGE_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// Fails a run whose cookie would not reach the browser. Called before its commit.
pub(super) fn check(finished: &mut Finished) {
    let needs_head = finished.sessions.as_ref().is_some_and(|changes| changes.needs_head());
    if needs_head && !finished.outbox.iter_mut().any(|entry| headers_of(entry).is_some()) {
        let problem = "it began a session and did not answer, so the browser would get no cookie; \
                       return a response, or accept the handshake";
        finished.fail(Fault::Failed(problem.to_owned()));
    }
}

/// Does what a run has asked for. A failure makes it a run that failed, although its data is committed.
pub(super) async fn apply(shared: &Shared, finished: &mut Finished, deadline: Instant) {
    let Some(changes) = finished.sessions.take() else { return };
    let now = Instant::now();
    let until = deadline.max(now + CHANGE_TIMEOUT_MIN);
    // What is done twice would sign somebody in twice.
    finished.repeatable = false;
    let Some(job) = &finished.job else { return };
    let applied = timeout_at(until, make(job, *changes)).await.unwrap_or_else(|_| {
        Err(Fault::Store(format!("the store did not write sessions within {:?}", until - now)))
    });
    match applied {
        Ok(applied) => {
            shared.metrics.session_changes.inc();
            if let Some(field) = applied.header() {
                add(&mut finished.outbox, field);
            }
            for key in &applied.ended {
                close(shared, *key, job).await;
            }
        }
        Err(fault) => {
            let reason = "session_store";
            shared.metrics.auth_refusals.get_or_create(&ByReason { reason }).inc();
            finished.fail(fault);
        }
    }
}

async fn make(job: &Job, changes: Changes) -> Result<Applied, Fault> {
    let Some(sessions) = &job.lent.sessions else { return Ok(Applied::default()) };
    let event = job.event();
    let own = event.and_then(|it| it.scope.session.as_ref()).and_then(SessionLookup::session);
    let user = event.and_then(|it| it.scope.user.as_deref()).map(User::id);
    let origin = event.map(origin).unwrap_or_default();
    let applied = sessions.apply(changes, own, user, origin, SystemTime::now()).await;
    applied.map_err(|error| Fault::Store(error.to_string()))
}

fn origin(event: &Event) -> SignInOrigin {
    let scope = &event.scope;
    let field = scope.headers.iter().find(|(name, _)| *name == http::header::USER_AGENT);
    let agent = field.and_then(|(_, value)| value.to_str().ok()).unwrap_or_default();
    SignInOrigin::new(scope.client.ip().to_string(), agent)
}

/// Closes the sockets of a session, in whatever process they are.
async fn close(shared: &Shared, key: SessionKey, job: &Job) {
    let content = Close::new(SIGNED_OUT, SESSION_ENDED).content();
    let group = GroupName::of_session(&key);
    if let Err(error) = shared.layer.group_send(&group, content, job.correlation).await {
        tracing::warn!(
            %error, correlation = %job.correlation,
            "sockets of a session that has ended are not told; they end when they renew it"
        );
    }
}

/// The header fields that an entry sends.
const fn headers_of(entry: &mut Entry) -> Option<&mut Vec<Header>> {
    match entry {
        Entry::Reply(Reply::Respond(response)) => Some(&mut response.head.headers),
        Entry::Reply(Reply::StreamStart(head)) => Some(&mut head.headers),
        Entry::Reply(Reply::Accept(handshake)) => Some(&mut handshake.headers),
        _ => None,
    }
}

/// Adds a field to the first header that is sent.
fn add(entries: &mut [Entry], field: Header) {
    if let Some(headers) = entries.iter_mut().find_map(headers_of) {
        headers.push(field);
    }
}
