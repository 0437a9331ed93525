//! Why a request to a host failed.

use std::{io, time::Duration};

use hyper::StatusCode;
use serde::Deserialize;

use super::AdminAddress;
use crate::engine::escape;

/// Bytes that are shown of a response that is not one of a host.
const FIRST_LINE_BYTES_MAX: usize = 200;

/// A refusal of a host: problem details (RFC 9457).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Problem {
    /// Its title.
    pub title: String,
    /// The finding, the rule and the fix.
    pub detail: String,
    /// The code for programs.
    pub code: String,
}

/// Why a request to a host failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// No process listens at the address.
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
    /// The connection broke.
    #[error("the host at {address} broke the connection off before its answer: {reason}")]
    Broken {
        /// The address.
        address: AdminAddress,
        /// Why.
        reason: hyper::Error,
    },
    /// The host does not answer.
    #[error("the host at {address} has not answered within {patience:?}")]
    Silent {
        /// The address.
        address: AdminAddress,
        /// The time that it had.
        patience: Duration,
    },
    /// It is another program, or another version of this one.
    #[error("{address} does not answer as this version of Tidegate does ({path}: {reason})")]
    Unreadable {
        /// The address.
        address: AdminAddress,
        /// The request.
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
        /// The request.
        path: String,
        /// The status.
        status: StatusCode,
    },
    /// The token cannot be sent.
    #[error("the token has a character that a header field cannot have")]
    Token,
    /// The host refuses.
    #[error("the host at {address} refuses ({}): {}", status.as_u16(), text(problem))]
    Refused {
        /// The address.
        address: AdminAddress,
        /// The status.
        status: StatusCode,
        /// The problem.
        problem: Problem,
    },
}

impl AskError {
    /// Whether the host refuses the file, and not the request.
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

/// Returns a text in one line: a host repeats text of uploaded files.
fn text(problem: &Problem) -> String {
    let said = if problem.detail.is_empty() { &problem.title } else { &problem.detail };
    let mut line = String::with_capacity(said.len());
    escape(said, &mut line);
    line
}

impl Problem {
    /// Returns the detail of a response without problem details: its first line, or the meaning of its status.
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
