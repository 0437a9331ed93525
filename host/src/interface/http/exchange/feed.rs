//! A group that is remembered, read over HTTP: the read half of Durable Streams 1.0.
//!
//! A consumer looks who asks and answers with the name of a group in a header field. The host makes the response: what is
//! kept of the group from an offset on, and what comes next where the reader waits for it.

mod asked;
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

use self::asked::{Asked, Live, Offset};
use super::{
    super::answer::{self, Aborted, ResponseBody, plain},
    Exchange, Happening, NotHeld,
};
use crate::{
    layer::{LayerError, PAGE_MESSAGES_MAX},
    message::{
        After, ChannelName, CorrelationId, GroupName, Page, Position, Reply, ResponseHead, Start,
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
/// Messages that one event has at most, where several have come.
const BATCH_MAX: usize = 100;

/// Takes the name of a group out of the head of a response, if a consumer answers with one.
pub(super) fn named(head: &mut ResponseHead) -> Option<HeaderValue> {
    let (fields, others) =
        std::mem::take(&mut head.headers).into_iter().partition(|(name, _)| *name == STREAM);
    head.headers = others;
    let fields: Vec<(HeaderName, HeaderValue)> = fields;
    fields.into_iter().next().map(|(_, value)| value)
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

/// The place behind some messages, and what they have for clients.
#[derive(Debug)]
struct Batch {
    items: Vec<String>,
    end: Position,
    is_up_to_date: bool,
    /// The bytes that they took in the mailbox.
    cost: usize,
}

impl Batch {
    fn of(page: &Page) -> Self {
        let mut items = Vec::new();
        for message in &page.messages {
            items::add_content(&message.content, &mut items);
        }
        Self { items, end: page.end(), is_up_to_date: !page.has_more(), cost: 0 }
    }
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
        name: &HeaderValue,
        head: ResponseHead,
        id: CorrelationId,
    ) -> Response<ResponseBody> {
        let read = match self.find(name, head) {
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
                plain(status, text, id)
            }
        }
    }

    fn find(&self, name: &HeaderValue, head: ResponseHead) -> Result<Feed, Refused> {
        let Some(conversation) = &self.conversation else { return Err(Refused::UNAVAILABLE) };
        let (module, consumer) = (&conversation.route.module, &conversation.route.consumer);
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
            _ if is_head => feed.respond(None, page.end(), true),
            Live::Events => return Ok(Read::Events(Box::new(feed), page)),
            Live::LongPoll if page.messages.is_empty() => {
                self.follow(&feed.group, page.end(), POLL).await?;
                match self.batch().await? {
                    Some(batch) => {
                        let body = self.counted(items::array(&batch.items).into(), batch.cost);
                        feed.respond(Some(body), batch.end, batch.is_up_to_date)
                    }
                    None => feed.nothing_new(page.end()),
                }
            }
            Live::LongPoll | Live::No => self.catch_up(&feed, &page),
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
    fn catch_up(&self, feed: &Feed, page: &Page) -> Response<ResponseBody> {
        let batch = Batch::of(page);
        let tag = format!("\"{}:{}\"", asked::offset(page.from), asked::offset(batch.end));
        let fields = self.conversation.iter().flat_map(|it| &it.scope.headers);
        let mut tags = fields.filter(|(name, _)| *name == header::IF_NONE_MATCH);
        let is_known = tags.any(|(_, value)| value.as_bytes() == tag.as_bytes());
        let tag = HeaderValue::try_from(tag);
        let body = (!is_known).then(|| items::array(&batch.items).into());
        let mut response = feed.respond(body, batch.end, batch.is_up_to_date);
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        if let (Ok(tag), true) = (tag, feed.asked.offset != Offset::Now) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }

    /// Makes the request a member of the group from a place on, for so long.
    async fn follow(
        &mut self,
        group: &GroupName,
        from: Position,
        span: Duration,
    ) -> Result<(), Refused> {
        self.hold(span, None).await.map_err(|error| match error {
            NotHeld::TooMany => Refused(StatusCode::SERVICE_UNAVAILABLE, "too many requests wait"),
            NotHeld::NotEntered(_) => {
                Refused(StatusCode::TOO_MANY_REQUESTS, "this user has too many connections")
            }
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

    /// The messages that come next, several if several are there. None when the time is over, or when a reader has to ask
    /// anew.
    async fn batch(&mut self) -> Result<Option<Batch>, Refused> {
        let mut batch: Option<Batch> = None;
        loop {
            let happening = match &batch {
                Some(batch) if batch.items.len() >= BATCH_MAX => None,
                // What is there already.
                Some(_) => self.next().now_or_never().flatten(),
                None => match self.place.early() {
                    Some(early) => Some(early),
                    None => self.next().await,
                },
            };
            let Some(happening) = happening else { return Ok(batch) };
            match happening {
                Happening::Numbered(end, reply) => {
                    let cost = reply.cost();
                    let batch = batch.get_or_insert_with(|| Batch {
                        items: Vec::new(),
                        end,
                        is_up_to_date: true,
                        cost: 0,
                    });
                    items::add_reply(&reply, &mut batch.items);
                    (batch.end, batch.cost) = (end, batch.cost + cost);
                }
                // Nothing was missed between the page and the membership.
                Happening::From(standing) if standing.is_complete => self.written(standing.cost),
                Happening::From(standing) => {
                    self.written(standing.cost);
                    return Ok(batch);
                }
                Happening::Reply(Reply::Close(_)) | Happening::Closed(_) | Happening::Missed => {
                    return Ok(batch);
                }
                Happening::Reply(other) => self.misfit(other.cost()),
                Happening::Frame(frame) => self.misfit(frame.cost()),
                Happening::Done(_) | Happening::Lost => {}
                Happening::Overflow => {
                    return Err(Refused(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "too much waits for this client already",
                    ));
                }
                Happening::Drain if batch.is_some() => return Ok(batch),
                Happening::Drain => return Err(Refused::STOPPING),
            }
        }
    }

    /// A stream of events: pages until the reader is up to date, then what comes.
    fn events(self, feed: Feed, page: Page) -> Response<ResponseBody> {
        let head = ResponseHead { status: StatusCode::OK, headers: feed.head.headers.clone() };
        let begun = Some((self, feed, Some(page), None));
        let parts = stream::unfold(begun, |state| async {
            let (mut exchange, feed, page, from) = state?;
            match exchange.next_event(&feed, page, from).await {
                Ok(Some((chunk, page, end))) => {
                    Some((Ok(Frame::data(chunk)), Some((exchange, feed, page, Some(end)))))
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

    /// The next event, the page behind it if the reader is not up to date, and the place behind it.
    async fn next_event(
        &mut self,
        feed: &Feed,
        page: Option<Page>,
        from: Option<Position>,
    ) -> Result<Option<(Bytes, Option<Page>, Position)>, Refused> {
        if let Some(page) = page {
            let (batch, has_more) = (Batch::of(&page), page.has_more());
            let next = match has_more {
                true => {
                    let after = After::Position(batch.end);
                    let next = self.page(&feed.group, after, PAGE_MESSAGES_MAX).await?;
                    // The reader asks anew, and is told.
                    if !next.is_complete {
                        return Ok(None);
                    }
                    Some(next)
                }
                false => None,
            };
            let end = batch.end;
            return Ok(Some((feed.event(&batch), next, end)));
        }
        if !self.was_held {
            let Some(from) = from else { return Ok(None) };
            self.follow(&feed.group, from, EVENTS).await?;
        }
        let Some(batch) = self.batch().await? else { return Ok(None) };
        let end = batch.end;
        Ok(Some((self.counted(feed.event(&batch), batch.cost), None, end)))
    }
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
        response
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
