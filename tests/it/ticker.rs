//! Server-sent events, as the example `ticker` sends them.

use tests::{Host, Streaming, must};

/// A stream of ticks. Dropping it leaves.
struct Ticks {
    streaming: Streaming,
    text: String,
}

impl Ticks {
    async fn open(host: &Host, last: Option<u64>) -> Self {
        let last = last.map(|id| id.to_string());
        let headers: Vec<_> = last.iter().map(|last| ("last-event-id", last.as_str())).collect();
        let streaming = host.client().start("GET", "/ticker/events", &headers, "").await;
        assert_eq!(streaming.response.headers()["content-type"], "text/event-stream");
        Self { streaming, text: String::new() }
    }

    /// The id of the next tick.
    async fn next(&mut self) -> u64 {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let id = event.lines().find_map(|line| line.strip_prefix("id: "));
                let id = id.map(|id| id.parse().unwrap());
                self.text = rest.to_owned();
                if let Some(id) = id {
                    return id;
                }
            } else {
                let part = self.streaming.part().await.unwrap().unwrap();
                self.text += std::str::from_utf8(&part).unwrap();
            }
        }
    }

    /// The next tick that is later than one that was seen, as the page takes it.
    async fn after(&mut self, seen: u64) -> u64 {
        loop {
            let id = self.next().await;
            if id > seen {
                return id;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_comes_back_gets_every_tick_since() {
    let host = Host::builder().example("ticker").start().await;
    let mut first = Ticks::open(&host, None).await;
    let seen = first.next().await;
    let second = first.after(seen).await;
    assert_eq!(second, seen + 1);
    drop(first);
    let mut again = Ticks::open(&host, Some(seen - 2)).await;
    let mut last = seen - 2;
    // What is sent again, and then what comes.
    while last < seen + 3 {
        let next = again.after(last).await;
        assert_eq!(next, last + 1);
        last = next;
    }
    drop(again);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_started_by_many_comes_to_tick_once() {
    let host = Host::builder().example("ticker").start().await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(Ticks::open(&host, None).await);
    }
    let mut watching = Ticks::open(&host, None).await;
    // A tick between its neighbours, and not twice.
    must("one tick a second", async {
        let (mut before, mut tick) = (watching.next().await, watching.next().await);
        loop {
            let after = watching.next().await;
            if (tick, after) == (before + 1, before + 2) {
                break;
            }
            (before, tick) = (tick, after);
        }
    })
    .await;
    drop((streams, watching));
    host.stop().await;
}
