//! Makes the requests that runs have asked for, beside the slots, and stores their results.
//!
//! A request is a message on a channel that only this reads, kept until it is done. Its result commits with a note
//! of that message, and the relay sends it: a request has one result however often its message is delivered. One
//! without retries is noted before its first byte, so that it is made once at most.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout, timeout_at},
};

use super::{Shared, answer, delivery::Delivery, spans};
use crate::{
    capability::{
        outside::{Client, Clients, FailureReason, Fetch, Fetched},
        store::{Commit, CommitError, Note, Parcel, Quota, RunId, commit_surely},
    },
    layer::{Dispatch, Received},
    message::{Payload, seal_relayed},
    registry::Version,
    telemetry::FetchResult,
};

/// How long a request that may not be made again is waited for when the process stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the store may take to note that a request is begun. With the time for its result it is shorter than what
/// a lease has besides the request.
const BEGIN_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How long a store that does not answer is asked to keep a result.
const STORE_TIMEOUT: Duration = Duration::from_millis(2_500);
/// The pause before it is asked again.
const STORE_PAUSE: Duration = Duration::from_millis(200);
/// How long the store notes that a request was begun: longer than its message can be redelivered.
const BEGUN_KEPT: Duration = Duration::from_secs(49 * 3600);

/// How many requests a process makes at the same time.
#[derive(Clone, Debug)]
pub struct FetchConfig {
    /// Of all modules.
    pub in_flight: usize,
    /// Of one module.
    pub in_flight_per_module: usize,
    /// To one server.
    pub in_flight_per_server: usize,
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self { in_flight: 2_048, in_flight_per_module: 1_024, in_flight_per_server: 256 }
    }
}

/// The part of a process that makes requests.
#[derive(Debug)]
pub(super) struct Fetches {
    pub(super) dispatch: Arc<Dispatch>,
    clients: Arc<Clients>,
    servers: Servers,
}

impl Fetches {
    pub(super) fn new(config: &FetchConfig, clients: Arc<Clients>) -> Self {
        Self {
            dispatch: Dispatch::new(config.in_flight, config.in_flight_per_module),
            clients,
            servers: Servers { each: config.in_flight_per_server, turns: Mutex::default() },
        }
    }
}

/// Requests that are in flight, by server.
#[derive(Debug)]
struct Servers {
    each: usize,
    /// Those with requests in flight. Locked for single operations only.
    turns: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Servers {
    /// Waits until fewer requests to a server are in flight than may be.
    async fn turn(&self, server: String) -> Option<OwnedSemaphorePermit> {
        let turns = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            // One that nobody uses is free.
            turns.retain(|_, turns| Arc::strong_count(turns) > 1);
            Arc::clone(turns.entry(server).or_insert_with(|| Arc::new(Semaphore::new(self.each))))
        };
        turns.acquire_owned().await.ok()
    }
}

/// Follows the modules, and makes requests until the worker stops.
pub(super) async fn run(shared: Arc<Shared>, fetches: Arc<Fetches>) {
    let mut changes = shared.registry.changes();
    read(&shared, &fetches);
    loop {
        tokio::select! {
            received = fetches.dispatch.next(&*shared.layer) => {
                let Some(received) = received else { return };
                let (of, with) = (Arc::clone(&shared), Arc::clone(&fetches));
                drop(shared.drain.spawn("fetch", async move {
                    let held = Held { shared: &of, fetches: &with, received: &received };
                    serve(&of, &with, &received).await;
                    drop(held);
                }));
            }
            Ok(()) = changes.changed() => read(&shared, &fetches),
        }
    }
}

/// Reads the channels of the modules that are active now.
fn read(shared: &Shared, fetches: &Fetches) {
    let modules = shared.registry.snapshot();
    let withheld = shared.registry.withheld();
    let mut owners = (*modules.fetchers).clone();
    owners.retain(|_, module| !withheld.contains(module));
    fetches.dispatch.read(Arc::new(owners), Arc::clone(&modules.lasting));
    shared.layer.offer();
}

