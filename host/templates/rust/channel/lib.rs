//! Work in the background: a request is answered now, and the work is done by another consumer.

use serde::{Deserialize, Serialize};
use tidegate_sdk::{Context, Error, Json, Response, Result, channel, export, http};

/// Work to do.
#[derive(Serialize, Deserialize)]
struct Job {
    text: String,
}

#[http("POST /module-name")]
fn submit(cx: &mut Context, Json(job): Json<Job>) -> Result<(u16, &'static str)> {
    cx.send("module-name.count", &job)?;
    // Sends now, and says if the channel is full. Without it the host would try for a while after the
    // answer and then drop the job.
    if let Err(error) = cx.flush() {
        cx.warn(error.to_string());
        let busy = Response::text("too much to do, try again later\n").status(503);
        return Err(Error::response(busy));
    }
    Ok((202, "it will be done\n"))
}

/// Nobody waits for this: it may take as long as the host's deadline allows.
#[channel("module-name.count")]
fn count(cx: &mut Context, job: Job) {
    let words = job.text.split_whitespace().count();
    cx.info(format!("{words} words"));
}

export! { submit, count }
