//! Resolves names for a client: to those addresses alone that its module may reach.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::{Target, counted::CountedGuard};

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

/// Names that a client resolves at the same time. The system resolves on a thread for each, which a server of names
/// that does not answer holds for some ten seconds.
const AT_ONCE_MAX: usize = 32;

/// Resolves with the system, and checks each address. A connection goes to an address that was checked: the name is
/// not resolved again for it.
#[derive(Debug)]
pub(super) struct CheckedResolver {
    guard: Arc<CountedGuard>,
    turns: Arc<Semaphore>,
}

impl CheckedResolver {
    pub(super) fn new(guard: Arc<CountedGuard>) -> Self {
        Self { guard, turns: Arc::new(Semaphore::new(AT_ONCE_MAX)) }
    }
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, turns) = (Arc::clone(&self.guard), Arc::clone(&self.turns));
        let target = TARGET.try_with(Target::clone);
        Box::pin(async move {
            let target = target.map_err(|_| NoTarget)?;
            let turn = turns.acquire_owned().await?;
            let name = name.as_str().to_owned();
            let found = tokio::task::spawn_blocking(move || {
                let found = look_up(&name);
                // Also if nobody waits for it any more.
                drop(turn);
                found
            });
            let found = found.await?.map_err(Unresolved)?.into_iter();
            let checked = guard.check_addresses(&target, found)?;
            // The client puts the port in.
            let addresses = checked.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

/// Asks the system. A name with dots is a whole one, and is not looked for below the domains that the system
/// searches, unless nothing else has it: the system's file of hosts has names without the last dot.
fn look_up(name: &str) -> io::Result<Vec<IpAddr>> {
    let of = |name: &str| {
        let found = (name, 0).to_socket_addrs()?;
        Ok(found.map(|address| address.ip()).collect())
    };
    match name.contains('.') && !name.ends_with('.') {
        true => of(&format!("{name}.")).or_else(|_: io::Error| of(name)),
        false => of(name),
    }
}
