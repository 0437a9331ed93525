//! Requests about connections.

use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{ANSWER_TIMEOUT, AdminClient, AskError, encoded};
use crate::message::ChannelName;

/// Selects connections: those for which all holds that is given.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ConnectionFilter {
    /// Of a module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Members of a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Of a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `http` or `websocket`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
}

/// How connections are closed.
#[derive(Clone, Debug, Default)]
pub struct CloseFrame {
    /// The close code; none: 1000.
    pub code: Option<u16>,
    /// The reason.
    pub reason: Option<String>,
}

/// A connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Connection {
    /// Its reply channel.
    pub connection: String,
    /// The module that serves it.
    pub module: String,
    /// Its consumer.
    pub consumer: String,
    /// `http` or `websocket`.
    pub protocol: String,
    /// The path, without the query.
    pub path: String,
    /// Address and port of the client.
    pub client: String,
    /// The id of its user.
    pub user: Option<String>,
    /// The records of its events have the same.
    pub correlation_id: String,
    /// When it began.
    pub since: String,
    /// Bytes that wait for the client.
    pub unsent_bytes: u64,
    /// Its groups, where one connection is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
}

/// A process that did not answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SilentNode {
    /// The process.
    pub node: String,
    /// Why.
    pub reason: String,
}

/// Some connections.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConnectionPage {
    /// The connections.
    pub connections: Vec<Connection>,
    /// How many there are in all.
    pub total: u64,
    /// Processes whose connections are missing.
    pub unanswered: Vec<SilentNode>,
    /// Where the next page begins.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// Connections that are being closed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClosingConnections {
    /// How many.
    pub closing: u64,
    /// Processes of which that is not known.
    pub unanswered: Vec<SilentNode>,
}

impl AdminClient {
    /// Some connections of all processes.
    pub async fn connections(
        &self,
        filter: &ConnectionFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ConnectionPage, AskError> {
        let ConnectionFilter { module, group, user, protocol } = filter;
        let fields = [("module", module), ("group", group), ("user", user), ("protocol", protocol)];
        let mut path = format!("/api/v1/connections?limit={limit}");
        for (name, value) in fields {
            path.extend(value.iter().map(|value| format!("&{name}={}", encoded(value))));
        }
        path.extend(cursor.map(|cursor| format!("&cursor={}", encoded(cursor))));
        self.get(&path).await
    }

    /// One connection, with its groups.
    pub async fn connection(&self, channel: &ChannelName) -> Result<Connection, AskError> {
        self.get(&format!("/api/v1/connections/{}", encoded(channel.as_str()))).await
    }

    /// Closes one connection.
    pub async fn close_connection(
        &self,
        channel: &ChannelName,
        close: &CloseFrame,
    ) -> Result<ClosingConnections, AskError> {
        let mut query = Vec::new();
        query.extend(close.code.map(|code| format!("code={code}")));
        query.extend(close.reason.as_deref().map(|reason| format!("reason={}", encoded(reason))));
        let (channel, query) = (encoded(channel.as_str()), query.join("&"));
        let path = format!("/api/v1/connections/{channel}?{query}");
        self.answer(Method::DELETE, &path, bytes::Bytes::new(), ANSWER_TIMEOUT).await
    }

    /// Closes connections of a module, a group or a user.
    pub async fn close_connections(
        &self,
        filter: &ConnectionFilter,
        close: &CloseFrame,
    ) -> Result<ClosingConnections, AskError> {
        let mut body = json!(filter);
        if let Some(fields) = body.as_object_mut() {
            fields.extend(close.code.map(|code| ("code".to_owned(), code.into())));
            let reason = close.reason.clone();
            fields.extend(reason.map(|reason| ("reason".to_owned(), reason.into())));
        }
        let path = "/api/v1/connections/close";
        self.answer(Method::POST, path, body.to_string().into(), ANSWER_TIMEOUT).await
    }
}
