//! Connections of all processes: looked at, and closed.
//!
//! Each live process is asked for its own. The list goes by the names of the processes, then by those of the
//! connections, so that a page asks for connections where it has some only.

#![expect(unused_qualifications, reason = "utoipa names queries in full")]

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::future::join_all;
use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Answer, Call, body, finish, json, paging, problem::Problem, read, types::Moment};
use crate::{
    admin::State,
    interface::{self, ClientClose, ConnectionFacts, Question, Selection},
    layer::Unanswered,
    message::{ChannelName, Close, GroupName, ModuleName, NodeName},
    registry::store::NodeReport,
};

/// How long a process has for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest id of a user, in characters.
const USER_CHARACTERS_MAX: usize = 256;
/// The longest reason of a close frame, in bytes.
const REASON_BYTES_MAX: usize = 123;
/// The close code without one: clients that come back by themselves do not.
const CODE_DEFAULT: u16 = 1000;

/// A connection.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Connection {
    /// Its reply channel. Who knows it can send to the client.
    connection: String,
    module: String,
    consumer: String,
    /// `http` or `websocket`.
    protocol: String,
    /// The path, without the query.
    path: String,
    /// Address and port of the client.
    client: String,
    /// The id of the user, where the route asks for one.
    user: Option<String>,
    /// The records of its events have the same.
    correlation_id: String,
    #[schema(value_type = String, format = DateTime)]
    since: Moment,
    /// Bytes that wait for the client.
    unsent_bytes: u64,
    /// Its groups, where one connection is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<String>>,
}

impl From<ConnectionFacts> for Connection {
    fn from(facts: ConnectionFacts) -> Self {
        let ConnectionFacts { connection, module, consumer, protocol, path, client, .. } = facts;
        let ConnectionFacts { user, correlation_id, since_ms, unsent_bytes, groups, .. } = facts;
        let since = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(since_ms));
        let since = Moment(since.unwrap_or(SystemTime::UNIX_EPOCH));
        Self {
            connection,
            module,
            consumer,
            protocol,
            path,
            client,
            user,
            correlation_id,
            since,
            unsent_bytes,
            groups,
        }
    }
}

/// A process that did not answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Silent {
    node: String,
    reason: String,
}

/// Some connections.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectionPage {
    /// By process, then by name.
    connections: Vec<Connection>,
    /// How many there are in all.
    total: u64,
    /// Processes that did not answer: their connections are missing.
    unanswered: Vec<Silent>,
    /// Give it as `cursor` for what follows. Without it: this is the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// Connections that are being closed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Closing {
    /// How many. They are closed at the pace of a drain.
    closing: u64,
    /// Processes that did not answer: whether they close theirs is not known.
    unanswered: Vec<Silent>,
}

/// Selects connections: those for which all holds that is given.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct ConnectionQuery {
    /// Those of a module.
    module: Option<String>,
    /// Members of a group.
    group: Option<String>,
    /// Those of a user, by its id.
    #[param(min_length = 1, max_length = 256)]
    user: Option<String>,
    /// Those of a protocol.
    #[param(inline)]
    protocol: Option<Protocol>,
    /// Those that follow another page.
    cursor: Option<String>,
    /// At most so many, 100 if it is not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Protocol {
    /// Requests that are not answered to their end.
    Http,
    /// WebSockets.
    Websocket,
}

/// Selects the connections to close, by at least one of `module`, `group` and `user`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ToClose {
    /// Those of a module.
    #[serde(default)]
    module: Option<String>,
    /// Members of a group.
    #[serde(default)]
    group: Option<String>,
    /// Those of a user, by its id.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 256)]
    user: Option<String>,
    /// Without it: WebSockets. `http`: requests, which get a 503, and streams, which end.
    #[serde(default)]
    #[schema(inline)]
    protocol: Option<Protocol>,
    #[serde(default)]
    #[schema(minimum = 1000, maximum = 4999)]
    code: Option<u16>,
    #[serde(default)]
    #[schema(max_length = 123)]
    reason: Option<String>,
}

/// How a connection is closed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct CloseQuery {
    /// The close code: 1000, or 3000 to 4999. Without it: 1000.
    #[param(minimum = 1000, maximum = 4999)]
    code: Option<u16>,
    /// The reason in the close frame.
    #[param(max_length = 123)]
    reason: Option<String>,
}

