//! Dead letters: messages of channels with retries, after their last try.

use std::{sync::Arc, time::Duration};

use data_encoding::BASE64;
use hyper::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Answer, Call, data, empty, finish, json,
    paging::{self, PageQuery},
    problem::Problem,
    read,
    types::Moment,
};
use crate::{
    layer::{ChannelLayer, LayerError, Moved, Waiting, WaitingId},
    message::{ChannelName, Payload},
};

/// Messages that one request runs again or drops.
const MOVED_MAX: usize = 1_000;
/// Messages that are looked for at once where all are run again or dropped.
const BATCH: usize = 100;

/// A channel with dead letters.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetterChannel {
    /// The channel that they come from.
    channel: String,
    /// The module that reads it; none if no active module does.
    module: Option<String>,
    messages: usize,
    /// Age of the oldest.
    oldest_ms: u64,
}

/// Channels with dead letters.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetterChannels {
    /// By name.
    channels: Vec<DeadLetterChannel>,
}

/// A dead letter.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetter {
    id: String,
    /// When its last try failed.
    #[schema(value_type = String, format = DateTime)]
    dead_since: Moment,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Moment,
    /// The records of its runs have the same.
    correlation_id: String,
    /// The id that it keeps, if it has one.
    message_id: Option<String>,
    bytes: usize,
    /// The message, if JSON can express it.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<serde_json::Value>,
    /// Its MessagePack otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl From<Waiting> for DeadLetter {
    fn from(waiting: Waiting) -> Self {
        let Waiting { id, message, sent, expires } = waiting;
        let content = match &message.payload {
            Payload::Custom(content) => content.as_bytes().clone(),
            // Nothing that happens on a connection is retried.
            Payload::Event(_) => bytes::Bytes::new(),
        };
        let shown = data::json_of(&content);
        Self {
            id: id.to_string(),
            dead_since: Moment(sent),
            expires_at: Moment(expires),
            correlation_id: message.correlation.to_string(),
            message_id: message.id.map(|id| id.to_string()),
            bytes: content.len(),
            base64: shown.is_none().then(|| BASE64.encode(&content)),
            message: shown,
        }
    }
}

/// Some dead letters of a channel.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetterPage {
    /// The oldest first.
    messages: Vec<DeadLetter>,
    /// How many there are in all.
    total: usize,
    /// Give it as `cursor` for what follows. Without it: this is the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// The outcome of running or dropping dead letters of a channel.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLettersMoved {
    /// How many were run again, or dropped.
    moved: usize,
    /// How many are left.
    left: usize,
    /// Whether the channel has no room for more.
    full: bool,
}

/// Channels that have dead letters.
#[utoipa::path(get, path = "/api/v1/dead-letters", tag = "dead letters", responses(
    (status = 200, description = "Channels with dead letters, by name", body = DeadLetterChannels),
    (status = 503, description = "The layer cannot be reached", body = Problem),
))]
pub(super) async fn channels(call: &Call) -> Result<Answer, Box<Problem>> {
    let statistics = call.state.layer.statistics().await?;
    let modules = call.state.deployments.registry().snapshot();
    let shown = |(dead, (messages, oldest)): (ChannelName, (usize, Duration))| {
        let channel = dead.living().filter(|_| messages > 0)?;
        let module = modules.owners.get(&channel);
        let is_covered = match module {
            Some(module) => call.holder.covers(module),
            None => call.holder.modules().is_none(),
        };
        is_covered.then(|| DeadLetterChannel {
            channel: channel.to_string(),
            module: module.map(ToString::to_string),
            messages,
            oldest_ms: u64::try_from(oldest.as_millis()).unwrap_or(u64::MAX),
        })
    };
    let mut channels: Vec<_> = statistics.channels.into_iter().filter_map(shown).collect();
    channels.sort_by(|a, b| a.channel.cmp(&b.channel));
    Ok(json(StatusCode::OK, &DeadLetterChannels { channels }))
}

/// Some dead letters of a channel.
#[utoipa::path(get, path = "/api/v1/dead-letters/{channel}", tag = "dead letters",
    params(PageQuery, ("channel" = String, Path, description = "The channel that they come from")),
    responses(
        (status = 200, description = "A page", body = DeadLetterPage),
        (status = 400, description = "No name, or the query is not valid", body = Problem),
        (status = 404, description = "No module reads the channel, and it has no dead letters", body = Problem),
        (status = 503, description = "The layer cannot be reached", body = Problem),
    ),
)]
pub(super) async fn list(call: &Call) -> Result<Answer, Box<Problem>> {
    let letters = Letters::of(call)?;
    let PageQuery { cursor, limit } = read::parse(&call.query)?;
    let limit = paging::limit(limit)?;
    let after = cursor.map(|cursor| WaitingId::parse(&cursor).ok_or_else(|| bad_cursor(&cursor)));
    let after = after.transpose()?;
    let page = letters.layer.waiting(&letters.dead, after.as_ref(), limit).await;
    let page = page.map_err(|error| match error {
        LayerError::NotAnId(cursor) => bad_cursor(&cursor),
        error => error.into(),
    })?;
    if page.total == 0 {
        letters.check_is_there(call)?;
    }
    Ok(json(
        StatusCode::OK,
        &DeadLetterPage {
            messages: page.messages.into_iter().map(DeadLetter::from).collect(),
            total: page.total,
            cursor: page.next.map(|next| next.to_string()),
        },
    ))
}

