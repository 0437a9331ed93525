//! Reads and changes deployed modules.

#![expect(unused_qualifications, reason = "utoipa names queries in full")]

use std::{future::Future, sync::Arc};

use hyper::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    Answer, Audit, Call, NOTE_FIELD, body, data, empty, json,
    problem::Problem,
    read,
    types::{Activate, Deployed, ModuleDetails, ModuleList, Rollback, Route, RouteList},
};
use crate::{
    message::ModuleName,
    registry::{self, Change, DeployError, Fleet},
    shutdown::Drain,
};

/// All modules.
#[utoipa::path(get, path = "/api/v1/modules", tag = "modules", responses(
    (status = 200, description = "All modules, by name", body = ModuleList),
))]
pub(super) fn list(call: &Call) -> Answer {
    let listed = call.state.deployments.list().into_iter();
    let listed = listed.filter(|it| call.holder.covers(&it.name));
    let modules = listed.map(|it| call.state.fleet.with_rests(it).into()).collect();
    json(StatusCode::OK, &ModuleList { modules })
}

/// One module with its versions, settings and routes.
#[utoipa::path(get, path = "/api/v1/modules/{name}", tag = "modules",
    params(("name" = String, Path, description = "The module")),
    responses(
        (status = 200, description = "The module", body = ModuleDetails),
        (status = 400, description = "No name", body = Problem),
        (status = 404, description = "No such module", body = Problem),
    ),
)]
pub(super) fn show(call: &Call) -> Result<Answer, Box<Problem>> {
    let name = call.module()?;
    let overview = call.state.deployments.show(&name)?;
    let registry::Overview { summary, history, settings, routes, declarations } = overview;
    let details = ModuleDetails {
        summary: call.state.fleet.with_rests(summary).into(),
        history: history.into_iter().map(Into::into).collect(),
        settings,
        routes: Route::of(name.as_str(), &routes, &declarations),
    };
    Ok(json(StatusCode::OK, &details))
}

/// The routes of all modules.
#[utoipa::path(get, path = "/api/v1/routes", tag = "modules", responses(
    (status = 200, description = "All active routes", body = RouteList),
))]
pub(super) fn routes(call: &Call) -> Answer {
    let modules = call.state.deployments.registry().snapshot();
    let covered = modules.versions().filter(|version| call.holder.covers(&version.name));
    let mut versions: Vec<_> = covered.collect();
    versions.sort_by(|a, b| a.name.cmp(&b.name));
    let of = |version: &&Arc<registry::Version>| {
        Route::of(version.name.as_str(), version.routes(), &version.declarations)
    };
    json(StatusCode::OK, &RouteList { routes: versions.iter().flat_map(of).collect() })
}

/// Whether a new version goes on probation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Watch {
    /// It is on probation.
    #[default]
    On,
    /// It stays active however it fails.
    Off,
}

/// The query of a deployment.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct DeployQuery {
    /// `off`: the version before never answers in the place of this one. For development.
    #[param(inline)]
    probation: Watch,
}

