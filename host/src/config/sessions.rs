//! `[sessions]`: who stays signed in, and for how long.

use std::time::Duration;

use serde::Deserialize;

use super::{
    auth::{GivenText, OneOrMore, is_token_byte, secret},
    checks::span,
    error::{Checked, ConfigError},
    units::Span,
};
use crate::{
    capability::sessions::{CookieKeys, SessionConfig},
    interface::Endpoint,
};

/// How long a session lasts at most, unless it is set.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long it lasts without use, unless it is set.
const IDLE_DEFAULT: Duration = Duration::from_secs(14 * 24 * 3600);
/// The shortest that it may last without use: that it is used is noted once a minute.
const IDLE_MIN: Duration = Duration::from_secs(5 * 60);

/// `[sessions]`, as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSessions {
    secrets: Option<OneOrMore>,
    cookie: Option<String>,
    secure: Option<bool>,
    lifetime: Option<Span>,
    idle: Option<Span>,
}

/// Checks the section.
pub(super) fn config(raw: RawSessions) -> Checked<SessionConfig> {
    let secrets = match raw.secrets {
        None => Vec::new(),
        Some(given) => given.all(),
    };
    let place = "sessions.secrets";
    let read = |given: GivenText| secret(place, &given).map(|secret| secret.0);
    let secrets = secrets.into_iter().map(read).collect::<Checked<Vec<_>>>()?;
    let keys = CookieKeys::new(secrets.iter().map(Vec::as_slice))
        .map_err(|error| ConfigError::new(place, &error.to_string()))?;
    let is_secure = raw.secure.unwrap_or(true);
    let default = if is_secure { "__Host-session" } else { "session" };
    let cookie = raw.cookie.unwrap_or_else(|| default.to_owned());
    if cookie.is_empty() || !cookie.bytes().all(is_token_byte) {
        let problem =
            "it is a name of letters, digits, `-`, `_` and `.`, such as \"__Host-session\"";
        return Err(ConfigError::new("sessions.cookie", problem));
    }
    let is_prefixed = ["__host-", "__secure-"]
        .iter()
        .any(|prefix| cookie.to_ascii_lowercase().starts_with(prefix));
    if is_prefixed && !is_secure {
        let problem = "browsers refuse this name without `secure`; choose another one";
        return Err(ConfigError::new("sessions.cookie", problem));
    }
    let lifetime = span("sessions.lifetime", raw.lifetime, LIFETIME_DEFAULT)?;
    let idle = span("sessions.idle", raw.idle, IDLE_DEFAULT.min(lifetime))?;
    if idle < IDLE_MIN {
        let problem = "it is at least 5m: that a session is used is noted once a minute";
        return Err(ConfigError::new("sessions.idle", problem));
    }
    if idle > lifetime {
        let problem = "it is longer than sessions.lifetime, so it has no effect";
        return Err(ConfigError::new("sessions.idle", problem));
    }
    Ok(SessionConfig { keys, cookie, is_secure, lifetime, idle })
}

/// Says what sessions mean where browsers speak plain HTTP with this process; none if they do not, or a proxy is
/// trusted, which knows better.
pub(super) fn warning(
    config: &SessionConfig,
    listen: &[Endpoint],
    has_proxies: bool,
) -> Option<String> {
    let is_plain = |endpoint: &&Endpoint| {
        !endpoint.tls() && endpoint.address().is_some_and(|address| !address.ip().is_loopback())
    };
    let endpoint = listen.iter().find(is_plain).filter(|_| !has_proxies)?;
    Some(if config.is_secure {
        format!(
            "{endpoint} speaks plain HTTP, and browsers keep the cookie of a session over TLS alone: \
             nobody stays signed in there. Set [tls], or have a proxy speak TLS and name it in \
             interface.trusted_proxies"
        )
    } else {
        format!(
            "{endpoint} speaks plain HTTP, and sessions.secure is false: whoever listens on the way can \
             take a session over. Set [tls] and sessions.secure = true"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SessionConfig, String> {
        let raw = toml::from_str(text).map_err(|error| error.to_string())?;
        config(raw).map_err(|error| error.to_string())
    }

    const SECRET: &str = "secrets = 'a secret of 32 bytes, or of more'\n";

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let config = read(SECRET).unwrap();
        assert_eq!((&*config.cookie, config.is_secure), ("__Host-session", true));
        assert_eq!((config.lifetime, config.idle), (LIFETIME_DEFAULT, IDLE_DEFAULT));
        let short = read(&format!("{SECRET}lifetime = '1h'")).unwrap();
        assert_eq!(short.idle, Duration::from_secs(3_600));
        let plain = read(&format!("{SECRET}secure = false")).unwrap();
        assert_eq!(plain.cookie, "session");
        assert!(!format!("{config:?}").contains("a secret"), "{config:?}");
    }

    #[test]
    fn what_cannot_be_says_where_and_how_to_mend_it() {
        for (text, rule) in [
            ("", "sessions.secrets: there is no secret; make one with `openssl rand -base64 32`"),
            ("secrets = []", "sessions.secrets: there is no secret"),
            ("secrets = 'short'", "sessions.secrets: a secret has 5 bytes, and 32 are needed"),
            ("secrets = { file = '/nowhere/it' }", "sessions.secrets: /nowhere/it: cannot be read"),
            ("secrets = { file = '/it', other = 'x' }", "{ file = \"PATH\" }"),
            ("secrets = [['a secret of 32 bytes, or of more']]", "{ file = \"PATH\" }"),
            (&format!("{SECRET}cookie = 'a b'"), "sessions.cookie: it is a name of letters"),
            (&format!("{SECRET}cookie = '__Host-s'\nsecure = false"), "sessions.cookie: browsers"),
            (&format!("{SECRET}idle = '4m'"), "sessions.idle: it is at least 5m"),
            (&format!("{SECRET}idle = '2h'\nlifetime = '1h'"), "sessions.idle: it is longer than"),
            (&format!("{SECRET}lifetime = '0s'"), "sessions.lifetime"),
            (&format!("{SECRET}lifetime = 7"), "lifetime"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(rule), "{rule}: {error}");
        }
        for given in ["'A'", "['A']", "['A', 'B']", "['B', 'A']"] {
            let given = given.replace('A', "a secret of 32 bytes, or of more");
            let given = given.replace('B', "another secret of 32 bytes or so");
            assert!(read(&format!("secrets = {given}")).is_ok(), "{given}");
        }
        let five = format!("secrets = [{}]", "'a secret of 32 bytes, or of more',".repeat(5));
        assert!(read(&five).unwrap_err().contains("there are 5 secrets; at most 4 are tried"));
    }

    #[test]
    fn plain_http_beyond_loopback_is_warned_of() {
        let endpoints = |text: &str| [text.parse::<Endpoint>().unwrap()];
        let secure = read(SECRET).unwrap();
        let plain = read(&format!("{SECRET}secure = false")).unwrap();
        for (listen, has_proxies, warns) in [
            ("127.0.0.1:8000", false, false),
            ("[::1]:8000", false, false),
            ("unix:/run/it", false, false),
            ("https://0.0.0.0:8443", false, false),
            ("0.0.0.0:8000", true, false),
            ("0.0.0.0:8000", false, true),
            ("192.0.2.1:8000", false, true),
        ] {
            for config in [&secure, &plain] {
                let warning = warning(config, &endpoints(listen), has_proxies);
                assert_eq!(warning.is_some(), warns, "{listen}");
                let says =
                    warning.is_none_or(|text| text.contains("sessions.secure") != config.is_secure);
                assert!(says, "{listen}");
            }
        }
    }
}
