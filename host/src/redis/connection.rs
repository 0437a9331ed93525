//! The connection to the server that holds a partition, which reconnects, wherever the partition is by then.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use deadpool_redis::redis::{
    FromRedisValue, RedisError, RedisResult, ScriptInvocation, aio::MultiplexedConnection, cmd,
};
use rand::RngExt as _;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    Keys, Topology, Unavailable,
    locate::{Located, Role, Source, first_success, fix},
    pool::{Lent, Pool},
};
use crate::shutdown::Drain;

/// The pause before the first attempt to connect again; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The oldest server: BLMPOP and PEXPIRE GT.
const OLDEST: (u32, u32) = (7, 0);

/// A connection that works as far as is known.
#[derive(Clone)]
struct Established {
    /// Counts the connections: a report of a failure says of which.
    generation: u64,
    /// The server, for messages.
    name: Arc<str>,
    /// Held as long as the others of its pool, and used by all commands that do not block.
    commands: Arc<Lent>,
    pool: Pool,
}

impl Established {
    fn commands(&self) -> MultiplexedConnection {
        MultiplexedConnection::clone(&self.commands)
    }
}

#[derive(Clone)]
enum State {
    Up(Established),
    Down(Arc<Unavailable>),
}

/// Runs commands on the server of one partition.
pub(crate) struct Link {
    pub(crate) keys: Keys,
    partition: usize,
    topology: Topology,
    /// How long a command may take, and how long one waits for a connection.
    patience: Duration,
    state: watch::Sender<State>,
    broken: Notify,
    /// The connection over which all registrations were made last.
    settled: AtomicU64,
    /// Held while leases are renewed or a node is closed.
    pub(crate) renewing: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Link {
    /// Connects once, and from then on again whenever the connection is lost.
    pub(crate) async fn open(
        topology: &Topology,
        keys: Keys,
        partition: usize,
        patience: Duration,
        drain: &Drain,
    ) -> Result<Arc<Self>, Unavailable> {
        let link = Arc::new(Self {
            keys,
            partition,
            topology: topology.clone(),
            patience,
            state: watch::Sender::new(State::Down(Arc::new(Unavailable::new("not connected yet")))),
            broken: Notify::new(),
            settled: AtomicU64::new(1),
            renewing: tokio::sync::Mutex::default(),
        });
        // The task of a connection belongs to the runtime that it was made on.
        let first = Arc::clone(&link);
        let connecting = drain.spawn("redis connect", async move { first.connect(1).await });
        let established =
            connecting.await.map_err(|error| Unavailable::new(error.to_string()))??;
        link.state.send_replace(State::Up(established));
        let keep = Arc::clone(&link);
        drain.spawn_until_stopped("redis link", async move { keep.keep().await });
        Ok(link)
    }

    async fn keep(&self) {
        for generation in 2.. {
            self.broken.notified().await;
            let mut pause = FIRST_PAUSE;
            let established = loop {
                match self.connect(generation).await {
                    Ok(established) => break established,
                    Err(error) => {
                        tracing::warn!(%error, target = %self.topology, "Redis is not reached; trying again");
                        self.state.send_replace(State::Down(Arc::new(error)));
                        // Not all processes at once.
                        let jittered = pause.mul_f32(rand::rng().random_range(0.5..1.0));
                        sleep_until(Instant::now() + jittered).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                }
            };
            tracing::info!(target = %self.topology, "connected to Redis again");
            self.state.send_replace(State::Up(established));
        }
    }

    /// Asks each source of the topology until one leads to a server that can be used.
    async fn connect(&self, generation: u64) -> Result<Established, Unavailable> {
        let until = Instant::now() + self.patience;
        let sources = self.topology.sources(self.partition);
        let attempts = sources.into_iter().map(|source| async move {
            let connected = timeout_at(until, self.connect_by(&source, generation)).await;
            connected.unwrap_or_else(|_| {
                Err(format!(
                    "{} does not lead to a server within {:?}",
                    source.name(),
                    self.patience
                ))
            })
        });
        first_success(attempts).await.map_err(|failures: Vec<String>| {
            let failures = failures.join("; ");
            Unavailable::new(format!("Redis at {} is not reached: {failures}", self.topology))
        })
    }

    async fn connect_by(&self, source: &Source, generation: u64) -> Result<Established, String> {
        let Located { info, name } = source.locate(&self.keys.base).await?;
        let refused = |error: RedisError| format!("{name}: {error}{}", fix(&error, Role::Server));
        let pool = Pool::open(info, self.patience).map_err(refused)?;
        let lent = pool.lend().await.map_err(refused)?;
        let mut commands = MultiplexedConnection::clone(&lent);
        let facts: String = cmd("INFO").query_async(&mut commands).await.map_err(refused)?;
        check(&facts).map_err(|rule| format!("{name} {rule}"))?;
        if source.is_cluster() {
            // A node that has lost the partition says so.
            let key = format!("{}epoch", self.keys.base);
            let _: u8 = cmd("EXISTS").arg(key).query_async(&mut commands).await.map_err(refused)?;
        }
        Ok(Established { generation, name: name.into(), commands: Arc::new(lent), pool })
    }

    /// Whether the server was reached when it was last asked.
    pub(crate) fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), State::Up(_))
    }

    /// Why it is not.
    pub(crate) fn trouble(&self) -> Option<Unavailable> {
        match &*self.state.borrow() {
            State::Up(_) => None,
            State::Down(error) => Some((**error).clone()),
        }
    }

    /// How long a command may take.
    pub(crate) const fn patience(&self) -> Duration {
        self.patience
    }

    /// What is wrong when it takes longer.
    pub(crate) fn silent(&self) -> Unavailable {
        let within = self.patience;
        Unavailable::new(format!("Redis at {} does not answer within {within:?}", self.topology))
    }

    /// Which connection it is, counted from the first.
    pub(crate) fn generation(&self) -> u64 {
        match &*self.state.borrow() {
            State::Up(up) => up.generation,
            State::Down(_) => 0,
        }
    }

    /// All registrations were made over that connection, or a newer one.
    pub(crate) fn settle(&self, generation: u64) {
        self.settled.fetch_max(generation, Ordering::AcqRel);
    }

    /// Whether what the server knows of this process is whole again since the last reconnect.
    pub(crate) fn is_settled(&self) -> bool {
        self.generation() <= self.settled.load(Ordering::Acquire)
    }

    /// Resolves when there is a newer connection than that one.
    pub(crate) async fn newer_than(&self, generation: u64) -> u64 {
        let mut states = self.state.subscribe();
        let newer = |state: &State| matches!(state, State::Up(up) if up.generation > generation);
        // The sender is here, so it is not gone.
        drop(states.wait_for(newer).await);
        self.generation().max(generation)
    }

    async fn established(&self) -> Result<Established, Unavailable> {
        if let State::Up(established) = &*self.state.borrow() {
            return Ok(established.clone());
        }
        let mut states = self.state.subscribe();
        let until = Instant::now() + self.patience;
        let up = states.wait_for(|state| matches!(state, State::Up(_)));
        match timeout_at(until, up).await {
            Ok(Ok(state)) => match &*state {
                State::Up(established) => Ok(established.clone()),
                State::Down(error) => Err((**error).clone()),
            },
            _ => match &*self.state.borrow() {
                State::Up(established) => Ok(established.clone()),
                State::Down(error) => Err((**error).clone()),
            },
        }
    }

    /// Runs a script. One that may have run is never run again.
    pub(crate) async fn call<T: FromRedisValue>(
        &self,
        invocation: &ScriptInvocation<'_>,
    ) -> Result<T, Unavailable> {
        let established = self.established().await?;
        let called = invocation.invoke_async(&mut established.commands()).await;
        called.map_err(|error| self.failed(&established, &error))
    }

    /// A blocking pop on a connection of its own. Waits for `block`, and nothing came if it is over.
    pub(crate) async fn pop(
        &self,
        key: &str,
        most: usize,
        block: Duration,
    ) -> Result<Vec<Vec<u8>>, Unavailable> {
        let established = self.established().await?;
        let popped = pop_from(&established.pool, key, most, block, self.patience).await;
        popped.map_err(|error| self.failed(&established, &error))
    }

    /// Says what went wrong. A connection that can do nothing more is made again.
    fn failed(&self, established: &Established, error: &RedisError) -> Unavailable {
        let away = error.is_unrecoverable_error()
            || error.is_timeout()
            || error.is_io_error()
            || matches!(
                error.code(),
                Some(
                    "READONLY"
                        | "MOVED"
                        | "ASK"
                        | "CLUSTERDOWN"
                        | "LOADING"
                        | "MASTERDOWN"
                        | "NOAUTH"
                )
            );
        let reason = format!("Redis at {}: {error}{}", established.name, fix(error, Role::Server));
        // An error that the server sent has a code.
        let failure = match error.code() {
            Some(_) => Unavailable::new(reason),
            None => Unavailable::without_answer(reason),
        };
        if away {
            let dropped = self.state.send_if_modified(|state| {
                let is_this =
                    matches!(state, State::Up(up) if up.generation == established.generation);
                if is_this {
                    *state = State::Down(Arc::new(failure.clone()));
                }
                is_this
            });
            if dropped {
                self.broken.notify_one();
            }
        }
        failure
    }

    /// Runs a command that no script does.
    #[cfg(test)]
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        command: &deadpool_redis::redis::Cmd,
    ) -> Result<T, Unavailable> {
        let established = self.established().await?;
        let answered = command.query_async(&mut established.commands()).await;
        answered.map_err(|error| self.failed(&established, &error))
    }
}