/// Makes a file the next version of a module and activates it.
#[utoipa::path(put, path = "/api/v1/modules/{name}", tag = "modules",
    params(
        DeployQuery,
        ("name" = String, Path, description = "The module: a-z, 0-9 and -, at most 63 bytes"),
        ("x-tidegate-user" = Option<String>, Header, description = "Who deploys"),
        ("x-tidegate-note" = Option<String>, Header, description = "A note for the history"),
        ("x-tidegate-source" = Option<String>, Header, description = "The registry that the file came from"),
        ("x-tidegate-signature" = Option<String>, Header,
            description = "The signature of the file: the base64 of its .minisig"),
    ),
    request_body(content = String, content_type = "application/octet-stream", description = "The file"),
    responses(
        (status = 200, description = "It is the active version", body = Deployed),
        (status = 201, description = "A new version is active", body = Deployed),
        (status = 400, description = "No name, another query, or the body was cut off", body = Problem),
        (status = 408, description = "The body comes too slowly", body = Problem),
        (status = 409, description = "Taken routes, or somebody else deploys", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "No module, or not signed as the setting upload.signers asks", body = Problem),
        (status = 503, description = "Redis does not answer", body = Problem),
        (status = 507, description = "No room", body = Problem),
    ),
)]
pub(super) async fn deploy(call: Call) -> Result<Answer, Box<Problem>> {
    let name = call.module()?;
    let DeployQuery { probation } = read::parse(&call.query)?;
    // From here on nobody else deploys it.
    let turn = call.state.deployments.turn(&name).await?;
    let change = Change {
        who: call.who(),
        note: call.said(NOTE_FIELD),
        source: call.source()?,
        signature: call.signature()?,
        skip_probation: probation == Watch::Off,
    };
    let most = call.state.deployments.loader().limits().bytes;
    let rest = Rest::of(&call, "deploy", name);
    let wasm = body::read(&call.headers, call.body, most, " (upload.bytes)").await?;
    let deployments = Arc::clone(&call.state.deployments);
    let work = async move { deployments.deploy(turn, wasm, &change).await };
    rest.deployed(work).await
}

/// Activates a kept version.
#[utoipa::path(post, path = "/api/v1/modules/{name}/activate", tag = "modules",
    params(("name" = String, Path, description = "The module")),
    request_body = Activate,
    responses(
        (status = 200, description = "The version is active", body = Deployed),
        (status = 400, description = "No name or no JSON", body = Problem),
        (status = 404, description = "No such module or version", body = Problem),
        (status = 409, description = "Taken routes, or somebody else deploys", body = Problem),
        (status = 410, description = "The version was deleted", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "Not this JSON, or the version is not signed as upload.signers asks", body = Problem),
        (status = 503, description = "Redis does not answer", body = Problem),
        (status = 507, description = "No room", body = Problem),
    ),
)]
pub(super) async fn activate(call: Call) -> Result<Answer, Box<Problem>> {
    let name = call.module()?;
    let rest = Rest::of(&call, "activate", name.clone());
    let Activate { version } = body::json(&call.headers, call.body, "body").await?;
    let turn = call.state.deployments.turn(&name).await?;
    let deployments = Arc::clone(&call.state.deployments);
    rest.deployed(async move { deployments.activate(turn, Some(version)).await }).await
}

/// Activates the version before, or another kept one.
#[utoipa::path(post, path = "/api/v1/modules/{name}/rollback", tag = "modules",
    params(("name" = String, Path, description = "The module")),
    request_body = Rollback,
    responses(
        (status = 200, description = "The version is active", body = Deployed),
        (status = 400, description = "No name or no JSON", body = Problem),
        (status = 404, description = "No such module or version", body = Problem),
        (status = 409, description = "Nothing before, taken routes, or somebody else deploys", body = Problem),
        (status = 410, description = "The version was deleted", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "Not this JSON, or the version is not signed as upload.signers asks", body = Problem),
        (status = 503, description = "Redis does not answer", body = Problem),
        (status = 507, description = "No room", body = Problem),
    ),
)]
pub(super) async fn rollback(call: Call) -> Result<Answer, Box<Problem>> {
    let name = call.module()?;
    let rest = Rest::of(&call, "rollback", name.clone());
    let Rollback { version } = body::json(&call.headers, call.body, "body").await?;
    let turn = call.state.deployments.turn(&name).await?;
    let deployments = Arc::clone(&call.state.deployments);
    rest.deployed(async move { deployments.activate(turn, version).await }).await
}

/// Whether a module that is deleted leaves its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Leftover {
    /// Its data stays.
    #[default]
    Keep,
    /// Its data is deleted, too.
    Delete,
}

/// The query of a deletion.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct DeleteQuery {
    /// `delete`: the data of the module is deleted, too. Also that of a module which was deleted before.
    #[param(inline)]
    data: Leftover,
}

