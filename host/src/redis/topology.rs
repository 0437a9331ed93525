//! Where Redis is: one server, several shards, behind Sentinel, or a Cluster; as URL and settings say.

use deadpool_redis::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};
use url::Url;

use super::{
    address::{speaking, without_login},
    locate::Source,
};

/// A URL that does not say where Redis is. No part of it is shown: a password may be in each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the URL is not a valid Redis URL: {reason}. Use redis://HOST:PORT/DB, several of them with commas, \
     redis+sentinel://HOST,HOST/MASTER/DB or redis+cluster://HOST,HOST; rediss is with TLS. \
     Percent-encode special characters of USER:PASSWORD@ (%2C for a comma, %40 for @, %2F for a slash, \
     %3A for a colon), or set layer.username and layer.password instead"
)]
pub struct TopologyError {
    reason: String,
}

impl TopologyError {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// A user and a password that settings give apart from the URL. An empty password means none.
#[derive(Clone, Default)]
pub struct Login {
    /// The user of the ACL; none for `default`.
    pub username: Option<String>,
    /// The password.
    pub password: Option<String>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

impl Login {
    pub(crate) const fn is_given(&self) -> bool {
        self.username.is_some() || self.password.is_some()
    }

    /// Puts user and password in the place of those of the URL.
    fn over(&self, info: ConnectionInfo) -> ConnectionInfo {
        if !self.is_given() {
            return info;
        }
        let mut settings = without_login(&info).redis_settings().clone();
        if let Some(password) = self.password.as_ref().filter(|password| !password.is_empty()) {
            settings = settings.set_password(password);
            if let Some(username) = &self.username {
                settings = settings.set_username(username);
            }
        }
        info.set_redis_settings(settings)
    }
}

/// Settings that stand beside the URL.
#[derive(Clone, Debug, Default)]
pub struct Logins {
    /// For servers: masters and nodes of a Cluster.
    pub server: Login,
    /// For Sentinels.
    pub sentinel: Login,
    /// Whether Sentinels speak TLS. None: as the scheme of the URL says.
    pub sentinel_tls: Option<bool>,
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
    Sentinel(Vec<Source>),
    /// Any of its nodes says which master has a partition.
    Cluster(Vec<Source>),
}

/// Partitions of a Cluster, unless the settings say otherwise: more than it has masters, so that each
/// has some; each costs a process four connections.
const CLUSTER_PARTITIONS: usize = 8;

impl Topology {
    /// Reads a URL that has all credentials.
    pub fn parse(url: &str) -> Result<Self, TopologyError> {
        Self::new(url, &Logins::default())
    }

    /// Reads a URL. Credentials of the settings replace those of the URL.
    pub fn new(url: &str, logins: &Logins) -> Result<Self, TopologyError> {
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| TopologyError::new("it has no scheme"))?;
        match scheme.split_once('+') {
            None => Self::servers(url, logins),
            Some((scheme, "cluster")) => {
                let list = HostList::parse(rest)?;
                let seeds = list.each(scheme, "0")?;
                let seeds = seeds.into_iter().map(|seed| Source::Seed(logins.server.over(seed)));
                let kind = Kind::Cluster(seeds.collect());
                Ok(Self { kind, shown: list.shown(scheme, "+cluster") })
            }
            Some((scheme, "sentinel")) => Self::sentinel(scheme, rest, logins),
            Some(_) => Err(TopologyError::new("its scheme is not known")),
        }
    }

    /// Whether Sentinels say which server is the master.
    pub(crate) const fn has_sentinels(&self) -> bool {
        matches!(self.kind, Kind::Sentinel(_))
    }

    fn servers(url: &str, logins: &Logins) -> Result<Self, TopologyError> {
        let servers = url.split(',').map(|server| Ok(logins.server.over(info(server)?)));
        let servers = servers.collect::<Result<Vec<_>, TopologyError>>()?;
        let shown: Vec<_> = servers.iter().map(shown).collect();
        Ok(Self { shown: shown.join(","), kind: Kind::Servers(servers) })
    }

