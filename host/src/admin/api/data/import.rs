//! Writes lines of an export.

#![expect(unused_qualifications, reason = "utoipa names queries in full")]

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::{IntoParams, ToSchema};

use super::{NewValue, change::commit, contents::even_null, quota};
use crate::{
    admin::api::{
        Answer, Call,
        body::{self, Lines},
        json,
        modules::Rest,
        problem::Problem,
        read,
    },
    capability::store::{Key, Transaction},
};

/// Lines of a commit, at most.
const LINES_MAX: usize = 1_000;
/// A commit ends with the line that brings it to so many bytes.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;

/// A line of an import: a key, and its value as in a request for one value.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Line {
    key: String,
    integer: Option<i64>,
    base64: Option<String>,
    #[serde(deserialize_with = "even_null")]
    json: Option<Json>,
    schema: Option<u32>,
    ttl: Option<String>,
}

impl Line {
    /// Returns the key of a line, and its value.
    fn parts(self) -> (String, NewValue) {
        let Self { key, integer, base64, json, schema, ttl } = self;
        (key, NewValue { integer, base64, json, schema, ttl })
    }
}

/// The query of an import.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct ImportQuery {
    /// Lines that other requests have sent before: a refusal counts on from them.
    #[param(maximum = 1_000_000_000)]
    before: u32,
}

/// The result of an import.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct Imported {
    /// Lines that were written.
    lines: usize,
}

/// Writes the lines of an export. Other keys stay. Each 1,000 lines are one commit: after a refusal those
/// before it are written.
#[utoipa::path(post, path = "/api/v1/modules/{name}/data/import", tag = "data",
    params(ImportQuery, ("name" = String, Path, description = "The module; it need not be deployed yet")),
    request_body(content = String, content_type = "application/jsonl", description = "One object of JSON a line, as an export has it"),
    responses(
        (status = 200, description = "All is written", body = Imported),
        (status = 400, description = "No name, or a line is not JSON", body = Problem),
        (status = 408, description = "The body comes too slowly", body = Problem),
        (status = 409, description = "Values changed meanwhile", body = Problem),
        (status = 413, description = "A line is too large", body = Problem),
        (status = 422, description = "A line is not a key with a value", body = Problem),
        (status = 500, description = "The store is damaged", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
        (status = 507, description = "The module may not keep more", body = Problem),
    ),
)]
pub(in super::super) async fn import(call: Call) -> Result<Answer, Box<Problem>> {
    let name = call.module()?;
    let (rest, quota) = (Rest::of(&call, "data-import", name.clone()), quota(&call, &name));
    let ImportQuery { before } = read::parse(&call.query)?;
    let store = Arc::clone(&call.state.data);
    let begin = || Transaction::new(Arc::clone(&store), name.clone());
    let mut lines = Lines::new(call.body);
    let before = before as usize;
    let (mut written, mut read, mut bytes) = (before, before, 0);
    let mut transaction = begin();
    loop {
        let next = lines.next().await.map_err(|problem| told(problem, read + 1, written))?;
        let is_end = next.is_none();
        if let Some(line) = next {
            read += 1;
            bytes += line.len();
            add(&mut transaction, &line).map_err(|problem| told(problem, read, written))?;
        }
        if (is_end && read > written) || read - written >= LINES_MAX || bytes >= COMMIT_BYTES {
            let work = commit(std::mem::replace(&mut transaction, begin()), quota);
            rest.finish(work).await.map_err(|problem| told(problem, read, written))?;
            (written, bytes) = (read, 0);
        }
        if is_end {
            rest.audit(None, None);
            return Ok(json(StatusCode::OK, &Imported { lines: written - before }));
        }
    }
}

/// Adds a line to a commit. An empty one says nothing.
fn add(transaction: &mut Transaction, line: &Bytes) -> Result<(), Box<Problem>> {
    if line.trim_ascii().is_empty() {
        return Ok(());
    }
    let (key, new) = body::parse::<Line>(line, "value")?.parts();
    let schema = new.schema.unwrap_or(0);
    let (value, time_to_live) = new.read(schema)?;
    Ok(transaction.set(Key::parse(&key)?, value, time_to_live)?)
}

/// Says where an import ended, and how much of it is written.
fn told(problem: Box<Problem>, line: usize, written: usize) -> Box<Problem> {
    let there = match written {
        0 => "nothing is written".to_owned(),
        lines => format!("lines 1 to {lines} are written"),
    };
    problem.at(&format!("line {line}"), &there)
}
