//! Holds requests without a slot until another request answers them, streams, and notices who left.

use std::time::Duration;

use test_guests::{Watch, ok};
use tidegate_sdk::{Chunk, Context, Frame, Reply, Response, Result, export, http};

#[http("GET /hold", disconnect = left)]
fn hold(cx: &mut Context) -> Result<Reply> {
    cx.group_add("held")?;
    cx.group_send("watch", &Frame::text("held"))?;
    Ok(cx.hold(Duration::from_secs(3600)))
}

fn left(cx: &mut Context) -> Result<()> {
    cx.group_send("watch", &Frame::text("left"))?;
    Ok(())
}

#[http("POST /release")]
fn release(cx: &mut Context) -> Result<&'static str> {
    cx.group_send("held", &Response::text("released"))?;
    Ok("ok")
}

#[http("GET /brief")]
fn brief(cx: &mut Context) -> Reply {
    cx.hold(Duration::from_millis(50))
}

#[http("GET /fallback")]
fn fallback(cx: &mut Context) -> Reply {
    cx.hold(Duration::from_millis(50)).or(Response::text("nothing new"))
}

#[http("GET /stream")]
fn stream(cx: &mut Context) -> Result<Reply> {
    cx.start_stream(Response::text(""))?;
    for part in ["one ", "two ", "three"] {
        cx.write(part)?;
        cx.flush()?;
    }
    Ok(cx.end_stream()?)
}

/// Goes on from elsewhere.
#[http("GET /open")]
fn open(cx: &mut Context) -> Result<Reply> {
    cx.start_stream(Response::text("one "))?;
    cx.group_add("open")?;
    cx.group_send("watch", &Frame::text("open"))?;
    Ok(cx.hold(Duration::from_secs(3600)))
}

#[http("POST /part")]
fn part(cx: &mut Context) -> Result<&'static str> {
    cx.group_send("open", &Chunk::new("two "))?;
    Ok("ok")
}

#[http("POST /end")]
fn end(cx: &mut Context) -> Result<&'static str> {
    cx.group_send("open", &Chunk::last("three"))?;
    Ok("ok")
}

/// 32 MiB, faster than anybody reads.
#[http("GET /pour", disconnect = left)]
fn pour(cx: &mut Context) -> Result<Reply> {
    cx.start_stream(Response::text(""))?;
    for _ in 0..64 {
        cx.write(vec![b'x'; 512 * 1024])?;
        cx.flush()?;
    }
    cx.group_send("watch", &Frame::text("poured"))?;
    Ok(cx.end_stream()?)
}

#[http("POST /body")]
fn body(request: tidegate_sdk::Request) -> String {
    request.body().len().to_string()
}

export! { hold, release, brief, fallback, stream, open, part, end, pour, body, Watch, ok }

fn main() {}