/// One dead letter.
#[utoipa::path(get, path = "/api/v1/dead-letters/{channel}/{id}", tag = "dead letters",
    params(
        ("channel" = String, Path, description = "The channel that it comes from"),
        ("id" = String, Path, description = "Its id", pattern = "^[A-Za-z0-9-]{1,100}$"),
    ),
    responses(
        (status = 200, description = "The dead letter", body = DeadLetter),
        (status = 400, description = "No name", body = Problem),
        (status = 404, description = "It is there no more", body = Problem),
        (status = 503, description = "The layer cannot be reached", body = Problem),
    ),
)]
pub(super) async fn show(call: &Call) -> Result<Answer, Box<Problem>> {
    let letters = Letters::of(call)?;
    let id = id(call)?;
    match letters.layer.find_waiting(&letters.dead, &id).await? {
        Some(waiting) => Ok(json(StatusCode::OK, &DeadLetter::from(waiting))),
        None => Err(gone(&letters.channel)),
    }
}

/// Runs a dead letter again: it goes to the end of its channel, and its tries count anew.
#[utoipa::path(post, path = "/api/v1/dead-letters/{channel}/{id}/run", tag = "dead letters",
    params(
        ("channel" = String, Path, description = "The channel that it comes from"),
        ("id" = String, Path, description = "Its id", pattern = "^[A-Za-z0-9-]{1,100}$"),
    ),
    responses(
        (status = 204, description = "It waits in its channel"),
        (status = 400, description = "No name", body = Problem),
        (status = 404, description = "It is there no more", body = Problem),
        (status = 409, description = "No active module reads the channel", body = Problem),
        (status = 503, description = "The channel is full, or the layer cannot be reached", body = Problem),
        (status = 507, description = "Redis has no memory left", body = Problem),
    ),
)]
pub(super) async fn run(call: &Call) -> Result<Answer, Box<Problem>> {
    let letters = Letters::of(call)?;
    letters.check_is_read(call)?;
    letters.move_one(call, true).await
}

/// Drops a dead letter.
#[utoipa::path(delete, path = "/api/v1/dead-letters/{channel}/{id}", tag = "dead letters",
    params(
        ("channel" = String, Path, description = "The channel that it comes from"),
        ("id" = String, Path, description = "Its id", pattern = "^[A-Za-z0-9-]{1,100}$"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 400, description = "No name", body = Problem),
        (status = 404, description = "It is there no more", body = Problem),
        (status = 503, description = "The layer cannot be reached", body = Problem),
    ),
)]
pub(super) async fn drop_one(call: &Call) -> Result<Answer, Box<Problem>> {
    Letters::of(call)?.move_one(call, false).await
}

/// Runs dead letters of a channel again, the oldest first: up to 1,000, and as many as it has room for.
#[utoipa::path(post, path = "/api/v1/dead-letters/{channel}/run", tag = "dead letters",
    params(("channel" = String, Path, description = "The channel that they come from")),
    responses(
        (status = 200, description = "How many wait in their channel, and how many are left", body = DeadLettersMoved),
        (status = 400, description = "No name", body = Problem),
        (status = 409, description = "No active module reads the channel", body = Problem),
        (status = 503, description = "The layer cannot be reached", body = Problem),
        (status = 507, description = "Redis has no memory left", body = Problem),
    ),
)]
pub(super) async fn run_all(call: &Call) -> Result<Answer, Box<Problem>> {
    let letters = Letters::of(call)?;
    letters.check_is_read(call)?;
    letters.move_all(call, true).await
}

/// Drops dead letters of a channel, the oldest first, up to 1,000.
#[utoipa::path(delete, path = "/api/v1/dead-letters/{channel}", tag = "dead letters",
    params(("channel" = String, Path, description = "The channel that they come from")),
    responses(
        (status = 200, description = "How many are dropped, and how many are left", body = DeadLettersMoved),
        (status = 400, description = "No name", body = Problem),
        (status = 404, description = "No module reads the channel, and it has no dead letters", body = Problem),
        (status = 503, description = "The layer cannot be reached", body = Problem),
    ),
)]
pub(super) async fn drop_all(call: &Call) -> Result<Answer, Box<Problem>> {
    Letters::of(call)?.move_all(call, false).await
}

/// The dead letters of a channel.
struct Letters {
    layer: Arc<dyn ChannelLayer>,
    /// The channel that they come from, and the one that they wait in.
    channel: ChannelName,
    dead: ChannelName,
}

