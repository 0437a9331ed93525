//! The operations of the API: path, role, and how far each reaches.

use hyper::{Method, StatusCode};

use super::problem::Problem;
use crate::admin::access::Role;

/// The prefix of all paths of the API.
pub(in crate::admin) const PREFIX: &str = "/api/v1/";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Activate,
    Close,
    ConnectionClose,
    ConnectionShow,
    Connections,
    DataDelete,
    DataExport,
    DataGet,
    DataImport,
    DataList,
    DataSet,
    DataUsage,
    DeadLetterChannels,
    DeadLetterDrop,
    DeadLetterList,
    DeadLetterRun,
    DeadLetterShow,
    DeadLettersDrop,
    DeadLettersRun,
    Delayed,
    DelayedCancel,
    Delete,
    DeleteVersion,
    Deploy,
    Drain,
    GroupMembers,
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
    Token,
    TokenCreate,
    TokenList,
    TokenRevoke,
}

/// The reach of an operation, for tokens that are limited to modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The module in its path, which the token must cover.
    Module,
    /// Whatever its handler finds: it leaves out or refuses what the token does not cover.
    Covered,
    /// The whole process, which no limited token covers.
    Process,
}

/// An operation of the API.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) method: Method,
    /// Below the prefix.
    pub(super) path: &'static str,
    pub(super) operation: Operation,
    /// The least role that may ask for it.
    pub(super) role: Role,
    pub(super) reach: Reach,
}

const fn row(
    method: Method,
    path: &'static str,
    operation: Operation,
    role: Role,
    reach: Reach,
) -> Row {
    Row { method, path, operation, role, reach }
}

/// All operations. `openapi.json` is for everybody.
pub(super) const OPERATIONS: [Row; 44] = {
    use Operation as O;
    use Reach::{Covered, Module, Process};
    use Role::{Admin, Deploy, Look, Send};
    const GET: Method = Method::GET;
    const PUT: Method = Method::PUT;
    const POST: Method = Method::POST;
    const PATCH: Method = Method::PATCH;
    const DELETE: Method = Method::DELETE;
    [
        row(GET, "modules", O::List, Look, Covered),
        row(GET, "modules/{name}", O::Show, Look, Module),
        row(PUT, "modules/{name}", O::Deploy, Deploy, Module),
        row(DELETE, "modules/{name}", O::Delete, Deploy, Module),
        row(DELETE, "modules/{name}/versions/{version}", O::DeleteVersion, Deploy, Module),
        row(POST, "modules/{name}/activate", O::Activate, Deploy, Module),
        row(POST, "modules/{name}/rollback", O::Rollback, Deploy, Module),
        row(GET, "modules/{name}/settings", O::Settings, Look, Module),
        // Settings grant directories, which may have anything in them.
        row(PUT, "modules/{name}/settings", O::Set, Admin, Module),
        row(PATCH, "modules/{name}/settings", O::Patch, Admin, Module),
        row(GET, "modules/{name}/data", O::DataList, Deploy, Module),
        row(GET, "modules/{name}/data/export", O::DataExport, Deploy, Module),
        row(POST, "modules/{name}/data/import", O::DataImport, Deploy, Module),
        row(GET, "modules/{name}/data/usage", O::DataUsage, Look, Module),
        row(GET, "modules/{name}/data/value", O::DataGet, Deploy, Module),
        row(PUT, "modules/{name}/data/value", O::DataSet, Deploy, Module),
        row(DELETE, "modules/{name}/data/value", O::DataDelete, Deploy, Module),
        row(POST, "channels/{channel}/messages", O::Send, Send, Covered),
        row(POST, "groups/{group}/messages", O::GroupSend, Send, Covered),
        row(GET, "groups/{group}/members", O::GroupMembers, Look, Covered),
        row(GET, "connections", O::Connections, Look, Covered),
        row(POST, "connections/close", O::Close, Send, Covered),
        row(GET, "connections/{connection}", O::ConnectionShow, Look, Covered),
        row(DELETE, "connections/{connection}", O::ConnectionClose, Send, Covered),
        row(GET, "modules/{name}/delayed", O::Delayed, Look, Module),
        row(DELETE, "modules/{name}/delayed", O::DelayedCancel, Send, Module),
        row(GET, "dead-letters", O::DeadLetterChannels, Look, Covered),
        row(GET, "dead-letters/{channel}", O::DeadLetterList, Look, Covered),
        row(DELETE, "dead-letters/{channel}", O::DeadLettersDrop, Send, Covered),
        row(POST, "dead-letters/{channel}/run", O::DeadLettersRun, Send, Covered),
        row(GET, "dead-letters/{channel}/{id}", O::DeadLetterShow, Look, Covered),
        row(DELETE, "dead-letters/{channel}/{id}", O::DeadLetterDrop, Send, Covered),
        row(POST, "dead-letters/{channel}/{id}/run", O::DeadLetterRun, Send, Covered),
        row(GET, "routes", O::Routes, Look, Covered),
        row(GET, "records", O::Records, Look, Covered),
        row(GET, "records/stream", O::Stream, Look, Covered),
        row(GET, "layer", O::Layer, Look, Covered),
        row(GET, "nodes", O::Nodes, Look, Covered),
        row(GET, "token", O::Token, Look, Covered),
        row(GET, "tokens", O::TokenList, Admin, Process),
        row(POST, "tokens", O::TokenCreate, Admin, Process),
        row(DELETE, "tokens/{token}", O::TokenRevoke, Admin, Process),
        row(POST, "drain", O::Drain, Admin, Process),
        row(GET, "openapi.json", O::OpenApi, Look, Covered),
    ]
};

