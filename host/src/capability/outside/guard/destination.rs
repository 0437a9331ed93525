//! One entry of the grants, and the calls that it allows.

use std::fmt;

use ipnet::IpNet;

use super::origin::{Host, Scheme};

/// Hosts that a module may call, with their schemes and ports.
///
/// `FromStr` reads an entry of the settings, `[SCHEME://]HOST[:PORT]`. The host is a name, `*.` and a name
/// for all names below it, an address, or a network. IPv6 stands in brackets. `Display` writes one form
/// for all spellings of the same entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The scheme; both without one.
    pub(super) scheme: Option<Scheme>,
    pub(super) hosts: Hosts,
    /// The port; without one the default port of the scheme of the call.
    pub(super) port: Option<u16>,
}

/// The hosts of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hosts {
    /// The host of this name.
    Name(String),
    /// Hosts whose names have one or more labels before this suffix, which begins with a dot.
    Below(String),
    /// Addresses; one address is a network of its own.
    Network(IpNet),
}

impl Destination {
    /// Whether the entry names a host: by name or by address, as the host is written.
    pub(super) fn names(&self, host: &Host) -> bool {
        match (&self.hosts, host) {
            (Hosts::Name(granted), Host::Name(name)) => granted == name,
            // The first label is not empty, so the name is longer than the suffix.
            (Hosts::Below(suffix), Host::Name(name)) => name.ends_with(suffix.as_str()),
            (Hosts::Network(network), Host::Address(address)) => network.contains(address),
            (Hosts::Name(_) | Hosts::Below(_), Host::Address(_))
            | (Hosts::Network(_), Host::Name(_)) => false,
        }
    }

    /// Whether the entry has the scheme of a call.
    pub(super) fn has_scheme(&self, scheme: Scheme) -> bool {
        self.scheme.is_none_or(|granted| granted == scheme)
    }

    /// Whether the entry has scheme and port of a call.
    pub(super) fn allows(&self, scheme: Scheme, port: u16) -> bool {
        self.has_scheme(scheme) && self.port.unwrap_or(scheme.default_port()) == port
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = self.scheme {
            write!(f, "{}://", scheme.as_str())?;
        }
        self.hosts.fmt(f)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Below(suffix) => write!(f, "*{suffix}"),
            Self::Network(network) if network.prefix_len() == network.max_prefix_len() => {
                Host::Address(network.addr()).fmt(f)
            }
            Self::Network(IpNet::V4(network)) => write!(f, "{network}"),
            Self::Network(IpNet::V6(network)) => write!(f, "[{network}]"),
        }
    }
}
