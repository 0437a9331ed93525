//! Keeps handles of the host, as many as it gets.

use test_guests::{Watch, announce, ok};
use tidegate_sdk::{Context, Result, export, http};
use wasip2::{
    cli::stdin::get_stdin,
    clocks::monotonic_clock::subscribe_duration,
    sockets::{
        network::IpAddressFamily, tcp_create_socket::create_tcp_socket,
        udp_create_socket::create_udp_socket,
    },
};

#[http("GET /run")]
fn run(cx: &mut Context) -> Result<&'static str> {
    announce(cx)?;
    let mut kept = Vec::new();
    loop {
        kept.push(subscribe_duration(1));
    }
}

/// Each would be a descriptor of the host.
#[http("GET /sockets")]
fn sockets() -> String {
    let mut kept = (Vec::new(), Vec::new());
    for _ in 0..1_000 {
        kept.0.extend(create_tcp_socket(IpAddressFamily::Ipv4));
        kept.1.extend(create_udp_socket(IpAddressFamily::Ipv4));
    }
    format!("{} sockets", kept.0.len() + kept.1.len())
}

/// Lets go of a stream before what waits for it.
#[http("GET /misuse")]
fn misuse() -> &'static str {
    let stream = get_stdin();
    let wait = stream.subscribe();
    drop(stream);
    drop(wait);
    "never"
}

export! { run, sockets, misuse, Watch, ok }

fn main() {}
