//! The PROXY protocol: who the client of a proxy is, said before the first byte of the client.
//!
//! <https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>, versions 1 and 2. Where it is on,
//! every connection must begin with it; a receiver must not guess (section 2).

use std::net::{IpAddr, SocketAddr};

use ppp::{HeaderResult, PartialResult as _, v1, v2};

use super::wire::Wire;

/// Version 1 has at most 107 bytes; version 2 has addresses and whatever the proxy adds.
const HEADER_BYTES_MAX: usize = 4 * 1024;

/// What version 1 begins with.
const VERSION_1: &[u8] = b"PROXY";
/// A header of version 1 is a line of at most so many bytes (section 2.1).
const LINE_BYTES_MAX: usize = 107;

/// A connection that did not begin as it had to.
#[derive(Debug, thiserror::Error)]
pub(in crate::interface) enum ProxyError {
    #[error("it does not begin with a header of the PROXY protocol")]
    NoHeader,
    #[error("it ended within the header of the PROXY protocol")]
    Ended,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Both ends as the proxy tells them, client first; none when the proxy speaks for itself.
type Ends = Option<(SocketAddr, SocketAddr)>;

/// Reads the header and nothing behind it.
pub(super) async fn read(wire: &mut Wire) -> Result<Ends, ProxyError> {
    loop {
        if is_cut(wire.ahead()) {
            if wire.read_ahead().await? == 0 {
                return Err(ProxyError::Ended);
            }
            continue;
        }
        let header = HeaderResult::parse(wire.ahead());
        let parsed = match &header {
            HeaderResult::V1(Ok(header)) => Some((header.header.len(), of_version_1(header))),
            HeaderResult::V2(Ok(header)) => Some((header.len(), of_version_2(header))),
            HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => None,
        };
        if let Some((length, ends)) = parsed {
            wire.consume(length);
            return Ok(ends);
        }
        if header.is_complete() || wire.ahead().len() >= HEADER_BYTES_MAX {
            return Err(ProxyError::NoHeader);
        }
        if wire.read_ahead().await? == 0 {
            return Err(ProxyError::Ended);
        }
    }
}

/// Whether more of the line of version 1 is to come. The library takes a line that ends before its last
/// port for a wrong one.
fn is_cut(ahead: &[u8]) -> bool {
    ahead.starts_with(VERSION_1)
        && ahead.len() < LINE_BYTES_MAX
        && !ahead.windows(2).any(|two| two == b"\r\n")
}

fn ends(client: (impl Into<IpAddr>, u16), server: (impl Into<IpAddr>, u16)) -> Ends {
    Some((SocketAddr::new(client.0.into(), client.1), SocketAddr::new(server.0.into(), server.1)))
}

fn of_version_1(header: &v1::Header<'_>) -> Ends {
    match header.addresses {
        v1::Addresses::Tcp4(ip) => {
            ends((ip.source_address, ip.source_port), (ip.destination_address, ip.destination_port))
        }
        v1::Addresses::Tcp6(ip) => {
            ends((ip.source_address, ip.source_port), (ip.destination_address, ip.destination_port))
        }
        v1::Addresses::Unknown => None,
    }
}

fn of_version_2(header: &v2::Header<'_>) -> Ends {
    if header.command == v2::Command::Local {
        // A health check of the proxy.
        return None;
    }
    match header.addresses {
        v2::Addresses::IPv4(ip) => {
            ends((ip.source_address, ip.source_port), (ip.destination_address, ip.destination_port))
        }
        v2::Addresses::IPv6(ip) => {
            ends((ip.source_address, ip.source_port), (ip.destination_address, ip.destination_port))
        }
        v2::Addresses::Unix(_) | v2::Addresses::Unspecified => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_cut_anywhere_is_waited_for() {
        for line in [
            "PROXY TCP4 203.0.113.9 10.1.1.1 5555 443\r\n",
            "PROXY TCP6 2001:db8::1 ::1 5555 443\r\n",
            "PROXY UNKNOWN\r\n",
        ] {
            let line = line.as_bytes();
            for length in 0..line.len() {
                let ahead = &line[..length];
                let waits = is_cut(ahead) || HeaderResult::parse(ahead).is_incomplete();
                assert!(waits, "{}", ahead.escape_ascii());
            }
            assert!(!is_cut(line));
        }
        assert!(!is_cut(&[VERSION_1, &[b'x'; LINE_BYTES_MAX]].concat()), "no line is as long");
    }
}
