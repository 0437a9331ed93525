//! From settings as written to settings that can be worked with.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Backend, Config, DEFAULT_ADMIN, ModuleConfig, auth,
    checks::{at_least_one, cap, size, span},
    error::{Checked, ConfigError},
    file::{RawBreaker, RawConfig, RawFetch, RawLayer, RawUpload},
    interface, sessions,
    units::{Secret, Words},
};
use crate::{
    engine::{CompileLimits, Compiler, FileLimits, Limits},
    layer::{BUILT_IN, Capacities, LayerConfig},
    message::{GroupName, ModuleName},
    redis::{Login, Logins, RedisConfig, Topology},
    registry::{ModuleSettings, Signers, Written},
    worker::{BreakerConfig, ChannelFilter, FetchConfig, WorkerConfig},
};

/// What a message holds besides a body.
const MESSAGE_EXTRA_BYTES: usize = 64 * 1024;

pub(super) fn config(raw: RawConfig) -> Checked<Config> {
    let backend = backend(&raw.layer)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let slots = at_least_one("slots", raw.slots, cores * slots_per_core(&backend))?;
    let drain = interface::drain(&raw.drain)?;
    let interface_config = interface::config(&raw.interface, drain)?;
    let message_bytes =
        interface_config.body_bytes.max(interface_config.frame_bytes) + MESSAGE_EXTRA_BYTES;
    let defaults = Limits { message_bytes, ..Limits::default() };
    let limits = raw.limits.over(&defaults, "limits")?;
    let tls = raw.tls.map(interface::tls).transpose()?;
    let admin = raw.admin.unwrap_or(DEFAULT_ADMIN);
    let data_dir = raw.data_dir.unwrap_or_else(|| "tidegate-data".into());
    let (auth, modules) = (auth::config(raw.auth)?, modules(raw.modules, &limits)?);
    auth::check_named(&auth, &modules)?;
    let sessions = raw.sessions.map(sessions::config).transpose()?;
    auth::check_cookies(&auth, sessions.as_ref().map(|of| &*of.cookie))?;
    Ok(Config {
        listen: interface::endpoints(raw.listen, tls.is_some())?,
        auth,
        sessions,
        tls,
        admin,
        compiled_dir: raw.compiled_dir.unwrap_or_else(|| data_dir.join("compiled")),
        data_dir,
        files: files(&raw.upload)?,
        signers: signers(&raw.upload)?,
        compiler: Compiler { program: None, limits: compile(&raw.upload)? },
        modules,
        module_defaults: ModuleSettings { limits, ..ModuleSettings::default() },
        interface: interface_config,
        backend,
        layer: layer(&raw.layer, message_bytes)?,
        authorities: raw.fetch.authorities.clone(),
        worker: match raw.worker {
            Some(false) => None,
            _ => Some(WorkerConfig {
                slots,
                breaker: breaker(&raw.breaker)?,
                fetches: fetches(&raw.fetch)?,
                channels: ChannelFilter::default(),
                retry_pause: span(
                    "layer.retry_pause",
                    raw.layer.retry_pause,
                    Duration::from_secs(1),
                )?,
            }),
        },
        log: raw.log.unwrap_or_else(|| "info".to_owned()),
        log_format: raw.log_format.unwrap_or_default(),
        traces: None,
    })
}

fn modules(raw: BTreeMap<String, Written>, limits: &Limits) -> Checked<Vec<ModuleConfig>> {
    raw.into_iter().map(|(name, written)| module(&name, written, limits)).collect()
}

fn module(name: &str, written: Written, limits: &Limits) -> Checked<ModuleConfig> {
    let place = format!("modules.{name}");
    let valid = ModuleName::parse(name)
        .map_err(|error| ConfigError::new(&place, &format!("a module's name: {error}")))?;
    let below = ModuleSettings { limits: limits.clone(), ..ModuleSettings::default() };
    let settings = written.over(&below, &place)?;
    Ok(ModuleConfig { name: valid, file: written.file, settings })
}

