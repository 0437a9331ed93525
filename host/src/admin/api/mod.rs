//! The admin API, version 1: JSON below `/api/v1`, for holders of the token.
//!
//! [`OPERATIONS`] lists the operations; a test compares it with the OpenAPI document.

mod answer;
mod body;
mod data;
mod messages;
mod modules;
mod openapi;
mod problem;
mod read;
mod settings;
mod stream;
mod types;

use std::{net::SocketAddr, num::NonZeroU32, sync::Arc};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use hyper::{HeaderMap, Method, Request, StatusCode, body::Incoming, header};
use tokio::sync::Semaphore;

pub(super) use self::answer::{Answer, full};
use self::{
    answer::{JSON, empty, json},
    problem::Problem,
};
use super::State;
use crate::{message::ModuleName, registry::DeployError, shutdown::Drain};

/// The prefix of all paths of the API.
pub(super) const PREFIX: &str = "/api/v1/";
/// Wrong tokens a minute that get a 401. Beyond, they get a 429.
const WRONG_TOKENS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(60).expect("60 is not 0");
/// Streams of records at the same time, at most.
const RECORD_STREAMS_MAX: usize = 32;
/// Exports of data at the same time, at most. Redis holds a copy for each.
const EXPORTS_MAX: usize = 4;
/// The header field with the name of the user. It is not checked, since a holder of the token may do anything.
const USER_FIELD: &str = "x-tidegate-user";
/// The header field with a note for the history.
const NOTE_FIELD: &str = "x-tidegate-note";
/// Characters that are kept of either.
const FIELD_CHARACTERS_MAX: usize = 200;

/// The state of the API between requests: wrong tokens, open streams of records, and exports.
#[derive(Debug)]
pub struct Api {
    /// The right token always passes: it has 256 bits, and its holder must not be locked out by others.
    failures: DefaultDirectRateLimiter,
    streams: Arc<Semaphore>,
    exports: Arc<Semaphore>,
}

impl Default for Api {
    fn default() -> Self {
        let failures = RateLimiter::direct(Quota::per_minute(WRONG_TOKENS_PER_MINUTE));
        let streams = Arc::new(Semaphore::new(RECORD_STREAMS_MAX));
        Self { failures, streams, exports: Arc::new(Semaphore::new(EXPORTS_MAX)) }
    }
}

/// One request that may be answered.
#[derive(Debug)]
struct Call {
    state: Arc<State>,
    tasks: Drain,
    peer: SocketAddr,
    /// The values of `{name}` and `{version}`.
    params: Vec<String>,
    query: String,
    headers: HeaderMap,
    body: Incoming,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Activate,
    DataDelete,
    DataExport,
    DataGet,
    DataImport,
    DataList,
    DataSet,
    DataUsage,
    Delete,
    DeleteVersion,
    Deploy,
    Drain,
    GroupSend,
    Layer,
    List,
    Nodes,
    OpenApi,
    Patch,
    Records,
    Rollback,
    Routes,
    Send,
    Set,
    Settings,
    Show,
    Stream,
}

