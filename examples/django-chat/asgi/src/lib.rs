//! The routes of an ASGI application beside Tidegate: every path that no other module has.
//!
//! The application runs in the place of these consumers, where Tidegate's workers leave `http.request.NAME` to it.

use tidegate_sdk::{Request, Response, export, http};

const MISSING: &str = "This module has the routes of an ASGI application, and runs nothing. Start Tidegate's workers with \
                       --exclude-channels http.request.NAME, and the application by `python -m tidegate asgi`.\n";

#[http("GET|POST|PUT|PATCH|DELETE|OPTIONS /")]
fn root() -> Response {
    Response::text(MISSING).status(503)
}

#[http("GET|POST|PUT|PATCH|DELETE|OPTIONS /{*path}")]
fn page(_request: &Request) -> Response {
    Response::text(MISSING).status(503)
}

export! { root, page }
