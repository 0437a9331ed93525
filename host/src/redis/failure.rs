//! The kinds of failures of Redis.

use std::time::Duration;

use deadpool_redis::redis::RedisError;

use super::locate::{Role, fix};

/// Codes of servers that cannot serve this connection now, or not any more: it is made again.
const AWAY: &[&str] =
    &["READONLY", "MOVED", "ASK", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "NOAUTH"];
/// Codes of servers that take no writes for a while.
const NO_WRITES: &[&str] = &["MISCONF", "NOREPLICAS", "BUSY", "TRYAGAIN"];

/// Why Redis did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedisFailure {
    /// No server is reached, or the server takes no writes for a while. The command did not run.
    #[error("{0}")]
    Unavailable(String),
    /// The connection broke while an answer was waited for. The command may have run.
    #[error("{0}")]
    NoAnswer(String),
    /// The server did not answer in time. A command that was sent may have run.
    #[error("Redis at {server} does not answer within {within:?}")]
    TimedOut {
        /// The server, or all of them.
        server: String,
        /// The time that it had.
        within: Duration,
    },
    /// The server has no memory for it. The command did not run.
    #[error("Redis at {server}: {answer}; free memory there, or raise maxmemory")]
    OutOfMemory {
        /// The server.
        server: String,
        /// Its answer.
        answer: String,
    },
    /// The server refuses the command, and will again.
    #[error("{0}")]
    Refused(String),
    /// The process stops.
    #[error("the process stops")]
    Stopped,
}

impl RedisFailure {
    /// Tells the kind of an error that came instead of an answer within a time.
    pub(super) fn of(server: &str, error: &RedisError, within: Duration) -> Self {
        let is_any_of = |codes: &[&str]| error.code().is_some_and(|code| codes.contains(&code));
        let told = || format!("Redis at {server}: {error}{}", fix(error, Role::Server));
        if error.is_timeout() {
            Self::TimedOut { server: server.to_owned(), within }
        } else if is_any_of(&["OOM"]) {
            Self::OutOfMemory { server: server.to_owned(), answer: error.to_string() }
        } else if is_lost(error) && error.code().is_none() {
            // An error that the server sent has a code.
            Self::NoAnswer(told())
        } else if is_lost(error) || is_any_of(NO_WRITES) {
            Self::Unavailable(told())
        } else {
            Self::Refused(told())
        }
    }

    /// Whether the server may have done what it was asked to.
    pub(crate) const fn may_have_run(&self) -> bool {
        matches!(self, Self::NoAnswer(_) | Self::TimedOut { .. })
    }
}

/// Whether the connection is of no use any more.
pub(super) fn is_lost(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_timeout()
        || error.is_io_error()
        || error.code().is_some_and(|code| AWAY.contains(&code))
}

#[cfg(test)]
mod tests {
    use std::io;

    use deadpool_redis::redis::{ErrorKind, parse_redis_value};

    use super::*;

    fn kind_of(answer: &str) -> RedisFailure {
        let answer = parse_redis_value(format!("-{answer}\r\n").as_bytes()).unwrap();
        let error = answer.extract_error().unwrap_err();
        RedisFailure::of("redis.test:6379", &error, Duration::from_secs(2))
    }

    #[test]
    fn an_answer_of_the_server_has_the_kind_that_callers_act_on() {
        let full = kind_of("OOM command not allowed when used memory > 'maxmemory'.");
        assert!(matches!(full, RedisFailure::OutOfMemory { .. }), "{full:?}");
        assert!(full.to_string().contains("redis.test:6379"), "{full}");
        for answer in ["READONLY a replica", "LOADING it", "MISCONF no disk", "NOAUTH who?"] {
            let away = kind_of(answer);
            assert!(matches!(away, RedisFailure::Unavailable(_)), "{away:?}");
        }
        for answer in ["NOPERM no permission for 'eval'", "WRONGTYPE a string", "ERR syntax"] {
            let refused = kind_of(answer);
            assert!(matches!(refused, RedisFailure::Refused(_)), "{refused:?}");
        }
    }

    #[test]
    fn silence_and_a_broken_connection_are_not_the_same() {
        let within = Duration::from_secs(2);
        let late = RedisError::from(io::Error::from(io::ErrorKind::TimedOut));
        assert_eq!(
            RedisFailure::of("a", &late, within),
            RedisFailure::TimedOut { server: "a".to_owned(), within }
        );
        let broken = RedisError::from((ErrorKind::Io, "broken"));
        assert!(matches!(RedisFailure::of("a", &broken, within), RedisFailure::NoAnswer(_)));
    }
}
