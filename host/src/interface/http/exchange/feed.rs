//! A group that is remembered, read over HTTP: the read half of Durable Streams 1.0.
//!
//! A consumer decides who reads, and names the group in a header field of its response. The host makes the response of the
//! messages that are kept from an offset on, and of those that come next where the reader waits.

mod asked;
mod batch;
mod items;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    Response, StatusCode,
    body::Frame,
    header::{self, HeaderName, HeaderValue},
};
use serde::Serialize;

use self::{
    asked::{Asked, Live, Offset},
    batch::{Batch, Gathering, Heard},
};
use super::{
    super::answer::{self, Aborted, ResponseBody, plain},
    Exchange, First, Reason,
};
use crate::{
    layer::{LayerError, PAGE_MESSAGES_MAX},
    message::{
        self, After, ChannelName, CorrelationId, GroupName, Page, Position, ResponseHead, Start,
    },
};

/// The header field by which a consumer answers with a group of its module.
const STREAM: HeaderName = HeaderName::from_static("tidegate-stream");
const NEXT_OFFSET: HeaderName = HeaderName::from_static("stream-next-offset");
const UP_TO_DATE: HeaderName = HeaderName::from_static("stream-up-to-date");
const CURSOR: HeaderName = HeaderName::from_static("stream-cursor");

/// How long a reader waits for the next message.
const POLL: Duration = Duration::from_secs(25);
/// How long a stream of events goes on. The reader then asks anew from where it is (section 5.7).
const EVENTS: Duration = Duration::from_secs(60);

/// Whether a consumer answers with a group.
pub(super) fn is_named(head: &ResponseHead) -> bool {
    head.headers.iter().any(|(name, _)| *name == STREAM)
}

/// Takes the names of groups out of the head of a response.
pub(super) fn take_names(head: &mut ResponseHead) -> Vec<HeaderValue> {
    let named = |(name, _): &mut (HeaderName, HeaderValue)| *name == STREAM;
    head.headers.extract_if(.., named).map(|(_, value)| value).collect()
}

/// Why there is no response of a history. The text is for the client.
#[derive(Debug)]
struct Refused(StatusCode, &'static str);

impl Refused {
    const fn bad(text: &'static str) -> Self {
        Self(StatusCode::BAD_REQUEST, text)
    }

    const GONE: Self = Self(StatusCode::GONE, "messages behind this offset are gone; read from -1");
    const UNAVAILABLE: Self =
        Self(StatusCode::SERVICE_UNAVAILABLE, "the stream cannot be read now");
    const TOO_MUCH: Self =
        Self(StatusCode::SERVICE_UNAVAILABLE, "too much waits for this client already");
    const ENDED: Self = Self(StatusCode::SERVICE_UNAVAILABLE, "the connection was closed");
    const STOPPING: Self = Self(StatusCode::SERVICE_UNAVAILABLE, "shutting down");
}

/// What a reader asks for, of which group, and what the consumer's response says besides.
#[derive(Debug)]
struct Feed {
    group: GroupName,
    asked: Asked,
    head: ResponseHead,
}

/// How a reader is answered.
#[derive(Debug)]
enum Read {
    Whole(Box<Response<ResponseBody>>),
    /// By a stream of events that begins with a page.
    Events(Box<Feed>, Page),
}

/// The field `data` of an event that ends a batch (section 5.7).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Control {
    stream_next_offset: String,
    stream_cursor: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    up_to_date: bool,
}

impl Exchange {
    /// The response of a consumer that answers with a group.
    pub(super) async fn feed(
        mut self,
        mut response: message::Response,
        id: CorrelationId,
    ) -> Response<ResponseBody> {
        let names = take_names(&mut response.head);
        let fields = response.head.headers.clone();
        let read = match self.find(&names, response) {
            Ok(feed) => self.read(feed).await,
            Err(refused) => Err(refused),
        };
        match read {
            Ok(Read::Events(feed, page)) => self.events(*feed, page),
            Ok(Read::Whole(response)) => {
                self.finish().await;
                *response
            }
            Err(Refused(status, text)) => {
                self.finish().await;
                // A page of another origin reads it by the fields of the consumer.
                let mut refused = plain(status, text, id);
                for (name, value) in fields {
                    refused.headers_mut().entry(name).or_insert(value);
                }
                unstored(refused)
            }
        }
    }

