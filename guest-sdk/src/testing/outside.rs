//! The servers outside, which a test plays.

use std::fmt;
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::world::World;
use super::{SharedWorld, TestHost, call};
use crate::host::outgoing::{Answered, Failed};
use crate::host::outside::Request;
use crate::payload::{self, ByteBuf, Bytes};

/// Methods that may be repeated without doing something twice (RFC 9110, section 9.2.2).
const IDEMPOTENT: [&str; 5] = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"];
const METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"];
const RETRIES_MAX: u32 = 10;
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Checks the rules about methods, retries and timeouts. The host has more, about header fields and sizes.
pub(super) fn check(request: &Request) -> Result<(), String> {
    let Request { method, headers, timeout, retries, .. } = request;
    if !METHODS.contains(&method.as_str()) {
        return Err(format!(
            "{method:?} is not a method of a request; use GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS"
        ));
    }
    if *retries > RETRIES_MAX {
        return Err(format!("a request is made again {RETRIES_MAX} times at most, not {retries}"));
    }
    let is_keyed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(IDEMPOTENCY_KEY));
    if *retries > 0 && !is_keyed && !IDEMPOTENT.contains(&method.as_str()) {
        return Err(format!(
            "a {method} is not idempotent, so that a server may do it twice if it is made again; give the header \
             field {IDEMPOTENCY_KEY} with a value by which the server knows repeats, or no retries"
        ));
    }
    if *timeout == Some(0) {
        return Err("a timeout is at least 1 ms".to_owned());
    }
    Ok(())
}

/// Scheme, host and port of a URL, as a grant writes them; the port only if it is not that of the scheme.
pub(super) fn server(url: &str) -> Result<String, String> {
    let (scheme, rest) = url.split_once("://").ok_or("the URL is not valid: it has no ://")?;
    if scheme != "http" && scheme != "https" {
        return Err("the scheme of the URL is neither https nor http".to_owned());
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    if authority.is_empty() || authority.contains('@') {
        return Err("the URL has no host, or a user name or password before it".to_owned());
    }
    let default = if scheme == "https" { ":443" } else { ":80" };
    let host = authority.strip_suffix(default).unwrap_or(&authority);
    Ok(format!("{scheme}://{host}"))
}

/// Whether a grant, a host with or without a scheme, or `*.` and what it ends with, names a server.
pub(super) fn names(granted: &str, server: &str) -> bool {
    let host = |server: &str| server.split_once("://").map(|(_, host)| host.to_owned());
    let is_same = |granted: &str, server: &str| match granted.strip_prefix('*') {
        Some(suffix) => server.ends_with(suffix) && server.len() > suffix.len(),
        None => granted == server,
    };
    match granted.contains("://") {
        true => granted == server,
        false => host(server).is_some_and(|server| is_same(granted, &server)),
    }
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) request: Request,
    pub(super) correlation: String,
    /// How often it was made.
    attempts: u32,
}

impl Waiting {
    pub(super) const fn new(request: Request, correlation: String) -> Self {
        Self { request, correlation, attempts: 1 }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.request.method, self.request.url)
    }
}

impl World {
    /// Takes the answer to a request that a run waits for.
    ///
    /// # Panics
    /// When the test has none.
    pub(super) fn prepared_answer(&mut self, request: &Request) -> Result<Answered, Failed> {
        let name = format!("{} {}", request.method, request.url);
        let found = self.prepared.iter().position(|(of, _)| *of == name);
        let Some(at) = found else {
            panic!("a run waits for {name:?}: say `host.answers({name:?}, 200, \"..\")` before")
        };
        self.prepared.remove(at).1
    }
}

impl TestHost {
    /// Grants a server to the module, as `grants.http` does: `api.example.com`, `*.example.com`,
    /// `localhost:3000`, also with a scheme before it. Addresses and networks are not compared here.
    #[must_use]
    pub fn reaching(self, server: &str) -> Self {
        self.world.borrow_mut().reachable.push(server.to_owned());
        self
    }

    /// Takes the request that has waited longest of those with this method and URL, such as
    /// `GET https://api.example.com/`. It waits again if it is dropped without an answer.
    ///
    /// # Panics
    /// When no such request waits. The message lists those that do.
    #[track_caller]
    #[must_use]
    pub fn fetch(&self, method_and_url: &str) -> TestFetch {
        let mut world = self.world.borrow_mut();
        let found = world.fetches.iter().position(|it| it.to_string() == method_and_url);
        let Some(waiting) = found.and_then(|at| world.fetches.remove(at)) else {
            let waiting: Vec<_> = world.fetches.iter().map(ToString::to_string).collect();
            panic!("no request {method_and_url:?} waits; these do: {waiting:?}");
        };
        drop(world);
        TestFetch { world: Rc::clone(&self.world), waiting: Some(waiting) }
    }

