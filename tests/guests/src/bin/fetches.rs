//! Requests to servers outside, as a test says; their results go to everybody who watches, as JSON.

use serde::{Deserialize, Serialize};
use test_guests::{Watch, ok};
use tidegate_sdk::{
    Context, Error, Fetch, FetchFailure, Fetched, Frame, Json, Result, channel, export, http,
};

/// A request to be made.
#[derive(Deserialize)]
#[serde(default)]
struct Asked {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
    then: String,
    value: String,
    timeout: Option<u64>,
    retries: u32,
    /// How many of them the run asks for.
    count: u32,
    /// Whether the run fails afterwards.
    fails: bool,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            url: String::new(),
            headers: Vec::new(),
            body: String::new(),
            then: "fetches.done".to_owned(),
            value: String::new(),
            timeout: None,
            retries: 0,
            count: 1,
            fails: false,
        }
    }
}

#[http("POST /fetch")]
fn fetch(cx: &mut Context, Json(asked): Json<Asked>) -> Result<&'static str> {
    for _ in 0..asked.count {
        let mut fetch = Fetch::new(&asked.method, &asked.url)
            .body(asked.body.clone())
            .value(&asked.value)
            .retries(asked.retries)
            .then(&asked.then);
        for (name, value) in &asked.headers {
            fetch = fetch.header(name, value);
        }
        if let Some(millis) = asked.timeout {
            fetch = fetch.timeout(std::time::Duration::from_millis(millis));
        }
        cx.fetch(fetch).map_err(|error| Error::bad_request(error.to_string()))?;
    }
    if asked.fails {
        return Err(Error::failed("on purpose"));
    }
    Ok("asked")
}

/// A result, as watchers and `GET /results` have it.
#[derive(Serialize)]
struct Told<'a> {
    value: &'a str,
    attempts: u32,
    status: Option<u16>,
    kind: Option<&'a str>,
    body: Option<String>,
    failure: Option<&'a str>,
    message: Option<&'a str>,
}

#[channel("fetches.done", retries = 100)]
fn done(cx: &mut Context, fetched: &Fetched<String>) -> Result<()> {
    let mut result = Told {
        value: fetched.value(),
        attempts: fetched.attempts(),
        status: None,
        kind: None,
        body: None,
        failure: None,
        message: None,
    };
    match fetched.answer() {
        Ok(answer) => {
            result.status = Some(answer.status());
            result.kind = answer.header("content-type");
            result.body = Some(answer.text());
        }
        Err(FetchFailure::Failed { reason, message }) => {
            (result.failure, result.message) = (Some(reason.as_str()), Some(message.as_str()));
        }
        Err(_) => result.failure = Some("unknown"),
    }
    let result = serde_json::to_string(&result)?;
    cx.store().add(&format!("results:{}", fetched.value()), 1)?;
    cx.store().set_bytes(&format!("result:{}", fetched.value()), result.as_bytes())?;
    cx.group_send("watch", &Frame::text(result))?;
    Ok(())
}

/// Takes results for nothing.
#[channel("fetches.quick")]
fn quick() {}

/// How often a result has come, and the last one.
#[http("GET /results/{value}")]
fn results(cx: &mut Context, value: &str) -> Result<String> {
    let count = cx.store().counter(&format!("results:{value}"))?;
    let last = cx.store().get_bytes(&format!("result:{value}"))?.unwrap_or_default();
    Ok(format!("{count} {}", String::from_utf8_lossy(&last)))
}

export! { fetch, done, quick, results, Watch, ok }

fn main() {}
