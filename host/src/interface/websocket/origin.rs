//! Which pages may open a WebSocket.
//!
//! A browser sends the cookies of a site with a WebSocket that any page opens, and says in `origin`
//! which page it was (RFC 6455, section 10.2). Clients that are no browsers send none.

use std::str::FromStr;

/// Which pages may open a WebSocket: what any of the rules allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPolicy(Vec<OriginRule>);

/// One rule, as a setting writes it: `same`, `any`, `https://example.com`, `https://*.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginRule {
    /// Pages of the host that the request is for.
    Same,
    /// All pages.
    Any,
    /// Pages of one origin.
    Is(WebOrigin),
    /// Pages of any host below one, and not of the one itself.
    Below(WebOrigin),
}

/// Scheme, host and port (RFC 6454, section 4), in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOrigin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

/// A text that is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a valid origin; write \"same\", \"any\", \"https://example.com\" or \"https://*.example.com\""
)]
pub struct OriginError(String);

impl OriginPolicy {
    /// Rules side by side.
    pub const fn new(rules: Vec<OriginRule>) -> Self {
        Self(rules)
    }

    /// Whether a page of an origin may open a WebSocket on a host. `secure` is whether the client is
    /// known to speak TLS; a proxy may speak it without saying so.
    pub(in crate::interface) fn allows(
        &self,
        origin: &[u8],
        host: Option<&str>,
        secure: bool,
    ) -> bool {
        let origin = std::str::from_utf8(origin).ok().and_then(WebOrigin::parse);
        self.0.iter().any(|rule| match (rule, &origin) {
            (OriginRule::Any, _) => true,
            // `null`, and what cannot be read.
            (_, None) => false,
            (OriginRule::Same, Some(origin)) => {
                host.is_some_and(|host| origin.is_of(host)) && (!secure || origin.scheme == "https")
            }
            (OriginRule::Is(allowed), Some(origin)) => allowed == origin,
            (OriginRule::Below(above), Some(origin)) => origin.is_below(above),
        })
    }
}

impl Default for OriginPolicy {
    fn default() -> Self {
        Self(vec![OriginRule::Same])
    }
}

impl FromStr for OriginRule {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let wrong = || OriginError(text.to_owned());
        match text {
            "same" => Ok(Self::Same),
            "any" => Ok(Self::Any),
            _ => match text.split_once("://*.") {
                Some((scheme, host)) => WebOrigin::parse(&format!("{scheme}://{host}"))
                    .map(Self::Below)
                    .ok_or_else(wrong),
                None => WebOrigin::parse(text).map(Self::Is).ok_or_else(wrong),
            },
        }
    }
}

impl WebOrigin {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if scheme.is_empty() || !scheme.chars().all(is_scheme) {
            return None;
        }
        let (host, port) = split(authority)?;
        let port = port.or_else(|| default_port(&scheme));
        Some(Self { scheme, host, port })
    }

    /// Whether the `host` of a request names it.
    fn is_of(&self, host: &str) -> bool {
        split(host).is_some_and(|(host, port)| {
            self.host == host && self.port == port.or_else(|| default_port(&self.scheme))
        })
    }

    fn is_below(&self, above: &Self) -> bool {
        let label = self.host.strip_suffix(&above.host).and_then(|rest| rest.strip_suffix('.'));
        label.is_some_and(|label| !label.is_empty())
            && (&self.scheme, self.port) == (&above.scheme, above.port)
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// Host in lower case and port. None for what has anything else in it.
fn split(authority: &str) -> Option<(String, Option<u16>)> {
    // The colons of an IPv6 address stand in brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port.parse().ok()?)),
        _ => (authority, None),
    };
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let valid = match inner {
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(is_host),
    };
    valid.then(|| (host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(rules: &[&str], origin: &str, host: &str, secure: bool) -> bool {
        let rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        OriginPolicy::new(rules).allows(origin.as_bytes(), Some(host), secure)
    }

    #[test]
    fn the_same_origin_is_host_and_port_and_over_tls_the_scheme() {
        for (origin, host, secure, expected) in [
            ("http://example.com", "example.com", false, true),
            ("http://EXAMPLE.com", "example.COM:80", false, true),
            ("https://example.com", "example.com", true, true),
            ("https://example.com", "example.com:443", false, true),
            ("https://example.com:8443", "example.com:8443", true, true),
            ("http://[::1]:8000", "[::1]:8000", false, true),
            // Nearly right.
            ("http://example.com", "example.com", true, false),
            ("http://example.com:81", "example.com", false, false),
            ("http://example.com", "example.com:443", false, false),
            ("http://example.com.evil.test", "example.com", false, false),
            ("http://evil-example.com", "example.com", false, false),
            ("http://sub.example.com", "example.com", false, false),
            ("http://example.com.", "example.com", false, false),
            ("http://user@example.com", "example.com", false, false),
            ("http://example.com@evil.test", "example.com", false, false),
            ("http://example.com/", "example.com", false, false),
            ("http://example.com:80:80", "example.com", false, false),
            ("http://example.com:99999", "example.com", false, false),
            ("http:// example.com", "example.com", false, false),
            ("http://", "", false, false),
            ("example.com", "example.com", false, false),
            ("null", "example.com", false, false),
            ("file://", "example.com", false, false),
        ] {
            assert_eq!(allows(&["same"], origin, host, secure), expected, "{origin} on {host}");
        }
        assert!(!OriginPolicy::default().allows(b"http://a", None, false), "no host to be of");
        assert!(!OriginPolicy::default().allows(b"http://\xff", Some("a"), false));
    }

    #[test]
    fn a_list_allows_what_it_names_and_hosts_below_a_star() {
        let rules = ["https://a.example", "https://*.b.example:8443", "app://x"];
        for (origin, expected) in [
            ("https://a.example", true),
            ("https://a.example:443", true),
            ("https://x.b.example:8443", true),
            ("https://x.y.b.example:8443", true),
            ("app://x", true),
            ("https://b.example:8443", false),
            ("https://.b.example:8443", false),
            ("https://xb.example:8443", false),
            ("https://x.b.example", false),
            ("http://a.example", false),
            ("https://own.example", false),
        ] {
            assert_eq!(allows(&rules, origin, "own.example", true), expected, "{origin}");
        }
        assert!(allows(&["same", "https://a.example"], "https://own.example", "own.example", true));
        assert!(allows(&["any"], "null", "own.example", true));
    }

    #[test]
    fn a_rule_that_names_no_origin_is_refused() {
        for text in ["", "example.com", "https://", "https://*", "https://a.example/path", "*"] {
            let error = text.parse::<OriginRule>().unwrap_err().to_string();
            assert!(error.contains("https://*.example.com"), "{text}: {error}");
        }
    }
}