fn files(raw: &RawUpload) -> Checked<FileLimits> {
    let d = FileLimits::default();
    Ok(FileLimits {
        bytes: size("upload.bytes", raw.bytes, d.bytes)?,
        functions: at_least_one("upload.functions", raw.functions, d.functions)?,
        data_bytes: size("upload.data_bytes", raw.data_bytes, d.data_bytes)?,
        modules: at_least_one("upload.modules", raw.modules, d.modules)?,
        nesting: at_least_one("upload.nesting", raw.nesting, d.nesting)?,
        routes: at_least_one("upload.routes", raw.routes, d.routes)?,
    })
}

fn signers(raw: &RawUpload) -> Checked<Signers> {
    let Some(Words(keys)) = &raw.signers else { return Ok(Signers::default()) };
    if keys.is_empty() {
        let problem =
            "it names no key, which would let in files without a signature; leave it out for that";
        return Err(ConfigError::new("upload.signers", problem));
    }
    Signers::parse(keys).map_err(|key| {
        ConfigError::new(
            "upload.signers",
            &format!(
                "{key:?} is no public key of minisign; give the second line of a .pub file, 56 characters \
                 that begin with RW"
            ),
        )
    })
}

fn compile(raw: &RawUpload) -> Checked<CompileLimits> {
    let d = CompileLimits::default();
    Ok(CompileLimits {
        memory: size("upload.compile_memory", raw.compile_memory, d.memory)?,
        time: span("upload.compile_time", raw.compile_time, d.time)?,
    })
}

/// The shortest lease: it is renewed three times in it.
const LEASE_MIN: Duration = Duration::from_secs(1);
/// Each partition costs a process connections.
const PARTITIONS_MAX: usize = 1_024;

/// A slot is also held by a message on its way from Redis, which takes about as long as a short run.
const fn slots_per_core(backend: &Backend) -> usize {
    match backend {
        Backend::Memory => 4,
        Backend::Redis(_) => 8,
    }
}

fn backend(raw: &RawLayer) -> Checked<Backend> {
    let url = raw.url.as_deref().unwrap_or("memory");
    if url == "memory" {
        return Ok(Backend::Memory);
    }
    let topology = topology(url, raw)?;
    let prefix = raw.prefix.clone().unwrap_or_else(|| "tidegate".to_owned());
    if let Err(error) = GroupName::parse(&prefix) {
        return Err(ConfigError::new("layer.prefix", &error.to_string()));
    }
    let partitions = match raw.partitions {
        Some(0) => return Err(ConfigError::new("layer.partitions", "it is at least 1")),
        Some(number) if number > PARTITIONS_MAX => {
            let problem = format!("{number} are too many; there are at most {PARTITIONS_MAX}");
            return Err(ConfigError::new("layer.partitions", &problem));
        }
        other => other,
    };
    let lease = span("layer.lease", raw.lease, Duration::from_secs(15))?;
    if lease < LEASE_MIN {
        return Err(ConfigError::new("layer.lease", "it is at least 1s"));
    }
    let timeout = span("layer.timeout", raw.timeout, Duration::from_secs(2))?;
    Ok(Backend::Redis(RedisConfig { topology, prefix, partitions, lease, timeout }))
}

