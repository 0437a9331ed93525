//! Resolves names for a client: to those addresses alone that its module may reach.

use std::{future::Future, io, net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{Destinations, Target};

tokio::task_local! {
    /// The request that the task makes. The library tells a resolver the name alone, and grants speak of ports.
    static TARGET: Target;
}

/// Makes a request to a target, which a [`CheckedResolver`] sees.
pub(super) async fn resolving_for<T>(target: Target, request: impl Future<Output = T>) -> T {
    TARGET.scope(target, request).await
}

/// A name has no address.
#[derive(Debug, thiserror::Error)]
#[error("the name cannot be resolved: {0}")]
pub(super) struct Unresolved(io::Error);

/// A name is asked for of which no request is known. It is not resolved.
#[derive(Debug, thiserror::Error)]
#[error("the client resolves a name outside of a request")]
struct NoTarget;

/// Resolves with the system, and checks each address. A connection goes to an address that was checked: the name is
/// not resolved again for it.
#[derive(Debug)]
pub(super) struct CheckedResolver(pub(super) Arc<Destinations>);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let destinations = Arc::clone(&self.0);
        let target = TARGET.try_with(Target::clone);
        Box::pin(async move {
            let target = target.map_err(|_| NoTarget)?;
            let found = tokio::net::lookup_host((whole(name.as_str()), 0)).await;
            let found = found.map_err(Unresolved)?;
            let found = found.map(|address| address.ip());
            let checked = destinations.check_addresses(&target, found)?;
            // The client puts the port in.
            let addresses = checked.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

/// A name with dots is a whole one: the system must not look for it below the domains that it searches.
fn whole(name: &str) -> String {
    let dot = if name.contains('.') && !name.ends_with('.') { "." } else { "" };
    format!("{name}{dot}")
}
