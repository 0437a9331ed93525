//! Asks another process over its admin listener: what the commands `deploy`, `rollback`, `modules`,
//! `logs`, `data`, `token`, `dead-letters`, `dev` and `drain` have in common.
//!
//! Each request has a connection of its own, which ends with it. An answer is read up to a limit, and
//! waited for up to another.

mod address;
mod answers;
mod connections;
mod data;
mod dead_letters;
mod error;
mod events;
mod tokens;

use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, Response, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::{net::TcpStream, runtime::Handle, time::timeout};

pub use self::{
    address::{AddressError, AdminAddress},
    answers::{
        DataEntry, DataPage, DataUsage, Deployed, GroupSent, Kept, LogLine, ModuleDetails,
        ModuleSummary, Node, NodeDigest, NodeFile, NodeModule, Record, RouteOf, ScheduleOf,
    },
    connections::{
        CloseFrame, ClosingConnections, Connection, ConnectionFilter, ConnectionPage, SilentNode,
    },
    data::DataExport,
    dead_letters::{
        DeadLetter, DeadLetterChannel, DeadLetterPage, DeadLettersMoved, DelayedMessage,
        DelayedPage,
    },
    error::{AskError, Problem},
    events::{Heard, RecordStream},
    tokens::{MadeToken, NewToken, TokenOf},
};
use super::{AdminToken, DRAIN};
use crate::{
    message::{ChannelName, GroupName, ModuleName},
    shutdown::Drain,
};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long most answers may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a deploy may take: the host compiles.
const DEPLOY_TIMEOUT: Duration = Duration::from_secs(300);
/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The header field with the name of the user.
const USER: &str = "x-tidegate-user";
/// The header field with a note for the history.
const NOTE: &str = "x-tidegate-note";
/// The header field with the registry that a file came from.
const SOURCE: &str = "x-tidegate-source";
/// The header field with the signature of a file, in base64.
const SIGNATURE: &str = "x-tidegate-signature";
/// The header field with the key of a request that has an effect once.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Options of a deployment.
#[derive(Clone, Debug, Default)]
pub struct DeployOptions {
    /// A note for the history, without control characters.
    pub note: Option<String>,
    /// The registry that the file came from, without control characters.
    pub source: Option<String>,
    /// The signature of the file, a whole .minisig.
    pub signature: Option<String>,
    /// The version before never answers in the place of this one.
    pub skip_probation: bool,
}

/// Asks one host. Clones ask the same one.
#[derive(Clone, Debug)]
pub struct AdminClient {
    address: AdminAddress,
    token: AdminToken,
    user: String,
    /// Connections that still run.
    connections: Drain,
}

impl AdminClient {
    /// A client of the host behind an address. Within a runtime.
    ///
    /// `user` is the name that the host notes beside what is changed.
    pub fn new(address: AdminAddress, token: AdminToken, user: String) -> Self {
        Self { address, token, user, connections: Drain::new(Handle::current()) }
    }

    /// Returns the address that it asks.
    pub const fn address(&self) -> &AdminAddress {
        &self.address
    }

    /// Asks whether the process lives. It needs no token.
    pub async fn alive(&self) -> Result<(), AskError> {
        let response = self.send(Method::GET, "/livez", Bytes::new(), ANSWER_TIMEOUT).await?;
        drop(response);
        Ok(())
    }

    /// Asks the process to stop as SIGTERM does.
    pub async fn drain(&self) -> Result<(), AskError> {
        let response = self.send(Method::POST, DRAIN, Bytes::new(), ANSWER_TIMEOUT).await?;
        drop(response);
        Ok(())
    }