/// All operations: method, path below the prefix, and kind.
const OPERATIONS: [(Method, &str, Operation); 26] = [
    (Method::GET, "modules", Operation::List),
    (Method::GET, "modules/{name}", Operation::Show),
    (Method::PUT, "modules/{name}", Operation::Deploy),
    (Method::DELETE, "modules/{name}", Operation::Delete),
    (Method::DELETE, "modules/{name}/versions/{version}", Operation::DeleteVersion),
    (Method::POST, "modules/{name}/activate", Operation::Activate),
    (Method::POST, "modules/{name}/rollback", Operation::Rollback),
    (Method::GET, "modules/{name}/settings", Operation::Settings),
    (Method::PUT, "modules/{name}/settings", Operation::Set),
    (Method::PATCH, "modules/{name}/settings", Operation::Patch),
    (Method::GET, "modules/{name}/data", Operation::DataList),
    (Method::GET, "modules/{name}/data/export", Operation::DataExport),
    (Method::POST, "modules/{name}/data/import", Operation::DataImport),
    (Method::GET, "modules/{name}/data/usage", Operation::DataUsage),
    (Method::GET, "modules/{name}/data/value", Operation::DataGet),
    (Method::PUT, "modules/{name}/data/value", Operation::DataSet),
    (Method::DELETE, "modules/{name}/data/value", Operation::DataDelete),
    (Method::POST, "channels/{channel}/messages", Operation::Send),
    (Method::POST, "groups/{group}/messages", Operation::GroupSend),
    (Method::GET, "routes", Operation::Routes),
    (Method::GET, "records", Operation::Records),
    (Method::GET, "records/stream", Operation::Stream),
    (Method::GET, "layer", Operation::Layer),
    (Method::GET, "nodes", Operation::Nodes),
    (Method::POST, "drain", Operation::Drain),
    (Method::GET, "openapi.json", Operation::OpenApi),
];

/// Answers a request below the prefix.
pub(super) async fn answer(
    state: Arc<State>,
    tasks: Drain,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Answer {
    match call(state, tasks, peer, request).await {
        Ok(answer) => answer,
        Err(problem) => problem.into_answer(),
    }
}

async fn call(
    state: Arc<State>,
    tasks: Drain,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Answer, Box<Problem>> {
    let (head, body) = request.into_parts();
    let found = resolve(&head.method, head.uri.path());
    if let Ok((Operation::OpenApi, _)) = found {
        return Ok(full(StatusCode::OK, JSON, openapi::document()));
    }
    admit(&state, &head.headers)?;
    let (operation, params) = found?;
    let query = head.uri.query().unwrap_or_default().to_owned();
    let call = Call { state, tasks, peer, params, query, headers: head.headers, body };
    match operation {
        Operation::Activate => modules::activate(call).await,
        Operation::DataDelete => data::delete(call).await,
        Operation::DataExport => data::export(&call).await,
        Operation::DataGet => data::get(&call).await,
        Operation::DataImport => data::import(call).await,
        Operation::DataList => data::list(&call).await,
        Operation::DataSet => data::set(call).await,
        Operation::DataUsage => data::usage(&call).await,
        Operation::Delete => modules::delete(call).await,
        Operation::DeleteVersion => modules::delete_version(call).await,
        Operation::Deploy => modules::deploy(call).await,
        Operation::Drain => Ok(read::drain(&call)),
        Operation::GroupSend => messages::group_send(call).await,
        Operation::Layer => read::layer(&call).await,
        Operation::List => Ok(modules::list(&call)),
        Operation::Nodes => Ok(read::nodes(&call)),
        Operation::OpenApi => Ok(full(StatusCode::OK, JSON, openapi::document())),
        Operation::Patch => settings::patch(call).await,
        Operation::Records => read::records(&call),
        Operation::Rollback => modules::rollback(call).await,
        Operation::Routes => Ok(modules::routes(&call)),
        Operation::Send => messages::send(call).await,
        Operation::Set => settings::set(call).await,
        Operation::Settings => settings::get(&call),
        Operation::Show => modules::show(&call),
        Operation::Stream => stream::records(&call),
    }
}

/// Refuses requests without the token.
fn admit(state: &State, headers: &HeaderMap) -> Result<(), Box<Problem>> {
    if state.token.is_in(headers) {
        return Ok(());
    }
    let refused = |code, what: &str| {
        let text = format!(
            "{what}; the header field authorization must be \"Bearer\" and the token, which stands \
             in the file admin-token of the data directory"
        );
        Err(Problem::new(StatusCode::UNAUTHORIZED, code, text))
    };
    // A request without a token is not a guess.
    if !headers.contains_key(header::AUTHORIZATION) {
        return refused("no-token", "there is no token");
    }
    if let Err(until) = state.api.failures.check() {
        let pause = until.wait_time_from(DefaultClock::default().now());
        let text = "too many requests with a wrong token; look at what sends them";
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-failures", text);
        return Err(problem.after(pause));
    }
    refused("token", "it is not the token of this host")
}

/// Returns the operation of a path and its parameters, or the problem with the path.
fn resolve(method: &Method, path: &str) -> Result<(Operation, Vec<String>), Box<Problem>> {
    let path = path.strip_prefix(PREFIX).unwrap_or_default();
    let mut allowed = Vec::new();
    for (known, pattern, operation) in &OPERATIONS {
        if let Some(params) = captured(pattern, path) {
            if known == method {
                return Ok((*operation, params));
            }
            allowed.push(known.as_str());
        }
    }
    if allowed.is_empty() {
        let text = "there is nothing here; GET /api/v1/openapi.json lists what there is";
        return Err(Problem::new(StatusCode::NOT_FOUND, "not-found", text));
    }
    let allowed = allowed.join(", ");
    let text = format!("the methods here are {allowed}");
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", text);
    Err(problem.allowing(allowed))
}

fn captured(pattern: &str, path: &str) -> Option<Vec<String>> {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    let mut params = Vec::new();
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return Some(params),
            (Some(part), Some(found)) if part.starts_with('{') => {
                let found = percent_encoding::percent_decode_str(found).decode_utf8_lossy();
                params.push(found.into_owned());
            }
            (Some(part), Some(found)) if part == found => {}
            _ => return None,
        }
    }
}

