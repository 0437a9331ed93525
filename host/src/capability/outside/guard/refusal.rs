//! Refused calls: the reason, and the line of the settings that would allow them.

use std::{fmt, net::IpAddr};

use super::{addresses::AddressRange, origin::Origin};

/// A call is refused.
///
/// No text shows more of a URL than scheme, host and port: path, query and credentials may be secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The URL cannot be read.
    #[error("the URL is not valid: {0}; write it as \"https://api.example.com/path\"")]
    Url(UrlProblem),
    /// The scheme is neither `https` nor `http`. It is not shown, since text before a colon may be a user
    /// name.
    #[error("the scheme of the URL is neither https nor http; write \"https://\" before the host")]
    OtherScheme,
    /// The URL has a user name or a password.
    #[error(
        "the URL for \"{origin}\" has a user name or a password; take them out, and send them in the \
         header field `authorization`"
    )]
    Credentials {
        /// The place of the call.
        origin: Origin,
    },
    /// No entry names the host.
    #[error("no entry of the grants names the host of \"{origin}\"; {}", Remedy(&[origin]))]
    Host {
        /// The place of the call.
        origin: Origin,
    },
    /// The entries that name the host have the other scheme.
    #[error(
        "the grants name the host of \"{origin}\" with the other scheme only; {}",
        Remedy(&[origin])
    )]
    Scheme {
        /// The place of the call.
        origin: Origin,
    },
    /// The entries that name the host have other ports.
    #[error(
        "the grants name the host of \"{origin}\" without port {}: an entry without a port has 443 for \
         https and 80 for http; {}",
        origin.port,
        Remedy(&[origin])
    )]
    Port {
        /// The place of the call.
        origin: Origin,
    },
    /// The port is 0.
    #[error("nothing listens at port 0 of \"{origin}\"; name a port from 1 to 65535")]
    PortZero {
        /// The place of the call.
        origin: Origin,
    },
    /// The address is not public, and no entry names it.
    #[error(
        "{address} is refused for \"{origin}\": {special} is {range}, and no entry of the grants names \
         it; {}",
        Remedy(missing)
    )]
    Address {
        /// The place of the call.
        origin: Origin,
        /// The refused address, the first of several.
        address: IpAddr,
        /// The same, or the IPv4 address inside of it that is not public.
        special: IpAddr,
        /// The range that the address lies in.
        range: &'static AddressRange,
        /// The entries that would allow the address.
        missing: Vec<Origin>,
    },
    /// A name below `localhost` has an address that is not a loopback address.
    #[error(
        "{address} is refused for \"{origin}\": names below localhost are loopback addresses (RFC 6761, \
         section 6.3); mend the resolver, or {}",
        Remedy(missing)
    )]
    Localhost {
        /// The place of the call.
        origin: Origin,
        /// The refused address, the first of several.
        address: IpAddr,
        /// The entries that would allow the address.
        missing: Vec<Origin>,
    },
    /// There is no address to connect to.
    #[error("the resolver found no address for \"{origin}\"; look up the name, and correct it")]
    NoAddress {
        /// The place of the call.
        origin: Origin,
    },
}

/// A URL cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlProblem {
    /// It breaks the syntax of the WHATWG standard.
    #[error("{0}")]
    Syntax(url::ParseError),
    /// It has too many bytes.
    #[error("it has {bytes} bytes, and at most {limit} are allowed")]
    TooLong {
        /// The length found.
        bytes: usize,
        /// The longest allowed.
        limit: usize,
    },
    /// The host is not a name of the DNS.
    #[error(
        "its host is not a valid name: at most 253 letters, digits, `-`, `_` and dots, and from 1 to 63 \
         between two dots"
    )]
    HostName,
}

/// The part of a call that a [`Refusal`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// The URL as a whole.
    Url,
    /// Its scheme.
    Scheme,
    /// A user name or a password in it.
    Credentials,
    /// Its host.
    Host,
    /// Its port.
    Port,
    /// An address of its host.
    Address,
}

impl RefusalReason {
    /// Every reason.
    pub const ALL: [Self; 6] =
        [Self::Url, Self::Scheme, Self::Credentials, Self::Host, Self::Port, Self::Address];

    /// The value of the label `reason` of `tidegate_outside_refusals_total`. It never changes.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Scheme => "scheme",
            Self::Credentials => "credentials",
            Self::Host => "host",
            Self::Port => "port",
            Self::Address => "address",
        }
    }
}

/// How often calls were refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefusalCounts([u64; RefusalReason::ALL.len()]);

impl RefusalCounts {
    /// Counts a refusal.
    pub fn add(&mut self, reason: RefusalReason) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count += 1;
        }
    }

    /// Adds other counts.
    pub fn add_all(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }

    /// Returns the reasons that were counted, each with its number.
    pub fn iter(&self) -> impl Iterator<Item = (RefusalReason, u64)> {
        RefusalReason::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

impl Refusal {
    /// Returns the part of the call that the refusal is about.
    pub const fn reason(&self) -> RefusalReason {
        match self {
            Self::Url(_) => RefusalReason::Url,
            Self::OtherScheme | Self::Scheme { .. } => RefusalReason::Scheme,
            Self::Credentials { .. } => RefusalReason::Credentials,
            Self::Host { .. } => RefusalReason::Host,
            Self::Port { .. } | Self::PortZero { .. } => RefusalReason::Port,
            Self::Address { .. } | Self::Localhost { .. } | Self::NoAddress { .. } => {
                RefusalReason::Address
            }
        }
    }

    /// Whether the grants alone are in the way: an entry for the name would do. Nothing is said about addresses.
    pub const fn is_of_grants(&self) -> bool {
        matches!(self, Self::Host { .. } | Self::Scheme { .. } | Self::Port { .. })
    }

    /// Returns the entries that would allow the call at the place where it was refused. Empty if no grant
    /// would.
    pub fn missing_entries(&self) -> Vec<String> {
        match self {
            Self::Host { origin } | Self::Scheme { origin } | Self::Port { origin } => {
                vec![origin.to_string()]
            }
            Self::Address { missing, .. } | Self::Localhost { missing, .. } => {
                missing.iter().map(Origin::to_string).collect()
            }
            Self::Url(_)
            | Self::OtherScheme
            | Self::Credentials { .. }
            | Self::PortZero { .. }
            | Self::NoAddress { .. } => Vec::new(),
        }
    }
}

/// The change of the settings that would allow a call.
struct Remedy<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Remedy<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("add ")?;
        for (position, entry) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { " and " };
            write!(f, "{separator}\"{entry}\"")?;
        }
        f.write_str(" to [modules.NAME.grants] http")
    }
}
