//! Responses: those of consumers, and the short ones of the host.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    Response, StatusCode, Version,
    body::{Body, Frame, SizeHint},
    header,
};

use crate::{
    interface::connection::Busy,
    message::{self, CorrelationId, ResponseHead},
};

/// The body of a response: whole, or streamed.
pub(in crate::interface) type ResponseBody = UnsyncBoxBody<Bytes, Aborted>;

/// A streamed body that ends early: the client must not take it for complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the response was aborted")]
pub(in crate::interface) struct Aborted;

/// A body that keeps its connection busy until it is written.
#[derive(Debug)]
pub(in crate::interface) struct Guarded {
    body: ResponseBody,
    _busy: Busy,
}

impl Guarded {
    pub(in crate::interface) fn new(body: ResponseBody, busy: Busy) -> Self {
        Self { body, _busy: busy }
    }
}

impl Body for Guarded {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that is known as a whole.
pub(in crate::interface) fn whole(body: Bytes) -> ResponseBody {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

/// A response of the host: what is wrong, and the id that finds more. Never more than that.
pub(in crate::interface) fn plain(
    status: StatusCode,
    text: &str,
    id: CorrelationId,
) -> Response<ResponseBody> {
    let body = format!("{status}: {text}\nid: {id}\n");
    let mut response = Response::new(whole(body.into()));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}

/// A response of the host after which it reads no more of an HTTP/1 connection: where a request is
/// wrong, what comes next is in doubt.
pub(in crate::interface) fn last(
    (status, text): (StatusCode, &str),
    version: Version,
    id: CorrelationId,
) -> Response<ResponseBody> {
    let mut response = plain(status, text, id);
    if version < Version::HTTP_2 {
        let close = header::HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// A response of a consumer.
pub(in crate::interface) fn of(response: message::Response) -> Response<ResponseBody> {
    with_head(response.head, whole(response.body))
}

/// A response with a head of a consumer.
pub(super) fn with_head(head: ResponseHead, body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    for (name, value) in head.headers {
        response.headers_mut().append(name, value);
    }
    response
}

/// Adds `cache-control: no-store`, unless the consumer says how its answer may be kept. For answers to
/// requests that were held: they are news, and equal requests must not share them.
pub(super) fn forbid_storing(response: &mut Response<ResponseBody>) {
    let no_store = header::HeaderValue::from_static("no-store");
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(no_store);
}

/// No body.
pub(in crate::interface) fn empty() -> ResponseBody {
    whole(Bytes::new())
}
