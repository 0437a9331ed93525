//! Requests by `wasi:http`, which the run waits for.

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions,
    Scheme,
};
use wasip2::io::streams::StreamError;

use super::outside::Request;

/// Bytes that are read or written at once.
const CHUNK_BYTES: usize = 4096;

/// A server's answer: status, header fields, body.
pub(crate) type Answered = (u16, Vec<(String, Vec<u8>)>, Vec<u8>);
/// Why there is none: a word, and a text for people.
pub(crate) type Failed = (&'static str, String);

/// Makes a request and waits for its answer.
pub(crate) fn send(request: &Request) -> Result<Answered, Failed> {
    let outgoing = outgoing(request)?;
    let options = RequestOptions::new();
    if let Some(millis) = request.timeout {
        let nanos = u64::from(millis) * 1_000_000;
        options.set_first_byte_timeout(Some(nanos)).map_err(|()| invalid("timeout"))?;
    }
    let body = outgoing.body().map_err(|()| invalid("body"))?;
    let coming = handle(outgoing, Some(options)).map_err(told)?;
    {
        let stream = body.write().map_err(|()| invalid("body"))?;
        let mut chunks = request.body.chunks(CHUNK_BYTES);
        // Whoever does not read it says why in the answer, or in its place.
        while let Some(chunk) = chunks.next()
            && stream.blocking_write_and_flush(chunk).is_ok()
        {}
    }
    drop(OutgoingBody::finish(body, None));
    coming.subscribe().block();
    match coming.get() {
        Some(Ok(Ok(response))) => read(&response),
        Some(Ok(Err(code))) => Err(told(code)),
        Some(Err(())) | None => Err(("broken", "no answer came".to_owned())),
    }
}

fn invalid(part: &str) -> Failed {
    ("invalid", format!("the {part} of the request is not one"))
}

fn outgoing(request: &Request) -> Result<OutgoingRequest, Failed> {
    let (scheme, rest) = request.url.split_once("://").ok_or_else(|| invalid("URL"))?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let scheme = match scheme {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        other => Scheme::Other(other.to_owned()),
    };
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let fields = Fields::new();
    for (name, value) in &request.headers {
        fields.append(name, value).map_err(|_| invalid(&format!("header field {name:?}")))?;
    }
    if !request.body.is_empty() {
        let length = request.body.len().to_string().into_bytes();
        fields.set("content-length", &[length]).map_err(|_| invalid("length"))?;
    }
    let outgoing = OutgoingRequest::new(fields);
    outgoing.set_method(&method(&request.method)).map_err(|()| invalid("method"))?;
    outgoing.set_scheme(Some(&scheme)).map_err(|()| invalid("scheme"))?;
    outgoing.set_authority(Some(authority)).map_err(|()| invalid("host"))?;
    outgoing.set_path_with_query(Some(&path)).map_err(|()| invalid("path"))?;
    Ok(outgoing)
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn read(response: &IncomingResponse) -> Result<Answered, Failed> {
    let (status, headers) = (response.status(), response.headers().entries());
    let body = response.consume().map_err(|()| invalid("answer"))?;
    let stream = body.stream().map_err(|()| invalid("answer"))?;
    let mut all = Vec::new();
    loop {
        match stream.blocking_read(64 * 1024) {
            Ok(bytes) => all.extend(bytes),
            Err(StreamError::Closed) => return Ok((status, headers, all)),
            Err(error) => return Err(broken(error)),
        }
    }
}

fn broken(error: StreamError) -> Failed {
    let text = match error {
        StreamError::Closed => "the connection is closed".to_owned(),
        StreamError::LastOperationFailed(error) => error.to_debug_string(),
    };
    ("broken", text)
}

fn told(code: ErrorCode) -> Failed {
    let reason = match &code {
        // The guard names the setting.
        ErrorCode::InternalError(Some(text)) => return ("refused", text.clone()),
        ErrorCode::DestinationIpProhibited | ErrorCode::HttpRequestDenied => "refused",
        ErrorCode::DnsError(_) => "resolve",
        ErrorCode::ConnectionRefused => "connect",
        ErrorCode::TlsCertificateError => "tls",
        ErrorCode::ConnectionReadTimeout => "timeout",
        _ => "broken",
    };
    (reason, code.to_string())
}
