//! What must hold of a request, besides method and path, for a route to take it.

use std::{fmt, net::Ipv6Addr};

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// What guards look at: the host and the header fields of a request.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The host that the request is for, with or without a port.
    pub host: Option<&'a str>,
    /// The header fields.
    pub headers: &'a HeaderMap,
}

impl<'a> Head<'a> {
    /// That of a request whose field `host` says what its target says, where that names a host.
    pub fn of(headers: &'a HeaderMap) -> Self {
        let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
        Self { host, headers }
    }
}

/// Which rule a guard breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The host is none.
    #[error(
        "`{0}` is not a valid host; write a name without a port, such as `api.example.com`, or \
         `*.example.com` for every name under it"
    )]
    Host(String),
    /// The name or the value of a header field may not be sent.
    #[error(
        "`{0}` is not a valid header field; a name is a token, a value has no control characters"
    )]
    Header(String),
    /// No consumer is given such a header field.
    #[error("`{0}` cannot be a guard; gateways confuse `_` with `-`, so such fields are ignored")]
    Underscore(String),
    /// A host has a guard of its own.
    #[error("the host is a guard of its own, not a header field")]
    HostAsHeader,
    /// A header field has two values.
    #[error(
        "the header field `{0}` is there twice; the first one of a request counts, so name one"
    )]
    DuplicateHeader(HeaderName),
}

/// What must hold of a request besides method and path. All of it, if there is anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guards {
    host: Option<HostPattern>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Guards {
    /// Checks what a module declares.
    pub fn parse(host: Option<&str>, headers: &[(&str, &[u8])]) -> Result<Self, GuardError> {
        let mut guards = Self { host: host.map(HostPattern::parse).transpose()?, headers: vec![] };
        for &(name, value) in headers {
            let malformed = || GuardError::Header(name.to_owned());
            let value = HeaderValue::from_bytes(value).map_err(|_| malformed())?;
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| malformed())?;
            if name.as_str().contains('_') {
                return Err(GuardError::Underscore(name.as_str().to_owned()));
            }
            if name == header::HOST {
                return Err(GuardError::HostAsHeader);
            }
            if guards.headers.iter().any(|(known, _)| *known == name) {
                return Err(GuardError::DuplicateHeader(name));
            }
            guards.headers.push((name, value));
        }
        Ok(guards)
    }

    /// Whether nothing is asked.
    pub const fn is_empty(&self) -> bool {
        self.host.is_none() && self.headers.is_empty()
    }

    pub(super) fn hold(&self, head: &Head<'_>) -> bool {
        self.host.as_ref().is_none_or(|host| head.host.is_some_and(|name| host.is_for(name)))
            && self.headers.iter().all(|(name, value)| head.headers.get(name) == Some(value))
    }

    /// Of routes whose guards hold, the one with the greatest of these is taken: the more exact
    /// host, then more header fields.
    pub(super) fn exactness(&self) -> (usize, usize) {
        (self.host.as_ref().map_or(0, HostPattern::exactness), self.headers.len())
    }

    /// Whether a request could be for both and nothing says for which rather.
    pub(super) fn conflict_with(&self, other: &Self) -> bool {
        let contradicts = |(name, value): &(HeaderName, HeaderValue)| {
            other.headers.iter().any(|(known, wanted)| known == name && wanted != value)
        };
        self.exactness() == other.exactness()
            && self.host == other.host
            && !self.headers.iter().any(contradicts)
    }
}

