//! Requests about dead letters and messages to be sent later.

use bytes::Bytes;
use hyper::Method;
use serde::{Deserialize, Serialize};

use super::{ANSWER_TIMEOUT, AdminClient, AskError, DEPLOY_TIMEOUT, encoded};
use crate::message::{ChannelName, ModuleName};

/// A channel with dead letters.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeadLetterChannel {
    /// The channel that they come from.
    pub channel: String,
    /// The module that reads it; none if no active module does.
    pub module: Option<String>,
    /// How many there are.
    pub messages: u64,
    /// Age of the oldest in milliseconds.
    pub oldest_ms: u64,
}

/// A dead letter.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its id.
    pub id: String,
    /// When its last try failed.
    pub dead_since: String,
    /// When it expires.
    pub expires_at: String,
    /// The records of its runs have the same.
    pub correlation_id: String,
    /// The id that it keeps, if it has one.
    pub message_id: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// The message, if JSON can express it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<serde_json::Value>,
    /// Its MessagePack in Base64 otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

/// Some dead letters of a channel, the oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeadLetterPage {
    /// The dead letters.
    pub messages: Vec<DeadLetter>,
    /// How many there are in all.
    pub total: u64,
    /// Where the next page begins.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// The outcome of running or dropping dead letters of a channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeadLettersMoved {
    /// How many were run again, or dropped.
    pub moved: u64,
    /// How many are left.
    pub left: u64,
    /// Whether the channel has no room for more.
    pub full: bool,
}

/// A message to be sent later.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DelayedMessage {
    /// The name by which the module replaces and cancels it.
    pub key: Option<String>,
    /// The channel that it goes to.
    pub channel: String,
    /// When it is due.
    pub due_at: String,
}

/// Some messages to be sent later, in the order in which they are due.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DelayedPage {
    /// The messages.
    pub messages: Vec<DelayedMessage>,
    /// How many the module has in all.
    pub total: u64,
    /// Where the next page begins.
    #[serde(default)]
    pub cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Channels {
    channels: Vec<DeadLetterChannel>,
}

impl AdminClient {
    /// Channels with dead letters, by name.
    pub async fn dead_letter_channels(&self) -> Result<Vec<DeadLetterChannel>, AskError> {
        let answer: Channels = self.get("/api/v1/dead-letters").await?;
        Ok(answer.channels)
    }

    /// Some dead letters of a channel.
    pub async fn dead_letters(
        &self,
        channel: &ChannelName,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<DeadLetterPage, AskError> {
        let from = cursor.map(|cursor| format!("&cursor={}", encoded(cursor))).unwrap_or_default();
        self.get(&format!("/api/v1/dead-letters/{channel}?limit={limit}{from}")).await
    }

    /// One dead letter.
    pub async fn dead_letter(
        &self,
        channel: &ChannelName,
        id: &str,
    ) -> Result<DeadLetter, AskError> {
        self.get(&format!("/api/v1/dead-letters/{channel}/{}", encoded(id))).await
    }

    /// Runs a dead letter again.
    pub async fn run_dead_letter(&self, channel: &ChannelName, id: &str) -> Result<(), AskError> {
        let path = format!("/api/v1/dead-letters/{channel}/{}/run", encoded(id));
        drop(self.send(Method::POST, &path, Bytes::new(), ANSWER_TIMEOUT).await?);
        Ok(())
    }

    /// Drops a dead letter.
    pub async fn drop_dead_letter(&self, channel: &ChannelName, id: &str) -> Result<(), AskError> {
        let path = format!("/api/v1/dead-letters/{channel}/{}", encoded(id));
        drop(self.send(Method::DELETE, &path, Bytes::new(), ANSWER_TIMEOUT).await?);
        Ok(())
    }

    /// Runs dead letters of a channel again, up to 1,000.
    pub async fn run_dead_letters(
        &self,
        channel: &ChannelName,
    ) -> Result<DeadLettersMoved, AskError> {
        let path = format!("/api/v1/dead-letters/{channel}/run");
        self.answer(Method::POST, &path, Bytes::new(), DEPLOY_TIMEOUT).await
    }

    /// Drops dead letters of a channel, up to 1,000.
    pub async fn drop_dead_letters(
        &self,
        channel: &ChannelName,
    ) -> Result<DeadLettersMoved, AskError> {
        let path = format!("/api/v1/dead-letters/{channel}");
        self.answer(Method::DELETE, &path, Bytes::new(), DEPLOY_TIMEOUT).await
    }

    /// Some messages that a module has asked to be sent later.
    pub async fn delayed(
        &self,
        module: &ModuleName,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<DelayedPage, AskError> {
        let from = cursor.map(|cursor| format!("&cursor={}", encoded(cursor))).unwrap_or_default();
        self.get(&format!("/api/v1/modules/{module}/delayed?limit={limit}{from}")).await
    }

    /// Cancels a message to be sent later, by its key.
    pub async fn cancel_delayed(&self, module: &ModuleName, key: &str) -> Result<(), AskError> {
        let path = format!("/api/v1/modules/{module}/delayed?key={}", encoded(key));
        drop(self.send(Method::DELETE, &path, Bytes::new(), ANSWER_TIMEOUT).await?);
        Ok(())
    }
}
