//! Reads the state of the process, and takes the request to stop.

#![expect(unused_qualifications, reason = "utoipa names queries in full")]

use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    Answer, Call, full, json, paging,
    problem::Problem,
    types::{ChannelDepth, LayerDepth, Node, NodeList, Record, RecordList},
};
use crate::{
    engine::Fault,
    layer::LayerError,
    message::ModuleName,
    worker::{Filter, RecordOutcome},
};

/// Records in an answer to a request without `limit`.
const RECORDS_DEFAULT: usize = 100;
/// The highest `limit`: as many records as are kept.
const RECORDS_MAX: usize = 1_000;

/// How full the channel layer is.
#[utoipa::path(get, path = "/api/v1/layer", tag = "process", responses(
    (status = 200, description = "Channels with messages, the fullest first", body = LayerDepth),
    (status = 503, description = "The layer cannot be reached", body = Problem,
        content_type = "application/problem+json"),
))]
pub(super) async fn layer(call: &Call) -> Result<Answer, Box<Problem>> {
    let unavailable = |error: LayerError| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "layer", error.to_string())
    };
    let statistics = call.state.layer.statistics().await.map_err(unavailable)?;
    let depth = |(channel, (depth, oldest)): (_, (usize, Duration))| ChannelDepth {
        channel: crate::message::ChannelName::to_string(&channel),
        depth,
        oldest_ms: u64::try_from(oldest.as_millis()).unwrap_or(u64::MAX),
    };
    let covered = statistics.channels.into_iter().filter(|(it, _)| call.covers_channel(it));
    let mut channels: Vec<_> = covered.map(depth).collect();
    channels.sort_by(|a, b| b.depth.cmp(&a.depth).then_with(|| a.channel.cmp(&b.channel)));
    let (groups, delayed) = (statistics.groups, statistics.delayed);
    Ok(json(StatusCode::OK, &LayerDepth { channels, groups, delayed }))
}

/// The processes that share a channel layer.
#[utoipa::path(get, path = "/api/v1/nodes", tag = "process", responses(
    (status = 200, description = "All nodes", body = NodeList),
))]
pub(super) fn nodes(call: &Call) -> Answer {
    let mut nodes: Vec<_> = call.state.fleet.nodes().into_iter().map(Node::from).collect();
    if let Some(covered) = call.holder.modules() {
        for node in &mut nodes {
            node.modules.retain(|module| covered.contains(&module.name));
            node.preparing.retain(|file| covered.contains(&file.module));
        }
    }
    json(StatusCode::OK, &NodeList { nodes })
}

/// Selects records.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct RecordQuery {
    /// Those of a module.
    module: Option<String>,
    /// Those that ended in a way: `ok`, `gone`, or a kind of fault.
    outcome: Option<String>,
    /// Those that began then or later.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Those that began then or earlier.
    #[param(format = DateTime)]
    until: Option<String>,
    /// Those with the id that a client or a log line has.
    correlation_id: Option<String>,
    /// At most so many, 100 if it is not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Records of past invocations, newest first.
#[utoipa::path(get, path = "/api/v1/records", tag = "records", params(RecordQuery), responses(
    (status = 200, description = "The records", body = RecordList),
    (status = 400, description = "The filter is not valid", body = Problem),
    (status = 404, description = "No such module", body = Problem),
    (status = 422, description = "No run ends with this outcome", body = Problem),
))]
pub(super) fn records(call: &Call) -> Result<Answer, Box<Problem>> {
    let query: RecordQuery = parse(&call.query)?;
    let most = paging::limit_within(query.limit, RECORDS_DEFAULT, RECORDS_MAX)?;
    let mut filter = filter(query)?;
    if let Some(module) = &filter.module {
        call.covers(module)?;
        known(call, module)?;
    }
    filter.covered = call.holder.modules().map(<[String]>::to_vec);
    let found = call.state.records.search(&filter, most);
    let records = found.iter().map(|record| Record::from(&**record)).collect();
    Ok(json(StatusCode::OK, &RecordList { records }))
}

pub(super) fn parse<T: for<'de> Deserialize<'de>>(query: &str) -> Result<T, Box<Problem>> {
    serde_html_form::from_str(query)
        .map_err(|error| Problem::bad("query", crate::setting::with_suggestion(&error.to_string())))
}