    fn find(&self, names: &[HeaderValue], response: message::Response) -> Result<Feed, Refused> {
        let Some(conversation) = &self.conversation else { return Err(Refused::UNAVAILABLE) };
        let (module, consumer) = (&conversation.route.module, &conversation.route.consumer);
        let message::Response { head, body } = response;
        let ([name], StatusCode::OK, true) = (names, head.status, body.is_empty()) else {
            // It could mean another thing, and nobody reads a stream by mistake.
            tracing::warn!(
                %module, %consumer, names = names.len(), status = head.status.as_u16(),
                "tidegate-stream is for a response with the status 200, one such header field and no body"
            );
            return Err(Refused(StatusCode::INTERNAL_SERVER_ERROR, "the stream is not clear"));
        };
        let group = name.to_str().ok();
        let group = group.and_then(|name| GroupName::parse(&format!("{module}.{name}")).ok());
        let kept = group.filter(|group| conversation.hub.layer.keeps_history(group));
        let Some(group) = kept else {
            tracing::warn!(
                %module, %consumer, name = ?name,
                "tidegate-stream names no group that the module remembers: write #[history(\"..\")] for it"
            );
            return Err(Refused(StatusCode::NOT_FOUND, "there is no such stream"));
        };
        if !matches!(&*conversation.scope.method, "GET" | "HEAD") {
            return Err(Refused(
                StatusCode::METHOD_NOT_ALLOWED,
                "a stream is read by GET and HEAD",
            ));
        }
        let asked = Asked::parse(&conversation.scope.query_string).map_err(Refused::bad)?;
        Ok(Feed { group, asked, head })
    }

    /// Reads what there is, and waits where the reader does.
    async fn read(&mut self, feed: Feed) -> Result<Read, Refused> {
        let is_head = self.conversation.as_ref().is_some_and(|it| it.scope.method == "HEAD");
        let after = match feed.asked.offset {
            _ if is_head => After::Nothing,
            Offset::Start => After::Start,
            Offset::Now => After::Nothing,
            Offset::Behind(position) => After::Position(position),
        };
        let limit = if after == After::Nothing { 0 } else { PAGE_MESSAGES_MAX };
        let page = self.page(&feed.group, after, limit).await?;
        if !page.is_complete {
            return Err(Refused::GONE);
        }
        let response = match feed.asked.live {
            _ if is_head => unstored(feed.respond(None, page.end(), true)),
            Live::Events => {
                if !page.has_more() {
                    // A refusal is one with a status.
                    self.follow(&feed.group, page.end(), EVENTS).await?;
                }
                return Ok(Read::Events(Box::new(feed), page));
            }
            Live::LongPoll if page.messages.is_empty() => {
                self.follow(&feed.group, page.end(), POLL).await?;
                match self.batch(&feed.group, page.end()).await? {
                    Some(batch) => {
                        let body = self.counted(items::array(&batch.items).into(), batch.cost);
                        feed.respond(Some(body), batch.end, batch.is_up_to_date)
                    }
                    None => feed.nothing_new(page.end()),
                }
            }
            Live::LongPoll | Live::No => self.catch_up(&feed, &page)?,
        };
        Ok(Read::Whole(Box::new(response)))
    }

    async fn page(&self, group: &GroupName, after: After, limit: usize) -> Result<Page, Refused> {
        let Some(conversation) = &self.conversation else { return Err(Refused::UNAVAILABLE) };
        conversation.hub.layer.history(group, after, limit).await.map_err(|error| match error {
            LayerError::NotRemembered(_) => {
                Refused(StatusCode::NOT_FOUND, "there is no such stream")
            }
            error => {
                let correlation = conversation.scope.correlation;
                tracing::warn!(%error, %correlation, %group, "a stream cannot be read");
                Refused::UNAVAILABLE
            }
        })
    }

