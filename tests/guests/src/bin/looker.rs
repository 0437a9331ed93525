//! Looks around in its sandbox.

use test_guests::ok;
use tidegate_sdk::{export, http};

#[http("GET /look")]
fn look() -> String {
    let sees = |what: &str, seen: bool| format!("{what}: {seen}\n");
    [
        sees("files", std::fs::read_dir("/").is_ok() || std::fs::read_dir(".").is_ok()),
        sees("environment", std::env::vars().next().is_some()),
        sees("arguments", std::env::args().next().is_some()),
        sees("network", std::net::TcpStream::connect("127.0.0.1:80").is_ok()),
        sees("listening", std::net::TcpListener::bind("127.0.0.1:0").is_ok()),
        sees("clock", std::time::SystemTime::now() > std::time::UNIX_EPOCH),
    ]
    .concat()
}

export! { look, ok }

fn main() {}