/// A place among the requests in flight. Dropping it, also in a panic, frees the place.
struct Held<'a> {
    shared: &'a Shared,
    fetches: &'a Fetches,
    received: &'a Received,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.fetches.dispatch.release(&self.received.module);
        self.fetches.dispatch.pass_on(&*self.shared.layer);
    }
}

/// The end of a delivery of a request's message.
enum Next {
    /// It is done: its result is stored, or nobody can have one.
    Done,
    /// It is delivered again.
    Again,
}

async fn serve(shared: &Shared, fetches: &Fetches, received: &Received) {
    let delivery = answer::delivery(shared, received);
    let modules = shared.registry.snapshot();
    let next = match modules.version(&received.module) {
        Some(version) => of_version(shared, fetches, received, (version, &delivery)).await,
        // Another process may have it.
        None => Next::Again,
    };
    delivery.settle(matches!(next, Next::Done), shared.retry_pause).await;
}

async fn of_version(
    shared: &Shared,
    fetches: &Fetches,
    received: &Received,
    (version, delivery): (&Version, &Delivery),
) -> Next {
    if shared.drain.is_stopping() {
        return Next::Again;
    }
    let Payload::Custom(content) = &received.message.payload else { return Next::Done };
    let (fetch, note) = match (Fetch::read(content), delivery.note()) {
        (Ok(fetch), Some(note)) => (fetch, note),
        (Err(error), _) => {
            tracing::warn!(module = %version.name, %error, "a request cannot be read and is dropped");
            return Next::Done;
        }
        (_, None) => {
            tracing::warn!(module = %version.name, "a request that the layer does not keep is dropped");
            return Next::Done;
        }
    };
    let attempts = match fetch.retries {
        0 => 1,
        _ => received.receipt.as_ref().map_or(0, |receipt| receipt.attempt) + 1,
    };
    let is_last = received.receipt.as_ref().is_some_and(|it| it.attempt >= it.retries);
    let request = Made { version, delivery, fetch: &fetch };
    let fetched = match is_last {
        true => Fetched::Unknown,
        false => match make(shared, fetches, &request, note).await {
            Some(fetched) if !fetched.is_passing() || attempts > fetch.retries => fetched,
            _ => return Next::Again,
        },
    };
    let outcome = Outcome { fetch: &fetch, fetched: &fetched, attempts, note };
    conclude(shared, version, delivery, outcome).await
}

/// A request, and whose it is.
struct Made<'a> {
    version: &'a Version,
    delivery: &'a Delivery,
    fetch: &'a Fetch,
}

/// Makes a request. None: it is not made, and another attempt is as good.
async fn make(
    shared: &Shared,
    fetches: &Fetches,
    request: &Made<'_>,
    note: Note,
) -> Option<Fetched> {
    let Made { version, fetch, .. } = request;
    let client = match fetches.clients.of(&version.name, &version.grants) {
        Ok(client) => client,
        Err(error) => return Some(Fetched::failed(FailureReason::Connect, error.to_string())),
    };
    let began = Instant::now();
    let until = began + version.grants.outside.timeout;
    let server = client.server(fetch).unwrap_or_default();
    let turn = tokio::select! {
        turn = timeout_at(until, fetches.servers.turn(server)) => turn,
        () = shared.drain.stopping() => return None,
    };
    if fetch.retries == 0 {
        match begin(shared, version, note).await {
            Begun::Now => {}
            Begun::Before => return Some(Fetched::Unknown),
            Begun::StoreAway => return None,
        }
    }
    let Ok(turn) = turn else {
        let rule = "as many requests to the server were in flight as may be";
        return Some(Fetched::failed(FailureReason::Timeout, rule));
    };
    let fetched = send(shared, &client, request, until).await;
    drop(turn);
    shared.metrics.fetch_time.observe(began.elapsed().as_secs_f64());
    fetched
}

/// Whether a request that is made once may be made.
enum Begun {
    /// It may: it is noted.
    Now,
    /// It was begun before.
    Before,
    /// The store does not answer, so that it may not.
    StoreAway,
}