/// Connections of all processes.
#[utoipa::path(get, path = "/api/v1/connections", tag = "connections", params(ConnectionQuery), responses(
    (status = 200, description = "A page", body = ConnectionPage),
    (status = 400, description = "The query is not valid", body = Problem),
))]
pub(super) async fn list(call: &Call) -> Result<Answer, Box<Problem>> {
    let query: ConnectionQuery = read::parse(&call.query)?;
    let ConnectionQuery { module, group, user, protocol, cursor, limit } = query;
    let limit = paging::limit(limit)?;
    let asker = Asker::of(call);
    let of = asker.selection((module, group, user), protocol)?;
    let from = cursor.map(|cursor| {
        let place = ChannelName::parse(&cursor).ok().and_then(|channel| channel.connection());
        place.ok_or_else(|| {
            let text = format!("{cursor:?} is not a cursor; give the one of the page before");
            Problem::bad("cursor", text)
        })
    });
    let from = from.transpose()?;
    let (answers, mut unanswered) = asker.ask_all(&Question::Count { of: of.clone() }).await;
    let (mut total, mut found) = (0, Vec::new());
    for (node, answer) in answers {
        let interface::Answer::Count { total: here } = answer else { continue };
        total += here;
        let after = match &from {
            Some((place, _)) if *place > node => continue,
            Some((place, local)) if *place == node => Some(local.to_string()),
            _ => None,
        };
        // One more than is shown says whether there are more.
        let room = (limit + 1).saturating_sub(found.len());
        if here == 0 || room == 0 {
            continue;
        }
        let question = Question::List { of: of.clone(), after, limit: room };
        match asker.ask(&node, &question).await {
            Ok(interface::Answer::List { connections }) => found.extend(connections),
            Ok(answer) => unanswered.push(misunderstood(&node, &answer)),
            Err(reason) => unanswered.push(Silent::new(&node, &reason.to_string())),
        }
    }
    let has_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| has_more);
    let cursor = last.map(|last: &ConnectionFacts| last.connection.clone());
    let connections = found.into_iter().map(Connection::from).collect();
    Ok(json(StatusCode::OK, &ConnectionPage { connections, total, unanswered, cursor }))
}

/// One connection, with its groups.
#[utoipa::path(get, path = "/api/v1/connections/{connection}", tag = "connections",
    params(("connection" = String, Path, description = "Its reply channel")),
    responses(
        (status = 200, description = "The connection", body = Connection),
        (status = 400, description = "Not a reply channel", body = Problem),
        (status = 404, description = "It is gone", body = Problem),
        (status = 503, description = "Its process does not answer", body = Problem),
    ),
)]
pub(super) async fn show(call: &Call) -> Result<Answer, Box<Problem>> {
    let (asker, (channel, node)) = (Asker::of(call), named(call)?);
    let of = asker.selection((None, None, None), None)?;
    let question = Question::Show { of, connection: channel.to_string() };
    match asker.ask_one(&channel, &node, &question).await? {
        interface::Answer::Show { connection: Some(facts) } => {
            Ok(json(StatusCode::OK, &Connection::from(*facts)))
        }
        _ => Err(gone(&channel)),
    }
}

/// Closes one connection.
#[utoipa::path(delete, path = "/api/v1/connections/{connection}", tag = "connections",
    params(CloseQuery, ("connection" = String, Path, description = "Its reply channel")),
    responses(
        (status = 202, description = "It is being closed", body = Closing),
        (status = 400, description = "Not a reply channel, or the query is not valid", body = Problem),
        (status = 404, description = "It is gone", body = Problem),
        (status = 422, description = "A code or a reason that cannot be sent", body = Problem),
        (status = 503, description = "Its process does not answer", body = Problem),
    ),
)]
pub(super) async fn close_one(call: &Call) -> Result<Answer, Box<Problem>> {
    let (asker, (channel, node)) = (Asker::of(call), named(call)?);
    let CloseQuery { code, reason } = read::parse(&call.query)?;
    let (close, audit) = (closing(code, reason)?, call.audit());
    let of = asker.selection((None, None, None), None)?;
    let question = Question::Close { of, connection: Some(channel.to_string()), close };
    finish(&call.tasks, async move {
        match asker.ask_one(&channel, &node, &question).await? {
            interface::Answer::Closing { connections: closing @ 1.. } => {
                audit.line("close", channel.as_str());
                Ok(json(StatusCode::ACCEPTED, &Closing { closing, unanswered: Vec::new() }))
            }
            _ => Err(gone(&channel)),
        }
    })
    .await
}

