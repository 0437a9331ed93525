//! Settings of a module.

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::{Map, Value};

use super::{Answer, Call, body, json, modules::Rest, problem::Problem};
use crate::registry::Written;

/// The settings of a module, as they were written.
#[utoipa::path(get, path = "/api/v1/modules/{name}/settings", tag = "settings",
    params(("name" = String, Path, description = "The module")),
    responses(
        (status = 200, description = "The settings that were written; the rest is as in tidegate.toml", body = Written),
        (status = 400, description = "No name", body = Problem),
        (status = 404, description = "No such module", body = Problem),
    ),
)]
pub(super) fn get(call: &Call) -> Result<Answer, Box<Problem>> {
    let name = call.module()?;
    Ok(json(StatusCode::OK, &call.state.deployments.written(&name)?))
}

/// Replaces all written settings of a module.
#[utoipa::path(put, path = "/api/v1/modules/{name}/settings", tag = "settings",
    params(("name" = String, Path, description = "The module")),
    request_body(content = Written, description = "`[modules.NAME]` of tidegate.toml as JSON, without `file`"),
    responses(
        (status = 200, description = "The settings hold now", body = Written),
        (status = 400, description = "No name or no JSON", body = Problem),
        (status = 404, description = "No such module", body = Problem),
        (status = 409, description = "The active version cannot live with them, or somebody else changes the module", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A setting is not valid", body = Problem),
        (status = 503, description = "Redis does not answer", body = Problem),
        (status = 507, description = "No room", body = Problem),
    ),
)]
pub(super) async fn set(call: Call) -> Result<Answer, Box<Problem>> {
    let name = call.module()?;
    let rest = Rest::of(&call, "settings", name.clone());
    let written: Written = body::json(&call.headers, call.body, "settings").await?;
    if written.file.is_some() {
        return Err(file_is_elsewhere());
    }
    let turn = call.state.deployments.turn(&name).await?;
    let deployments = Arc::clone(&call.state.deployments);
    let written = rest.finish(async move { deployments.set(turn, written).await }).await?;
    rest.audit(None, None);
    Ok(json(StatusCode::OK, &written))
}

/// Changes single settings of a module: a JSON Merge Patch (RFC 7396).
#[utoipa::path(patch, path = "/api/v1/modules/{name}/settings", tag = "settings",
    params(("name" = String, Path, description = "The module")),
    request_body(content = Object, content_type = "application/merge-patch+json",
        description = "The settings to change; null takes one away, a secret too. The others stay"),
    responses(
        (status = 200, description = "The settings hold now: all that are written", body = Written),
        (status = 400, description = "No name or no JSON", body = Problem),
        (status = 404, description = "No such module", body = Problem),
        (status = 409, description = "The active version cannot live with them, or somebody else changes the module", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A setting is not valid", body = Problem),
        (status = 503, description = "Redis does not answer", body = Problem),
        (status = 507, description = "No room", body = Problem),
    ),
)]
pub(super) async fn patch(call: Call) -> Result<Answer, Box<Problem>> {
    let name = call.module()?;
    let rest = Rest::of(&call, "settings", name.clone());
    let patch: Map<String, Value> = body::json(&call.headers, call.body, "settings").await?;
    if patch.contains_key("file") {
        return Err(file_is_elsewhere());
    }
    let turn = call.state.deployments.turn(&name).await?;
    let deployments = Arc::clone(&call.state.deployments);
    let patching = async move { deployments.patch_settings(turn, &Value::Object(patch)).await };
    let written = rest.finish(patching).await?;
    rest.audit(None, None);
    Ok(json(StatusCode::OK, &written))
}

fn file_is_elsewhere() -> Box<Problem> {
    let text = "`file` stands in tidegate.toml only; PUT the file to /api/v1/modules/NAME";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "settings", text)
}
