//! Writes and deletes single values.

use std::{sync::Arc, time::Duration};

use hyper::StatusCode;
use tokio::time::timeout;

use super::{KeyQuery, NewValue, no_value, quota, there};
use crate::{
    admin::api::{Answer, Call, body, empty, modules::Rest, problem::Problem},
    capability::store::{Quota, Transaction},
};

/// How long a commit may take before its outcome is given up.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(20);

/// Writes a value.
#[utoipa::path(put, path = "/api/v1/modules/{name}/data/value", tag = "data",
    params(KeyQuery, ("name" = String, Path, description = "The module")),
    request_body = NewValue,
    responses(
        (status = 204, description = "It is written"),
        (status = 400, description = "No name, no key or no JSON", body = Problem),
        (status = 404, description = "No such module, and no data of one", body = Problem),
        (status = 408, description = "The body comes too slowly", body = Problem),
        (status = 409, description = "The value changed meanwhile", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "Not a value", body = Problem),
        (status = 500, description = "The store is damaged", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
        (status = 507, description = "The module may not keep more", body = Problem),
    ),
)]
pub(in super::super) async fn set(call: Call) -> Result<Answer, Box<Problem>> {
    let name = call.module()?;
    let key = KeyQuery::read(&call.query)?;
    there(&call.state, &name).await?;
    let (rest, quota) = (Rest::of(&call, "data-set", name.clone()), quota(&call, &name));
    let new: NewValue = body::value(&call.headers, call.body).await?;
    let mut transaction = Transaction::new(Arc::clone(&call.state.data), name);
    let schema = match new.schema {
        Some(schema) => schema,
        None => {
            let mut before = transaction.get_many(std::slice::from_ref(&key)).await?;
            before.pop().flatten().map_or(0, |value| value.schema)
        }
    };
    let (value, time_to_live) = new.read(schema)?;
    transaction.set(key, value, time_to_live)?;
    rest.finish(commit(transaction, quota)).await?;
    rest.audit(None, None);
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Deletes a value.
#[utoipa::path(delete, path = "/api/v1/modules/{name}/data/value", tag = "data",
    params(KeyQuery, ("name" = String, Path, description = "The module")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 400, description = "No name or no key", body = Problem),
        (status = 404, description = "No such module, or no value", body = Problem),
        (status = 409, description = "The value changed meanwhile", body = Problem),
        (status = 500, description = "The store is damaged", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
    ),
)]
pub(in super::super) async fn delete(call: Call) -> Result<Answer, Box<Problem>> {
    let name = call.module()?;
    let key = KeyQuery::read(&call.query)?;
    there(&call.state, &name).await?;
    let (rest, quota) = (Rest::of(&call, "data-delete", name.clone()), quota(&call, &name));
    let mut transaction = Transaction::new(Arc::clone(&call.state.data), name.clone());
    let before = transaction.get_many(std::slice::from_ref(&key)).await?;
    if before.iter().all(Option::is_none) {
        return Err(no_value(&name, &key));
    }
    transaction.delete(key)?;
    rest.finish(commit(transaction, quota)).await?;
    rest.audit(None, None);
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Commits as a run does. Returns an error where the outcome does not become known in time.
pub(in super::super) async fn commit(
    mut transaction: Transaction,
    quota: Quota,
) -> Result<(), Box<Problem>> {
    match timeout(COMMIT_TIMEOUT, transaction.commit(quota)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => {
            let text = format!(
                "the store has not said within {COMMIT_TIMEOUT:?} whether the change took effect; read \
                 the value when it answers again"
            );
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown", text))
        }
    }
}
