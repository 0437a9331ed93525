//! Answers with the request as a consumer sees it.

use std::fmt::Write as _;

use test_guests::ok;
use tidegate_sdk::{Request, export, http};

#[http("GET|POST|PUT|OPTIONS|TRACE|CONNECT|BREW /mirror")]
fn mirror(request: &Request) -> String {
    show(request)
}

#[http("GET /mirror/{*rest}")]
fn below(request: &Request) -> String {
    show(request)
}

/// Head and body, a line for each field, with what does not print escaped.
fn show(request: &Request) -> String {
    let mut shown = format!("{} {}", request.method(), request.raw_path());
    if !request.query_string().is_empty() {
        write!(shown, "?{}", request.query_string()).expect("a text takes all");
    }
    shown.push('\n');
    for (name, value) in request.headers() {
        writeln!(shown, "{name}: {}", value.escape_ascii()).expect("a text takes all");
    }
    writeln!(shown, "[{}]", request.body().escape_ascii()).expect("a text takes all");
    shown
}

export! { mirror, below, ok }

fn main() {}
