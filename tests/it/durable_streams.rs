//! Groups that are remembered as streams of the Durable Streams protocol: kept messages, those that come, and each answer to what
//! a reader asks wrongly.

use serde_json::{Value, json};
use tests::{
    Client, Host, Process, RedisServer, Reply, Socket, Streaming, background, guest, must,
};

use crate::TIDEGATE;

const STREAM: &str = "/stream/room.blue";

async fn start() -> Host {
    Host::builder().guest("remembering").start().await
}

async fn say(client: Client, lines: &[&str]) {
    for line in lines {
        let said = client.request("POST", "/room/blue", &[], (*line).to_owned()).await;
        assert_eq!(said.status, 200);
    }
}

async fn read(client: Client, query: &str) -> Reply {
    client.get(&format!("{STREAM}{query}")).await
}

/// The messages of a response, the offset behind them, and whether that is all.
fn told(reply: &Reply) -> (Value, String, bool) {
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json"));
    // What the consumer says besides stays, and its own word does not.
    assert_eq!(reply.header("x-says"), Some("the consumer"));
    assert_eq!(reply.header("tidegate-stream"), None);
    assert!(reply.header("stream-cursor").unwrap().parse::<u64>().is_ok());
    let offset = reply.header("stream-next-offset").unwrap().to_owned();
    let items = serde_json::from_str(reply.text()).unwrap();
    (items, offset, reply.header("stream-up-to-date") == Some("true"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_gets_what_is_kept_from_its_offset_on() {
    let host = start().await;
    let client = host.client();
    let (items, empty, is_all) = told(&read(client, "").await);
    assert_eq!((items, is_all), (json!([]), true));
    say(client, &["ahoy", "{\"tide\": \"high\"}", "7"]).await;
    let all = json!(["ahoy", {"tide": "high"}, 7]);
    for query in ["", "?offset=-1", &format!("?offset={empty}")] {
        let (items, _, is_all) = told(&read(client, query).await);
        assert_eq!((items, is_all), (all.clone(), true), "{query}");
    }
    let (items, end, _) = told(&read(client, "?offset=now").await);
    assert_eq!(items, json!([]));
    say(client, &["more"]).await;
    let (items, later, _) = told(&read(client, &format!("?offset={end}")).await);
    assert_eq!(items, json!(["more"]));
    assert!(empty < end && end < later, "offsets are in order: {empty} {end} {later}");
    let head = client.request("HEAD", STREAM, &[], "").await;
    assert_eq!((head.status, head.header("stream-next-offset")), (200, Some(&*later)));
    assert_eq!((head.text(), head.header("cache-control")), ("", Some("no-store")));
    // The same again has not changed.
    let reply = read(client, &format!("?offset={end}")).await;
    let tag = reply.header("etag").unwrap();
    let target = format!("{STREAM}?offset={end}");
    let same = client.request("GET", &target, &[("if-none-match", tag)], "").await;
    assert_eq!((same.status, same.text()), (304, ""));
    say(client, &["last"]).await;
    let changed = client.request("GET", &target, &[("if-none-match", tag)], "").await;
    assert_eq!(told(&changed).0, json!(["more", "last"]));
    // Five are kept: what is behind the first offset is gone, and from the start there is what is kept.
    say(client, &["x"]).await;
    let gone = read(client, &format!("?offset={empty}")).await;
    assert_eq!(gone.status, 410, "{}", gone.text());
    assert!(gone.text().contains("read from -1"), "{}", gone.text());
    let (items, _, _) = told(&read(client, "").await);
    assert_eq!(items, json!([{"tide": "high"}, 7, "more", "last", "x"]));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_question_has_its_answer() {
    let host = start().await;
    let client = host.client();
    say(client, &["ahoy"]).await;
    let (_, end, _) = told(&read(client, "").await);
    let another_epoch = format!("{:016x}_{}", 1, end.split_once('_').unwrap().1);
    let ahead = format!("{}_{:016}", end.split_once('_').unwrap().0, 99);
    for (method, target, status) in [
        ("GET", format!("{STREAM}?offset=7"), 400),
        ("GET", format!("{STREAM}?offset=-1&live=always"), 400),
        ("GET", format!("{STREAM}?live=sse"), 400),
        ("GET", format!("{STREAM}?offset={end}&offset={end}"), 400),
        ("GET", format!("{STREAM}?offset={another_epoch}"), 410),
        ("GET", format!("{STREAM}?offset={another_epoch}&live=long-poll"), 410),
        ("GET", format!("{STREAM}?offset={another_epoch}&live=sse"), 410),
        ("GET", format!("{STREAM}?offset={ahead}&live=sse"), 410),
        ("GET", format!("{STREAM}?but=forbidden"), 500),
        ("GET", format!("{STREAM}?but=twice"), 500),
        ("GET", format!("{STREAM}?but=body"), 500),
        ("GET", "/stream/other.blue".to_owned(), 404),
        ("GET", "/stream/remembering.room.blue".to_owned(), 404),
        ("GET", "/stream/%25".to_owned(), 404),
        ("POST", STREAM.to_owned(), 405),
    ] {
        let reply = client.request(method, &target, &[], "").await;
        assert_eq!(reply.status, status, "{method} {target}: {}", reply.text());
        // A page of another origin reads a refusal by the fields of the consumer.
        assert_eq!(reply.header("x-says"), Some("the consumer"), "{target}");
        assert_eq!(
            (reply.header("cache-control"), reply.header("tidegate-stream")),
            (Some("no-store"), None)
        );
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_waits_gets_the_next_messages_and_misses_none_between_two_questions() {
    let host = start().await;
    let client = host.client();
    let (_, mut offset, _) = told(&read(client, "").await);
    for round in 0..3 {
        let target = format!("?offset={offset}&live=long-poll");
        let waiting = background(async move { read(client, &target).await });
        is_held(&host).await;
        let line = format!("round {round}");
        say(client, &[&line, "and more"]).await;
        let (items, next, is_all) = told(&must("an answer", waiting).await.unwrap());
        assert!(is_all && items.as_array().unwrap().contains(&json!(line)), "{items}");
        // The rest is there at once, if it was not yet in the answer.
        let (rest, end, _) = told(&read(client, &format!("?offset={next}")).await);
        let all = [items.as_array().unwrap().clone(), rest.as_array().unwrap().clone()].concat();
        assert_eq!(all, [json!(line), json!("and more")]);
        offset = end;
    }
    // A waiter that is closed has heard nothing new.
    let target = format!("?offset={offset}&live=long-poll");
    let waiting = background(async move { read(client, &target).await });
    is_held(&host).await;
    let close = json!({ "module": "remembering", "protocol": "http" }).to_string();
    let closing = host.admin().done("POST", "connections/close", close).await;
    assert_eq!(closing.get("closing"), Some(&json!(1)));
    let reply = must("an answer", waiting).await.unwrap();
    assert_eq!((reply.status, reply.text()), (204, ""));
    assert_eq!(reply.header("stream-next-offset"), Some(&*offset));
    assert_eq!(reply.header("stream-up-to-date"), Some("true"));
    // What is there does not wait.
    say(client, &["at once"]).await;
    let target = format!("?offset={offset}&live=long-poll");
    let (items, _, _) = told(&must("an answer", read(client, &target)).await);
    assert_eq!(items, json!(["at once"]));
    host.stop().await;
}

async fn is_held(host: &Host) {
    host.until("the reader waits", |host| host.app().metrics().holds.get() == 1).await;
}

/// The events of a stream: messages, and the offset behind them.
struct Events {
    stream: Streaming,
    /// What has come and was not read yet.
    text: String,
}

impl Events {
    async fn open(client: Client, query: &str) -> Self {
        Self::of(client, &format!("{STREAM}{query}")).await
    }

    async fn of(client: Client, target: &str) -> Self {
        let stream = client.start("GET", &format!("{target}&live=sse"), &[], "").await;
        assert_eq!(stream.response.status().as_u16(), 200);
        assert_eq!(stream.response.headers().get("content-type").unwrap(), "text/event-stream");
        Self { stream, text: String::new() }
    }

    async fn event(&mut self) -> String {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = event.to_owned();
                self.text = rest.to_owned();
                return event;
            }
            let part = self.stream.part().await.unwrap().unwrap();
            self.text.push_str(std::str::from_utf8(&part).unwrap());
        }
    }

    /// The messages up to the next offset, which is returned with whether that was all.
    async fn next(&mut self) -> (Vec<Value>, String, bool) {
        let mut items = Vec::new();
        loop {
            let event = self.event().await;
            let (kind, data) = event.split_once("\ndata:").unwrap();
            let data: Value = serde_json::from_str(data).unwrap();
            match kind {
                "event: data" => items.extend(data.as_array().unwrap().clone()),
                "event: control" => {
                    let of = |name: &str| data.get(name).cloned().unwrap_or_default();
                    assert!(of("streamCursor").is_string());
                    let offset = of("streamNextOffset").as_str().unwrap().to_owned();
                    return (items, offset, of("upToDate") == json!(true));
                }
                other => panic!("{other}"),
            }
        }
    }

    /// Reads until these have come.
    async fn hear(&mut self, expected: &[Value]) -> String {
        let mut heard = Vec::new();
        loop {
            let (items, offset, is_all) = self.next().await;
            assert!(is_all);
            heard.extend(items);
            if heard.len() >= expected.len() {
                assert_eq!(heard, expected);
                return offset;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_events_begins_with_what_is_kept_and_goes_on() {
    let host = start().await;
    let client = host.client();
    say(client, &["one", "[2,\n 2]"]).await;
    let mut events = Events::open(client, "?offset=-1").await;
    events.hear(&[json!("one"), json!([2, 2])]).await;
    say(client, &["three", "four"]).await;
    let offset = events.hear(&[json!("three"), json!("four")]).await;
    drop(events);
    say(client, &["five"]).await;
    let mut events = Events::open(client, &format!("?offset={offset}")).await;
    events.hear(&[json!("five")]).await;
    let mut from_now = Events::open(client, "?offset=now").await;
    assert_eq!(from_now.next().await.0, [] as [Value; 0]);
    say(client, &["six"]).await;
    for events in [&mut events, &mut from_now] {
        events.hear(&[json!("six")]).await;
    }
    drop((events, from_now));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_history_comes_in_pages_without_a_hole() {
    let host = start().await;
    let client = host.client();
    let mut crier = Socket::open(host.address(), "/crier/kept.long").await;
    // Three pages of 256 KiB.
    let lines: Vec<Value> =
        (0..60).map(|number| json!(format!("{number} {}", "x".repeat(12_000)))).collect();
    for line in &lines {
        crier.send(line.as_str().unwrap()).await;
        assert_eq!(crier.text().await, "sent");
    }
    let (mut all, mut offset, mut pages) = (Vec::new(), "-1".to_owned(), 0);
    loop {
        let reply = client.get(&format!("/stream/kept.long?offset={offset}")).await;
        let (items, next, is_all) = told(&reply);
        all.extend(items.as_array().unwrap().clone());
        (offset, pages) = (next, pages + 1);
        if is_all {
            break;
        }
    }
    assert!(all == lines && pages >= 3, "{pages} pages of {} messages", all.len());
    let mut events = Events::of(client, "/stream/kept.long?offset=-1").await;
    let (mut heard, mut ends) = (Vec::new(), Vec::new());
    while heard.len() < lines.len() {
        let (items, _, is_all) = events.next().await;
        heard.extend(items);
        ends.push(is_all);
    }
    assert!(heard == lines && ends.len() >= 3, "{ends:?}");
    assert!(ends.pop().unwrap() && !ends.contains(&true), "it is told when that is all");
    crier.send("live").await;
    events.hear(&[json!("live")]).await;
    drop((events, crier));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_consumer_has_joined_itself_is_not_told_twice_or_in_place_of_the_stream() {
    let host = start().await;
    let client = host.client();
    say(client, &["one"]).await;
    let mut events = Events::open(client, "?joined=1&offset=-1").await;
    events.hear(&[json!("one")]).await;
    let published = client.request("POST", "/poll/other", &[], "of another group").await;
    assert_eq!(published.status, 200);
    say(client, &["two"]).await;
    events.hear(&[json!("two")]).await;
    // Whom somebody closes gets an end, and what was said until then.
    let close = json!({ "module": "remembering", "protocol": "http" }).to_string();
    say(client, &["three"]).await;
    host.admin().done("POST", "connections/close", close).await;
    events.hear(&[json!("three")]).await;
    assert!(must("the end", events.stream.part()).await.is_none());
    drop(events);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_end_when_the_process_stops() {
    let host = start().await;
    let client = host.client();
    let (_, offset, _) = told(&read(client, "").await);
    let mut events = Events::open(client, "?offset=now").await;
    events.next().await;
    let target = format!("?offset={offset}&live=long-poll");
    let waiting = background(async move { read(client, &target).await });
    host.until("both wait", |host| host.app().metrics().holds.get() == 2).await;
    let stopping = background(host.stop());
    assert_eq!(must("an answer", waiting).await.unwrap().status, 503);
    assert!(must("the end", events.stream.part()).await.is_none_or(|part| part.is_err()));
    drop(events);
    must("the stop", stopping).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn over_redis_each_process_serves_the_stream_from_any_offset() {
    let redis = RedisServer::start();
    let (url, module) = (redis.url(), format!("remembering={}", guest("remembering").display()));
    let arguments = ["--layer", &*url, "--module", &*module];
    let (one, two) =
        (Process::serve(TIDEGATE, &arguments).await, Process::serve(TIDEGATE, &arguments).await);
    let [here, there] = [&one, &two].map(|process| Client::new(process.address));
    say(here, &["one"]).await;
    let (items, offset, _) = told(&read(there, "").await);
    assert_eq!(items, json!(["one"]));
    let mut events = Events::open(there, &format!("?offset={offset}")).await;
    assert_eq!(events.next().await.0, [] as [Value; 0]);
    say(here, &["two", "three"]).await;
    let end = events.hear(&[json!("two"), json!("three")]).await;
    let (items, at, is_all) = told(&read(here, &format!("?offset={offset}")).await);
    assert_eq!((items, at, is_all), (json!(["two", "three"]), end, true));
}