    /// What is kept of a history, and a tag by which a reader asks whether it has changed.
    fn catch_up(&self, feed: &Feed, page: &Page) -> Result<Response<ResponseBody>, Refused> {
        let batch = Batch::of(page);
        let tag = format!("\"{}:{}\"", asked::offset(page.from), asked::offset(batch.end));
        let is_of_now = feed.asked.offset == Offset::Now;
        if !is_of_now && self.knows(&tag) {
            let mut response = feed.respond(None, batch.end, batch.is_up_to_date);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(tagged(response, &tag));
        }
        let body = self.charged(items::array(&batch.items).into())?;
        let response = feed.respond(Some(body), batch.end, batch.is_up_to_date);
        Ok(if is_of_now { unstored(response) } else { tagged(response, &tag) })
    }

    /// Whether the reader has what a tag stands for (RFC 9110, section 13.1.2: weakly).
    fn knows(&self, tag: &str) -> bool {
        let fields = self.conversation.iter().flat_map(|it| &it.scope.headers);
        let of_tags = fields.filter(|(name, _)| *name == header::IF_NONE_MATCH);
        let values = of_tags.filter_map(|(_, value)| value.to_str().ok());
        let mut tags = values.flat_map(|value| value.split(','));
        tags.any(|known| known.trim().trim_start_matches("W/") == tag)
    }

    /// Bytes of a page, which count until they are written.
    fn charged(&self, body: Bytes) -> Result<Bytes, Refused> {
        let Some(conversation) = &self.conversation else { return Err(Refused::UNAVAILABLE) };
        match conversation.charge(body.len()) {
            Ok(Some(kept)) => Ok(kept.around(body)),
            Ok(None) => Ok(body),
            Err(_) if self.refuse(Reason::Unsent) => Err(Refused::TOO_MUCH),
            Err(_) => Ok(body),
        }
    }

    /// Makes the request a member of the group from a place on, for so long.
    async fn follow(
        &mut self,
        group: &GroupName,
        from: Position,
        span: Duration,
    ) -> Result<(), Refused> {
        // The process may have begun to stop, or its user have been closed, while the consumer ran.
        if self.stopping {
            return Err(Refused::STOPPING);
        }
        if self.closed {
            return Err(Refused::ENDED);
        }
        self.hold(span, None).await.map_err(|error| match error.into_first() {
            First::Status(status, text) => Refused(status, text),
            _ => Refused::UNAVAILABLE,
        })?;
        let Some(conversation) = &self.conversation else { return Err(Refused::UNAVAILABLE) };
        let connection = ChannelName::of_connection(&conversation.hub.node, conversation.local());
        let start = Start { after: After::Position(from), latest: 0 };
        conversation.hub.layer.group_join(group, &connection, &start).await.map_err(|error| {
            let correlation = conversation.scope.correlation;
            tracing::warn!(%error, %correlation, %group, "a stream cannot be followed");
            Refused::UNAVAILABLE
        })
    }

    /// The messages of a group that come behind a place, several if several are there. None when the time is over, or when
    /// a reader has to ask anew.
    async fn batch(&mut self, group: &GroupName, from: Position) -> Result<Option<Batch>, Refused> {
        let mut gathering = Gathering::new(group, from);
        while !gathering.is_full() {
            let happening = match gathering.is_empty() {
                true => match self.place.early() {
                    Some(early) => Some(early),
                    None => self.next().await,
                },
                // What is there already.
                false => self.next().now_or_never().flatten(),
            };
            let Some(happening) = happening else { break };
            match gathering.hear(happening) {
                Heard::Taken => {}
                Heard::Read(cost) => self.written(cost),
                Heard::Misfit(cost) => self.misfit(cost),
                Heard::Over => return Ok(gathering.finish(true)),
                Heard::Overflow => {
                    self.refuse(Reason::Unsent);
                    return Err(Refused::TOO_MUCH);
                }
                Heard::Stopping => return Err(Refused::STOPPING),
            }
        }
        Ok(gathering.finish(false))
    }

