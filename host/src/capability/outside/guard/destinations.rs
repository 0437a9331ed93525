//! The grants of a module, and the two checks of a call.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    addresses::{AddressRange, special},
    destination::Destination,
    embedded::reached,
    origin::{Host, Origin},
    parse::DestinationError,
    refusal::Refusal,
    target::Target,
};

/// Where a module may call. Without an entry it may call nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Destinations(Vec<Destination>);

impl Destinations {
    /// Adds an entry, unless it is there.
    pub fn grant(&mut self, destination: Destination) {
        if !self.0.contains(&destination) {
            self.0.push(destination);
        }
    }

    /// Whether there is no entry.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns each entry, in the order of the grants.
    pub fn iter(&self) -> impl Iterator<Item = &Destination> {
        self.0.iter()
    }

    /// Reads the URL of a call, and compares scheme, host and port with the grants.
    ///
    /// A name needs an entry for names, an address needs one for addresses. The addresses of a name are
    /// not known yet: [`Self::check_addresses`] has to follow.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] for a URL that cannot be read, for credentials in it, and where one entry does not
    /// allow scheme, host and port together. For an address that is not public and not named the reason
    /// is `address`.
    pub fn check(&self, url: &str) -> Result<Target, Refusal> {
        let target = Target::parse(url)?;
        let origin = target.origin();
        let named = || self.0.iter().filter(|entry| entry.names(&origin.host));
        if named().next().is_none() {
            return Err(self.unnamed(origin));
        }
        if !named().any(|entry| entry.has_scheme(origin.scheme)) {
            return Err(Refusal::Scheme { origin: origin.clone() });
        }
        if !named().any(|entry| entry.allows(origin.scheme, origin.port)) {
            return Err(Refusal::Port { origin: origin.clone() });
        }
        if let Host::Address(address) = origin.host {
            self.judge(origin, address)?;
        }
        Ok(target)
    }

    /// Returns the addresses of a target that the call may connect to, in the order of the resolver,
    /// each once, IPv4 in place of IPv4-mapped.
    ///
    /// A refused address is left out, and the others of the name stay: the call connects to returned
    /// addresses only. An address is allowed if it is public or an entry for addresses names it, with the
    /// scheme and the port of the call. An IPv4 address inside of an IPv6 address has to be allowed, too.
    /// For `localhost` and names below it loopback addresses are allowed, and others by an entry only. For
    /// a target whose host is an address, that address is the only one.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] with the reason `address` if none is left. It tells of the first refused address.
    pub fn check_addresses(
        &self,
        target: &Target,
        addresses: impl Iterator<Item = IpAddr>,
    ) -> Result<Vec<IpAddr>, Refusal> {
        let origin = target.origin();
        let (mut allowed, mut first_refusal) = (Vec::new(), None);
        for address in addresses.map(|address| address.to_canonical()) {
            if matches!(origin.host, Host::Address(host) if host != address) {
                continue;
            }
            match self.judge(origin, address) {
                Ok(()) if allowed.contains(&address) => {}
                Ok(()) => allowed.push(address),
                Err(refusal) => first_refusal = first_refusal.or(Some(refusal)),
            }
        }
        if allowed.is_empty() {
            let none = || Refusal::NoAddress { origin: origin.clone() };
            return Err(first_refusal.unwrap_or_else(none));
        }
        Ok(allowed)
    }

    /// Judges an address that the call would connect to.
    fn judge(&self, origin: &Origin, address: IpAddr) -> Result<(), Refusal> {
        if origin.host.is_localhost() {
            let missing = self.missing(origin, address, Required::Always);
            if missing.is_empty() || address.is_loopback() {
                return Ok(());
            }
            return Err(Refusal::Localhost { origin: origin.clone(), address, missing });
        }
        match self.first_special(origin, address) {
            None => Ok(()),
            Some((special, range)) => {
                let missing = self.missing(origin, address, Required::UnlessPublic);
                Err(Refusal::Address { origin: origin.clone(), address, special, range, missing })
            }
        }
    }

    /// Returns the refusal of a host that no entry names.
    fn unnamed(&self, origin: &Origin) -> Refusal {
        let origin = origin.clone();
        if let Host::Address(address) = origin.host
            && let Some((special, range)) = self.first_special(&origin, address)
        {
            let missing = self.missing(&origin, address, Required::Always);
            return Refusal::Address { origin, address, special, range, missing };
        }
        Refusal::Host { origin }
    }

    /// Returns the first address reached that is not public and that no entry names, with its range.
    fn first_special(
        &self,
        origin: &Origin,
        address: IpAddr,
    ) -> Option<(IpAddr, &'static AddressRange)> {
        reached(address)
            .filter(|reached| !self.names(origin, *reached))
            .find_map(|reached| special(reached).map(|range| (reached, range)))
    }

    /// Returns the entries that would have to be added so that the call may connect to an address.
    fn missing(&self, origin: &Origin, address: IpAddr, required: Required) -> Vec<Origin> {
        let needs_entry = |reached: &IpAddr| {
            special(*reached).is_some() || (required == Required::Always && *reached == address)
        };
        reached(address)
            .filter(needs_entry)
            .filter(|reached| !self.names(origin, *reached))
            .map(|reached| origin.at(reached))
            .collect()
    }

    /// Whether an entry for addresses names an address, with the scheme and the port of a call.
    fn names(&self, origin: &Origin, address: IpAddr) -> bool {
        let host = Host::Address(address);
        self.0.iter().any(|entry| entry.names(&host) && entry.allows(origin.scheme, origin.port))
    }
}

/// Whether a public address needs an entry, too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Required {
    Always,
    UnlessPublic,
}

impl TryFrom<Vec<String>> for Destinations {
    type Error = DestinationError;

    fn try_from(entries: Vec<String>) -> Result<Self, DestinationError> {
        let mut destinations = Self::default();
        for entry in &entries {
            destinations.grant(entry.parse()?);
        }
        Ok(destinations)
    }
}

impl From<Destinations> for Vec<String> {
    fn from(destinations: Destinations) -> Self {
        destinations.iter().map(Destination::to_string).collect()
    }
}
