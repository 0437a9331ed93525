//! Responses: those of consumers, and the short ones of the host.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    Response, StatusCode, Version,
    body::{Body, Frame, SizeHint},
    header,
};

#[cfg(feature = "fuzzing")]
use crate::message;
use crate::{
    interface::{connection::Busy, pace::StreamPace, unsent::Kept},
    message::{CorrelationId, ResponseHead},
};

/// Bytes that are handed to a stream of HTTP/2 at once. The library keeps them until the client has room.
const PIECE_BYTES: usize = 16 * 1024;

/// The body of a response: whole, or streamed.
pub(in crate::interface) type ResponseBody = UnsyncBoxBody<Bytes, Aborted>;

/// A streamed body that ends early: the client must not take it for complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the response was aborted")]
pub(in crate::interface) struct Aborted;

/// A body that keeps its connection busy until it is written. Over HTTP/2 it goes out in pieces, and it
/// is known whether the client takes them.
#[derive(Debug)]
pub(in crate::interface) struct Guarded {
    body: ResponseBody,
    /// The rest of a part that is too large for one piece.
    rest: Bytes,
    pace: Option<Arc<StreamPace>>,
    _busy: Busy,
}

impl Guarded {
    pub(in crate::interface) fn new(
        body: ResponseBody,
        pace: Option<Arc<StreamPace>>,
        busy: Busy,
    ) -> Self {
        Self { body, rest: Bytes::new(), pace, _busy: busy }
    }

    /// Returns the next piece of a part, and keeps the rest.
    fn piece(&mut self, mut part: Bytes, is_divided: bool) -> Bytes {
        if part.len() > PIECE_BYTES {
            let piece = part.split_to(PIECE_BYTES);
            self.rest = part;
            return piece;
        }
        // The end of a large part must not hold the whole of it.
        if is_divided { Bytes::copy_from_slice(&part) } else { part }
    }
}

impl Body for Guarded {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let Some(pace) = self.pace.clone() else {
            return Pin::new(&mut self.body).poll_frame(context);
        };
        pace.taken();
        let piece = if self.rest.is_empty() {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(part))) => self.piece(part, false),
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(aborted)) => return Poll::Ready(Some(Err(aborted))),
                None => return Poll::Ready(None),
            }
        } else {
            let rest = mem::take(&mut self.rest);
            self.piece(rest, true)
        };
        pace.handed_over();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Some(pace) = &self.pace {
            pace.ended();
        }
    }
}

/// A body that is known as a whole.
pub(in crate::interface) fn whole(body: Bytes) -> ResponseBody {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

/// A body that is known as a whole, whose bytes count until they are written.
pub(super) fn counted(body: Bytes, kept: Option<Kept>) -> ResponseBody {
    whole(match kept {
        Some(kept) => kept.around(body),
        None => body,
    })
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
#[cfg(feature = "fuzzing")]
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
