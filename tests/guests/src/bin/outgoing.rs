//! Requests that a run makes itself, by `wasi:http`, and waits for.

use test_guests::ok;
use tidegate_sdk::{Context, Error, Request, Result, export, http};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};
use wasip2::io::streams::StreamError;

fn asked(url: &str, body: &str) -> Result<OutgoingRequest> {
    let (scheme, rest) = url.split_once("://").ok_or_else(|| Error::bad_request("no scheme"))?;
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let headers = Fields::new();
    if !body.is_empty() {
        headers.set("content-length", &[body.len().to_string().into_bytes()]).unwrap();
    }
    let request = OutgoingRequest::new(headers);
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    request.set_scheme(Some(&scheme)).unwrap();
    request.set_authority(Some(authority)).unwrap();
    request.set_path_with_query(Some(path)).unwrap();
    if !body.is_empty() {
        request.set_method(&Method::Post).unwrap();
    }
    Ok(request)
}

fn send(request: OutgoingRequest, body: &str) -> Result<IncomingResponse, ErrorCode> {
    let out = request.body().unwrap();
    let coming = handle(request, None)?;
    {
        let stream = out.write().unwrap();
        if !body.is_empty() {
            stream.blocking_write_and_flush(body.as_bytes()).unwrap();
        }
    }
    OutgoingBody::finish(out, None)?;
    coming.subscribe().block();
    coming.get().unwrap().unwrap()
}

fn read(response: &IncomingResponse) -> Result<Vec<u8>, String> {
    let body = response.consume().unwrap();
    let stream = body.stream().unwrap();
    let mut all = Vec::new();
    loop {
        match stream.blocking_read(64 * 1024) {
            Ok(bytes) => all.extend(bytes),
            Err(StreamError::Closed) => return Ok(all),
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
}

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
    let told = match send(asked(url, body)?, body) {
        Ok(response) => {
            let status = response.status();
            match read(&response) {
                Ok(body) => format!("{status} {}", String::from_utf8_lossy(&body)),
                Err(error) => format!("{status} then {error}"),
            }
        }
        Err(error) => format!("error {error:?}"),
    };
    cx.store().add("asked", 1)?;
    Ok(told)
}

export! { ask, ok }

fn main() {}
