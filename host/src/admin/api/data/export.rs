//! Streams all data of a module.

use std::{sync::Arc, time::Duration};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{Stream, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{Response, StatusCode, body::Frame, header};
use tokio::sync::OwnedSemaphorePermit;

use super::{DataEntry, LINES_TYPE, there};
use crate::{
    admin::api::{Answer, Call, EXPORTS_MAX, problem::Problem},
    capability::store::{Export, Key, Moment, StoreError},
};

/// All keys of a module with their values, as they were at one moment.
#[utoipa::path(get, path = "/api/v1/modules/{name}/data/export", tag = "data",
    params(("name" = String, Path, description = "The module")),
    responses(
        (status = 200, description = "One object of JSON a line. A response that breaks off is not whole", body = String, content_type = "application/jsonl"),
        (status = 400, description = "No name", body = Problem),
        (status = 404, description = "No such module, and no data of one", body = Problem),
        (status = 500, description = "The store is damaged", body = Problem),
        (status = 503, description = "The store does not answer, or too many exports", body = Problem),
    ),
)]
pub(in super::super) async fn export(call: &Call) -> Result<Answer, Box<Problem>> {
    let name = call.module()?;
    there(&call.state, &name).await?;
    let permit = Arc::clone(&call.state.api.exports).try_acquire_owned().map_err(|_| {
        let text = format!("{EXPORTS_MAX} exports go on already; wait for the end of one of them");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-exports", text)
            .after(Duration::from_secs(1))
    })?;
    // The clock of the store, by which values live on.
    let nothing = Key::parse("now")?;
    let now = call.state.data.read(&name, &[nothing], None).await?.clock;
    let mut exporting = Exporting { entries: call.state.data.export(&name).await?, now, permit };
    // A store that is not reached is told with a status.
    let first = exporting.next().await?;
    let mut answer = Response::new(StreamBody::new(lines(first, exporting)).boxed_unsync());
    let headers = answer.headers_mut();
    for (name, value) in [(header::CONTENT_TYPE, LINES_TYPE), (header::CACHE_CONTROL, "no-store")] {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    Ok(answer)
}

struct Exporting {
    entries: Box<dyn Export>,
    now: Moment,
    #[expect(dead_code, reason = "counts the export until it ends")]
    permit: OwnedSemaphorePermit,
}

impl Exporting {
    /// Returns the next lines, none at the end.
    async fn next(&mut self) -> Result<Bytes, StoreError> {
        let mut lines = BytesMut::new();
        for (key, entry) in self.entries.next().await? {
            let line = serde_json::to_vec(&DataEntry::line(&key, &entry, self.now));
            lines.put_slice(&line.unwrap_or_default());
            lines.put_u8(b'\n');
        }
        Ok(lines.freeze())
    }
}

/// Lines until the end, or until an error breaks the response off.
fn lines(
    first: Bytes,
    exporting: Exporting,
) -> impl Stream<Item = Result<Frame<Bytes>, StoreError>> {
    let begin = (!first.is_empty()).then_some((first, exporting));
    stream::try_unfold(begin, async |step| {
        let Some((lines, mut exporting)) = step else { return Ok(None) };
        let next = exporting.next().await?;
        let step = (!next.is_empty()).then_some((next, exporting));
        Ok(Some((Frame::data(lines), step)))
    })
}
