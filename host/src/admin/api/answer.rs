//! Responses of operations.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{Response, StatusCode, header};
use serde::Serialize;

use crate::capability::store::StoreError;

/// A response of the admin listener. It breaks off where the store fails in the middle of an export.
pub(in crate::admin) type Answer = Response<UnsyncBoxBody<Bytes, StoreError>>;

pub(super) const JSON: &str = "application/json";

pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    full(status, JSON, serde_json::to_vec(value).expect("answers are JSON"))
}

pub(super) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default().map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = status;
    answer
}

pub(in crate::admin) fn full(
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Bytes>,
) -> Answer {
    let mut answer =
        Response::new(Full::new(body.into()).map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    // Responses carry names and logs of modules: they are not cached, and their type is not guessed.
    let (no_store, no_sniff) = ("no-store", "nosniff");
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static(no_store));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static(no_sniff));
    answer
}
