//! The admin API, version 1: JSON below `/api/v1`, for holders of a token.
//!
//! `OPERATIONS` lists the operations with their roles; a test compares it with the OpenAPI document.

mod admission;
mod answer;
mod body;
mod connections;
mod data;
mod dead_letters;
mod members;
mod messages;
mod modules;
mod once;
mod openapi;
mod operations;
mod paging;
mod problem;
mod read;
mod settings;
mod stream;
mod timers;
mod tokens;
mod types;

use std::{net::SocketAddr, sync::Arc};

use hyper::{HeaderMap, Request, StatusCode, body::Incoming};
use tokio::sync::Semaphore;

pub(super) use self::{
    answer::{Answer, full},
    operations::PREFIX,
};
use self::{
    answer::{JSON, empty, json},
    operations::{Operation, Reach, resolve},
    problem::Problem,
};
use super::{State, access::Holder};
use crate::{
    message::{ChannelName, GroupName, ModuleName},
    registry::{DeployError, SIGNATURE_BYTES_MAX},
    shutdown::Drain,
};

/// Streams of records at the same time, at most.
const RECORD_STREAMS_MAX: usize = 32;
/// Exports of data at the same time, at most. Redis holds a copy for each.
const EXPORTS_MAX: usize = 4;
/// The header field with the name of the user. It is not checked: what is sure is the name of the token.
const USER_FIELD: &str = "x-tidegate-user";
/// The header field with a note for the history.
const NOTE_FIELD: &str = "x-tidegate-note";
/// The header field with the registry that a file came from.
const SOURCE_FIELD: &str = "x-tidegate-source";
/// The header field with the signature of a file: the base64 of its .minisig.
const SIGNATURE_FIELD: &str = "x-tidegate-signature";
/// Characters that are kept of a user and a note.
const FIELD_CHARACTERS_MAX: usize = 200;
/// The longest place of a file that is kept, in bytes: a registry, a name of 255 characters and a digest.
const SOURCE_BYTES_MAX: usize = 600;

/// The state of the API between requests: wrong tokens, open streams of records, and exports.
#[derive(Debug)]
pub struct Api {
    /// The right token always passes: it has 256 bits, and its holder must not be locked out by others.
    failures: admission::Failures,
    streams: Arc<Semaphore>,
    exports: Arc<Semaphore>,
}

impl Default for Api {
    fn default() -> Self {
        let streams = Arc::new(Semaphore::new(RECORD_STREAMS_MAX));
        let exports = Arc::new(Semaphore::new(EXPORTS_MAX));
        Self { failures: admission::Failures::default(), streams, exports }
    }
}

/// One request that may be answered.
#[derive(Debug)]
struct Call {
    state: Arc<State>,
    tasks: Drain,
    peer: SocketAddr,
    holder: Holder,
    /// The values of `{name}` and `{version}`.
    params: Vec<String>,
    query: String,
    headers: HeaderMap,
    body: Incoming,
}

