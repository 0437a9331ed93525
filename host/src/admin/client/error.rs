//! Why a host did not do what it was asked to.

use std::{io, time::Duration};

use hyper::StatusCode;
use serde::Deserialize;

use super::AdminAddress;
use crate::engine::escape;

/// As much is shown of a response that is none of a host's, in bytes.
const FIRST_LINE_BYTES_MAX: usize = 200;

/// What a host says of a refusal (RFC 9457).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Problem {
    /// What it is, in few words.
    pub title: String,
    /// What was wrong, the rule, the fix.
    pub detail: String,
    /// A word for programs.
    pub code: String,
}

/// Why a host did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// There is no such process.
    #[error(
        "nobody answers on the admin address {address} ({reason}); start one with `tidegate serve` \
         or `tidegate dev`, or give its --admin"
    )]
    Unreachable {
        /// The address.
        address: AdminAddress,
        /// Why.
        reason: io::Error,
    },
    /// It broke off.
    #[error("the host at {address} broke the connection off before its answer: {reason}")]
    Broken {
        /// The address.
        address: AdminAddress,
        /// Why.
        reason: hyper::Error,
    },
    /// It says nothing.
    #[error("the host at {address} has not answered within {patience:?}")]
    Silent {
        /// The address.
        address: AdminAddress,
        /// How long it was waited for.
        patience: Duration,
    },
    /// It is another program, or another version of this one.
    #[error("{address} does not answer as this version of Tidegate does ({path}: {reason})")]
    Unreadable {
        /// The address.
        address: AdminAddress,
        /// What was asked for.
        path: String,
        /// Why.
        reason: String,
    },
    /// It is another listener, such as the one for clients.
    #[error(
        "{address} is not the admin listener of a host: it answers {path} with {}; the host prints \
         the address behind `admin` when it starts, 127.0.0.1:8001 unless it is set",
        status.as_u16()
    )]
    NotAdmin {
        /// The address.
        address: AdminAddress,
        /// What was asked for.
        path: String,
        /// The status.
        status: StatusCode,
    },
    /// The token cannot be sent.
    #[error("the token has a character that a header field cannot have")]
    Token,
    /// It does not do it.
    #[error("the host at {address} refuses ({}): {}", status.as_u16(), text(problem))]
    Refused {
        /// The address.
        address: AdminAddress,
        /// The status.
        status: StatusCode,
        /// What it says.
        problem: Problem,
    },
}

impl AskError {
    /// Whether the file that was sent is refused, and not the question.
    pub fn is_of_module(&self) -> bool {
        let Self::Refused { status, problem, .. } = self else { return false };
        problem.code == "route-conflict"
            || matches!(*status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY)
    }

    /// Whether the host was not reached, and may be later.
    pub const fn is_of_connection(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Broken { .. } | Self::Silent { .. })
    }
}

/// In one line, whatever is in it: a host repeats what stands in files of others.
fn text(problem: &Problem) -> String {
    let said = if problem.detail.is_empty() { &problem.title } else { &problem.detail };
    let mut line = String::with_capacity(said.len());
    escape(said, &mut line);
    line
}

impl Problem {
    /// What a response says that is no problem of RFC 9457: its first line, or what its status means.
    pub(super) fn of(status: StatusCode, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let line = text.trim().lines().next().unwrap_or_default();
        let detail = line
            .get(..line.floor_char_boundary(FIRST_LINE_BYTES_MAX))
            .unwrap_or_default()
            .to_owned();
        let title = status.canonical_reason().unwrap_or_default().to_owned();
        Self { title, detail, code: String::new() }
    }
}