/// ` host=api.example.com x-version=2`: each guard with a space before it.
impl fmt::Display for Guards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(HostPattern { is_domain, name }) = &self.host {
            write!(f, " host={}{name}", if *is_domain { "*" } else { "" })?;
        }
        for (name, value) in &self.headers {
            write!(f, " {name}={}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct HostPattern {
    /// Whether it stands for every name that ends with `name`, which begins with a dot then.
    is_domain: bool,
    /// In lower case.
    name: String,
}

impl HostPattern {
    fn parse(text: &str) -> Result<Self, GuardError> {
        let domain = text.strip_prefix('*').filter(|domain| domain.starts_with('.'));
        let name = domain.unwrap_or(text);
        let is_label = |label: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            (1..=63).contains(&label.len()) && label.bytes().all(fits)
        };
        let is_name = |name: &str| name.len() <= 253 && name.split('.').all(is_label);
        let is_valid = match domain {
            Some(domain) => domain.strip_prefix('.').is_some_and(is_name),
            None => is_name(name) || is_ipv6(name),
        };
        if !is_valid {
            return Err(GuardError::Host(text.to_owned()));
        }
        Ok(Self { is_domain: domain.is_some(), name: name.to_ascii_lowercase() })
    }

    fn is_for(&self, host: &str) -> bool {
        let (host, name) = (bare(host).as_bytes(), self.name.as_bytes());
        if !self.is_domain {
            return host.eq_ignore_ascii_case(name);
        }
        let end = host.len().checked_sub(name.len()).and_then(|from| host.split_at_checked(from));
        end.is_some_and(|(start, end)| !start.is_empty() && end.eq_ignore_ascii_case(name))
    }

    /// A name is more exact than a domain, and a domain than a shorter one.
    fn exactness(&self) -> usize {
        if self.is_domain { self.name.split('.').count() } else { usize::MAX }
    }
}

fn is_ipv6(name: &str) -> bool {
    let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok())
}

/// A host without its port, and without the dot that may end a name.
fn bare(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        // The colons of an IPv6 address stand within brackets.
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(pattern: &str, host: &str) -> bool {
        let headers = HeaderMap::new();
        let guards = Guards::parse(Some(pattern), &[]).unwrap();
        guards.hold(&Head { host: Some(host), headers: &headers })
    }

    #[test]
    fn hosts_are_compared_without_case_port_and_final_dot() {
        for (pattern, host, expected) in [
            ("api.example.com", "api.example.com", true),
            ("API.example.com", "api.EXAMPLE.com:8080", true),
            ("api.example.com", "api.example.com.", true),
            ("api.example.com", "api.example.com.:443", true),
            ("api.example.com", "my.api.example.com", false),
            ("api.example.com", "", false),
            ("*.example.com", "api.example.com:80", true),
            ("*.example.com", "a.b.Example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "badexample.com", false),
            ("127.0.0.1", "127.0.0.1:8000", true),
            ("[::1]", "[::1]:8000", true),
            ("[::1]", "[::1]", true),
            ("localhost", "localhost:", true),
        ] {
            assert_eq!(holds(pattern, host), expected, "{pattern} {host}");
        }
    }

    #[test]
    fn the_first_field_of_a_name_counts_and_the_value_is_compared_byte_for_byte() {
        let guards = Guards::parse(None, &[("X-Version", b"2")]).unwrap();
        for (values, expected) in [
            (&["2"][..], true),
            (&["2", "1"], true),
            (&["1", "2"], false),
            (&["2 "], false),
            (&[], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-version", HeaderValue::from_static(value));
            }
            assert_eq!(
                guards.hold(&Head { host: None, headers: &headers }),
                expected,
                "{values:?}"
            );
        }
    }

    #[test]
    fn the_host_is_that_of_the_field() {
        let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("field:1"))]);
        assert_eq!(Head::of(&headers).host, Some("field:1"));
        assert_eq!(Head::of(&HeaderMap::new()).host, None);
    }

    #[test]
    fn a_malformed_guard_names_its_rule() {
        for host in
            ["", "a:80", "*", "*.", "a.*.com", "*example.com", "a..b", "a b", "http://a", "::1"]
        {
            let error = GuardError::Host(host.to_owned());
            assert_eq!(Guards::parse(Some(host), &[]), Err(error), "{host}");
        }
        let long = format!("{}.com", "a".repeat(64));
        assert!(Guards::parse(Some(&long), &[]).is_err());
        let header = |name, value: &[u8]| Guards::parse(None, &[(name, value)]).unwrap_err();
        assert_eq!(header("a b", b""), GuardError::Header("a b".into()));
        assert_eq!(header("a", b"\n"), GuardError::Header("a".into()));
        assert_eq!(header("a_b", b""), GuardError::Underscore("a_b".into()));
        assert_eq!(header("Host", b"a"), GuardError::HostAsHeader);
        let twice = Guards::parse(None, &[("a", b"1"), ("A", b"2")]);
        assert_eq!(twice, Err(GuardError::DuplicateHeader(HeaderName::from_static("a"))));
    }
}