async fn begin(shared: &Shared, version: &Version, note: Note) -> Begun {
    let mut commit = Commit::new(RunId::random(), Quota::NONE);
    // Not that of the result.
    commit.note = Some(Note { message: !note.message, kept: BEGUN_KEPT });
    let committed = commit_surely(&*shared.store, &version.name, commit);
    match timeout(BEGIN_TIMEOUT, committed).await {
        Ok(Ok(_)) => Begun::Now,
        Ok(Err(CommitError::AlreadyDone)) => Begun::Before,
        Ok(Err(error)) => {
            tracing::warn!(module = %version.name, %error, "a request waits for the store");
            Begun::StoreAway
        }
        Err(_) => {
            tracing::warn!(module = %version.name, "a request waits for the store, which does not answer");
            Begun::StoreAway
        }
    }
}

/// Sends a request. None: the process stops, and another attempt is as good.
async fn send(
    shared: &Shared,
    client: &Client,
    Made { delivery, fetch, .. }: &Made<'_>,
    until: Instant,
) -> Option<Fetched> {
    let _in_flight = InFlight::new(shared);
    let (began, of) = (Instant::now(), (delivery.correlation, delivery.place));
    let sent = client.send(fetch, spans::cause(of.0, of.1), until);
    tokio::pin!(sent);
    let fetched = tokio::select! {
        fetched = &mut sent => Some(fetched),
        () = shared.drain.stopping() => match fetch.retries {
            0 => Some(timeout(STOP_TIMEOUT, sent).await.unwrap_or(Fetched::Unknown)),
            _ => None,
        },
    };
    if let Some(fetched) = &fetched {
        spans::fetched(&shared.traces, of, (fetch, fetched), began.elapsed());
    }
    fetched
}

/// Counts a request as in flight.
struct InFlight<'a>(&'a Shared);

impl<'a> InFlight<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.metrics.fetches_in_flight.inc();
        Self(shared)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.metrics.fetches_in_flight.dec();
    }
}

/// A result that is to be stored.
struct Outcome<'a> {
    fetch: &'a Fetch,
    fetched: &'a Fetched,
    attempts: u32,
    /// Says that the request is done.
    note: Note,
}

/// Stores a result, which the relay sends.
async fn conclude(
    shared: &Shared,
    version: &Version,
    delivery: &Delivery,
    Outcome { fetch, fetched, attempts, note }: Outcome<'_>,
) -> Next {
    let content = match fetched.content(fetch, attempts, version.limits.message_bytes) {
        Ok(content) => content,
        Err(error) => {
            tracing::warn!(module = %version.name, %error, "the result of a request is dropped");
            return Next::Done;
        }
    };
    let process = Some(shared.means.relay.process());
    let payload = seal_relayed(process, delivery.correlation, &content);
    let parcel = Parcel { target: fetch.then.to_string(), payload };
    let until = Instant::now() + STORE_TIMEOUT;
    loop {
        let mut commit = Commit::new(RunId::random(), Quota::NONE);
        commit.note = Some(note);
        commit.relayed.push(parcel.clone());
        let committed = commit_surely(&*shared.store, &version.name, commit);
        let away = |_| Err(CommitError::Unknown { reason: "the store does not answer".to_owned() });
        match timeout_at(until, committed).await.unwrap_or_else(away) {
            Ok(_) => {
                shared.means.relay.stored(&version.name, false);
                count(shared, version, fetched);
                return Next::Done;
            }
            // Another delivery of its message has stored it, or this one, whose answer did not come.
            Err(CommitError::AlreadyDone) => {
                shared.means.relay.stored(&version.name, false);
                return Next::Done;
            }
            Err(error) if Instant::now() < until => {
                tracing::debug!(module = %version.name, %error, "a result waits for the store");
                sleep_until(Instant::now() + STORE_PAUSE).await;
            }
            Err(error) => {
                tracing::warn!(module = %version.name, %error, "a result cannot be stored");
                return Next::Again;
            }
        }
    }
}

fn count(shared: &Shared, version: &Version, fetched: &Fetched) {
    let result = match fetched {
        Fetched::Failed(failure) => failure.reason.as_str(),
        other => other.as_str(),
    };
    let module = version.name.as_str().to_owned();
    let by = FetchResult { module, result };
    shared.metrics.fetches.get_or_create(&by).inc();
}
