//! Finds the server that has a partition: asks Sentinels and Cluster nodes, and explains failures.

use std::time::Duration;

use deadpool_redis::redis::{
    Client, ConnectionInfo, ErrorKind, FromRedisValue as _, RedisError, RedisResult, Value,
    aio::MultiplexedConnection, cmd,
};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::{Instant, timeout_at};

use super::address::{at, without_login};

/// How long the next source waits for the one before it.
const NEXT_SOURCE_DELAY: Duration = Duration::from_millis(250);

/// Something that knows which server has a partition.
#[derive(Clone)]
pub(super) enum Source {
    /// The server itself.
    Server(ConnectionInfo),
    Sentinel {
        sentinel: ConnectionInfo,
        /// Whether the settings give user and password of Sentinels.
        has_own_login: bool,
        master: String,
        /// The login and database of the master.
        server: Box<ConnectionInfo>,
    },
    /// A node of a Cluster.
    Seed(ConnectionInfo),
}

/// A server that is said to have a partition.
pub(super) struct Located {
    pub(super) info: ConnectionInfo,
    /// The server and its source, for messages.
    pub(super) name: String,
}

impl Source {
    /// The source, for messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Server(info) => info.addr().to_string(),
            Self::Sentinel { sentinel, .. } => format!("Sentinel {}", sentinel.addr()),
            Self::Seed(info) => format!("Cluster node {}", info.addr()),
        }
    }

    /// Asks where the server is. Errors name the source.
    pub(super) async fn locate(&self, base: &str) -> Result<Located, String> {
        let name = self.name();
        let wrong = |error: RedisError| match self {
            Self::Sentinel { .. } => format!("{name}: {error}{}", fix(&error, Role::Sentinel)),
            _ => format!("{name}: {error}{}", fix(&error, Role::Server)),
        };
        Ok(match self {
            Self::Server(info) => Located { info: info.clone(), name },
            Self::Sentinel { sentinel, has_own_login, master, server } => {
                let asked = connect_to_sentinel(sentinel, *has_own_login);
                let mut connection = asked.await.map_err(wrong)?;
                let (host, port) = master_of(&mut connection, master).await.map_err(wrong)?;
                let info = at(server, host, port);
                let name = format!("the master {} that {name} names", info.addr());
                Located { info, name }
            }
            Self::Seed(seed) => {
                let info = owner_of(seed, base).await.map_err(wrong)?;
                let name = match info.addr() == seed.addr() {
                    true => name,
                    false => format!("the master {} that {name} names", info.addr()),
                };
                Located { info, name }
            }
        })
    }

    /// Whether the server has to say that it has the partition's keys.
    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self, Self::Seed(_))
    }
}

/// The kind of server that refused something.
#[derive(Clone, Copy)]
pub(super) enum Role {
    Sentinel,
    Server,
}

/// The fix for an error, where it is known. Begins with a semicolon.
pub(super) fn fix(error: &RedisError, role: Role) -> &'static str {
    let text = error.to_string();
    let is_login = error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"));
    match role {
        Role::Sentinel if is_login => {
            "; this is a Sentinel: set layer.sentinel_username and layer.sentinel_password"
        }
        Role::Server if is_login => {
            "; give user and password in layer.url, redis://USER:PASSWORD@HOST, or in \
             layer.username and layer.password"
        }
        _ if error.code() == Some("NOPERM") || text.contains("NOPERM") => {
            "; give the user the commands that docs/redis.md lists"
        }
        _ if text.contains("DB index is out of range") => {
            "; use a lower database number in layer.url, or raise `databases` in redis.conf"
        }
        _ if error.is_connection_refusal() => {
            "; start Redis there, or correct the address in layer.url"
        }
        _ => "",
    }
}

