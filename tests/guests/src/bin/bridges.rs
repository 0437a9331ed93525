//! Writes lines with the crates that other libraries write them with.

use tidegate_sdk::{export, http};

#[http("GET /run")]
fn run() -> &'static str {
    log::warn!("from {}", "log");
    log::debug!("not taken");
    tracing::error!(level = 7, "from tracing");
    tracing::debug!("not taken");
    "logged"
}

export! { run }

fn main() {}
