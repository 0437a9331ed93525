//! Special-purpose addresses, each range with its source. All others are public.
//!
//! The ranges are those of the IANA special-purpose address registries (RFC 6890) that are not globally
//! reachable, and more: anycast services among the IETF protocol assignments, multicast, all of IPv6
//! outside of the global unicast space, and services of clouds for their own machines.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;

/// A range of addresses that are not public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// The range.
    pub network: IpNet,
    /// The use of its addresses, as it follows "is".
    pub purpose: &'static str,
    /// The standard or the document that says so.
    pub source: &'static str,
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.purpose, self.source)
    }
}

const METADATA: &str = "a metadata service of a cloud";
const DOCUMENTATION: &str = "for documentation only";
const PRIVATE: &str = "private";
const RESERVED: &str = "reserved";

/// Ranges that are not public. The first that contains an address names it, so narrow ones stand before
/// wide ones.
pub(super) const SPECIAL: &[AddressRange] = &[
    // Azure's address alone lies outside of every other range. The others are named for the message.
    v4([169, 254, 169, 254], 32, METADATA, "documentation of AWS, Azure, Google Cloud"),
    v4([169, 254, 170, 2], 32, METADATA, "documentation of AWS, ECS"),
    v4([169, 254, 170, 23], 32, METADATA, "documentation of AWS, EKS"),
    v4([169, 254, 42, 42], 32, METADATA, "documentation of Scaleway"),
    v4([100, 100, 100, 200], 32, METADATA, "documentation of Alibaba Cloud"),
    v4([168, 63, 129, 16], 32, METADATA, "documentation of Azure"),
    v4([192, 0, 0, 192], 32, METADATA, "documentation of Oracle Cloud"),
    v6([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0], 32, METADATA, "documentation of AWS"),
    v6([0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254], 128, METADATA, "documentation of Google Cloud"),
    v6(
        [0xfd00, 0x00c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe],
        128,
        METADATA,
        "documentation of Oracle Cloud",
    ),
    v6([0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042], 128, METADATA, "documentation of Scaleway"),
    v6([0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1], 128, METADATA, "documentation of Linode"),
    // IPv4.
    v4([0, 0, 0, 0], 8, "an address of this network", "RFC 791, section 3.2"),
    v4([10, 0, 0, 0], 8, PRIVATE, "RFC 1918"),
    v4([100, 64, 0, 0], 10, "shared by a provider's customers", "RFC 6598"),
    v4([127, 0, 0, 0], 8, "a loopback address", "RFC 1122, section 3.2.1.3"),
    v4([169, 254, 0, 0], 16, "link-local", "RFC 3927"),
    v4([172, 16, 0, 0], 12, PRIVATE, "RFC 1918"),
    v4([192, 0, 0, 0], 24, "for IETF protocols", "RFC 6890, section 2.1"),
    v4([192, 0, 2, 0], 24, DOCUMENTATION, "RFC 5737"),
    v4([192, 88, 99, 0], 24, "a 6to4 relay", "RFC 7526"),
    v4([192, 168, 0, 0], 16, PRIVATE, "RFC 1918"),
    v4([198, 18, 0, 0], 15, "for benchmarks", "RFC 2544"),
    v4([198, 51, 100, 0], 24, DOCUMENTATION, "RFC 5737"),
    v4([203, 0, 113, 0], 24, DOCUMENTATION, "RFC 5737"),
    v4([224, 0, 0, 0], 4, "multicast", "RFC 5771"),
    v4([255, 255, 255, 255], 32, "broadcast", "RFC 919"),
    v4([240, 0, 0, 0], 4, RESERVED, "RFC 1112, section 4"),
    // IPv6.
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128, "unspecified", "RFC 4291, section 2.5.2"),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128, "a loopback address", "RFC 4291, section 2.5.3"),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 96, "IPv4-compatible", "RFC 4291, section 2.5.5.1"),
    v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96, "IPv4-translated", "RFC 2765, section 2.1"),
    v6([0x0064, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "for NAT64 within a network", "RFC 8215"),
    v6([0x0100, 0, 0, 0, 0, 0, 0, 0], 64, "discarded", "RFC 6666"),
    v6([0x0100, 0, 0, 1, 0, 0, 0, 0], 64, "a dummy prefix", "RFC 9780"),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "a Teredo address", "RFC 4380"),
    v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, "for benchmarks", "RFC 5180"),
    v6([0x2001, 0x0010, 0, 0, 0, 0, 0, 0], 28, "an ORCHID", "RFC 4843"),
    v6([0x2001, 0x0020, 0, 0, 0, 0, 0, 0], 28, "an ORCHID", "RFC 7343"),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "for IETF protocols", "RFC 2928"),
    v6([0x2001, 0x0db8, 0, 0, 0, 0, 0, 0], 32, DOCUMENTATION, "RFC 3849"),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "a 6to4 address", "RFC 3056"),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, DOCUMENTATION, "RFC 9637"),
    v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, "a segment of SRv6", "RFC 9602"),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "unique local", "RFC 4193"),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link-local", "RFC 4291, section 2.5.6"),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "site-local", "RFC 3879"),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast", "RFC 4291, section 2.7"),
    // The three ranges around 2000::/3, the space of global unicast addresses.
    v6([0, 0, 0, 0, 0, 0, 0, 0], 3, RESERVED, "RFC 4291, section 2.4"),
    v6([0x4000, 0, 0, 0, 0, 0, 0, 0], 2, RESERVED, "RFC 4291, section 2.4"),
    v6([0x8000, 0, 0, 0, 0, 0, 0, 0], 1, RESERVED, "RFC 4291, section 2.4"),
];

/// NAT64 by the well-known prefix (RFC 6052, section 2.1): public where the IPv4 address in it is.
const NAT64: AddressRange =
    v6([0x0064, 0xff9b, 0, 0, 0, 0, 0, 0], 96, "a NAT64 address", "RFC 6052");

/// Returns the range that keeps an address from being public. `None` if it is public.
///
/// An IPv4-mapped address has to be written as IPv4 before. The IPv4 address inside of another one is
/// judged by itself, see [`super::embedded`].
pub(super) fn special(address: IpAddr) -> Option<&'static AddressRange> {
    if NAT64.network.contains(&address) {
        return None;
    }
    SPECIAL.iter().find(|range| range.network.contains(&address))
}

const fn v4(
    octets: [u8; 4],
    prefix: u8,
    purpose: &'static str,
    source: &'static str,
) -> AddressRange {
    let [a, b, c, d] = octets;
    let network = IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix);
    AddressRange { network, purpose, source }
}

const fn v6(
    segments: [u16; 8],
    prefix: u8,
    purpose: &'static str,
    source: &'static str,
) -> AddressRange {
    let [a, b, c, d, e, f, g, h] = segments;
    let network = IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), prefix);
    AddressRange { network, purpose, source }
}
