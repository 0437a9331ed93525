//! Entries of the grants, read from the settings.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{
    destination::{Destination, Hosts},
    origin::{Scheme, host_name},
    redact::redacted,
};

/// The shortest prefix of an IPv4 network: 10.0.0.0/8 is the widest private one. A wider one would grant
/// loopback and metadata addresses in passing.
const IPV4_PREFIX_MIN: u8 = 8;
/// The shortest prefix of an IPv6 network: fc00::/7 is the widest private one.
const IPV6_PREFIX_MIN: u8 = 7;
/// The length of the prefix of IPv4-mapped addresses.
const MAPPED_PREFIX: u8 = 96;
/// Top-level domains below which `*.` is allowed: no registry sells names there (RFC 6761, RFC 6762, and
/// the ICANN board resolution of 2024-07-29 on `internal`).
const PRIVATE_TOP_LEVEL: &[&str] = &["internal", "local", "localhost", "test"];

/// An entry of the grants cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{entry:?}: {problem}")]
pub struct DestinationError {
    /// The entry, without path and credentials: they may be secrets.
    pub entry: String,
    /// The rule that it breaks.
    pub problem: DestinationProblem,
}

/// A rule of entries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DestinationProblem {
    /// There is no host.
    #[error("an entry names a host; write one such as \"api.example.com\"")]
    Empty,
    /// A character cannot stand in an entry.
    #[error("{0:?} cannot stand in an entry; write one such as \"https://api.example.com:8443\"")]
    Character(char),
    /// The scheme is neither `https` nor `http`.
    #[error(
        "calls go by https or http; write \"https://\", \"http://\", or no scheme for both before the host"
    )]
    Scheme,
    /// There are credentials.
    #[error(
        "an entry has no user name and no password, so there is no `@` in it; write scheme, host and \
         port, such as \"https://api.example.com:8443\""
    )]
    Credentials,
    /// There is a path, a query or a fragment.
    #[error("an entry grants a whole host, without a path, a query or a fragment; write \"{0}\"")]
    Path(String),
    /// The port is not a number that a server can have.
    #[error("a port is a number from 1 to 65535 behind a colon; write one such as \"{0}:8443\"")]
    Port(String),
    /// The name is not a name of the DNS.
    #[error(
        "the host is not a valid name: at most 253 letters, digits, `-`, `_` and dots, and from 1 to 63 \
         between two dots; write one such as \"api.example.com\""
    )]
    Name,
    /// The `*` stands alone.
    #[error(
        "`*` grants no host by itself; name each host, or all below a domain by \"*.example.com\""
    )]
    BareWildcard,
    /// The `*` stands elsewhere than before the first dot.
    #[error("`*` stands for whole labels before a name; write \"*.example.com\", with the dot")]
    WildcardPlace,
    /// The `*` covers a top-level domain.
    #[error(
        "names below a top-level domain have many owners; name a domain, as in \"*.example{0}\""
    )]
    TopLevel(String),
    /// An address has another spelling than the usual one.
    #[error("an address has one spelling; write \"{0}\"")]
    Spelling(String),
    /// A network has set bits behind its prefix.
    #[error("the bits of a network behind its length are 0; write \"{0}\"")]
    HostBits(String),
    /// A network is too wide.
    #[error(
        "a network has a length of at least {IPV4_PREFIX_MIN} bits for IPv4 and {IPV6_PREFIX_MIN} for \
         IPv6, since wider ones cover loopback and metadata addresses; write one entry for each network"
    )]
    TooWide,
}

type Parsed<T> = Result<T, DestinationProblem>;

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(entry: &str) -> Result<Self, DestinationError> {
        parse(entry).map_err(|problem| DestinationError { entry: redacted(entry), problem })
    }
}

/// An entry without its scheme, and the scheme as it was written, for corrections.
struct Written<'a> {
    prefix: &'static str,
    rest: &'a str,
}

impl Written<'_> {
    fn corrected(&self, host: impl std::fmt::Display, port: &str) -> String {
        format!("{}{host}{port}", self.prefix)
    }
}

fn parse(entry: &str) -> Parsed<Destination> {
    if entry.contains('@') {
        return Err(DestinationProblem::Credentials);
    }
    let is_wrong = |char: char| char.is_whitespace() || char.is_control() || char == '%';
    if let Some(wrong) = entry.chars().find(|char| is_wrong(*char)) {
        return Err(DestinationProblem::Character(wrong));
    }
    let (scheme, rest) = match entry.split_once("://") {
        Some((scheme, rest)) => {
            (Some(Scheme::parse(scheme).ok_or(DestinationProblem::Scheme)?), rest)
        }
        None => (None, entry),
    };
    let prefix = match scheme {
        Some(Scheme::Http) => "http://",
        Some(Scheme::Https) => "https://",
        None => "",
    };
    let written = Written { prefix, rest };
    let (hosts, port) = match rest.strip_prefix('[') {
        Some(bracketed) => written.bracketed(bracketed)?,
        None => written.unbracketed()?,
    };
    Ok(Destination { scheme, hosts, port })
}