/// Closes connections of a module, a group or a user, in all processes.
#[utoipa::path(post, path = "/api/v1/connections/close", tag = "connections",
    request_body = ToClose,
    responses(
        (status = 202, description = "They are being closed", body = Closing),
        (status = 400, description = "No JSON, or the body was cut off", body = Problem),
        (status = 408, description = "The body comes too slowly", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "No selection, or a code or a reason that cannot be sent", body = Problem),
    ),
)]
pub(super) async fn close(call: Call) -> Result<Answer, Box<Problem>> {
    let (asker, audit, tasks) = (Asker::of(&call), call.audit(), call.tasks.clone());
    let to_close: ToClose = body::json(&call.headers, call.body, "close").await?;
    let ToClose { module, group, user, protocol, code, reason } = to_close;
    if module.is_none() && group.is_none() && user.is_none() {
        let text = "nothing selects the connections; give `module`, `group` or `user`";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "close", text));
    }
    let subject = [("module", &module), ("group", &group), ("user", &user)];
    let subject = subject
        .iter()
        .filter_map(|(word, value)| value.as_ref().map(|value| format!("{word} {value}")));
    let subject = subject.collect::<Vec<_>>().join(", ");
    let protocol = protocol.unwrap_or(Protocol::Websocket);
    let of = asker.selection((module, group, user), Some(protocol))?;
    let close = closing(code, reason)?;
    finish(&tasks, async move {
        let question = Question::Close { of, connection: None, close };
        let (answers, unanswered) = asker.ask_all(&question).await;
        let closing = answers.iter().map(|(_, answer)| match answer {
            interface::Answer::Closing { connections } => *connections,
            _ => 0,
        });
        let closing = closing.sum();
        audit.line("close", &format!("{subject}: {closing} connections"));
        Ok::<_, Box<Problem>>(json(StatusCode::ACCEPTED, &Closing { closing, unanswered }))
    })
    .await
}

/// Asks processes about their connections, for a token.
struct Asker {
    state: Arc<State>,
    /// The modules that the token is limited to.
    covered: Option<Vec<String>>,
}

impl Asker {
    fn of(call: &Call) -> Self {
        let covered = call.holder.modules().map(<[String]>::to_vec);
        Self { state: Arc::clone(&call.state), covered }
    }

    /// Checks names, and that the token covers the module.
    fn selection(
        &self,
        (module, group, user): (Option<String>, Option<String>, Option<String>),
        protocol: Option<Protocol>,
    ) -> Result<Selection, Box<Problem>> {
        if let Some(name) = &module {
            let module: ModuleName = read::module_name(name)?;
            let is_covered = |all: &Vec<String>| all.iter().any(|it| it == module.as_str());
            if !self.covered.as_ref().is_none_or(is_covered) {
                let text =
                    format!("the token is not for the module {module}; ask with another token");
                return Err(Problem::new(StatusCode::FORBIDDEN, "module", text));
            }
        }
        if let Some(name) = &group {
            GroupName::parse(name).map_err(|error| {
                Problem::bad("name", format!("{name:?} is not a group: {error}"))
            })?;
        }
        if let Some(id) = &user
            && !(1..=USER_CHARACTERS_MAX).contains(&id.chars().count())
        {
            let text = format!("`user` is the id of a user, 1 to {USER_CHARACTERS_MAX} characters");
            return Err(Problem::bad("user", text));
        }
        let protocol = protocol.map(|protocol| match protocol {
            Protocol::Http => "http".to_owned(),
            Protocol::Websocket => "websocket".to_owned(),
        });
        Ok(Selection { module, group, user, protocol, covered: self.covered.clone() })
    }