/// Tries all until one succeeds, in order. The next begins when one has failed, or after a head start.
/// Returns the failures of all.
pub(super) async fn first_success<T, E>(
    attempts: impl IntoIterator<Item = impl Future<Output = Result<T, E>>>,
) -> Result<T, Vec<E>> {
    let mut attempts = attempts.into_iter();
    let (mut running, mut failures) = (FuturesUnordered::new(), Vec::new());
    loop {
        let next = attempts.next();
        let is_last = next.is_none();
        running.extend(next);
        let until = Instant::now() + NEXT_SOURCE_DELAY;
        loop {
            let ended = match is_last {
                true => running.next().await,
                false => match timeout_at(until, running.next()).await {
                    Ok(ended) => ended,
                    Err(_) => break,
                },
            };
            match ended {
                Some(Ok(found)) => return Ok(found),
                Some(Err(error)) => failures.push(error),
                None if is_last => return Err(failures),
                None => {}
            }
            if !is_last {
                break;
            }
        }
    }
}

pub(super) async fn connect(info: &ConnectionInfo) -> RedisResult<MultiplexedConnection> {
    Client::open(info.clone())?.get_multiplexed_async_connection().await
}

/// User and password of a URL are those of the master. Many Sentinels have none, and refuse any.
async fn connect_to_sentinel(
    sentinel: &ConnectionInfo,
    has_own_login: bool,
) -> RedisResult<MultiplexedConnection> {
    let connected = connect(sentinel).await;
    match &connected {
        Err(error) if error.kind() == ErrorKind::AuthenticationFailed && !has_own_login => {
            let mut connection = connect(&without_login(sentinel)).await?;
            // A Sentinel that has another password says so now.
            let answered = cmd("PING").query_async::<String>(&mut connection).await;
            if answered.is_ok() { Ok(connection) } else { connected }
        }
        _ => connected,
    }
}

/// Where Sentinel says that a master is.
async fn master_of(
    sentinel: &mut MultiplexedConnection,
    master: &str,
) -> RedisResult<(String, u16)> {
    let found: Option<(String, u16)> =
        cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master).query_async(sentinel).await?;
    found.ok_or_else(|| failed("it knows no master of the name in layer.url"))
}

/// Which master of a Cluster a node says has a key.
async fn owner_of(node: &ConnectionInfo, key: &str) -> RedisResult<ConnectionInfo> {
    let mut connection = connect(node).await?;
    let slot: u16 = cmd("CLUSTER").arg("KEYSLOT").arg(key).query_async(&mut connection).await?;
    // First slot, last slot, the master, and its replicas, which are not looked at.
    let ranges: Vec<Vec<Value>> = cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await?;
    for range in &ranges {
        if let [from, to, Value::Array(master), ..] = &range[..]
            && let [host, port, ..] = &master[..]
            && (u16::from_redis_value_ref(from)?..=u16::from_redis_value_ref(to)?).contains(&slot)
        {
            let host = Option::<String>::from_redis_value_ref(host)?.unwrap_or_default();
            let port = u16::from_redis_value_ref(port)?;
            // A node that does not know its own name says nothing: then it is where we asked.
            return Ok(if host.is_empty() { node.clone() } else { at(node, host, port) });
        }
    }
    Err(failed("no master of the Cluster has the slot"))
}

fn failed(reason: &'static str) -> RedisError {
    RedisError::from((ErrorKind::Client, reason))
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_next_attempt_begins_when_one_fails_or_after_a_head_start() {
        let attempt = |succeeds_after: Option<u64>, number: u32| async move {
            match succeeds_after {
                None => Err(number),
                Some(u64::MAX) => pending().await,
                Some(millis) => {
                    tokio::time::sleep_until(Instant::now() + Duration::from_millis(millis)).await;
                    Ok(number)
                }
            }
        };
        let began = Instant::now();
        let found = first_success([attempt(None, 1), attempt(None, 2), attempt(Some(10), 3)]);
        assert_eq!(found.await, Ok(3));
        assert_eq!(began.elapsed(), Duration::from_millis(10));
        let found = first_success([attempt(Some(u64::MAX), 1), attempt(Some(10), 2)]);
        assert_eq!(found.await, Ok(2));
        assert_eq!(began.elapsed(), Duration::from_millis(20) + NEXT_SOURCE_DELAY);
        let found = first_success([attempt(Some(300), 1), attempt(Some(100), 2)]);
        assert_eq!(found.await, Ok(1));
        let found = first_success([attempt(None, 1), attempt(None, 2)]);
        assert_eq!(found.await, Err(vec![1, 2]));
    }
}
