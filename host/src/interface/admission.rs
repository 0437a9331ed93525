//! How many connections there may be: in all, of one address, and new ones in a second.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::{config::AbuseLimits, limits_log::Reason};

/// Counts connections. Whoever holds a [`Place`] or a [`Share`] is counted.
#[derive(Debug)]
pub(super) struct Admission {
    limits: AbuseLimits,
    open: Arc<AtomicUsize>,
    rate: Option<DefaultDirectRateLimiter>,
    by_address: Arc<ByAddress>,
}

/// An entry with no connections is taken out. Locked for single operations only.
#[derive(Debug, Default)]
struct ByAddress(Mutex<HashMap<IpAddr, usize>>);

/// The place of a connection among all.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

/// The share of a connection in what one address may have.
#[derive(Debug)]
pub(super) struct Share {
    address: IpAddr,
    by_address: Arc<ByAddress>,
}

impl Admission {
    pub(super) fn new(limits: &AbuseLimits) -> Self {
        Self {
            limits: limits.clone(),
            open: Arc::default(),
            rate: limits.per_second.map(|rate| RateLimiter::direct(Quota::per_second(rate))),
            by_address: Arc::default(),
        }
    }

    /// A place for a new connection, and what it is beyond, if it is.
    pub(super) fn enter(&self) -> (Place, Option<Reason>) {
        let (place, beyond) = self.place();
        // Counted for those that are refused, too.
        let too_fast = self.rate.as_ref().is_some_and(|rate| rate.check().is_err());
        (place, beyond.or(too_fast.then_some(Reason::ConnectionsPerSecond)))
    }

    /// A place and a share for a connection that is kept while its client is away, and what it is beyond, if it is.
    pub(super) fn keep(&self, client: IpAddr) -> ((Place, Share), Option<Reason>) {
        let (place, beyond) = self.place();
        let (share, share_beyond) = self.share(client);
        ((place, share), beyond.or(share_beyond))
    }

    /// A place among all connections, and whether that is one too many.
    fn place(&self) -> (Place, Option<Reason>) {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let beyond = self.limits.connections.is_some_and(|limit| before >= limit);
        (Place(Arc::clone(&self.open)), beyond.then_some(Reason::Connections))
    }

    /// A share of an address, and whether that is one too many.
    pub(super) fn share(&self, client: IpAddr) -> (Share, Option<Reason>) {
        let address = network_of(client);
        let count = {
            let mut open = self.by_address.lock();
            let count = open.entry(address).or_default();
            *count += 1;
            *count
        };
        let beyond = self.limits.per_address.is_some_and(|limit| count > limit);
        let share = Share { address, by_address: Arc::clone(&self.by_address) };
        (share, beyond.then_some(Reason::ConnectionsPerAddress))
    }
}

/// Returns what stands for an address where addresses are counted: a client that has one IPv6 address has the 2^64
/// of its network.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl ByAddress {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut open = self.by_address.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_ipv6_network_share_and_an_ended_connection_gives_back() {
        let limits = AbuseLimits { per_address: Some(2), ..AbuseLimits::default() };
        let admission = Admission::new(&limits);
        let of = |text: &str| admission.share(text.parse().unwrap());
        let (first, none) = of("2001:db8::1");
        let (_second, _) = of("2001:db8::2:3");
        assert_eq!(none, None);
        assert_eq!(of("2001:db8::4").1, Some(Reason::ConnectionsPerAddress));
        assert_eq!(of("2001:db8:0:1::4").1, None, "another network");
        drop(first);
        assert_eq!(of("2001:db8::4").1, None);
        let (_mapped, _) = of("::ffff:192.0.2.1");
        let (_plain, _) = of("192.0.2.1");
        assert_eq!(of("192.0.2.1").1, Some(Reason::ConnectionsPerAddress));
        assert_eq!(of("192.0.2.2").1, None);
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let limits = AbuseLimits { connections: Some(1), ..AbuseLimits::default() };
        let admission = Admission::new(&limits);
        let (first, none) = admission.enter();
        assert_eq!(none, None);
        assert_eq!(admission.enter().1, Some(Reason::Connections));
        drop(first);
        assert_eq!(admission.enter().1, None);
    }
}
