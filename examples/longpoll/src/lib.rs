//! Long polling: a request waits, without a slot, until another one publishes.

use std::time::Duration;

use tidegate_sdk::{Context, Error, Reply, Request, Response, Result, export, http};

mod topic;

use topic::Topic;

const PAGE: &str = include_str!("page.html");

/// How long a poll waits if it does not say.
const WAIT: u64 = 25;

/// How long a poll waits at most. Proxies tend to give up after a minute.
const LONGEST_WAIT: u64 = 60;

/// The most that can be published, in bytes.
const MOST: usize = 64 * 1024;

#[http("GET /longpoll")]
fn page() -> Response {
    Response::html(PAGE)
        .header("cache-control", "no-cache")
        .header("content-security-policy", "default-src 'self' 'unsafe-inline'; img-src data:")
}

#[http("GET /poll/{topic}", disconnect = left)]
fn poll(cx: &mut Context, topic: Topic, request: &Request) -> Result<Reply> {
    let wait = match request.query("wait").map(|text| text.parse()) {
        None => WAIT,
        Some(Ok(seconds @ 1..=LONGEST_WAIT)) => seconds,
        Some(_) => {
            let text = format!("wait is a number of seconds from 1 to {LONGEST_WAIT}\n");
            return Err(Error::bad_request(text));
        }
    };
    cx.group_add(topic.group())?;
    Ok(cx
        .hold(Duration::from_secs(wait))
        .or(Response::new(204).header("cache-control", "no-store")))
}

/// The client left before there was anything to say. Its connection is out of the group already, or
/// soon: that is the host's doing.
fn left(cx: &mut Context) {
    let topic = cx.scope().and_then(|scope| scope.param("topic")).unwrap_or_default();
    log::info!("a client left {topic}");
}

#[http("POST /publish/{topic}")]
fn publish(cx: &mut Context, topic: Topic, request: &Request) -> Result<(u16, &'static str)> {
    let text = request.text()?;
    if text.is_empty() || text.len() > MOST {
        return Err(Error::bad_request(format!("publish 1 to {MOST} bytes of text\n")));
    }
    let news = Response::text(text).header("cache-control", "no-store");
    cx.group_send(topic.group(), &news)?;
    Ok((202, "published\n"))
}

export! { page, poll, publish }