impl Call {
    fn module(&self) -> Result<ModuleName, Box<Problem>> {
        let name = self.params.first().cloned().unwrap_or_default();
        let module = ModuleName::parse(&name);
        module.map_err(|error| DeployError::Name { name, error }.into())
    }

    fn version(&self) -> Result<u64, Box<Problem>> {
        let text = self.params.get(1).map(String::as_str).unwrap_or_default();
        let number = text.parse().ok().filter(|&number| number > 0);
        number.ok_or_else(|| {
            let text = format!("{text:?} is not a valid version; versions are numbers from 1");
            Problem::bad("version", text)
        })
    }

    /// A header field that goes into logs and histories: cut, and in one line.
    fn said(&self, name: &str) -> Option<String> {
        let value = str::from_utf8(self.headers.get(name)?.as_bytes()).ok()?.trim();
        let kept: String =
            value.chars().filter(|c| !c.is_control()).take(FIELD_CHARACTERS_MAX).collect();
        (!kept.is_empty()).then_some(kept)
    }

    fn who(&self) -> String {
        self.said(USER_FIELD).unwrap_or_else(|| "unknown".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_describes_what_there_is_and_nothing_else() {
        let document: serde_json::Value = serde_json::from_slice(&openapi::document()).unwrap();
        let mut described: Vec<_> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                let path = path.strip_prefix(PREFIX).unwrap().to_owned();
                let methods = methods.as_object().unwrap().keys().cloned();
                methods.map(move |method| (path.clone(), method.to_uppercase()))
            })
            .collect();
        described.sort();
        let mut there: Vec<_> = (OPERATIONS.iter())
            .map(|(method, path, _)| ((*path).to_owned(), method.to_string()))
            .collect();
        there.sort();
        assert_eq!(described, there);
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    }

    #[test]
    fn a_path_is_matched_by_its_parts() {
        let found = |method: &Method, path: &str| {
            resolve(method, path).map_err(|problem| problem.into_answer().status().as_u16())
        };
        let (operation, params) = found(&Method::PUT, "/api/v1/modules/chat").unwrap();
        assert_eq!((operation, params), (Operation::Deploy, vec!["chat".to_owned()]));
        assert_eq!(found(&Method::POST, "/api/v1/modules/chat").unwrap_err(), 405);
        for path in ["/api/v1/", "/api/v1/modules/", "/api/v1/modules/a/b", "/api/v1/nodes/x"] {
            let status = found(&Method::GET, path).map(|(operation, _)| operation);
            assert!(matches!(status, Err(404) | Ok(Operation::Show)), "{path}: {status:?}");
        }
    }
}
