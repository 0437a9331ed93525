//! Sends messages of scripts to a channel, or to all members of a group.

use std::{sync::Arc, time::Duration};

use hyper::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Answer, Audit, Call, body,
    once::{self, Once},
    problem::Problem,
    types::{GroupMessage, SentMessage},
};
use crate::{
    admin::State,
    layer::{GroupSent, LayerError, SendError},
    message::{ChannelName, Content, CorrelationId, Message},
    shutdown::Drain,
};

/// How long a sender waits before it tries a full channel again.
const FULL_CHANNEL_PAUSE: Duration = Duration::from_secs(1);

/// Puts a message at the end of a channel.
#[utoipa::path(post, path = "/api/v1/channels/{channel}/messages", tag = "messages",
    params(
        ("channel" = String, Path, description = "A channel that an active module reads, or a reply channel"),
        ("idempotency-key" = Option<String>, Header, description = "A repeated request with the same key within 10 minutes is answered as the first one, and sends nothing", max_length = 255, pattern = "^[!-~]{1,255}$"),
    ),
    request_body(content = Object, description = "The message, as `tidegate send` takes it"),
    responses(
        (status = 202, description = "The channel has it. A consumer may run later, or never", body = SentMessage),
        (status = 400, description = "Not a name, not JSON, or the body was cut off", body = Problem),
        (status = 403, description = "A channel of the interface server, or one that the token does not cover", body = Problem),
        (status = 404, description = "No active module reads the channel", body = Problem),
        (status = 408, description = "The body comes too slowly", body = Problem),
        (status = 409, description = "A request with the same idempotency key has begun and has no answer", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "Not an object, not a message, or the idempotency key of another message", body = Problem),
        (status = 503, description = "The channel is full, or Redis does not answer", body = Problem),
        (status = 507, description = "Redis has no memory left", body = Problem),
    ),
)]
pub(super) async fn send(call: Call) -> Result<Answer, Box<Problem>> {
    let name = call.params.first().map(String::as_str).unwrap_or_default();
    let channel = ChannelName::parse(name)
        .map_err(|error| Problem::bad("name", format!("{name:?} is not a channel: {error}")))?;
    if channel.is_reserved() {
        let text = format!("{channel} carries events of the interface server; send to another");
        return Err(Problem::new(StatusCode::FORBIDDEN, "reserved", text));
    }
    let modules = call.state.deployments.registry().snapshot();
    if !channel.is_reply_channel() && !modules.custom_channels().contains(&&channel) {
        let text = format!(
            "no active module reads the channel {channel}; `tidegate routes` and GET /api/v1/routes \
             list the channels"
        );
        return Err(Problem::new(StatusCode::NOT_FOUND, "no-such-channel", text));
    }
    call.may_send_to(&channel)?;
    let sending = Sending::read(call, &format!("channel {channel}")).await?;
    let (content, correlation) = (sending.content.clone(), CorrelationId::random());
    let layer = Arc::clone(&sending.state.layer);
    sending
        .send("send", async move {
            layer.send(&channel, Message::custom(content, correlation)).await?;
            let (channel, correlation_id) = (channel.to_string(), correlation.to_string());
            Ok(SentMessage { channel, correlation_id })
        })
        .await
}

/// Sends a message to every member of a group.
#[utoipa::path(post, path = "/api/v1/groups/{group}/messages", tag = "messages",
    params(
        ("group" = String, Path, description = "The group"),
        ("idempotency-key" = Option<String>, Header, description = "A repeated request with the same key within 10 minutes is answered as the first one, and sends nothing", max_length = 255, pattern = "^[!-~]{1,255}$"),
    ),
    request_body(content = Object, description = "The message, as `tidegate group-send` takes it"),
    responses(
        (status = 202, description = "It is on its way to those who are members now, if there are any", body = GroupMessage),
        (status = 400, description = "Not a name, not JSON, or the body was cut off", body = Problem),
        (status = 403, description = "A group of the host's", body = Problem),
        (status = 408, description = "The body comes too slowly", body = Problem),
        (status = 409, description = "A request with the same idempotency key has begun and has no answer", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "Not an object, not a message, or the idempotency key of another message", body = Problem),
        (status = 503, description = "Redis does not answer", body = Problem),
        (status = 507, description = "Redis has no memory left", body = Problem),
    ),
)]
pub(super) async fn group_send(call: Call) -> Result<Answer, Box<Problem>> {
    let group = call.group()?;
    let sending = Sending::read(call, &format!("group {group}")).await?;
    let (content, correlation) = (sending.content.clone(), CorrelationId::random());
    let layer = Arc::clone(&sending.state.layer);
    sending
        .send("group-send", async move {
            let GroupSent { reached, missed } =
                layer.group_send(&group, content, correlation).await?;
            let (group, correlation_id) = (group.to_string(), correlation.to_string());
            Ok(GroupMessage { group, reached, missed, correlation_id })
        })
        .await
}

/// A message that is about to be sent.
struct Sending {
    state: Arc<State>,
    tasks: Drain,
    content: Content,
    once: Option<Once>,
    audit: Audit,
    /// Where to, in words.
    target: String,
}

impl Sending {
    async fn read(call: Call, target: &str) -> Result<Self, Box<Problem>> {
        let (key, audit) = (Once::key(&call)?, call.audit());
        let body = body::message(&call.headers, call.body).await?;
        let message: Map<String, Value> = body::parse(&body, "message")?;
        let content = Content::from_json(&message).map_err(|error| {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "message", error.to_string())
        })?;
        let once = key.map(|key| Once::new(&audit.token, &key, target, &body));
        let (state, tasks, target) = (call.state, call.tasks, target.to_owned());
        Ok(Self { state, tasks, content, once, audit, target })
    }

    async fn send<T: Serialize + Send + 'static>(
        self,
        action: &'static str,
        work: impl Future<Output = Result<T, SendError>> + Send + 'static,
    ) -> Result<Answer, Box<Problem>> {
        let sent = once::send(&self.state, &self.tasks, self.once, work).await?;
        self.audit.line(action, &self.target);
        Ok(sent)
    }
}

impl From<SendError> for Box<Problem> {
    fn from(error: SendError) -> Self {
        let problem = |status, code| Problem::new(status, code, error.to_string());
        match &error {
            SendError::ChannelFull(_) => {
                problem(StatusCode::SERVICE_UNAVAILABLE, "full").after(FULL_CHANNEL_PAUSE)
            }
            SendError::TooLarge { bytes, limit } => {
                problem(StatusCode::PAYLOAD_TOO_LARGE, "too-large")
                    .with_numbers(Some((*bytes as u64, *limit as u64)))
            }
            SendError::TooManyDelayed { .. } | SendError::TooManyGroups { .. } => {
                problem(StatusCode::INSUFFICIENT_STORAGE, "full")
            }
            SendError::Layer(LayerError::OutOfMemory(_)) => {
                problem(StatusCode::INSUFFICIENT_STORAGE, "memory")
            }
            SendError::Layer(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "layer"),
        }
    }
}
