//! Streams records as server-sent events.

#![expect(unused_qualifications, reason = "utoipa names queries in full")]

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{Response, StatusCode, body::Frame, header};
use serde::Deserialize;
use tokio::{
    sync::{OwnedSemaphorePermit, broadcast},
    time::{Instant, timeout_at},
};
use utoipa::IntoParams;

use super::{Answer, Call, RECORD_STREAMS_MAX, problem::Problem, read, types::Record};
use crate::worker::{self, Filter};

/// The time between two parts of a stream without records.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Selects the records to follow.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamQuery {
    /// Those of a module.
    module: Option<String>,
}

/// Records from now on: `event: record` with one, or `event: missed` with the number of skipped ones.
#[utoipa::path(get, path = "/api/v1/records/stream", tag = "records", params(StreamQuery), responses(
    (status = 200, description = "Records, one event each", body = String, content_type = "text/event-stream"),
    (status = 400, description = "The filter is not valid", body = Problem),
    (status = 503, description = "Too many streams", body = Problem),
))]
pub(super) fn records(call: &Call) -> Result<Answer, Box<Problem>> {
    let StreamQuery { module } = read::parse(&call.query)?;
    let module = module.map(|name| read::module_name(&name)).transpose()?;
    if let Some(module) = &module {
        call.covers(module)?;
    }
    let covered = call.holder.modules().map(<[String]>::to_vec);
    let permit = Arc::clone(&call.state.api.streams).try_acquire_owned().map_err(|_| {
        let text = format!("{RECORD_STREAMS_MAX} streams are open already; close one of them");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-streams", text)
            .after(Duration::from_secs(1))
    })?;
    let following = Following {
        records: call.state.records.follow(),
        filter: Filter { module, covered, ..Filter::default() },
        permit,
    };
    let body = StreamBody::new(events(following)).map_err(|never| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    for (name, value) in
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")]
    {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    Ok(answer)
}

struct Following {
    records: broadcast::Receiver<Arc<worker::Record>>,
    filter: Filter,
    #[expect(dead_code, reason = "counts the stream until it ends")]
    permit: OwnedSemaphorePermit,
}

fn events(following: Following) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> {
    // The head goes out with the first part: the client must know that the stream has begun.
    let opening = stream::iter([Ok(Frame::data(Bytes::from_static(b": following\n\n")))]);
    let rest = stream::unfold(following, async |mut following| {
        let text = following.next().await?;
        Some((Ok(Frame::data(Bytes::from(text))), following))
    });
    stream::StreamExt::chain(opening, rest)
}

impl Following {
    async fn next(&mut self) -> Option<String> {
        let until = Instant::now() + KEEP_ALIVE_INTERVAL;
        loop {
            match timeout_at(until, self.records.recv()).await {
                Err(_) => return Some(": keep-alive\n\n".to_owned()),
                Ok(Ok(record)) if self.filter.takes(&record) => {
                    let data = serde_json::to_string(&Record::from(&*record)).ok()?;
                    return Some(format!("event: record\nid: {}\ndata: {data}\n\n", record.id));
                }
                Ok(Ok(_)) => {}
                Ok(Err(broadcast::error::RecvError::Lagged(count))) => {
                    return Some(format!("event: missed\ndata: {{\"count\":{count}}}\n\n"));
                }
                Ok(Err(broadcast::error::RecvError::Closed)) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicUsize, time::SystemTime};

    use super::*;
    use crate::{
        engine::{LogLines, Usage},
        message::{ChannelName, CorrelationId, ModuleName},
        worker::RecordOutcome,
    };

    fn record(id: u64) -> Arc<worker::Record> {
        Arc::new(worker::Record {
            id,
            started: SystemTime::UNIX_EPOCH,
            correlation: CorrelationId::random(),
            module: ModuleName::parse("chat").unwrap(),
            version: 1,
            in_place_of: None,
            attempts: 1,
            consumer: "room".into(),
            channel: ChannelName::parse("jobs").unwrap(),
            outcome: RecordOutcome::Ok,
            usage: Usage::default(),
            log: LogLines { text: "info a: b\nplain\n".to_owned(), truncated_bytes: 3 },
            messages_dropped: AtomicUsize::new(0),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_too_slow_is_told_how_many_were_missed_and_silence_is_kept_alive() {
        let live = broadcast::Sender::new(2);
        let permit = Arc::new(tokio::sync::Semaphore::new(1)).try_acquire_owned().unwrap();
        let (records, filter) = (live.subscribe(), Filter::default());
        let mut following = Following { records, filter, permit };
        for id in 1..=5 {
            live.send(record(id)).unwrap();
        }
        let missed = following.next().await.unwrap();
        assert_eq!(missed, "event: missed\ndata: {\"count\":3}\n\n");
        let fourth = following.next().await.unwrap();
        assert!(fourth.starts_with("event: record\nid: 4\ndata: {\"id\":\"4\""), "{fourth}");
        for part in [
            r#"{"level":"info","text":"a: b"}"#,
            r#"{"level":"output","text":"plain"}"#,
            r#""log_truncated":true"#,
        ] {
            assert!(fourth.contains(part), "{fourth}");
        }
        following.next().await.unwrap();
        assert_eq!(following.next().await.unwrap(), ": keep-alive\n\n");
    }
}