    /// Answers the next request with this method and URL that a run waits for, by
    /// [`fetch_now`](crate::Context::fetch_now).
    #[cfg(feature = "outgoing")]
    pub fn answers(&self, method_and_url: &str, status: u16, body: impl AsRef<[u8]>) {
        let answer = Ok((status, Vec::new(), body.as_ref().to_owned()));
        self.world.borrow_mut().prepared.push((method_and_url.to_owned(), answer));
    }

    /// Has the next request with this method and URL that a run waits for fail, with one of the words of
    /// [`FetchFailure`](crate::FetchFailure).
    #[cfg(feature = "outgoing")]
    pub fn fails(&self, method_and_url: &str, reason: &'static str) {
        let failure = Err((reason, "as the test says".to_owned()));
        self.world.borrow_mut().prepared.push((method_and_url.to_owned(), failure));
    }

    /// Methods and URLs of the requests that wait for an answer, the one that has waited longest first.
    #[must_use]
    pub fn fetches(&self) -> Vec<String> {
        self.world.borrow().fetches.iter().map(ToString::to_string).collect()
    }
}

/// A request of a consumer to a server outside, which the test answers.
#[derive(Debug)]
pub struct TestFetch {
    world: SharedWorld,
    /// None when it is answered.
    waiting: Option<Waiting>,
}

/// The message of a result, as the host writes it.
#[derive(Serialize)]
struct Written<'a> {
    result: &'static str,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Vec<(String, ByteBuf)>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Bytes<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

impl TestFetch {
    fn request(&self) -> &Request {
        &self.waiting.as_ref().expect("only an answer takes it, which takes self").request
    }

    /// The first header field of a name, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.request().headers.iter();
        let found = headers.find(|(field, _)| field.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(&found.1).ok()
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.request().body
    }

    /// Reads the body as JSON.
    ///
    /// # Panics
    /// When it does not read as `T`.
    #[track_caller]
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(self.body()) {
            Ok(body) => body,
            Err(error) => {
                panic!("the body does not read as `{}`: {error}", std::any::type_name::<T>())
            }
        }
    }

    /// Answers, without header fields. With 429, 502, 503 or 504 a request that has retries left waits again.
    pub fn answer(self, status: u16, body: impl AsRef<[u8]>) {
        let is_passing = matches!(status, 429 | 502 | 503 | 504);
        let (status, headers, body) = (Some(status), Some(Vec::new()), Some(Bytes(body.as_ref())));
        let written = Written { status, headers, body, ..Written::new("answered") };
        self.conclude(is_passing, written);
    }

    /// Answers with a value as JSON.
    ///
    /// # Panics
    /// When serde cannot write it.
    #[track_caller]
    pub fn answer_json(self, status: u16, body: &impl Serialize) {
        match serde_json::to_vec(body) {
            Ok(body) => self.answer(status, body),
            Err(error) => panic!("the body cannot be written as JSON: {error}"),
        }
    }

    /// Has it fail with one of the words of [`FetchFailure`](crate::FetchFailure). After `resolve`, `connect`,
    /// `timeout` and `broken` a request that has retries left waits again.
    pub fn fail(self, reason: &str) {
        let is_passing = matches!(reason, "resolve" | "connect" | "timeout" | "broken");
        let (reason, message) = (Some(reason), Some("as the test says"));
        self.conclude(is_passing, Written { reason, message, ..Written::new("failed") });
    }

    /// Ends the process that makes it. A request with retries waits again; of another one the result is unknown.
    pub fn lose(mut self) {
        if self.request().retries == 0 {
            return self.conclude(false, Written::new("unknown"));
        }
        if let Some(mut waiting) = self.waiting.take() {
            waiting.attempts += 1;
            self.world.borrow_mut().fetches.push_back(waiting);
        }
    }

    fn conclude(mut self, is_passing: bool, written: Written<'_>) {
        let Some(mut waiting) = self.waiting.take() else { return };
        if is_passing && waiting.attempts <= waiting.request.retries {
            waiting.attempts += 1;
            return self.world.borrow_mut().fetches.push_back(waiting);
        }
        let written = Written { attempts: waiting.attempts, ..written };
        let content = payload::encode(&written).expect("texts, numbers and bytes can be written");
        let content = with_value(content, &waiting.request.value);
        self.world.borrow_mut().send(waiting.request.then, content, &waiting.correlation);
        call::settle(&self.world);
    }
}

/// Adds the value of the request to a map of fewer than 15 entries.
fn with_value(mut content: Vec<u8>, value: &[u8]) -> Vec<u8> {
    if let Some(first) = content.first_mut() {
        *first += 1;
    }
    // A text of five bytes.
    content.push(0xa5);
    content.extend_from_slice(b"value");
    content.extend_from_slice(value);
    content
}

impl Written<'_> {
    const fn new(result: &'static str) -> Self {
        Self {
            result,
            attempts: 0,
            status: None,
            headers: None,
            body: None,
            reason: None,
            message: None,
        }
    }
}

impl Drop for TestFetch {
    fn drop(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            self.world.borrow_mut().fetches.push_front(waiting);
        }
    }
}
