//! IPv4 addresses inside of IPv6 addresses: a tunnel or a translator carries a packet for the one to the
//! other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns the addresses that a connection to `address` may reach: itself, then every IPv4 address inside
/// of it. An IPv4-mapped address is the IPv4 address, and has to be written so before.
///
/// A NAT64 prefix that an operator chose (RFC 6052, section 2.2) looks like any other address and is not
/// seen.
pub(super) fn reached(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let inner = match address {
        IpAddr::V4(_) => [None; 3],
        IpAddr::V6(address) => embedded(address),
    };
    std::iter::once(address).chain(inner.into_iter().flatten().map(IpAddr::V4))
}

fn embedded(address: Ipv6Addr) -> [Option<Ipv4Addr>; 3] {
    let (inner, server) = match address.segments() {
        // The unspecified and the loopback address, not IPv4-compatible ones.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => (None, None),
        // IPv4-compatible, IPv4-translated (RFC 2765), NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => (Some(ipv4(high, low)), None),
        // 6to4 (RFC 3056, section 2).
        [0x2002, high, low, ..] => (Some(ipv4(high, low)), None),
        // Teredo (RFC 4380, section 4): the server, and the client with each bit inverted.
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            (Some(ipv4(!high, !low)), Some(ipv4(server_high, server_low)))
        }
        _ => (None, None),
    };
    // ISATAP (RFC 5214, section 6.1), under any prefix.
    let isatap = match address.segments() {
        [_, _, _, _, 0 | 0x0200, 0x5efe, high, low] => Some(ipv4(high, low)),
        _ => None,
    };
    [inner, server, isatap]
}

const fn ipv4(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}
