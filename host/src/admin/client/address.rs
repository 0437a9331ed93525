//! The address of a host's admin listener.

use std::{fmt, net::SocketAddr, str::FromStr};

/// The address of an admin listener: a host, by name or number, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminAddress(String);

/// Why a text is not such an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It has another form.
    #[error(
        "{0:?} is not the address of an admin listener; give HOST:PORT, such as 127.0.0.1:8001 or \
         http://127.0.0.1:8001"
    )]
    Form(String),
    /// It asks for TLS.
    #[error(
        "{0:?}: the admin listener speaks HTTP without TLS; reach one elsewhere through a tunnel, \
         such as `ssh -L 8001:127.0.0.1:8001 HOST`"
    )]
    Tls(String),
}

impl AdminAddress {
    /// Host and port, as they stand in a URL.
    pub fn authority(&self) -> &str {
        &self.0
    }
}

impl From<SocketAddr> for AdminAddress {
    fn from(address: SocketAddr) -> Self {
        Self(address.to_string())
    }
}

impl FromStr for AdminAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.starts_with("https://") {
            return Err(AddressError::Tls(text.to_owned()));
        }
        let rest = text.strip_prefix("http://").unwrap_or(text);
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let wrong = || AddressError::Form(text.to_owned());
        let authority: http::uri::Authority = rest.parse().map_err(|_| wrong())?;
        match authority.port_u16() {
            Some(1..) if !authority.host().is_empty() && !rest.contains('@') => {
                Ok(Self(rest.to_owned()))
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_url_or_host_and_port() {
        for (text, authority) in [
            ("127.0.0.1:8001", "127.0.0.1:8001"),
            ("http://127.0.0.1:8001", "127.0.0.1:8001"),
            ("http://node-1.internal:8001/", "node-1.internal:8001"),
            ("[::1]:8001", "[::1]:8001"),
        ] {
            let address: AdminAddress = text.parse().unwrap();
            assert_eq!(address.authority(), authority);
            assert_eq!(address.to_string(), format!("http://{authority}"));
        }
    }

    #[test]
    fn what_is_none_is_told_what_is_one() {
        for text in
            ["", "127.0.0.1", "http://", ":8001", "host:0", "host:99999", "a b:1", "ann@host:1"]
        {
            let error = text.parse::<AdminAddress>().unwrap_err().to_string();
            assert!(error.contains("give HOST:PORT"), "{text}: {error}");
        }
        let error = "https://127.0.0.1:8001".parse::<AdminAddress>().unwrap_err().to_string();
        assert!(error.contains("ssh -L"), "{error}");
        let error = "http://127.0.0.1:8001/api".parse::<AdminAddress>().unwrap_err();
        assert!(matches!(error, AddressError::Form(_)), "{error}");
    }
}
