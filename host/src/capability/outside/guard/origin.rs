//! Scheme, host and port: what grants speak of and what refusals show.

use std::{fmt, net::IpAddr};

/// The longest name of a host, in bytes (RFC 1035, section 2.3.4, without the dot of the root).
const NAME_BYTES_MAX: usize = 253;
/// The longest label of a name, in bytes (RFC 1035, section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// The scheme of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`, without encryption.
    Http,
    /// `https`, with TLS.
    Https,
}

impl Scheme {
    /// Reads the name of a scheme, in any case of its letters.
    pub(super) fn parse(name: &str) -> Option<Self> {
        [Self::Http, Self::Https]
            .into_iter()
            .find(|known| name.eq_ignore_ascii_case(known.as_str()))
    }

    /// Returns the name, as it stands in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Returns the port of a URL that names none: 80 or 443.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The host of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name of the DNS: lower case, in Punycode, without a dot at its end.
    Name(String),
    /// An address. An IPv4-mapped IPv6 address is the IPv4 address.
    Address(IpAddr),
}

impl Host {
    /// Whether it is this machine, whoever answers for names: a loopback address, or a name for those.
    pub(in crate::capability::outside) fn is_of_this_machine(&self) -> bool {
        match self {
            Self::Name(_) => self.is_localhost(),
            Self::Address(address) => address.is_loopback(),
        }
    }

    /// Whether RFC 6761 keeps the name for loopback addresses: `localhost`, or a name below it.
    pub(in crate::capability::outside) fn is_localhost(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Self::Address(_) => false,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// Scheme, host and port of a call.
///
/// `Display` writes it as an entry of the grants that allows exactly this: `https://api.example.com:8443`.
/// The default port of the scheme is left out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The scheme.
    pub scheme: Scheme,
    /// The host.
    pub host: Host,
    /// The port, written out or by default.
    pub port: u16,
}

impl Origin {
    /// Returns the same with an address in place of the host.
    pub(super) const fn at(&self, address: IpAddr) -> Self {
        Self { scheme: self.scheme, host: Host::Address(address), port: self.port }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.port == self.scheme.default_port() {
            return Ok(());
        }
        write!(f, ":{}", self.port)
    }
}

/// Returns the one form of a domain that the URL parser made: without the dot of the root. `None` if it is
/// not a name of a host: a label is empty or too long, or has other characters than letters, digits, `-`
/// and `_`.
pub(super) fn host_name(domain: &str) -> Option<String> {
    let name = domain.strip_suffix('.').unwrap_or(domain);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label =
        |label: &str| (1..=LABEL_BYTES_MAX).contains(&label.len()) && label.bytes().all(fits);
    let is_name = name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label);
    is_name.then(|| name.to_ascii_lowercase())
}
