//! Requests with an idempotency key: one that is repeated is answered as before, and does nothing.

use std::sync::Arc;

use hyper::{StatusCode, header::HeaderValue};
use serde::Serialize;

use super::{Answer, Call, JSON, finish, full, json, problem::Problem};
use crate::{
    admin::{State, store::Kept},
    engine::digest,
    layer::{LayerError, SendError},
    shutdown::Drain,
};

/// The header field with the key.
const KEY_FIELD: &str = "idempotency-key";
/// The longest key, in characters.
const KEY_CHARACTERS_MAX: usize = 255;
/// The header field of an answer that was given before.
const REPLAYED_FIELD: &str = "idempotency-replayed";

/// The key of a request, with what tells the request from others.
#[derive(Debug)]
pub(super) struct Once {
    /// Digest of the key and of the token that it came with: keys of different tokens do not meet.
    key: String,
    /// Digest of target and body.
    request: String,
}

impl Once {
    /// Returns the key of a request; none if it has none.
    pub(super) fn key(call: &Call) -> Result<Option<String>, Box<Problem>> {
        let Some(value) = call.headers.get(KEY_FIELD) else { return Ok(None) };
        let is_key = |key: &&str| {
            (1..=KEY_CHARACTERS_MAX).contains(&key.len())
                && key.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let key = value.to_str().ok().filter(is_key);
        key.map(|key| Some(key.to_owned())).ok_or_else(|| {
            let text = format!(
                "the header field {KEY_FIELD} has 1 to {KEY_CHARACTERS_MAX} visible characters of ASCII, such as a UUID"
            );
            Problem::bad("idempotency-key", text)
        })
    }

    /// A request to a target with a body.
    pub(super) fn new(token: &str, key: &str, target: &str, body: &[u8]) -> Self {
        let key = digest(format!("{token}\n{key}").as_bytes());
        Self { key, request: digest(&[target.as_bytes(), b"\n", body].concat()) }
    }
}

/// Sends something, once for a key if there is one, and answers with 202. The work goes on when the client has
/// left.
pub(super) async fn send<T: Serialize + Send + 'static>(
    state: &Arc<State>,
    tasks: &Drain,
    once: Option<Once>,
    work: impl Future<Output = Result<T, SendError>> + Send + 'static,
) -> Result<Answer, Box<Problem>> {
    let Some(Once { key, request }) = once else {
        return Ok(json(StatusCode::ACCEPTED, &work.await?));
    };
    let store = Arc::clone(state.tokens.store());
    finish(tasks, async move {
        match store.begin(&key, &request).await? {
            Kept::New => {}
            Kept::Answered(answer) => {
                let mut answer = full(StatusCode::ACCEPTED, JSON, answer);
                answer.headers_mut().insert(REPLAYED_FIELD, HeaderValue::from_static("true"));
                return Ok(answer);
            }
            Kept::Running => return Err(running()),
            Kept::OfAnother => return Err(of_another()),
        }
        match work.await {
            Ok(sent) => {
                let answer = serde_json::to_vec(&sent).expect("answers are JSON");
                // The message is sent. Without this, a repeated request learns that it began.
                if let Err(error) = store.answered(&key, &request, &answer).await {
                    tracing::warn!(%error, "the answer to an idempotency key is not kept");
                }
                Ok(full(StatusCode::ACCEPTED, JSON, answer))
            }
            Err(error) => {
                if !may_be_sent(&error)
                    && let Err(error) = store.forget(&key).await
                {
                    tracing::debug!(%error, "an idempotency key is forgotten later");
                }
                Err(error.into())
            }
        }
    })
    .await
}

/// Whether a message may be on its way in spite of an error.
const fn may_be_sent(error: &SendError) -> bool {
    matches!(
        error,
        SendError::Layer(
            LayerError::Unavailable(_)
                | LayerError::TimedOut(_)
                | LayerError::Defect(_)
                | LayerError::Stopped
        )
    )
}

fn running() -> Box<Problem> {
    let text = "a request with this idempotency key has begun and has no answer: it is under way, or it \
                is not known whether the message was sent; look whether it arrived, and send it with \
                another key if it did not";
    Problem::new(StatusCode::CONFLICT, "idempotency-unknown", text)
}

fn of_another() -> Box<Problem> {
    let text = "another request had this idempotency key within the last 10 minutes; give each message a \
                key of its own";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key", text)
}