impl Written<'_> {
    /// Reads `2001:db8::1]:80` or `2001:db8::/32]:80`.
    fn bracketed(&self, rest: &str) -> Parsed<(Hosts, Option<u16>)> {
        let (inside, behind) = rest.split_once(']').ok_or(DestinationProblem::Name)?;
        if let Ok(address) = inside.parse::<Ipv4Addr>() {
            return Err(DestinationProblem::Spelling(self.corrected(address, behind)));
        }
        let (length, port_behind) = behind.split_at(behind.find(':').unwrap_or(behind.len()));
        if let Ok(network) = format!("{inside}{length}").parse::<Ipv6Net>()
            && !length.is_empty()
        {
            let correction = self.corrected(format_args!("[{network}]"), port_behind);
            return Err(DestinationProblem::Spelling(correction));
        }
        let kept = |port: &str| self.corrected(format_args!("[{inside}]"), port);
        let port = match behind.split_once(['/', '?', '#', '\\']) {
            Some((port, _)) => return Err(DestinationProblem::Path(kept(port))),
            None => port(behind, || kept(""))?,
        };
        let network = match inside.parse::<Ipv6Addr>() {
            Ok(address) => Ipv6Net::from(address),
            Err(_) => inside.parse::<Ipv6Net>().map_err(|_| DestinationProblem::Name)?,
        };
        Ok((self.network(IpNet::V6(network), behind)?, port))
    }

    /// Reads a name, an IPv4 address or a network.
    fn unbracketed(&self) -> Parsed<(Hosts, Option<u16>)> {
        if let Some((host, tail)) = self.rest.split_once(['/', '?', '#', '\\']) {
            return match host.parse::<IpAddr>() {
                Ok(address) if self.rest.contains('/') => self.with_length(address, tail),
                _ => Err(DestinationProblem::Path(self.corrected(host, ""))),
            };
        }
        if let Ok(address) = self.rest.parse::<Ipv6Addr>() {
            let correction = self.corrected(format_args!("[{address}]"), "");
            return Err(DestinationProblem::Spelling(correction));
        }
        let (host, behind) = self.rest.split_at(self.rest.find(':').unwrap_or(self.rest.len()));
        let port = port(behind, || self.corrected(host, ""))?;
        Ok((self.named(host, behind)?, port))
    }

    /// Reads what follows the slash of a network: `8` or `8:8443`.
    fn with_length(&self, address: IpAddr, tail: &str) -> Parsed<(Hosts, Option<u16>)> {
        let (length, behind) = tail.split_at(tail.find(':').unwrap_or(tail.len()));
        let Ok(network) = format!("{address}/{length}").parse::<IpNet>() else {
            return Err(DestinationProblem::Path(self.corrected(address, "")));
        };
        if address.is_ipv6() && !behind.is_empty() {
            let correction = self.corrected(format_args!("[{network}]"), behind);
            return Err(DestinationProblem::Spelling(correction));
        }
        let port = port(behind, || self.corrected(network, ""))?;
        Ok((self.network(network, behind)?, port))
    }

    fn network(&self, network: IpNet, port: &str) -> Parsed<Hosts> {
        let correct = |network: IpNet| {
            let hosts = Hosts::Network(network);
            self.corrected(Destination { scheme: None, hosts, port: None }, port)
        };
        if let IpNet::V6(mapped) = network
            && let Some(inner) = mapped.addr().to_ipv4_mapped()
            && let Some(length) = mapped.prefix_len().checked_sub(MAPPED_PREFIX)
            && let Ok(inner) = Ipv4Net::new(inner, length)
        {
            if length < IPV4_PREFIX_MIN {
                return Err(DestinationProblem::TooWide);
            }
            return Err(DestinationProblem::Spelling(correct(IpNet::V4(inner.trunc()))));
        }
        let shortest = match network {
            IpNet::V4(_) => IPV4_PREFIX_MIN,
            IpNet::V6(_) => IPV6_PREFIX_MIN,
        };
        if network.prefix_len() < shortest {
            return Err(DestinationProblem::TooWide);
        }
        if network.trunc() != network {
            return Err(DestinationProblem::HostBits(correct(network.trunc())));
        }
        Ok(Hosts::Network(network))
    }

    fn named(&self, host: &str, port: &str) -> Parsed<Hosts> {
        match host.strip_prefix("*.") {
            _ if host.is_empty() => Err(DestinationProblem::Empty),
            _ if host == "*" => Err(DestinationProblem::BareWildcard),
            Some(below) if !below.contains('*') => wildcard(below),
            _ if host.contains('*') => Err(DestinationProblem::WildcardPlace),
            _ => match url::Host::parse(host) {
                Ok(url::Host::Domain(domain)) => {
                    host_name(&domain).map(Hosts::Name).ok_or(DestinationProblem::Name)
                }
                Ok(url::Host::Ipv4(address)) if address.to_string() == host => {
                    self.network(IpNet::from(IpAddr::V4(address)), port)
                }
                Ok(url::Host::Ipv4(address)) => {
                    Err(DestinationProblem::Spelling(self.corrected(address, port)))
                }
                Ok(url::Host::Ipv6(_)) | Err(_) => Err(DestinationProblem::Name),
            },
        }
    }
}

fn wildcard(below: &str) -> Parsed<Hosts> {
    let Ok(url::Host::Domain(domain)) = url::Host::parse(below) else {
        return Err(DestinationProblem::WildcardPlace);
    };
    let name = host_name(&domain).ok_or(DestinationProblem::Name)?;
    let suffix = format!(".{name}");
    if !name.contains('.') && !PRIVATE_TOP_LEVEL.contains(&&*name) {
        return Err(DestinationProblem::TopLevel(suffix));
    }
    Ok(Hosts::Below(suffix))
}

/// Reads a port with its colon, or nothing.
fn port(behind: &str, host: impl Fn() -> String) -> Parsed<Option<u16>> {
    if behind.is_empty() {
        return Ok(None);
    }
    let digits = behind.strip_prefix(':').filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse::<u16>().ok()) {
        Some(port) if port > 0 => Ok(Some(port)),
        _ => Err(DestinationProblem::Port(host())),
    }
}