/// A blocking pop on a connection that nobody else uses meanwhile.
async fn pop_from(
    pool: &Pool,
    key: &str,
    most: usize,
    block: Duration,
    patience: Duration,
) -> RedisResult<Vec<Vec<u8>>> {
    let mut lent = pool.lend_alone().await?;
    // With the usual timeout what was popped at the last moment would be lost.
    lent.connection.set_response_timeout(block + patience);
    let popped: Option<(String, Vec<Vec<u8>>)> = cmd("BLMPOP")
        .arg(block.as_secs_f64())
        .arg(1)
        .arg(key)
        .arg("LEFT")
        .arg("COUNT")
        .arg(most)
        .query_async(&mut lent.connection)
        .await?;
    lent.give_back();
    Ok(popped.map(|(_, entries)| entries).unwrap_or_default())
}

/// What a server must be, by what INFO says.
fn check(facts: &str) -> Result<(), String> {
    let fact = |name: &str| {
        let mut lines = facts.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value.trim())
    };
    let version = fact("redis_version").unwrap_or("of no known version");
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < OLDEST {
        let (major, minor) = OLDEST;
        return Err(format!("is version {version}; {major}.{minor} or later is needed"));
    }
    if fact("role") == Some("slave") {
        return Err("is a replica, which cannot be written to; name the master, or use \
                    redis+sentinel://"
            .to_owned());
    }
    let policy = fact("maxmemory_policy").unwrap_or("noeviction");
    if fact("maxmemory").is_some_and(|limit| limit != "0") && policy != "noeviction" {
        return Err(format!(
            "may drop keys when memory is short (maxmemory-policy {policy}); set it to noeviction"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_or_a_replica_or_drops_keys_is_refused() {
        let facts = |version: &str, role: &str, memory: &str, policy: &str| {
            format!(
                "# Server\r\nredis_version:{version}\r\nrole:{role}\r\nmaxmemory:{memory}\r\n\
                 maxmemory_policy:{policy}\r\n"
            )
        };
        assert_eq!(check(&facts("7.0.15", "master", "0", "noeviction")), Ok(()));
        assert_eq!(check(&facts("8.2.1", "master", "0", "allkeys-lru")), Ok(()));
        assert_eq!(check(&facts("7.2.4", "master", "1000", "noeviction")), Ok(()));
        for (facts, expected) in [
            (facts("6.2.1", "master", "0", "noeviction"), "7.0 or later"),
            (facts("7.0.15", "slave", "0", "noeviction"), "replica"),
            (facts("7.0.15", "master", "1000", "volatile-lru"), "noeviction"),
        ] {
            let refused = check(&facts).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
