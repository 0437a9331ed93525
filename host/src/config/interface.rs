//! Settings of listeners and connections.

use std::{fmt, net::IpAddr, num::NonZeroU32, str::FromStr, time::Duration};

use ipnet::IpNet;

use super::{
    checks::{at_least_one, cap, rate, size, span, zero},
    error::{Checked, ConfigError},
    file::{RawDrain, RawInterface, RawTls},
    units::{Span, Words},
};
use crate::interface::{
    AbuseLimits, DrainConfig, Endpoint, InterfaceConfig, Liveness, OriginPolicy, ProxyConfig,
    Timeouts, TlsConfig, UnixAccess,
};

/// The largest body of a request, and the largest head.
const BODY_BYTES_CEILING: usize = 8 * 1024 * 1024;
/// The most header fields of a request, for which there is room from the start.
const HEADER_COUNT_CEILING: usize = 10_000;
/// Served where nothing is set.
const DEFAULT_LISTEN: &str = "127.0.0.1:8000";
/// Stands for peers on Unix sockets among trusted proxies.
const LOCAL_PEERS: &str = "unix";

fn key(name: &str) -> String {
    format!("interface.{name}")
}

pub(super) fn endpoints(raw: Option<Words>, has_tls: bool) -> Checked<Vec<Endpoint>> {
    let words = raw.map_or_else(|| vec![DEFAULT_LISTEN.to_owned()], |Words(words)| words);
    if words.is_empty() {
        return Err(ConfigError::new(
            "listen",
            "the list is empty; give an address, or leave it out",
        ));
    }
    let endpoints = parse_all::<Endpoint>("listen", &words)?;
    match endpoints.iter().find(|endpoint| endpoint.tls()) {
        Some(endpoint) if !has_tls => Err(ConfigError::new(
            "listen",
            &format!("{endpoint} needs a certificate; set `certificate` and `key` in [tls]"),
        )),
        _ => Ok(endpoints),
    }
}

pub(super) fn tls(raw: RawTls) -> Checked<TlsConfig> {
    match (raw.certificate, raw.key) {
        (Some(certificate), Some(key)) => Ok(TlsConfig { certificate, key }),
        (certificate, _) => {
            let missing = if certificate.is_none() { "certificate" } else { "key" };
            let problem = format!("`{missing}` is missing; give the path of a PEM file");
            Err(ConfigError::new("tls", &problem))
        }
    }
}

pub(super) fn drain(raw: &RawDrain) -> Checked<DrainConfig> {
    let d = DrainConfig::default();
    if raw.rate == Some(0) {
        return Err(zero("drain.rate"));
    }
    Ok(DrainConfig {
        // No pause is a choice.
        delay: raw.delay.map_or(d.delay, |Span(delay)| delay),
        grace: span("drain.grace", raw.grace, d.grace)?,
        rate: raw.rate.and_then(NonZeroU32::new),
    })
}

pub(super) fn config(raw: &RawInterface, drain: DrainConfig) -> Checked<InterfaceConfig> {
    let d = InterfaceConfig::default();
    let body_bytes = size(&key("body_bytes"), raw.body_bytes, d.body_bytes)?;
    let frame_bytes = size(&key("frame_bytes"), raw.frame_bytes, d.frame_bytes)?;
    Ok(InterfaceConfig {
        root_path: root_path(raw.root_path.as_deref().unwrap_or_default())?,
        body_bytes: at_most(BODY_BYTES_CEILING, "body_bytes", body_bytes)?,
        frame_bytes: at_most(BODY_BYTES_CEILING, "frame_bytes", frame_bytes)?,
        inbound_frames: at_least_one(&key("inbound_frames"), raw.inbound_frames, d.inbound_frames)?,
        inbound_bytes: size(&key("inbound_bytes"), raw.inbound_bytes, d.inbound_bytes)?,
        websocket_unsent: size(&key("websocket_unsent"), raw.websocket_unsent, d.websocket_unsent)?,
        http_unsent: size(&key("http_unsent"), raw.http_unsent, d.http_unsent)?,
        unix: unix(raw)?,
        proxies: proxies(raw)?,
        origins: origins(raw.origins.as_ref())?,
        timeouts: timeouts(raw)?,
        liveness: liveness(raw)?,
        limits: limits(raw)?,
        drain,
    })
}

fn at_most(ceiling: usize, name: &str, value: usize) -> Checked<usize> {
    if value <= ceiling {
        return Ok(value);
    }
    Err(ConfigError::new(&key(name), &format!("{value} are too many; at most {ceiling}")))
}

fn root_path(text: &str) -> Checked<String> {
    let is_path = text.is_empty() || (text.starts_with('/') && !text.ends_with('/'));
    if is_path && !text.contains(['?', '#', ' ']) {
        return Ok(text.to_owned());
    }
    let problem =
        format!("{text:?} is not a valid root path; write \"/app\", without a slash at the end");
    Err(ConfigError::new(&key("root_path"), &problem))
}