    async fn ask(
        &self,
        node: &NodeName,
        question: &Question,
    ) -> Result<interface::Answer, Unanswered> {
        let answer = self.state.layer.ask(node, question.seal(), ANSWER_TIMEOUT).await?;
        interface::Answer::open(&answer)
            .map_err(|error| Unanswered::Layer(crate::layer::LayerError::Defect(error.to_string())))
    }

    /// Asks all processes with connections at the same time. Returns their answers, by name, and who did not answer.
    async fn ask_all(
        &self,
        question: &Question,
    ) -> (Vec<(NodeName, interface::Answer)>, Vec<Silent>) {
        let reports = self.state.fleet.nodes_now().await;
        let asked =
            reports.iter().filter_map(|report| Some((NodeName::parse(&report.node).ok()?, report)));
        let asked = asked.map(|(node, report)| async move {
            let answer = match report.questions {
                Some(_) => self.ask(&node, question).await.map_err(|error| error.to_string()),
                None => Err("it is of an earlier release, which cannot be asked".to_owned()),
            };
            (node, report, answer)
        });
        let (mut answers, mut unanswered) = (Vec::new(), Vec::new());
        for (node, report, answer) in join_all(asked).await {
            match answer {
                Ok(interface::Answer::NotUnderstood { .. }) | Err(_) if !has_any(report) => {}
                Ok(answer @ interface::Answer::NotUnderstood { .. }) => {
                    unanswered.push(misunderstood(&node, &answer));
                }
                Ok(answer) => answers.push((node, answer)),
                Err(reason) => unanswered.push(Silent::new(&node, &reason)),
            }
        }
        answers.sort_by(|(a, _), (b, _)| a.cmp(b));
        (answers, unanswered)
    }

    /// Asks the process of a connection.
    async fn ask_one(
        &self,
        channel: &ChannelName,
        node: &NodeName,
        question: &Question,
    ) -> Result<interface::Answer, Box<Problem>> {
        match self.ask(node, question).await {
            Ok(answer) => Ok(answer),
            Err(Unanswered::Gone) => Err(gone(channel)),
            Err(error) => {
                let text = format!("the process {node} of the connection is not reached: {error}");
                Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unanswered", text))
            }
        }
    }
}

/// Whether a process serves connections, so that its silence means something: workers do not.
const fn has_any(report: &NodeReport) -> bool {
    report.questions.is_some() || report.connections > 0
}

impl Silent {
    fn new(node: &NodeName, reason: &str) -> Self {
        Self { node: node.to_string(), reason: reason.to_owned() }
    }
}

fn misunderstood(node: &NodeName, answer: &interface::Answer) -> Silent {
    match answer {
        interface::Answer::NotUnderstood { reason } => Silent::new(node, reason),
        _ => Silent::new(node, "its answer is to another question"),
    }
}

/// The reply channel in the path, and its node.
fn named(call: &Call) -> Result<(ChannelName, NodeName), Box<Problem>> {
    let name = call.params.first().map(String::as_str).unwrap_or_default();
    let channel = ChannelName::parse(name).ok();
    let found = channel.and_then(|channel| channel.connection().map(|(node, _)| (channel, node)));
    found.ok_or_else(|| {
        let text = format!(
            "{name:?} is not a reply channel, such as NODE!CONNECTION; take it from the list"
        );
        Problem::bad("name", text)
    })
}

fn closing(code: Option<u16>, reason: Option<String>) -> Result<ClientClose, Box<Problem>> {
    let (code, reason) = (code.unwrap_or(CODE_DEFAULT), reason.unwrap_or_default());
    let refused = |text| Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "close", text));
    if !Close::may_be_sent(code) {
        return refused(format!(
            "{code} cannot be sent as a close code; give 1000, or 3000 to 4999"
        ));
    }
    if reason.len() > REASON_BYTES_MAX {
        let bytes = reason.len();
        return refused(format!(
            "the reason has {bytes} bytes; a close frame has room for {REASON_BYTES_MAX}"
        ));
    }
    Ok(ClientClose { code, reason })
}

fn gone(channel: &ChannelName) -> Box<Problem> {
    let text = format!("the connection {channel} is gone, or is not one that the token covers");
    Problem::new(StatusCode::NOT_FOUND, "no-such-connection", text)
}
