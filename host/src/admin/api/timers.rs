//! Messages that a module has asked to be sent later.

#![expect(unused_qualifications, reason = "utoipa names queries in full")]

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Answer, Call, data, empty, json, modules::Rest, problem::Problem, read, types::Moment,
};
use crate::capability::store::{Key, Moment as StoreMoment, Place, Timer, TimerPlace, Transaction};

/// Timers in a page without `limit`.
const LIMIT_DEFAULT: usize = 100;
/// The highest `limit`.
const LIMIT_MAX: usize = 1_000;

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

/// Selects a page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Those that follow another page.
    cursor: Option<String>,
    /// At most so many, 100 if it is not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Names a message to be sent later.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct KeyQuery {
    /// Its key.
    #[param(min_length = 1, max_length = 512)]
    key: String,
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
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let text = format!("`limit` is {limit}; give 1 to {LIMIT_MAX}");
        return Err(Problem::bad("limit", text));
    }
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
    let KeyQuery { key } = read::parse(&call.query)?;
    let key = Key::parse(&key).map_err(|error| Problem::bad("key", error.to_string()))?;
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
