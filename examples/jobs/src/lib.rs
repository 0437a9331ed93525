//! Slow work in the background: answer now, work later, tell whoever watches.
//!
//! The way of a job: `submit` puts it on `jobs.count` and answers. `count` does a part of the work and
//! sends the rest to itself, or the result to the channel whose name came with the job. `report` tells
//! the watchers.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_sdk::{
    Context, Error, Frame, Group, Json, Request, Response, Result, Socket, Websocket, channel,
    export, http, websocket,
};

mod primes;

const PAGE: &str = include_str!("page.html");

/// The largest number that a job may go to: some seconds of work.
const MOST: u32 = 1_000_000_000;

/// How far one run counts: a few hundredths of a second, far within a host's limits. Between two parts
/// others have their turn.
const PART: u32 = 5_000_000;

/// How long the rest of a job waits when the channel is full.
const FULL_CHANNEL_PAUSE: Duration = Duration::from_secs(1);

#[http("GET /jobs")]
fn page() -> Response {
    Response::html(PAGE)
        .header("cache-control", "no-cache")
        .header("content-security-policy", "default-src 'self' 'unsafe-inline'; img-src data:")
}

/// What a client asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    below: u32,
}

/// The answer to it: done later, under this id.
#[derive(Serialize)]
struct Ticket {
    id: String,
}

/// Work to do.
#[derive(Serialize, Deserialize)]
struct Job {
    id: String,
    below: u32,
    /// What is counted already: all below `from`, which are `primes`.
    #[serde(default)]
    from: u32,
    #[serde(default)]
    primes: usize,
    /// Where the result goes. `count` knows nothing of those who use it.
    next: String,
}

/// A result.
#[derive(Serialize, Deserialize)]
struct Counted {
    id: String,
    below: u32,
    primes: usize,
}

/// What watchers are told.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Notice<'a> {
    Queued { id: &'a str, below: u32 },
    Working { id: &'a str, below: u32, percent: u64 },
    Done { id: &'a str, below: u32, primes: usize },
}

fn tell(cx: &mut Context, notice: &Notice<'_>) -> Result<()> {
    let frame = Frame::json(notice)?;
    cx.group_send("watchers", &frame)?;
    Ok(())
}

#[http("POST /jobs")]
fn submit(cx: &mut Context, request: &Request) -> Result<(u16, Json<Ticket>)> {
    let Wish { below } = request.json()?;
    if below > MOST {
        return Err(Error::bad_request(format!("at most {MOST}, please\n")));
    }
    let id = cx.correlation_id().to_owned();
    tell(cx, &Notice::Queued { id: &id, below })?;
    let job = Job { id: id.clone(), below, from: 0, primes: 0, next: "jobs.report".to_owned() };
    cx.send("jobs.count", &job)?;
    // Without this the host would try for a while after the answer and then drop the job.
    if let Err(error) = cx.flush() {
        cx.warn(error.to_string());
        let busy = Response::text("too much to do, try again later\n").status(503);
        return Err(Error::response(busy.header("retry-after", "5")));
    }
    Ok((202, Json(Ticket { id })))
}

#[channel("jobs.count")]
fn count(cx: &mut Context, job: Job) -> Result<()> {
    let Job { id, below, from, primes, next } = job;
    let percent = u64::from(from) * 100 / u64::from(below.max(1));
    tell(cx, &Notice::Working { id: &id, below, percent })?;
    // So that watchers hear of it before the work is done.
    cx.flush()?;
    let end = below.min(from.saturating_add(PART));
    let primes = primes + primes::within(from, end);
    if end == below {
        cx.send(&next, &Counted { id, below, primes })?;
        return Ok(());
    }
    let rest = Job { id, below, from: end, primes, next };
    cx.send("jobs.count", &rest)?;
    // A job that is half done goes before those that were not begun: it does not give up.
    if cx.flush().is_err() {
        cx.send_later("jobs.count", &rest, FULL_CHANNEL_PAUSE)?;
    }
    Ok(())
}

#[channel("jobs.report")]
fn report(cx: &mut Context, counted: Counted) -> Result<()> {
    let Counted { id, below, primes } = &counted;
    tell(cx, &Notice::Done { id, below: *below, primes: *primes })
}

/// A page that watches. It only listens.
struct Watch;

#[websocket("/jobs/watch")]
impl Websocket for Watch {
    type State = ();
    type Incoming = Frame;

    fn groups(&self) -> Vec<Group<'static>> {
        vec!["watchers".into()]
    }

    fn receive(&self, _socket: &mut Socket<()>, _frame: Frame) -> Result<()> {
        Ok(())
    }
}

export! { page, submit, count, report, Watch }
