//! Looks around in its sandbox.

use std::net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};

use test_guests::ok;
use tidegate_sdk::{export, http};

/// With the port of somebody who listens.
#[http("GET /look/{port}")]
fn look(port: u16) -> String {
    let sees = |what: &str, seen: bool| format!("{what}: {seen}\n");
    [
        sees("files", std::fs::read_dir("/").is_ok() || std::fs::read_dir(".").is_ok()),
        sees("passwords", std::fs::read("/etc/passwd").is_ok()),
        sees("writing", std::fs::write("/tmp/x", "x").is_ok() || std::fs::write("x", "x").is_ok()),
        sees("environment", std::env::vars().next().is_some()),
        sees("arguments", std::env::args().next().is_some()),
        sees("network", TcpStream::connect(("127.0.0.1", port)).is_ok()),
        sees("datagrams", UdpSocket::bind("127.0.0.1:0").is_ok()),
        sees("listening", TcpListener::bind("127.0.0.1:0").is_ok()),
        sees("names", ("localhost", port).to_socket_addrs().is_ok()),
        sees("clock", std::time::SystemTime::now() > std::time::UNIX_EPOCH),
    ]
    .concat()
}

export! { look, ok }

fn main() {}
