//! What the settings allow a module outside.

use std::{iter, time::Duration};

use super::{Destinations, Host, Refusal, Target};
use crate::message::Lasting;

/// How long a process has for a request besides its timeout: it notes, and stores the result.
const LEASE_EXTRA: Duration = Duration::from_secs(5);
/// A request whose message was delivered so often is given up: it may be what ends processes. Redis counts to 255.
const DELIVERIES_MAX: u32 = 200;

/// What a module may do outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideGrant {
    /// The servers that it may reach.
    pub destinations: Destinations,
    /// How long one attempt at a request may take.
    pub timeout: Duration,
    /// Bytes that the body of an answer may have.
    pub response_bytes: usize,
    /// Whether requests are made that no entry of `destinations` allows. Addresses that are not public need one
    /// nevertheless.
    pub is_dry_run: bool,
}

/// A call that may be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Its place.
    pub target: Target,
    /// The refusal that a dry run passes over.
    pub passed_over: Option<Refusal>,
}

impl Default for OutsideGrant {
    fn default() -> Self {
        Self {
            destinations: Destinations::default(),
            timeout: Duration::from_secs(30),
            response_bytes: 1024 * 1024,
            is_dry_run: false,
        }
    }
}

impl OutsideGrant {
    /// Whether any server may be reached.
    pub const fn is_open(&self) -> bool {
        self.is_dry_run || !self.destinations.is_empty()
    }

    /// Reads the URL of a call, and compares scheme, host and port with the grants.
    ///
    /// # Errors
    ///
    /// Those of [`Destinations::check`]. A dry run passes over the ones that an entry for the name would prevent.
    pub fn check(&self, url: &str) -> Result<Admitted, Refusal> {
        let refusal = match self.destinations.check(url) {
            Ok(target) => return Ok(Admitted { target, passed_over: None }),
            Err(refusal) => refusal,
        };
        if !self.is_dry_run || !refusal.is_of_grants() {
            return Err(refusal);
        }
        let target = Target::parse(url)?;
        let host = &target.origin().host;
        if host.is_localhost() {
            // Its addresses are allowed with its name.
            return Err(refusal);
        }
        if let Host::Address(address) = *host {
            self.destinations.check_addresses(&target, iter::once(address))?;
        }
        Ok(Admitted { target, passed_over: Some(refusal) })
    }

    /// How the channel of its requests keeps them.
    pub fn lasting(&self) -> Lasting {
        Lasting { retries: DELIVERIES_MAX, lease: self.timeout + LEASE_EXTRA }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::RefusalReason, *};

    fn dry_run(entries: &[&str]) -> OutsideGrant {
        let entries = entries.iter().map(|&entry| entry.to_owned()).collect::<Vec<_>>();
        let destinations = Destinations::try_from(entries).unwrap();
        OutsideGrant { destinations, is_dry_run: true, ..OutsideGrant::default() }
    }

    #[test]
    fn a_dry_run_passes_over_what_an_entry_for_the_name_would_allow() {
        let grant = dry_run(&["https://api.example.com", "http://10.0.0.1"]);
        let passed = |url| grant.check(url).map(|it| it.passed_over.map(|it| it.reason()));
        assert_eq!(passed("https://api.example.com/"), Ok(None));
        assert_eq!(passed("https://other.example/"), Ok(Some(RefusalReason::Host)));
        assert_eq!(passed("http://api.example.com/"), Ok(Some(RefusalReason::Scheme)));
        assert_eq!(passed("https://api.example.com:8443/"), Ok(Some(RefusalReason::Port)));
        assert_eq!(passed("http://93.184.216.34/"), Ok(Some(RefusalReason::Host)));
    }

    #[test]
    fn a_dry_run_lets_nobody_reach_an_address_that_is_not_public_and_not_named() {
        let grant = dry_run(&["http://10.0.0.1"]);
        let reason = |url: &str| grant.check(url).unwrap_err().reason();
        assert!(grant.check("http://10.0.0.1/").is_ok());
        for url in [
            "http://127.0.0.1/",
            "http://169.254.169.254/",
            "http://[::ffff:127.0.0.1]/",
            "http://0x7f.1/",
            // An entry has one scheme and one port.
            "https://10.0.0.1/",
            "http://10.0.0.1:8080/",
        ] {
            assert_eq!(reason(url), RefusalReason::Address, "{url}");
        }
        assert_eq!(reason("http://localhost/"), RefusalReason::Host);
        assert_eq!(reason("http://at.localhost./"), RefusalReason::Host);
        assert_eq!(reason("ftp://other.example/"), RefusalReason::Scheme);
        assert_eq!(reason("https://user:word@other.example/"), RefusalReason::Credentials);
        assert_eq!(reason("https://other.example:0/"), RefusalReason::Port);
    }
}
