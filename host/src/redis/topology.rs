//! Where Redis is: one server, several shards, behind Sentinel, or a Cluster; as the URL says.

use std::time::Duration;

use deadpool_redis::redis::{
    Client, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue as _,
    IntoConnectionInfo as _, RedisError, RedisResult, Value, aio::MultiplexedConnection, cmd,
};
use tokio::time::{Instant, timeout_at};

/// A URL that names no Redis.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{url:?} names no Redis: {reason}; it is redis://HOST:PORT/DB, several of them with commas, \
     redis+sentinel://HOST,HOST/MASTER/DB or redis+cluster://HOST,HOST; rediss is with TLS"
)]
pub struct TopologyError {
    url: String,
    reason: String,
}

/// Where Redis is. Shown without passwords.
#[derive(Clone)]
pub struct Topology {
    kind: Kind,
    shown: String,
}

#[derive(Clone)]
enum Kind {
    /// Each holds the partitions whose number it has, counted round.
    Servers(Vec<ConnectionInfo>),
    Sentinel {
        sentinels: Vec<ConnectionInfo>,
        master: String,
        server: Box<ConnectionInfo>,
    },
    /// Any of its nodes says who has what.
    Cluster(Vec<ConnectionInfo>),
}

/// Partitions of a Cluster, unless somebody says otherwise: more than it has masters, so that each
/// has some; each costs a process three connections.
const CLUSTER_PARTITIONS: usize = 8;

impl Topology {
    /// Reads a URL.
    pub fn parse(url: &str) -> Result<Self, TopologyError> {
        let wrong = |reason: &str| TopologyError { url: hidden(url), reason: reason.to_owned() };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
        let kind = match scheme.split_once('+') {
            None => Kind::Servers(
                url.split(',')
                    .map(|server| info(server).map_err(|reason| wrong(&reason)))
                    .collect::<Result<_, _>>()?,
            ),
            Some((scheme, "cluster")) => {
                let (hosts, _) = hosts(scheme, rest, "0").map_err(|reason| wrong(&reason))?;
                Kind::Cluster(hosts)
            }
            Some((scheme, "sentinel")) => {
                let path = rest.split_once('/').map_or("", |(_, path)| path);
                let (master, db) = path.split_once('/').unwrap_or((path, "0"));
                if master.is_empty() {
                    return Err(wrong("the name of the master is missing"));
                }
                let (sentinels, server) =
                    hosts(scheme, rest, db).map_err(|reason| wrong(&reason))?;
                let server = Box::new(server);
                Kind::Sentinel { sentinels, master: master.to_owned(), server }
            }
            Some(_) => return Err(wrong("the scheme is not known")),
        };
        Ok(Self { kind, shown: hidden(url) })
    }

    /// How many partitions there are, unless somebody says otherwise.
    pub(crate) const fn partitions(&self) -> usize {
        match &self.kind {
            Kind::Servers(servers) => servers.len(),
            Kind::Sentinel { .. } => 1,
            Kind::Cluster(_) => CLUSTER_PARTITIONS,
        }
    }

