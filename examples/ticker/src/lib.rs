//! A clock over server-sent events: one tick each second, the same for all who watch, and what a
//! client missed when it comes back.

use std::time::Duration;

use tidegate_sdk::{Context, Reply, Request, Response, Result, export, http, sse};

mod clock;
mod ticks;

const PAGE: &str = include_str!("page.html");

/// Whoever watches.
const WATCHERS: &str = "watchers";

/// How long a stream is held. Then the browser comes back, which also starts a clock that stopped.
const HOLD: Duration = Duration::from_secs(300);

/// How long the browser waits before it comes back.
const RETRY: Duration = Duration::from_secs(1);

#[http("GET /ticker")]
fn page() -> Response {
    Response::html(PAGE)
        .header("cache-control", "no-cache")
        .header("content-security-policy", "default-src 'self' 'unsafe-inline'; img-src data:")
}

#[http("GET /ticker/events")]
fn events(cx: &mut Context, request: &Request) -> Result<Reply> {
    sse::start(cx)?;
    cx.group_add(WATCHERS)?;
    clock::start(cx)?;
    // From here on every tick comes to the stream. So nothing is missed between those that are sent
    // again below and those that come; one that is both comes twice, with the same id.
    cx.flush()?;
    sse::send(cx, &sse::Event::default().retry(RETRY))?;
    // A browser that gave up has forgotten the id; the page that begins anew has not.
    let after = request.query("after");
    let last = sse::last_event_id(request).or(after.as_deref()).and_then(|id| id.parse().ok());
    for event in ticks::missed(last, clock::now()) {
        sse::send(cx, &event)?;
    }
    Ok(cx.hold(HOLD))
}

export! { page, events, clock::alarm, clock::tick }