    /// Activates a file as the next version of a module.
    pub async fn deploy(
        &self,
        name: &ModuleName,
        wasm: Vec<u8>,
        options: &DeployOptions,
    ) -> Result<Deployed, AskError> {
        let query = if options.skip_probation { "?probation=off" } else { "" };
        let path = format!("/api/v1/modules/{name}{query}");
        let signature = options.signature.as_ref().map(|it| BASE64.encode(it.as_bytes()));
        let fields = [
            (NOTE, options.note.as_deref()),
            (SOURCE, options.source.as_deref()),
            (SIGNATURE, signature.as_deref()),
        ];
        let response =
            self.send_with(Method::PUT, &path, wasm.into(), DEPLOY_TIMEOUT, &fields).await?;
        self.read(response, &path).await
    }

    /// Deactivates a module and deletes all its versions, and its data if so asked.
    pub async fn delete(&self, name: &ModuleName, with_data: bool) -> Result<(), AskError> {
        let query = if with_data { "?data=delete" } else { "" };
        let path = format!("/api/v1/modules/{name}{query}");
        drop(self.send(Method::DELETE, &path, Bytes::new(), DEPLOY_TIMEOUT).await?);
        Ok(())
    }

    /// The settings of a module, as they were written.
    pub async fn settings(&self, name: &ModuleName) -> Result<serde_json::Value, AskError> {
        self.get(&format!("/api/v1/modules/{name}/settings")).await
    }

    /// Changes single settings of a module, and returns all that are written then.
    pub async fn patch_settings(
        &self,
        name: &ModuleName,
        patch: &serde_json::Value,
    ) -> Result<serde_json::Value, AskError> {
        let path = format!("/api/v1/modules/{name}/settings");
        self.answer(Method::PATCH, &path, patch.to_string().into(), DEPLOY_TIMEOUT).await
    }

    /// Sends a message, an object of JSON, to a channel; once for an idempotency key.
    pub async fn send_message(
        &self,
        channel: &ChannelName,
        json: String,
        key: Option<&str>,
    ) -> Result<(), AskError> {
        let path = format!("/api/v1/channels/{channel}/messages");
        let field = [(IDEMPOTENCY_KEY, key)];
        drop(self.send_with(Method::POST, &path, json.into(), ANSWER_TIMEOUT, &field).await?);
        Ok(())
    }

    /// Sends a message, an object of JSON, to a group; once for an idempotency key.
    pub async fn group_send(
        &self,
        group: &GroupName,
        json: String,
        key: Option<&str>,
    ) -> Result<GroupSent, AskError> {
        let path = format!("/api/v1/groups/{group}/messages");
        let field = [(IDEMPOTENCY_KEY, key)];
        let response =
            self.send_with(Method::POST, &path, json.into(), ANSWER_TIMEOUT, &field).await?;
        self.read(response, &path).await
    }

    /// Activates an earlier version again: the one that is named, or the one before.
    pub async fn roll_back(
        &self,
        name: &ModuleName,
        version: Option<u64>,
    ) -> Result<Deployed, AskError> {
        let path = format!("/api/v1/modules/{name}/rollback");
        let body = version.map_or_else(|| json!({}), |version| json!({ "version": version }));
        self.answer(Method::POST, &path, body.to_string().into(), DEPLOY_TIMEOUT).await
    }

    /// All modules.
    pub async fn modules(&self) -> Result<Vec<ModuleSummary>, AskError> {
        let answer: answers::Modules = self.get("/api/v1/modules").await?;
        Ok(answer.modules)
    }

    /// One module, with its versions, routes and settings.
    pub async fn module(&self, name: &ModuleName) -> Result<ModuleDetails, AskError> {
        self.get(&format!("/api/v1/modules/{name}")).await
    }

    /// The processes that share a channel layer.
    pub async fn nodes(&self) -> Result<Vec<Node>, AskError> {
        let answer: answers::Nodes = self.get("/api/v1/nodes").await?;
        Ok(answer.nodes)
    }

    /// The latest records, at most so many, oldest first.
    pub async fn records(
        &self,
        name: Option<&ModuleName>,
        limit: usize,
    ) -> Result<Vec<Record>, AskError> {
        let of = name.map(|name| format!("&module={name}")).unwrap_or_default();
        let answer: answers::Records =
            self.get(&format!("/api/v1/records?limit={limit}{of}")).await?;
        let mut records = answer.records;
        records.reverse();
        Ok(records)
    }

