//! Slow work in the background: answer now, work later, tell whoever watches.
//!
//! The way of a job: `submit` puts it on `jobs.count` and answers. `count` does the work and sends
//! the result to the channel whose name came with the job. `report` tells the watchers.

use serde::{Deserialize, Serialize};
use tidegate_sdk::{
    Context, Error, Frame, Group, Json, Request, Response, Result, Socket, Websocket, channel,
    export, http, websocket,
};

mod primes;

const PAGE: &str = include_str!("page.html");

/// The largest number that a job may go to: a second of work, well within a host's limits.
const MOST: u32 = 5_000_000;

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
    Working { id: &'a str },
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
    cx.send("jobs.count", &Job { id: id.clone(), below, next: "jobs.report".to_owned() })?;
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
    let Job { id, below, next } = job;
    tell(cx, &Notice::Working { id: &id })?;
    // So that watchers hear of it before the work is done.
    cx.flush()?;
    let primes = primes::below(below);
    cx.send(&next, &Counted { id, below, primes })?;
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
