//! Requests that a run makes itself, and waits for.

use test_guests::ok;
use tidegate_sdk::{Context, Fetch, Request, Result, export, http};

/// Makes the request that the body of this one names in its first line, with the rest as body. The query says what
/// else the run does.
#[http("POST /ask")]
fn ask(cx: &mut Context, request: &Request) -> Result<String> {
    let text = request.text()?;
    let (url, body) = text.split_once('\n').unwrap_or((text, ""));
    if request.query("counts").is_some() {
        let before = cx.store().counter("asked")?;
        cx.store().set("asked-before", &before)?;
    }
    let method = if body.is_empty() { "GET" } else { "POST" };
    let told = match cx.fetch_now(Fetch::new(method, url).body(body)) {
        Ok(answer) => format!("{} {}", answer.status(), answer.text()),
        Err(failure) => failure.to_string(),
    };
    cx.store().add("asked", 1)?;
    Ok(told)
}

export! { ask, ok }

fn main() {}
