//! The page that lists the examples.

use tidegate_sdk::{Response, export, http};

const PAGE: &str = include_str!("page.html");

#[http("GET /")]
fn page() -> Response {
    Response::html(PAGE)
        .header("cache-control", "no-cache")
        .header("content-security-policy", "default-src 'self' 'unsafe-inline'; img-src data:")
}

export! { page }