    fn sentinel(scheme: &str, rest: &str, logins: &Logins) -> Result<Self, TopologyError> {
        let list = HostList::parse(rest)?;
        let (master, db) = list.path.split_once('/').unwrap_or((list.path, "0"));
        if master.is_empty() {
            return Err(TopologyError::new("the name of the master is missing"));
        }
        let sources = list.each(scheme, db)?.into_iter().map(|server| {
            let mut sentinel = logins.sentinel.over(server.clone());
            let settings = sentinel.redis_settings().clone().set_db(0);
            sentinel = sentinel.set_redis_settings(settings);
            if let Some(with_tls) = logins.sentinel_tls {
                sentinel = speaking(sentinel, with_tls);
            }
            let has_own_login = logins.sentinel.is_given();
            let (master, server) = (master.to_owned(), logins.server.over(server));
            Source::Sentinel { sentinel, has_own_login, master, server: Box::new(server) }
        });
        let kind = Kind::Sentinel(sources.collect());
        Ok(Self { kind, shown: list.shown(scheme, "+sentinel") })
    }

    /// How many partitions there are, unless the settings say otherwise.
    pub(crate) const fn partitions(&self) -> usize {
        match &self.kind {
            Kind::Servers(servers) => servers.len(),
            Kind::Sentinel(_) => 1,
            Kind::Cluster(_) => CLUSTER_PARTITIONS,
        }
    }

    /// Those that know which server has a partition, in the order of the URL.
    pub(super) fn sources(&self, partition: usize) -> Vec<Source> {
        match &self.kind {
            Kind::Servers(servers) => {
                let server = servers.get(partition % servers.len().max(1)).cloned();
                server.map(Source::Server).into_iter().collect()
            }
            Kind::Sentinel(sources) | Kind::Cluster(sources) => sources.clone(),
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

/// `[USER:PASSWORD@]HOST[:PORT],HOST[:PORT]...[/PATH]`
struct HostList<'a> {
    login: &'a str,
    hosts: &'a str,
    path: &'a str,
}

impl<'a> HostList<'a> {
    fn parse(rest: &'a str) -> Result<Self, TopologyError> {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if path.contains('@') {
            return Err(TopologyError::new("an @ stands after the first slash"));
        }
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (login, hosts),
            None => ("", authority),
        };
        Ok(Self { login, hosts, path })
    }

    fn each(&self, scheme: &str, db: &str) -> Result<Vec<ConnectionInfo>, TopologyError> {
        let login = if self.login.is_empty() { String::new() } else { format!("{}@", self.login) };
        let hosts = self.hosts.split(',');
        hosts.map(|host| info(&format!("{scheme}://{login}{host}/{db}"))).collect()
    }