/// The same, at one place.
static ROWS: &[Row] = &OPERATIONS;

/// Returns the operation of a path and its parameters, or the problem with the path.
pub(super) fn resolve(
    method: &Method,
    path: &str,
) -> Result<(&'static Row, Vec<String>), Box<Problem>> {
    let path = path.strip_prefix(PREFIX).unwrap_or_default();
    let matching = ROWS.iter().filter_map(|row| Some((row, captured(row.path, path)?)));
    let matching: Vec<_> = matching.collect();
    // A part that is written out wins over one that stands for any.
    let fewest = matching.iter().map(|(_, params)| params.len()).min();
    let mut allowed = Vec::new();
    for (row, params) in matching {
        if Some(params.len()) != fewest {
            continue;
        }
        if row.method == *method {
            return Ok((row, params));
        }
        allowed.push(row.method.as_str());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::openapi;

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
        let mut there: Vec<_> =
            (OPERATIONS.iter()).map(|row| (row.path.to_owned(), row.method.to_string())).collect();
        there.sort();
        assert_eq!(described, there);
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    }

    #[test]
    fn a_path_is_matched_by_its_parts() {
        let found = |method: &Method, path: &str| {
            let found = resolve(method, path).map(|(row, params)| (row.operation, params));
            found.map_err(|problem| problem.into_answer().status().as_u16())
        };
        let (operation, params) = found(&Method::PUT, "/api/v1/modules/chat").unwrap();
        assert_eq!((operation, params), (Operation::Deploy, vec!["chat".to_owned()]));
        assert_eq!(found(&Method::POST, "/api/v1/modules/chat").unwrap_err(), 405);
        // No connection has this name.
        assert_eq!(found(&Method::GET, "/api/v1/connections/close").unwrap_err(), 405);
        for path in ["/api/v1/", "/api/v1/modules/", "/api/v1/modules/a/b", "/api/v1/nodes/x"] {
            let status = found(&Method::GET, path).map(|(operation, _)| operation);
            assert!(matches!(status, Err(404) | Ok(Operation::Show)), "{path}: {status:?}");
        }
    }

    #[test]
    fn the_document_says_which_role_each_operation_asks_for() {
        let document: serde_json::Value = serde_json::from_slice(&openapi::document()).unwrap();
        for row in ROWS.iter().filter(|row| row.operation != Operation::OpenApi) {
            let method = row.method.as_str().to_lowercase();
            let described = &document["paths"][format!("{PREFIX}{}", row.path)][method];
            assert_eq!(described["x-tidegate-role"], row.role.word(), "{}", row.path);
            assert!(described["responses"]["403"].is_object(), "{}", row.path);
        }
    }

    #[test]
    fn what_is_about_one_module_has_it_in_its_path_and_what_changes_the_process_is_for_admins() {
        for row in ROWS {
            assert_eq!(
                row.path.starts_with("modules/{name}"),
                row.reach == Reach::Module,
                "{}",
                row.path
            );
            assert!(row.reach != Reach::Process || row.role == Role::Admin, "{}", row.path);
            let changes = row.method != Method::GET;
            assert!(!changes || row.role > Role::Look, "{} changes something", row.path);
        }
    }
}