/// Answers a request below the prefix.
pub(super) async fn answer(
    state: Arc<State>,
    tasks: Drain,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Answer {
    match call(state, tasks, peer, request).await {
        Ok(answer) => answer,
        Err(problem) => problem.into_answer(),
    }
}

async fn call(
    state: Arc<State>,
    tasks: Drain,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Answer, Box<Problem>> {
    let (head, body) = request.into_parts();
    let found = resolve(&head.method, head.uri.path());
    if matches!(&found, Ok((row, _)) if row.operation == Operation::OpenApi) {
        return Ok(full(StatusCode::OK, JSON, openapi::document()));
    }
    let holder = admission::admit(&state, &head.headers, peer.ip()).await?;
    state.tokens.note_use(&holder, &tasks);
    let (row, params) = found?;
    let query = head.uri.query().unwrap_or_default().to_owned();
    let headers = head.headers;
    let call = Call { state, tasks, peer, holder, params, query, headers, body };
    admission::allow(&call.holder, row)?;
    if row.reach == Reach::Module {
        call.covers(&call.module()?)?;
    }
    match row.operation {
        Operation::Activate => modules::activate(call).await,
        Operation::Close => connections::close(call).await,
        Operation::ConnectionClose => connections::close_one(&call).await,
        Operation::ConnectionShow => connections::show(&call).await,
        Operation::Connections => connections::list(&call).await,
        Operation::DataDelete => data::delete(call).await,
        Operation::DataExport => {
            let answer = data::export(&call).await?;
            Ok(admission::until_revoked(answer, &call))
        }
        Operation::DataGet => data::get(&call).await,
        Operation::DataImport => data::import(call).await,
        Operation::DataList => data::list(&call).await,
        Operation::DataSet => data::set(call).await,
        Operation::DataUsage => data::usage(&call).await,
        Operation::DeadLetterChannels => dead_letters::channels(&call).await,
        Operation::DeadLetterDrop => dead_letters::drop_one(&call).await,
        Operation::DeadLetterList => dead_letters::list(&call).await,
        Operation::DeadLetterRun => dead_letters::run(&call).await,
        Operation::DeadLetterShow => dead_letters::show(&call).await,
        Operation::DeadLettersDrop => dead_letters::drop_all(&call).await,
        Operation::DeadLettersRun => dead_letters::run_all(&call).await,
        Operation::Delayed => timers::list(&call).await,
        Operation::DelayedCancel => timers::cancel(&call).await,
        Operation::Delete => modules::delete(call).await,
        Operation::DeleteVersion => modules::delete_version(call).await,
        Operation::Deploy => modules::deploy(call).await,
        Operation::Drain => Ok(read::drain(&call)),
        Operation::GroupMembers => members::list(&call).await,
        Operation::GroupSend => messages::group_send(call).await,
        Operation::Layer => read::layer(&call).await,
        Operation::List => Ok(modules::list(&call)),
        Operation::Nodes => Ok(read::nodes(&call)),
        Operation::OpenApi => Ok(full(StatusCode::OK, JSON, openapi::document())),
        Operation::Patch => settings::patch(call).await,
        Operation::Records => read::records(&call),
        Operation::Rollback => modules::rollback(call).await,
        Operation::Routes => Ok(modules::routes(&call)),
        Operation::Send => messages::send(call).await,
        Operation::Set => settings::set(call).await,
        Operation::Settings => settings::get(&call),
        Operation::Show => modules::show(&call),
        Operation::Stream => {
            let answer = stream::records(&call)?;
            Ok(admission::until_revoked(answer, &call))
        }
        Operation::Token => Ok(tokens::own(&call)),
        Operation::TokenCreate => tokens::create(call).await,
        Operation::TokenList => tokens::list(&call).await,
        Operation::TokenRevoke => tokens::revoke(&call).await,
    }
}

/// Does work to its end, even if the client has left. No `async fn`: the future of a deployment is large, and would be
/// in this one, too.
fn finish<T: Send + 'static, E: Into<Box<Problem>> + Send + 'static>(
    tasks: &Drain,
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> impl Future<Output = Result<T, Box<Problem>>> + Send {
    let done = tasks.spawn("change", work);
    async move {
        let broken = |_| {
            let text = "the host failed in the middle; its log says how";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "host", text)
        };
        done.await.map_err(broken)?.map_err(Into::into)
    }
}

impl Call {
    fn module(&self) -> Result<ModuleName, Box<Problem>> {
        let name = self.params.first().cloned().unwrap_or_default();
        let module = ModuleName::parse(&name);
        module.map_err(|error| DeployError::Name { name, error }.into())
    }

    fn version(&self) -> Result<u64, Box<Problem>> {
        let text = self.params.get(1).map(String::as_str).unwrap_or_default();
        let number = text.parse().ok().filter(|&number| number > 0);
        number.ok_or_else(|| {
            let text = format!("{text:?} is not a valid version; versions are numbers from 1");
            Problem::bad("version", text)
        })
    }

    /// A header field that goes into logs and histories: cut, and in one line.
    fn said(&self, name: &str) -> Option<String> {
        self.line(name, FIELD_CHARACTERS_MAX)
    }

    fn line(&self, name: &str, characters: usize) -> Option<String> {
        let value = str::from_utf8(self.headers.get(name)?.as_bytes()).ok()?.trim();
        let kept: String = value.chars().filter(|c| !c.is_control()).take(characters).collect();
        (!kept.is_empty()).then_some(kept)
    }

    /// Where the file comes from. It is kept as it is or not at all: a part of a digest names nothing.
    fn source(&self) -> Result<Option<String>, Box<Problem>> {
        match self.headers.get(SOURCE_FIELD) {
            Some(field) if field.len() > SOURCE_BYTES_MAX => {
                let text = format!(
                    "the header field {SOURCE_FIELD} has {} bytes; at most {SOURCE_BYTES_MAX} are kept",
                    field.len()
                );
                Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "source", text))
            }
            _ => Ok(self.line(SOURCE_FIELD, SOURCE_BYTES_MAX)),
        }
    }

    /// The signature of the file: a whole .minisig, which has several lines.
    fn signature(&self) -> Result<Option<String>, Box<Problem>> {
        let Some(field) = self.headers.get(SIGNATURE_FIELD) else { return Ok(None) };
        let is_short = field.len() <= data_encoding::BASE64.encode_len(SIGNATURE_BYTES_MAX);
        let bytes = is_short.then(|| data_encoding::BASE64.decode(field.as_bytes()).ok()).flatten();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        text.map(Some).ok_or_else(|| {
            let text = format!(
                "the header field {SIGNATURE_FIELD} is not the base64 of a .minisig file of at most \
                 {SIGNATURE_BYTES_MAX} bytes"
            );
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "signature-form", text)
        })
    }

    /// The name of the operator, by their own account, or else by the name of the token.
    fn who(&self) -> String {
        let token = || self.holder.token().map(ToString::to_string);
        self.said(USER_FIELD).or_else(token).unwrap_or_else(|| "unknown".to_owned())
    }

    /// Refuses a token that does not cover a module.
    fn covers(&self, module: &ModuleName) -> Result<(), Box<Problem>> {
        if self.holder.covers(module) {
            return Ok(());
        }
        let text = format!(
            "the token is for the modules {}, and not for {module}; ask with another token",
            self.covered()
        );
        Err(Problem::new(StatusCode::FORBIDDEN, "module", text))
    }

    /// Whether the token covers the module that reads a channel.
    fn covers_channel(&self, channel: &ChannelName) -> bool {
        self.holder.modules().is_none() || {
            let modules = self.state.deployments.registry().snapshot();
            modules.owners.get(channel).is_some_and(|module| self.holder.covers(module))
        }
    }

    /// Refuses a channel that a limited token does not cover. Reply channels are of no module by their name.
    fn may_send_to(&self, channel: &ChannelName) -> Result<(), Box<Problem>> {
        if self.covers_channel(channel) {
            return Ok(());
        }
        let text = format!(
            "the token is for the channels of the modules {}, and not for {channel}; ask with another token",
            self.covered()
        );
        Err(Problem::new(StatusCode::FORBIDDEN, "module", text))
    }

    /// The group that the path names. Refuses those of the host, and those that a limited token does not cover.
    fn group(&self) -> Result<GroupName, Box<Problem>> {
        let name = self.params.first().map(String::as_str).unwrap_or_default();
        let group = GroupName::parse(name)
            .map_err(|error| Problem::bad("name", format!("{name:?} is not a group: {error}")))?;
        if group.is_reserved() {
            let text = format!("{group} is one of the host's own groups; name another group");
            return Err(Problem::new(StatusCode::FORBIDDEN, "reserved", text));
        }
        let Some(covered) = self.holder.modules() else { return Ok(group) };
        let names = covered.iter().filter_map(|name| ModuleName::parse(name).ok());
        if names.into_iter().any(|module| group.belongs_to(&module)) {
            return Ok(group);
        }
        let text = format!(
            "the token is for the groups of the modules {}, which begin with NAME., and not for \
             {group}; ask with another token",
            self.covered()
        );
        Err(Problem::new(StatusCode::FORBIDDEN, "module", text))
    }

    /// The modules of a limited token, in words.
    fn covered(&self) -> String {
        self.holder.modules().unwrap_or_default().join(", ")
    }

    fn audit(&self) -> Audit {
        let token = self.holder.token().map_or("admin-token", |name| name.as_str()).to_owned();
        Audit { who: self.who(), token, peer: self.peer }
    }
}

/// The operator who changes something, for the audit line.
#[derive(Clone, Debug)]
struct Audit {
    who: String,
    token: String,
    peer: SocketAddr,
}

impl Audit {
    /// The line of what is not a change of a module.
    fn line(&self, action: &'static str, subject: &str) {
        let Self { who, token, peer } = self;
        tracing::info!(
            target: "tidegate::audit",
            who, token, action, subject, from = %peer,
            "changed"
        );
    }
}
