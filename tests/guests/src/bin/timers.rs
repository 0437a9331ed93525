//! Timers: set, replaced and cancelled, and messages that are delayed without a key.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use test_guests::{Watch, ok};
use tidegate_sdk::{Context, Error, Frame, Request, Result, channel, export, http};

#[derive(Serialize, Deserialize)]
struct Due {
    text: String,
}

/// Sets a timer. The query says what else the run does.
#[http("POST /timers/{key}/{millis}/{text}")]
fn set(
    cx: &mut Context,
    request: &Request,
    key: &str,
    millis: u64,
    text: String,
) -> Result<&'static str> {
    let channel = request.query("channel");
    let channel = channel.as_deref().unwrap_or("timers.due");
    let set = cx.timer(key).send_later(channel, &Due { text }, Duration::from_millis(millis));
    set.map_err(|error| Error::bad_request(error.to_string()))?;
    match request.query("then").as_deref() {
        Some("fail") => Err(Error::failed("on purpose")),
        _ => Ok("set"),
    }
}

/// Sets a timer to so many seconds since 1970.
#[http("POST /moments/{key}/{seconds}/{text}")]
fn set_at(cx: &mut Context, key: &str, seconds: i64, text: String) -> Result<&'static str> {
    let span = Duration::from_secs(seconds.unsigned_abs());
    let moment: SystemTime = if seconds < 0 { UNIX_EPOCH - span } else { UNIX_EPOCH + span };
    let set = cx.timer(key).send_at("timers.due", &Due { text }, moment);
    set.map_err(|error| Error::bad_request(error.to_string()))?;
    Ok("set")
}

#[http("DELETE /timers/{key}")]
fn cancel(cx: &mut Context, key: &str) -> Result<&'static str> {
    cx.timer(key).cancel()?;
    Ok("cancelled")
}

#[http("POST /later/{millis}/{text}")]
fn later(cx: &mut Context, millis: u64, text: String) -> Result<&'static str> {
    cx.send_later("timers.due", &Due { text }, Duration::from_millis(millis))?;
    Ok("sent")
}

/// How often a text has come.
#[http("GET /came/{text}")]
fn came(cx: &mut Context, text: &str) -> Result<String> {
    Ok(cx.store().counter(&format!("came:{text}"))?.to_string())
}

#[channel("timers.due", retries = 100)]
fn due(cx: &mut Context, due: Due) -> Result<()> {
    cx.store().add(&format!("came:{}", due.text), 1)?;
    cx.group_send("watch", &Frame::text(due.text))?;
    Ok(())
}

export! { set, set_at, cancel, later, came, due, Watch, ok }

fn main() {}