    /// A stream of events: pages until the reader is up to date, then what comes.
    fn events(self, feed: Feed, page: Page) -> Response<ResponseBody> {
        let head = ResponseHead { status: StatusCode::OK, headers: feed.head.headers.clone() };
        let parts = stream::unfold(Some((self, feed, Next::Page(page))), |state| async {
            let (mut exchange, feed, next) = state?;
            match exchange.next_event(&feed, next).await {
                Ok(Some((chunk, next))) => {
                    Some((Ok(Frame::data(chunk)), Some((exchange, feed, next))))
                }
                Ok(None) => {
                    exchange.finish().await;
                    None
                }
                Err(Refused(..)) => {
                    exchange.finish().await;
                    Some((Err(Aborted), None))
                }
            }
        });
        let mut response = answer::with_head(head, StreamBody::new(parts).boxed_unsync());
        let fields = response.headers_mut();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        fields.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        response
    }

    /// The next event, and what comes behind it. None: the stream is over, and the reader asks anew.
    async fn next_event(
        &mut self,
        feed: &Feed,
        next: Next,
    ) -> Result<Option<(Bytes, Next)>, Refused> {
        match next {
            Next::Nothing => Ok(None),
            Next::Page(page) => {
                let batch = Batch::of(&page);
                let chunk = self.charged(feed.event(&batch))?;
                if !page.has_more() {
                    return Ok(Some((chunk, Next::Messages(batch.end))));
                }
                let after = After::Position(batch.end);
                let page = self.page(&feed.group, after, PAGE_MESSAGES_MAX).await?;
                if !page.is_complete {
                    // The reader asks anew, and is told.
                    return Ok(Some((chunk, Next::Nothing)));
                }
                if !page.has_more() {
                    self.follow(&feed.group, page.end(), EVENTS).await?;
                }
                Ok(Some((chunk, Next::Page(page))))
            }
            Next::Messages(from) => {
                let Some(batch) = self.batch(&feed.group, from).await? else { return Ok(None) };
                let next = if batch.is_last { Next::Nothing } else { Next::Messages(batch.end) };
                Ok(Some((self.counted(feed.event(&batch), batch.cost), next)))
            }
        }
    }
}

/// What a stream of events has next.
#[derive(Debug)]
enum Next {
    /// A page. With the last one the request is a member already.
    Page(Page),
    /// The messages that come behind a place.
    Messages(Position),
    Nothing,
}

fn tagged(mut response: Response<ResponseBody>, tag: &str) -> Response<ResponseBody> {
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// A response that is another one soon.
fn unstored(mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Feed {
    /// A whole response with these bytes, or without any.
    fn respond(
        &self,
        body: Option<Bytes>,
        next: Position,
        is_up_to_date: bool,
    ) -> Response<ResponseBody> {
        let mut response = Response::new(body.map_or_else(answer::empty, answer::whole));
        for (name, value) in &self.head.headers {
            if *name != header::CONTENT_LENGTH {
                response.headers_mut().append(name, value.clone());
            }
        }
        let fields = response.headers_mut();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        fields.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        let cursor = HeaderValue::from(self.asked.cursor(SystemTime::now()));
        fields.insert(CURSOR, cursor);
        if let Ok(next) = HeaderValue::try_from(asked::offset(next)) {
            fields.insert(NEXT_OFFSET, next);
        }
        if is_up_to_date {
            fields.insert(UP_TO_DATE, HeaderValue::from_static("true"));
        }
        response
    }

    /// The answer to a reader who has waited in vain.
    fn nothing_new(&self, at: Position) -> Response<ResponseBody> {
        let mut response = self.respond(None, at, true);
        *response.status_mut() = StatusCode::NO_CONTENT;
        unstored(response)
    }

    fn event(&self, batch: &Batch) -> Bytes {
        let control = Control {
            stream_next_offset: asked::offset(batch.end),
            stream_cursor: self.asked.cursor(SystemTime::now()).to_string(),
            up_to_date: batch.is_up_to_date,
        };
        let control = serde_json::to_string(&control).unwrap_or_default();
        let data = match batch.items.is_empty() {
            true => String::new(),
            false => format!("event: data\ndata:{}\n\n", items::array(&batch.items)),
        };
        format!("{data}event: control\ndata:{control}\n\n").into()
    }
}