    /// The server that holds a partition now.
    /// Who does not answer leaves time to ask the others within `patience`.
    pub(crate) async fn locate(
        &self,
        partition: usize,
        base: &str,
        patience: Duration,
    ) -> RedisResult<ConnectionInfo> {
        let share = |asked: &[_]| patience / u32::try_from(asked.len() + 1).unwrap_or(u32::MAX);
        match &self.kind {
            Kind::Servers(servers) => {
                let at = partition % servers.len().max(1);
                servers.get(at).cloned().ok_or_else(|| failed("there is no server"))
            }
            Kind::Sentinel { sentinels, master, server } => {
                let mut last = failed("there is no Sentinel to ask");
                for sentinel in sentinels {
                    match within(share(sentinels), master_of(sentinel, master)).await {
                        Ok((host, port)) => return Ok(at(server, host, port)),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
            Kind::Cluster(seeds) => {
                let mut last = failed("there is no node to ask");
                for seed in seeds {
                    match within(share(seeds), owner_of(seed, base)).await {
                        Ok(owner) => return Ok(owner),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
        }
    }
}

impl std::fmt::Debug for Topology {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl std::fmt::Display for Topology {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

/// The URL without what stands before its `@`s.
fn hidden(url: &str) -> String {
    let hide = |part: &str| match (part.split_once("://"), part.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://***@{rest}"),
        (None, Some((_, rest))) => rest.to_owned(),
        _ => part.to_owned(),
    };
    url.split(',').map(hide).collect::<Vec<_>>().join(",")
}

fn info(url: &str) -> Result<ConnectionInfo, String> {
    url.into_connection_info().map_err(|error| error.to_string())
}

/// `[USER:PASSWORD@]HOST[:PORT],HOST[:PORT]...[/...]`: each host, and the first with a database.
fn hosts(
    scheme: &str,
    rest: &str,
    db: &str,
) -> Result<(Vec<ConnectionInfo>, ConnectionInfo), String> {
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (format!("{login}@"), hosts),
        None => (String::new(), authority),
    };
    let all = hosts
        .split(',')
        .map(|host| info(&format!("{scheme}://{login}{host}/0")))
        .collect::<Result<Vec<_>, _>>()?;
    let first = hosts.split(',').next().unwrap_or_default();
    Ok((all, info(&format!("{scheme}://{login}{first}/{db}"))?))
}

/// The same credentials and TLS at another address.
fn at(info: &ConnectionInfo, host: String, port: u16) -> ConnectionInfo {
    let address = match info.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host, port),
    };
    info.clone().set_addr(address)
}

async fn connect(info: &ConnectionInfo) -> RedisResult<MultiplexedConnection> {
    Client::open(info.clone())?.get_multiplexed_async_connection().await
}

/// Where Sentinel says that a master is.
async fn master_of(sentinel: &ConnectionInfo, master: &str) -> RedisResult<(String, u16)> {
    let mut connection = connect(sentinel).await?;
    let found: Option<(String, u16)> = cmd("SENTINEL")
        .arg("GET-MASTER-ADDR-BY-NAME")
        .arg(master)
        .query_async(&mut connection)
        .await?;
    found.ok_or_else(|| failed("Sentinel knows no master of that name"))
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

async fn within<T>(span: Duration, answer: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let answered = timeout_at(Instant::now() + span, answer).await;
    answered.unwrap_or_else(|_| Err(failed("it does not answer in time")))
}

fn failed(reason: &'static str) -> RedisError {
    RedisError::from((ErrorKind::Client, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topology_has_its_url() {
        for (url, partitions) in [
            ("redis://127.0.0.1:6379/1", 1),
            ("rediss://user:secret@redis.example/0", 1),
            ("redis://a:1,redis://b:2,redis://c:3", 3),
            ("redis+sentinel://:secret@a:26379,b:26379/main/2", 1),
            ("redis+cluster://a:7000,b:7001", CLUSTER_PARTITIONS),
        ] {
            assert_eq!(Topology::parse(url).unwrap().partitions(), partitions, "{url}");
        }
    }

    #[test]
    fn what_is_no_url_of_redis_is_refused_and_the_password_not_shown() {
        for (url, reason) in [
            ("localhost:6379", "no scheme"),
            ("http://localhost", ""),
            ("redis+ring://a", "scheme is not known"),
            ("redis+sentinel://a:1", "name of the master is missing"),
            ("redis://user:secret@host:port", ""),
        ] {
            let error = Topology::parse(url).unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains("secret"), "{url}: {error}");
        }
        let shown = Topology::parse("redis://user:secret@host:1/0").unwrap().to_string();
        assert_eq!(shown, "redis://***@host:1/0");
    }
}