fn unix(raw: &RawInterface) -> Checked<UnixAccess> {
    let mode = raw.unix_mode.as_ref().map(|mode| parse(&key("unix_mode"), mode)).transpose()?;
    let owner =
        raw.unix_owner.as_ref().map(|owner| parse(&key("unix_owner"), owner)).transpose()?;
    Ok(UnixAccess { mode, owner: owner.unwrap_or_default() })
}

fn proxies(raw: &RawInterface) -> Checked<ProxyConfig> {
    let (mut trusted, mut trust_local) = (Vec::new(), false);
    for word in raw.trusted_proxies.iter().flat_map(|Words(words)| words) {
        if word == LOCAL_PEERS {
            trust_local = true;
            continue;
        }
        let network = word.parse().or_else(|_| word.parse::<IpAddr>().map(IpNet::from));
        trusted.push(network.map_err(|_| {
            let problem = format!(
                "{word:?} is neither an address, nor a network such as \"10.0.0.0/8\", nor \"unix\""
            );
            ConfigError::new(&key("trusted_proxies"), &problem)
        })?);
    }
    let proxy_protocol = raw.proxy_protocol.unwrap_or_default();
    if proxy_protocol && trusted.is_empty() && !trust_local {
        let problem = "nobody may speak it; name the proxies in `trusted_proxies`";
        return Err(ConfigError::new(&key("proxy_protocol"), problem));
    }
    let forwarding = raw.forwarding.unwrap_or_default();
    Ok(ProxyConfig { trusted, trust_local, forwarding, proxy_protocol })
}

fn origins(raw: Option<&Words>) -> Checked<OriginPolicy> {
    match raw {
        None => Ok(OriginPolicy::default()),
        Some(Words(words)) => Ok(OriginPolicy::new(parse_all(&key("origins"), words)?)),
    }
}

fn parse_all<T: FromStr<Err: fmt::Display>>(place: &str, words: &[String]) -> Checked<Vec<T>> {
    words.iter().map(|word| parse(place, word)).collect()
}

fn parse<T: FromStr<Err: fmt::Display>>(place: &str, word: &str) -> Checked<T> {
    word.parse().map_err(|error: T::Err| ConfigError::new(place, &error.to_string()))
}

fn timeouts(raw: &RawInterface) -> Checked<Timeouts> {
    let d = Timeouts::default();
    Ok(Timeouts {
        handshake: span(&key("handshake_timeout"), raw.handshake_timeout, d.handshake)?,
        header: span(&key("header_timeout"), raw.header_timeout, d.header)?,
        keep_alive: span(&key("keep_alive_timeout"), raw.keep_alive_timeout, d.keep_alive)?,
        body: span(&key("body_timeout"), raw.body_timeout, d.body)?,
        write: span(&key("write_timeout"), raw.write_timeout, d.write)?,
        close: span(&key("close_timeout"), raw.close_timeout, d.close)?,
    })
}

fn liveness(raw: &RawInterface) -> Checked<Liveness> {
    let d = Liveness::default();
    let optional = |name: &str, value: Option<Span>| {
        value.map(|value| span(&key(name), Some(value), Duration::ZERO)).transpose()
    };
    Ok(Liveness {
        ping_interval: span(&key("ping_interval"), raw.ping_interval, d.ping_interval)?,
        ping_timeout: span(&key("ping_timeout"), raw.ping_timeout, d.ping_timeout)?,
        idle: optional("idle_timeout", raw.idle_timeout)?,
        age: optional("maximum_age", raw.maximum_age)?,
    })
}

fn limits(raw: &RawInterface) -> Checked<AbuseLimits> {
    let d = AbuseLimits::default();
    let number = |name: &str, written: Option<u32>, default: u32| {
        let number = at_least_one(&key(name), written.map(|it| it as usize), default as usize)?;
        Ok(u32::try_from(number).unwrap_or(u32::MAX))
    };
    let uri_bytes = size(&key("uri_bytes"), raw.uri_bytes, d.uri_bytes)?;
    let header_count = at_least_one(&key("header_count"), raw.header_count, d.header_count)?;
    let header_bytes = size(&key("header_bytes"), raw.header_bytes, d.header_bytes)?;
    Ok(AbuseLimits {
        connections: cap(&key("connections"), raw.connections, d.connections)?,
        per_address: cap(
            &key("connections_per_address"),
            raw.connections_per_address,
            d.per_address,
        )?,
        per_second: rate(&key("connections_per_second"), raw.connections_per_second, d.per_second)?,
        frames_per_second: rate(
            &key("frames_per_second"),
            raw.frames_per_second,
            d.frames_per_second,
        )?,
        holds: cap(&key("holds"), raw.holds, d.holds)?,
        uri_bytes: at_most(BODY_BYTES_CEILING, "uri_bytes", uri_bytes)?,
        header_count: at_most(HEADER_COUNT_CEILING, "header_count", header_count)?,
        header_bytes: at_most(BODY_BYTES_CEILING, "header_bytes", header_bytes)?,
        streams: number("streams", raw.streams, d.streams)?,
        sockets: number("sockets", raw.sockets, d.sockets)?,
        dry_run: raw.dry_run.unwrap_or_default(),
    })
}