/// Deactivates a module and deletes all its versions.
#[utoipa::path(delete, path = "/api/v1/modules/{name}", tag = "modules",
    params(DeleteQuery, ("name" = String, Path, description = "The module")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 400, description = "No name, or another query", body = Problem),
        (status = 404, description = "No such module", body = Problem),
        (status = 409, description = "Somebody else changes it", body = Problem),
        (status = 500, description = "The store of its data is damaged", body = Problem),
        (status = 503, description = "Redis or the store of its data does not answer", body = Problem),
    ),
)]
pub(super) async fn delete(call: Call) -> Result<Answer, Box<Problem>> {
    let name = call.module()?;
    let DeleteQuery { data: leftover } = read::parse(&call.query)?;
    let is_cleared = leftover == Leftover::Delete;
    let action = if is_cleared { "delete-with-data" } else { "delete" };
    let rest = Rest::of(&call, action, name.clone());
    let turn = call.state.deployments.turn(&name).await?;
    let state = Arc::clone(&call.state);
    let work = async move {
        match state.deployments.delete(turn).await {
            Err(DeployError::NoModule(_)) if is_cleared => data::there(&state, &name).await?,
            deleted => deleted?,
        }
        if is_cleared {
            state.data.clear(&name).await?;
        }
        Ok::<_, Box<Problem>>(())
    };
    rest.finish(work).await?;
    rest.audit(None, None);
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Deletes a version that is not active.
#[utoipa::path(delete, path = "/api/v1/modules/{name}/versions/{version}", tag = "modules",
    params(
        ("name" = String, Path, description = "The module"),
        ("version" = u64, Path, description = "The version", minimum = 1, maximum = 9007199254740991_u64),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 400, description = "No name or no version", body = Problem),
        (status = 404, description = "No such module or version", body = Problem),
        (status = 409, description = "The version is active, or somebody else changes the module", body = Problem),
        (status = 410, description = "It was deleted before", body = Problem),
        (status = 503, description = "Redis does not answer", body = Problem),
        (status = 507, description = "No room", body = Problem),
    ),
)]
pub(super) async fn delete_version(call: Call) -> Result<Answer, Box<Problem>> {
    let (name, version) = (call.module()?, call.version()?);
    let rest = Rest::of(&call, "delete-version", name.clone());
    let turn = call.state.deployments.turn(&name).await?;
    let deployments = Arc::clone(&call.state.deployments);
    rest.finish(async move { deployments.delete_version(turn, version).await }).await?;
    rest.audit(Some(version), None);
    Ok(empty(StatusCode::NO_CONTENT))
}

/// The parts of a change beside its work.
pub(super) struct Rest {
    tasks: Drain,
    fleet: Arc<Fleet>,
    action: &'static str,
    module: ModuleName,
    audit: Audit,
}

impl Rest {
    pub(super) fn of(call: &Call, action: &'static str, module: ModuleName) -> Self {
        let (tasks, fleet) = (call.tasks.clone(), Arc::clone(&call.state.fleet));
        Self { tasks, fleet, action, module, audit: call.audit() }
    }

    /// Does the work to its end, even if the client has left.
    pub(super) fn finish<T: Send + 'static, E: Into<Box<Problem>> + Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> impl Future<Output = Result<T, Box<Problem>>> + Send {
        super::finish(&self.tasks, work)
    }

    /// The audit line: user, token, change and address.
    pub(super) fn audit(&self, version: Option<u64>, digest: Option<&str>) {
        let Audit { who, token, peer } = &self.audit;
        tracing::info!(
            target: "tidegate::audit",
            who, token, action = self.action, module = %self.module, version, digest, from = %peer,
            "changed"
        );
    }

    async fn deployed(
        self,
        work: impl Future<Output = Result<registry::Deployed, DeployError>> + Send + 'static,
    ) -> Result<Answer, Box<Problem>> {
        let deployed = self.finish(work).await?;
        self.audit(Some(deployed.version), Some(&deployed.digest));
        let made = deployed.changed && self.action == "deploy";
        let status = if made { StatusCode::CREATED } else { StatusCode::OK };
        let settled = self.fleet.settled(&deployed.module, &deployed.digest, &deployed.left_out);
        let nodes = settled.await;
        Ok(json(status, &Deployed::of(deployed, nodes)))
    }
}