/// Refuses the name of a module that is not there and has left no records.
fn known(call: &Call, module: &ModuleName) -> Result<(), Box<Problem>> {
    let of_module = Filter { module: Some(module.clone()), ..Filter::default() };
    if call.state.records.search(&of_module, 1).is_empty() {
        call.state.deployments.written(module)?;
    }
    Ok(())
}

fn outcome(word: String) -> Result<String, Box<Problem>> {
    let others = [RecordOutcome::Ok.word(), RecordOutcome::Gone.word()];
    if others.contains(&word.as_str()) || Fault::KINDS.contains(&word.as_str()) {
        return Ok(word);
    }
    let words = others.iter().chain(&Fault::KINDS).copied().collect::<Vec<_>>().join(", ");
    let text = format!("no run ends with the outcome {word:?}; they are {words}");
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "outcome", text))
}

fn filter(query: RecordQuery) -> Result<Filter, Box<Problem>> {
    let RecordQuery { module, outcome, since, until, correlation_id, .. } = query;
    Ok(Filter {
        module: module.map(|name| module_name(&name)).transpose()?,
        outcome: outcome.map(self::outcome).transpose()?,
        since: since.map(|text| moment("since", &text)).transpose()?,
        until: until.map(|text| moment("until", &text)).transpose()?,
        correlation: correlation_id.map(|id| id.replace('-', "").to_ascii_lowercase()),
        covered: None,
    })
}

pub(super) fn module_name(name: &str) -> Result<ModuleName, Box<Problem>> {
    ModuleName::parse(name).map_err(|error| {
        Problem::bad("name", format!("{name:?} is not a valid module name: {error}"))
    })
}

/// RFC 3339, with any offset.
fn moment(field: &str, text: &str) -> Result<SystemTime, Box<Problem>> {
    let wrong = || {
        let text = format!("`{field}` is {text:?}; write a time such as 2026-01-31T12:00:00Z");
        Problem::bad("time", text)
    };
    // A plus that is not encoded is a space in a query.
    let text = text.replace(' ', "+").to_ascii_uppercase();
    // Times before 1970 cannot be written here, and have no records: a leap year replaces them.
    if let Some((year, rest)) = text.split_at_checked(4)
        && year.parse().is_ok_and(|year: u16| year < 1970)
    {
        return moment(field, &format!("1972{rest}")).map(|_| SystemTime::UNIX_EPOCH);
    }
    if text.ends_with('Z') {
        return humantime::parse_rfc3339(&text).map_err(|_| wrong());
    }
    let (local, offset) = text.split_at_checked(text.len().saturating_sub(6)).ok_or_else(wrong)?;
    let (sign, offset) = offset.split_at_checked(1).ok_or_else(wrong)?;
    let (hours, minutes) = offset.split_once(':').ok_or_else(wrong)?;
    let (hours, minutes): (u64, u64) =
        hours.parse().ok().zip(minutes.parse().ok()).ok_or_else(wrong)?;
    let offset = Duration::from_secs(hours * 3_600 + minutes * 60);
    let local = humantime::parse_rfc3339(&format!("{local}Z")).map_err(|_| wrong())?;
    match sign {
        "+" => local.checked_sub(offset).ok_or_else(wrong),
        "-" => local.checked_add(offset).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

/// Stops the process as SIGTERM does.
#[utoipa::path(post, path = "/api/v1/drain", tag = "process", responses(
    (status = 202, description = "It stops"),
))]
pub(super) fn drain(call: &Call) -> Answer {
    call.audit().line("drain", "the process");
    call.state.asked.stop();
    full(StatusCode::ACCEPTED, "text/plain; charset=utf-8", "draining\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_may_have_an_offset() {
        let utc = moment("since", "2026-01-31T12:00:00Z").unwrap();
        for same in [
            "2026-01-31T14:00:00+02:00",
            "2026-01-31T14:00:00 02:00",
            "2026-01-31T08:30:00.0-03:30",
        ] {
            assert_eq!(moment("since", same).unwrap(), utc, "{same}");
        }
        assert_eq!(moment("since", "0284-02-29T00:00:00Z").unwrap(), SystemTime::UNIX_EPOCH);
        for wrong in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-31T12:00:00", "é+00:00"] {
            assert!(moment("since", wrong).is_err(), "{wrong}");
        }
    }
}