impl Letters {
    /// Those of the channel in the path, if the token covers it.
    fn of(call: &Call) -> Result<Self, Box<Problem>> {
        let name = call.params.first().map(String::as_str).unwrap_or_default();
        let wrong = |error| Problem::bad("name", format!("{name:?} is not a channel: {error}"));
        let channel = ChannelName::parse(name).map_err(wrong)?;
        let dead = channel.dead().map_err(wrong)?;
        call.may_send_to(&channel)?;
        Ok(Self { layer: Arc::clone(&call.state.layer), channel, dead })
    }

    fn is_read(&self, call: &Call) -> bool {
        let modules = call.state.deployments.registry().snapshot();
        modules.owners.contains_key(&self.channel)
    }

    /// Refuses a channel that nobody knows.
    fn check_is_there(&self, call: &Call) -> Result<(), Box<Problem>> {
        if self.is_read(call) {
            return Ok(());
        }
        let text = format!(
            "no active module reads the channel {}, and it has no dead letters; GET \
             /api/v1/dead-letters and `tidegate dead-letters list` list channels that have some",
            self.channel
        );
        Err(Problem::new(StatusCode::NOT_FOUND, "no-such-channel", text))
    }

    /// Refuses to run what nobody would take.
    fn check_is_read(&self, call: &Call) -> Result<(), Box<Problem>> {
        if self.is_read(call) {
            return Ok(());
        }
        let text = format!(
            "no active module reads the channel {}, so that its dead letters stay; deploy the module \
             first, or drop them",
            self.channel
        );
        Err(Problem::new(StatusCode::CONFLICT, "no-consumer", text))
    }

    async fn move_one(self, call: &Call, is_run: bool) -> Result<Answer, Box<Problem>> {
        let id = id(call)?;
        let (audit, action) = (call.audit(), action(is_run));
        finish(&call.tasks, async move {
            let to = is_run.then_some(&self.channel);
            match self.layer.move_waiting(&self.dead, &id, to).await? {
                Moved::Yes => {
                    audit.line(action, &format!("{} {id}", self.channel));
                    Ok(empty(StatusCode::NO_CONTENT))
                }
                Moved::Gone => Err(gone(&self.channel)),
                Moved::Full => {
                    let text = format!("channel {} is full; the dead letter stays", self.channel);
                    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "full", text);
                    Err(problem.after(Duration::from_secs(1)))
                }
            }
        })
        .await
    }

    async fn move_all(self, call: &Call, is_run: bool) -> Result<Answer, Box<Problem>> {
        let (audit, action) = (call.audit(), action(is_run));
        let first = self.layer.waiting(&self.dead, None, 1).await?;
        if first.total == 0 {
            self.check_is_there(call)?;
        }
        // What dies again meanwhile is not run again by this request.
        let most = first.total.min(MOVED_MAX);
        finish(&call.tasks, async move {
            let (mut moved, mut is_full) = (0, false);
            let mut left = first.total;
            'pages: while moved < most && !is_full {
                let page = self.layer.waiting(&self.dead, None, BATCH).await?;
                left = page.total;
                let before = moved;
                for waiting in page.messages {
                    let to = is_run.then_some(&self.channel);
                    match self.layer.move_waiting(&self.dead, &waiting.id, to).await? {
                        Moved::Yes => (moved, left) = (moved + 1, left.saturating_sub(1)),
                        Moved::Gone => {}
                        Moved::Full => is_full = true,
                    }
                    if moved == most || is_full {
                        break 'pages;
                    }
                }
                // Others were faster, or nothing of it can be moved.
                if moved == before {
                    break;
                }
            }
            audit.line(action, &format!("{} {moved} messages", self.channel));
            let moved = DeadLettersMoved { moved, left, full: is_full };
            Ok::<_, Box<Problem>>(json(StatusCode::OK, &moved))
        })
        .await
    }
}

const fn action(is_run: bool) -> &'static str {
    if is_run { "dead-letter-run" } else { "dead-letter-drop" }
}

fn id(call: &Call) -> Result<WaitingId, Box<Problem>> {
    let text = call.params.get(1).map(String::as_str).unwrap_or_default();
    WaitingId::parse(text).ok_or_else(|| {
        Problem::bad(
            "id",
            format!("{text:?} is not the id of a dead letter; take it from the list"),
        )
    })
}

fn gone(channel: &ChannelName) -> Box<Problem> {
    let text = format!(
        "{channel} does not have this dead letter; it was run again, dropped or has expired: look at \
         the list again"
    );
    Problem::new(StatusCode::NOT_FOUND, "no-such-dead-letter", text)
}

fn bad_cursor(cursor: &str) -> Box<Problem> {
    let text = format!("{cursor:?} is not a cursor; give the one of the page before");
    Problem::bad("cursor", text)
}

impl From<LayerError> for Box<Problem> {
    fn from(error: LayerError) -> Self {
        crate::layer::SendError::Layer(error).into()
    }
}
