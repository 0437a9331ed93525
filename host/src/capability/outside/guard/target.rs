//! The URL of a call, read once.

use std::{fmt, net::IpAddr};

use url::Url;

use super::{
    origin::{Host, Origin, Scheme, host_name},
    refusal::{Refusal, UrlProblem},
};

/// The longest URL, in bytes. RFC 9110, section 4.1, asks servers for at least 8,000.
const URL_BYTES_MAX: usize = 8192;

/// A URL that the grants allow, made by [`super::Destinations::check`] only.
///
/// The call uses the parts of this value and never the text it was read from. `Debug` shows scheme, host
/// and port: path and query may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
    origin: Origin,
}

impl Target {
    /// Reads a URL as the WHATWG standard says, whatever is granted.
    ///
    /// # Errors
    ///
    /// A refusal for a reason of the URL itself: `url`, `scheme`, `credentials`, or `port` for port 0.
    pub(in super::super) fn parse(text: &str) -> Result<Self, Refusal> {
        if text.len() > URL_BYTES_MAX {
            let problem = UrlProblem::TooLong { bytes: text.len(), limit: URL_BYTES_MAX };
            return Err(Refusal::Url(problem));
        }
        let invalid = |error| Refusal::Url(UrlProblem::Syntax(error));
        let mut url = Url::parse(text).map_err(invalid)?;
        let scheme = Scheme::parse(url.scheme()).ok_or(Refusal::OtherScheme)?;
        let host = match url.host() {
            Some(url::Host::Domain(domain)) => {
                Host::Name(host_name(domain).ok_or(Refusal::Url(UrlProblem::HostName))?)
            }
            Some(url::Host::Ipv4(address)) => Host::Address(IpAddr::V4(address)),
            Some(url::Host::Ipv6(address)) => Host::Address(address.to_canonical()),
            None => return Err(invalid(url::ParseError::EmptyHost)),
        };
        let port = url.port().unwrap_or(scheme.default_port());
        let origin = Origin { scheme, host, port };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Credentials { origin });
        }
        if port == 0 {
            return Err(Refusal::PortZero { origin });
        }
        url.set_host(Some(&origin.host.to_string())).map_err(invalid)?;
        url.set_fragment(None);
        Ok(Self { url, origin })
    }

    /// Returns the URL to call, with the one form of its host and without a fragment.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Returns scheme, host and port.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns the scheme.
    pub const fn scheme(&self) -> Scheme {
        self.origin.scheme
    }

    /// Returns the host: a name to be resolved, or an address.
    pub const fn host(&self) -> &Host {
        &self.origin.host
    }

    /// Returns the port, never 0.
    pub const fn port(&self) -> u16 {
        self.origin.port
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&format_args!("{}", self.origin)).finish()
    }
}