    /// Records from now on.
    pub async fn record_stream(&self, name: Option<&ModuleName>) -> Result<RecordStream, AskError> {
        let of = name.map(|name| format!("?module={name}")).unwrap_or_default();
        let path = format!("/api/v1/records/stream{of}");
        let response = self.send(Method::GET, &path, Bytes::new(), ANSWER_TIMEOUT).await?;
        Ok(RecordStream::new(self.address.clone(), response.into_body()))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AskError> {
        self.answer(Method::GET, path, Bytes::new(), ANSWER_TIMEOUT).await
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        patience: Duration,
    ) -> Result<T, AskError> {
        let response = self.send(method, path, body, patience).await?;
        self.read(response, path).await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        response: Response<Incoming>,
        path: &str,
    ) -> Result<T, AskError> {
        let body = self.whole(response).await?;
        serde_json::from_slice(&body).map_err(|error| AskError::Unreadable {
            address: self.address.clone(),
            path: path.to_owned(),
            reason: error.to_string(),
        })
    }

    /// The response to a request, if it is a success.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        patience: Duration,
    ) -> Result<Response<Incoming>, AskError> {
        self.send_with(method, path, body, patience, &[]).await
    }

    /// The same, with more header fields.
    async fn send_with(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        patience: Duration,
        fields: &[(&'static str, Option<&str>)],
    ) -> Result<Response<Incoming>, AskError> {
        let address = || self.address.clone();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.authority())
            .header(header::AUTHORIZATION, self.token.as_header())
            .header(header::CONTENT_LENGTH, body.len())
            // Any text but control characters, of which the command line has taken care.
            .header(USER, self.user.as_bytes());
        for (name, value) in fields.iter().filter_map(|(name, value)| Some((*name, (*value)?))) {
            request = request.header(name, value.as_bytes());
        }
        // The path and the rest are made of checked names.
        let Ok(request) = request.body(Full::new(body)) else { return Err(AskError::Token) };
        let connect = timeout(CONNECT_TIMEOUT, TcpStream::connect(self.address.authority()));
        let socket = connect
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
            .map_err(|reason| AskError::Unreachable { address: address(), reason })?;
        let broken = |reason| AskError::Broken { address: address(), reason };
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(socket)).await.map_err(broken)?;
        self.connections.spawn("admin client", async move {
            // An error of the connection is reported where the answer is awaited.
            drop(connection.await);
        });
        let response = timeout(patience, sender.send_request(request))
            .await
            .map_err(|_| AskError::Silent { address: address(), patience })?
            .map_err(broken)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let problem = self.problem(response, path).await?;
        Err(AskError::Refused { address: address(), status, problem })
    }

    async fn problem(&self, response: Response<Incoming>, path: &str) -> Result<Problem, AskError> {
        let status = response.status();
        let body = self.whole(response).await?;
        let named = |problem: &Problem| !problem.detail.is_empty() || !problem.title.is_empty();
        match serde_json::from_slice(&body).ok().filter(named) {
            Some(problem) => Ok(problem),
            // A proxy before the host may answer so.
            None if status.is_server_error() => Ok(Problem::of(status, &body)),
            None => Err(AskError::NotAdmin {
                address: self.address.clone(),
                path: path.to_owned(),
                status,
            }),
        }
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<Bytes, AskError> {
        let address = || self.address.clone();
        let body =
            timeout(ANSWER_TIMEOUT, Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect());
        let body = body
            .await
            .map_err(|_| AskError::Silent { address: address(), patience: ANSWER_TIMEOUT })?;
        body.map(|body| body.to_bytes()).map_err(|error| AskError::Unreadable {
            address: address(),
            path: "its answer".to_owned(),
            reason: error.to_string(),
        })
    }
}

/// A text within a path or a query.
fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}
