//! Refusals of the API: problem details (RFC 9457).

use std::time::Duration;

use hyper::{StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Answer, full};
use crate::{
    registry::{DeployError, store::StoreError},
    setting::{error::ConfigError, with_suggestion},
};

/// A refusal, with the rule and the fix in `detail`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    /// The code for programs.
    code: &'static str,
    /// The value found, where a limit was exceeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<u64>,
    /// The limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(skip)]
    retry_after: Option<Duration>,
    #[serde(skip)]
    allow: Option<String>,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<String>,
    ) -> Box<Self> {
        Box::new(Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Refused"),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            found: None,
            limit: None,
            retry_after: None,
            allow: None,
        })
    }

    pub(super) fn bad(code: &'static str, detail: impl Into<String>) -> Box<Self> {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub(super) const fn with_numbers(
        mut self: Box<Self>,
        numbers: Option<(u64, u64)>,
    ) -> Box<Self> {
        if let Some((found, limit)) = numbers {
            self.found = Some(found);
            self.limit = Some(limit);
        }
        self
    }

    /// Names the line of a body that the problem is with, and what has come of the others.
    pub(super) fn at(mut self: Box<Self>, line: &str, others: &str) -> Box<Self> {
        let detail = self.detail.replace(" at line 1 column ", " at column ");
        self.detail = format!("{line}: {detail}; {others}");
        self
    }

    pub(super) const fn after(mut self: Box<Self>, pause: Duration) -> Box<Self> {
        self.retry_after = Some(pause);
        self
    }

    pub(super) fn allowing(mut self: Box<Self>, methods: String) -> Box<Self> {
        self.allow = Some(methods);
        self
    }

    /// Returns the problem with a body of JSON that does not fit.
    pub(super) fn json(code: &'static str, error: &serde_json::Error) -> Box<Self> {
        let status = if error.is_data() {
            StatusCode::UNPROCESSABLE_ENTITY
        } else {
            StatusCode::BAD_REQUEST
        };
        Self::new(status, code, with_suggestion(&error.to_string()))
    }

    pub(super) fn into_answer(mut self: Box<Self>) -> Answer {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let allow = self.allow.take().and_then(|methods| methods.parse().ok());
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut answer = full(status, "application/problem+json", body);
        if let Some(pause) = self.retry_after {
            let seconds = pause.as_secs().max(1).into();
            answer.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if let Some(allow) = allow {
            answer.headers_mut().insert(header::ALLOW, allow);
        }
        if status == StatusCode::UNAUTHORIZED {
            let bearer = header::HeaderValue::from_static("Bearer");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        answer
    }
}

impl From<ConfigError> for Box<Problem> {
    fn from(error: ConfigError) -> Self {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "settings", error.to_string())
    }
}

impl From<DeployError> for Box<Problem> {
    fn from(error: DeployError) -> Self {
        use DeployError as E;
        let numbers = match &error {
            E::Load { error, .. } | E::Unlivable { error, .. } => error.numbers(),
            _ => None,
        };
        let (status, code) = match &error {
            E::Name { .. } => (StatusCode::BAD_REQUEST, "name"),
            E::NoModule(_) => (StatusCode::NOT_FOUND, "no-such-module"),
            E::NoVersion { .. } => (StatusCode::NOT_FOUND, "no-such-version"),
            E::Deleted { .. } => (StatusCode::GONE, "version-deleted"),
            E::Load { error, .. } if error.code() == "too-large" => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too-large")
            }
            E::Load { error, .. } => (StatusCode::UNPROCESSABLE_ENTITY, error.code()),
            E::Signature { error, .. } | E::KeptSignature { error, .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, error.code())
            }
            E::Routes(_) => (StatusCode::CONFLICT, "route-conflict"),
            E::Busy(_) => (StatusCode::CONFLICT, "busy"),
            E::NothingBefore(_) => (StatusCode::CONFLICT, "nothing-before"),
            E::Active { .. } => (StatusCode::CONFLICT, "active"),
            E::NoWorker { .. } => (StatusCode::CONFLICT, "no-worker"),
            E::Unlivable { .. } => (StatusCode::CONFLICT, "unlivable"),
            E::Settings(_) => (StatusCode::UNPROCESSABLE_ENTITY, "settings"),
            E::Store(StoreError::Full(_)) => (StatusCode::INSUFFICIENT_STORAGE, "disk"),
            E::Store(StoreError::NoMemory(_)) => (StatusCode::INSUFFICIENT_STORAGE, "memory"),
            E::Store(StoreError::Changed { .. }) => (StatusCode::CONFLICT, "changed"),
            E::Store(StoreError::Damaged { .. }) => (StatusCode::CONFLICT, "damaged"),
            E::Store(StoreError::Away(_)) => (StatusCode::SERVICE_UNAVAILABLE, "store-away"),
            E::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "store"),
        };
        Problem::new(status, code, error.to_string()).with_numbers(numbers)
    }
}
