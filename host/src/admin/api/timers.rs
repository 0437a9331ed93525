//! Messages that a module has asked to be sent later.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use hyper::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Answer, Call,
    data::{self, KeyQuery},
    empty, json,
    modules::Rest,
    paging::{self, PageQuery},
    problem::Problem,
    read,
    types::Moment,
};
use crate::capability::store::{Moment as StoreMoment, Place, Timer, TimerPlace, Transaction};

/// A message to be sent later.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DelayedMessage {
    /// The name by which the module replaces and cancels it, if it gave one.
    key: Option<String>,
    /// The channel or reply channel that it goes to.
    channel: String,
    #[schema(value_type = String, format = DateTime)]
    due_at: Moment,
}

/// Some messages to be sent later.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DelayedPage {
    /// The one that is due first, first.
    messages: Vec<DelayedMessage>,
    /// How many the module has in all.
    total: u64,
    /// Give it as `cursor` for what follows. Without it: this is the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// Messages that a module has asked to be sent later.
#[utoipa::path(get, path = "/api/v1/modules/{name}/delayed", tag = "messages",
    params(PageQuery, ("name" = String, Path, description = "The module")),
    responses(
        (status = 200, description = "A page, without what they say", body = DelayedPage),
        (status = 400, description = "No name, or the query is not valid", body = Problem),
        (status = 404, description = "No such module, and no data of one", body = Problem),
        (status = 500, description = "The store is damaged", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
    ),
)]
pub(super) async fn list(call: &Call) -> Result<Answer, Box<Problem>> {
    let name = call.module()?;
    let PageQuery { cursor, limit } = read::parse(&call.query)?;
    let limit = paging::limit(limit)?;
    let after = cursor.map(|cursor| {
        let text = format!("{cursor:?} is not a cursor; give the one of the page before");
        place(&cursor).ok_or_else(|| Problem::bad("cursor", text))
    });
    let after = after.transpose()?;
    data::there(&call.state, &name).await?;
    let total = call.state.data.usage(&name).await?.timers;
    let mut timers = call.state.data.timers(&name, after, limit + 1).await?;
    let has_more = timers.len() > limit;
    timers.truncate(limit);
    let cursor = timers.last().filter(|_| has_more).map(|timer| cursor_of(timer.place));
    let messages = timers.into_iter().map(DelayedMessage::from).collect();
    Ok(json(StatusCode::OK, &DelayedPage { messages, total, cursor }))
}

/// Cancels a message to be sent later, by its key.
#[utoipa::path(delete, path = "/api/v1/modules/{name}/delayed", tag = "messages",
    params(KeyQuery, ("name" = String, Path, description = "The module")),
    responses(
        (status = 204, description = "There is none of this key any more"),
        (status = 400, description = "No name or no key", body = Problem),
        (status = 404, description = "No such module, and no data of one", body = Problem),
        (status = 500, description = "The store is damaged", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
        (status = 507, description = "Redis has no memory left", body = Problem),
    ),
)]
pub(super) async fn cancel(call: &Call) -> Result<Answer, Box<Problem>> {
    let name = call.module()?;
    let key = KeyQuery::read(&call.query)?;
    data::there(&call.state, &name).await?;
    let (rest, quota) = (Rest::of(call, "delayed-cancel", name.clone()), data::quota(call, &name));
    let mut transaction = Transaction::new(Arc::clone(&call.state.data), name);
    transaction.cancel_timer(key)?;
    rest.finish(data::commit(transaction, quota)).await?;
    rest.audit(None, None);
    Ok(empty(StatusCode::NO_CONTENT))
}

impl From<Timer> for DelayedMessage {
    fn from(timer: Timer) -> Self {
        let Timer { place, key, target } = timer;
        let since = Duration::from_micros(place.due.0);
        let due_at = SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH);
        Self { key: key.map(|key| key.to_string()), channel: target, due_at: Moment(due_at) }
    }
}

fn cursor_of(place: TimerPlace) -> String {
    format!("{}-{}-{}", place.due.0, place.set.number, place.set.at)
}

fn place(cursor: &str) -> Option<TimerPlace> {
    let mut parts = cursor.splitn(3, '-');
    let (due, number, at) = (parts.next()?, parts.next()?, parts.next()?);
    let set = Place { number: number.parse().ok()?, at: at.parse().ok()? };
    Some(TimerPlace { due: StoreMoment(due.parse().ok()?), set })
}