    /// For messages; called when all of it has been read.
    fn shown(&self, scheme: &str, suffix: &str) -> String {
        let login = if self.login.is_empty() { "" } else { "***@" };
        let path = if self.path.is_empty() { "" } else { "/" };
        format!("{scheme}{suffix}://{login}{}{path}{}", self.hosts, self.path)
    }
}

fn info(url: &str) -> Result<ConnectionInfo, TopologyError> {
    let wrong = |reason: &dyn std::fmt::Display| TopologyError::new(reason.to_string());
    let parsed = Url::parse(url).map_err(|error| wrong(&error))?;
    parsed.into_connection_info().map_err(|error| {
        // The rest of the text is the library's name of the kind.
        let text = error.to_string();
        wrong(&text.split(" - ").next().unwrap_or_default())
    })
}

/// A server for messages.
fn shown(info: &ConnectionInfo) -> String {
    let login = if info.redis_settings().password().is_some() { "***@" } else { "" };
    let scheme = match info.addr() {
        ConnectionAddr::TcpTls { .. } => "rediss",
        ConnectionAddr::Unix(_) => "unix",
        _ => "redis",
    };
    format!("{scheme}://{login}{}/{}", info.addr(), info.redis_settings().db())
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
    fn an_invalid_url_is_refused_with_the_reason() {
        for (url, reason) in [
            ("localhost:6379", "no scheme"),
            ("http://localhost", "not a redis URL"),
            ("redis+ring://a", "scheme is not known"),
            ("redis+sentinel://a:1", "name of the master is missing"),
            ("redis://user:secret@host:port", "invalid port number"),
            ("redis://host/first", "Invalid database number"),
        ] {
            let error = Topology::parse(url).unwrap_err().to_string();
            assert!(error.contains(reason), "{url}: {error}");
        }
    }

    #[test]
    fn a_password_is_not_shown_whatever_its_characters_are() {
        let parts = ["hush", "quiet"];
        for between in [",", "@", "/", "#", "?", ":", "%", "%2C", "%40", "&", " ", "\\", "\"", "é"]
        {
            let password = parts.join(between);
            let whole = [
                format!("redis://:{password}@127.0.0.1:6379/0"),
                format!("redis://user:{password}@127.0.0.1/0,redis://u:{password}@b/0"),
                format!("redis+sentinel://:{password}@a:26379,b:26379/main/0"),
                format!("redis+cluster://u:{password}@a:7000,b"),
            ];
            let without_host = [
                format!("redis://:{password}"),
                format!("redis://user:{password}/0"),
                format!("redis+sentinel://:{password}/main"),
            ];
            // What stands behind an @ is a host.
            let without_host = without_host.into_iter().filter(|_| between != "@");
            for url in whole.into_iter().chain(without_host) {
                let told = match Topology::parse(&url) {
                    Ok(topology) => format!("{topology} {topology:?}"),
                    Err(error) => format!("{error} {error:?}"),
                };
                for part in parts {
                    assert!(!told.contains(part), "{url}: {told}");
                }
            }
        }
        let shown = Topology::parse("redis://user:secret@host:1/0").unwrap().to_string();
        assert_eq!(shown, "redis://***@host:1/0");
        let shown = Topology::parse("redis+sentinel://:se,cr@a:1,b:2/main/3").unwrap().to_string();
        assert_eq!(shown, "redis+sentinel://***@a:1,b:2/main/3");
        let login = Login { username: None, password: Some("secret".to_owned()) };
        assert!(!format!("{login:?}").contains("secret"));
    }

    #[test]
    fn settings_replace_the_credentials_of_the_url() {
        let login = |username: Option<&str>, password: &str| Login {
            username: username.map(ToOwned::to_owned),
            password: Some(password.to_owned()),
        };
        let of = |info: &ConnectionInfo| {
            let settings = info.redis_settings();
            (
                settings.username().map(ToOwned::to_owned),
                settings.password().map(ToOwned::to_owned),
                settings.db(),
            )
        };
        let logins = Logins {
            server: login(Some("app"), "p,@/"),
            sentinel: login(None, "watch"),
            sentinel_tls: Some(false),
        };
        let url = "rediss+sentinel://u:p@a:1/main/2";
        let [Source::Sentinel { sentinel, server, .. }] =
            &Topology::new(url, &logins).unwrap().sources(0)[..]
        else {
            panic!("one Sentinel")
        };
        assert_eq!(of(sentinel), (None, Some("watch".to_owned()), 0));
        assert!(matches!(sentinel.addr(), ConnectionAddr::Tcp(..)));
        assert_eq!(of(server), (Some("app".to_owned()), Some("p,@/".to_owned()), 2));
        assert!(matches!(server.addr(), ConnectionAddr::TcpTls { .. }));
        let none = Logins { sentinel: login(None, ""), ..Logins::default() };
        let [Source::Sentinel { sentinel, server, .. }] =
            &Topology::new(url, &none).unwrap().sources(0)[..]
        else {
            panic!("one Sentinel")
        };
        assert_eq!(of(sentinel), (None, None, 0));
        assert_eq!(of(server), (Some("u".to_owned()), Some("p".to_owned()), 2));
    }
}
