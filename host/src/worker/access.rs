//! Refuses events that a route does not let in. Our own interface server refuses them before; others may not
//! know of users.

use http::{HeaderValue, StatusCode, header};

use super::{delivery::Delivery, fallback_reply};
use crate::{
    engine::Entry,
    message::{Close, CorrelationId, Done, Event, EventKind, ModuleName, Outcome, Reply},
    routing::{Access, AccessDenied},
    telemetry::ByReason,
};

/// The close code of a WebSocket that is open without the user that its route asks for (RFC 6455,
/// section 7.4.1: a policy).
const CLOSE_CODE: u16 = 1008;

/// Whether a consumer may run for an event.
pub(super) fn check(access: Option<&Access>, event: &Event) -> Result<(), AccessDenied> {
    access.map_or(Ok(()), |access| access.check(event.scope.user.as_deref()))
}

/// The answer in place of a run, where the client waits for one.
fn reply(denied: AccessDenied, kind: &EventKind, id: CorrelationId) -> Option<Reply> {
    match kind {
        EventKind::HttpRequest(_) => Some(match denied {
            AccessDenied::NoUser => {
                let bearer = (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                fallback_reply::plain(StatusCode::UNAUTHORIZED, "sign in first", vec![bearer], id)
            }
            AccessDenied::Claims => fallback_reply::plain(
                StatusCode::FORBIDDEN,
                "this user may not do that",
                Vec::new(),
                id,
            ),
        }),
        EventKind::WebsocketConnect => Some(Reply::Deny),
        EventKind::WebsocketReceive(_) => {
            Some(Reply::Close(Close::new(CLOSE_CODE, "the route asks for another user")))
        }
        EventKind::HttpDisconnect | EventKind::WebsocketDisconnect(_) => None,
    }
}

/// Answers an event without a run.
pub(super) async fn refuse(
    delivery: &Delivery,
    (denied, activation): (AccessDenied, u64),
    (module, consumer): (&ModuleName, &str),
    event: &Event,
) {
    let reason = match denied {
        AccessDenied::NoUser => "event_without_user",
        AccessDenied::Claims => "event_claims",
    };
    delivery.means.metrics.auth_refusals.get_or_create(&ByReason { reason }).inc();
    let id = delivery.correlation;
    tracing::warn!(
        reason, %module, consumer, correlation = %id,
        "an event of another interface server is refused"
    );
    let entries = reply(denied, &event.kind, id).map(Entry::Reply).into_iter().collect();
    let done = Done { outcome: Outcome::Ok, state: None, activation };
    // Replies only, so no channel can be full.
    drop(delivery.conclude(entries, Some(done)).await);
}