/// Where Redis is, with the credentials that stand beside the URL.
fn topology(url: &str, raw: &RawLayer) -> Checked<Topology> {
    let logins = Logins {
        server: login(raw.username.as_ref(), raw.password.as_ref()),
        sentinel: login(raw.sentinel_username.as_ref(), raw.sentinel_password.as_ref()),
        sentinel_tls: raw.sentinel_tls,
    };
    for (start, login) in [("layer.", &logins.server), ("layer.sentinel_", &logins.sentinel)] {
        if login.username.is_some() && login.password.is_none() {
            let problem = format!("a user needs a password; set {start}password, too");
            return Err(ConfigError::new(&format!("{start}username"), &problem));
        }
    }
    let topology = Topology::new(url, &logins)
        .map_err(|error| ConfigError::new("layer.url", &format!("{error}; or it is memory")))?;
    let of_sentinels = logins.sentinel.is_given() || logins.sentinel_tls.is_some();
    if of_sentinels && !topology.has_sentinels() {
        let problem = "sentinel_username, sentinel_password and sentinel_tls are for a URL with Sentinels; \
                       use redis+sentinel://HOST,HOST/MASTER/DB, or leave them out";
        return Err(ConfigError::new("layer", problem));
    }
    Ok(topology)
}

fn login(username: Option<&String>, password: Option<&Secret>) -> Login {
    Login { username: username.cloned(), password: password.map(|Secret(text)| text.clone()) }
}

fn layer(raw: &RawLayer, message_bytes: usize) -> Checked<LayerConfig> {
    let d = LayerConfig::default();
    let capacity = at_least_one("layer.capacity", raw.capacity, 100)?;
    let mut patterns = Vec::new();
    for (pattern, value) in &raw.capacities {
        let place = format!("layer.capacities.{pattern:?}");
        let messages = value.as_integer().and_then(|n| usize::try_from(n).ok());
        let Some(messages) = messages else {
            return Err(ConfigError::new(&place, "it is not a number of messages"));
        };
        patterns.push((pattern.as_str(), at_least_one(&place, Some(messages), 1)?));
    }
    // What is built in comes last: the first pattern that matches decides.
    patterns.extend(BUILT_IN);
    Ok(LayerConfig {
        message_bytes,
        capacities: Capacities::new(capacity, patterns)
            .map_err(|error| ConfigError::new("layer.capacities", &error.to_string()))?,
        expiry: span("layer.expiry", raw.expiry, d.expiry)?,
        group_expiry: span("layer.group_expiry", raw.group_expiry, d.group_expiry)?,
        groups_per_connection: cap(
            "layer.groups_per_connection",
            raw.groups_per_connection,
            d.groups_per_connection,
        )?,
        presence_members: at_least_one(
            "layer.presence_members",
            raw.presence_members,
            d.presence_members,
        )?,
        inbox_bytes: size("layer.inbox_bytes", raw.inbox_bytes, d.inbox_bytes)?,
        delayed_messages: at_least_one(
            "layer.delayed_messages",
            raw.delayed_messages,
            d.delayed_messages,
        )?,
        total_bytes: size("layer.total_bytes", raw.total_bytes, d.total_bytes)?,
    })
}

fn fetches(raw: &RawFetch) -> Checked<Option<FetchConfig>> {
    let d = FetchConfig::default();
    let in_flight =
        |name: &str, value, default| at_least_one(&format!("fetch.{name}"), value, default);
    let config = FetchConfig {
        in_flight: in_flight("in_flight", raw.in_flight, d.in_flight)?,
        in_flight_per_module: in_flight(
            "in_flight_per_module",
            raw.in_flight_per_module,
            d.in_flight_per_module,
        )?,
        in_flight_per_server: in_flight(
            "in_flight_per_server",
            raw.in_flight_per_server,
            d.in_flight_per_server,
        )?,
    };
    Ok(raw.enabled.unwrap_or(true).then_some(config))
}

fn breaker(raw: &RawBreaker) -> Checked<BreakerConfig> {
    let d = BreakerConfig::default();
    Ok(BreakerConfig {
        enabled: raw.enabled.unwrap_or(d.enabled),
        faults: at_least_one("breaker.faults", raw.faults, d.faults)?,
        window: span("breaker.window", raw.window, d.window)?,
        pause: span("breaker.pause", raw.pause, d.pause)?,
        longest_pause: span("breaker.longest_pause", raw.longest_pause, d.longest_pause)?,
    })
}
