//! Groups that are remembered, over real sockets: what was missed comes once and in order, or a gap is told.

mod checker;

use serde::Deserialize;
use tests::{Client, Host, Process, Socket, guest, run};

use crate::TIDEGATE;

/// A frame to a member that sees positions.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Told {
    tidegate: String,
    group: String,
    position: String,
    /// Of a frame that says from where on it gets all: whether nothing is missing before.
    complete: Option<bool>,
    text: Option<String>,
    base64: Option<String>,
}

async fn start() -> Host {
    Host::builder().guest("remembering").start().await
}

/// Says lines in a room.
async fn say(client: Client, lines: impl IntoIterator<Item = &str>) {
    for line in lines {
        assert_eq!(client.request("POST", "/room/blue", &[], line.to_owned()).await.status, 200);
    }
}

async fn read(socket: &mut Socket) -> Told {
    serde_json::from_str(&socket.text().await).unwrap()
}

/// Reads from where on a socket gets all messages. Returns the place.
async fn stands(socket: &mut Socket, is_complete: bool) -> String {
    let from = read(socket).await;
    assert_eq!((from.tidegate.as_str(), from.complete), ("from", Some(is_complete)), "{from:?}");
    assert_eq!(from.group, "remembering.room.blue");
    from.position
}

/// Reads messages, which must be these. Returns the place behind the last.
async fn hears(socket: &mut Socket, lines: &[&str]) -> String {
    let mut position = String::new();
    for line in lines {
        let message = read(socket).await;
        let told = (message.tidegate.as_str(), message.text.as_deref());
        assert_eq!(told, ("message", Some(*line)), "{message:?}");
        position = message.position;
    }
    position
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_comes_back_from_its_position_gets_what_it_has_missed() {
    let host = start().await;
    let mut socket = host.websocket("/room/blue").await;
    stands(&mut socket, true).await;
    say(host.client(), ["one", "two"]).await;
    let position = hears(&mut socket, &["one", "two"]).await;
    drop(socket);
    say(host.client(), ["three", "four"]).await;
    let back = format!("/room/blue?after=remembering.room.blue:{position}");
    let mut socket = host.websocket(&back).await;
    assert_eq!(stands(&mut socket, true).await, position);
    hears(&mut socket, &["three", "four"]).await;
    socket.send("five").await;
    hears(&mut socket, &["five"]).await;
    // One without a position gets the latest if it asks for them.
    let mut other = host.websocket("/room/blue?latest=2").await;
    stands(&mut other, true).await;
    hears(&mut other, &["four", "five"]).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_position_that_is_none_of_the_group_is_answered_with_a_gap() {
    let host = start().await;
    let mut socket = host.websocket("/room/blue").await;
    let start = stands(&mut socket, true).await;
    say(host.client(), ["1", "2", "3", "4", "5", "6"]).await;
    let end = hears(&mut socket, &["1", "2", "3", "4", "5", "6"]).await;
    let mut other = host.websocket("/room/other").await;
    let other = read(&mut other).await.position;
    let (epoch, _) = end.split_once('-').unwrap();
    let more = "9".repeat(400);
    for wrong in [
        // Too old: five are kept.
        &*start,
        &*other,
        &format!("{epoch}-7"),
        &format!("{epoch}--1"),
        &format!("{epoch}-x"),
        &format!("{epoch}-{more}"),
        "ffffffffffffffff-3",
        "nowhere",
        "%00%ff",
        "",
    ] {
        let path = format!("/room/blue?latest=1&after=remembering.room.blue:{wrong}");
        let mut socket = host.websocket(&path).await;
        stands(&mut socket, false).await;
        assert_eq!(hears(&mut socket, &["6"]).await, end, "{wrong}");
    }
    let gaps = host.app().metrics().history_gaps.get();
    assert_eq!(gaps, 10);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_without_positions_get_messages_as_they_are() {
    let host = start().await;
    let mut plain = host.websocket("/plain/blue").await;
    let mut seeing = host.websocket("/room/blue").await;
    stands(&mut seeing, true).await;
    seeing.send_bytes(&b"\xff\x00"[..]).await;
    seeing.send("a \"line\"").await;
    assert_eq!(&plain.bytes().await[..], b"\xff\x00");
    assert_eq!(plain.text().await, "a \"line\"");
    let bytes = read(&mut seeing).await;
    assert_eq!((bytes.base64.as_deref(), bytes.text), (Some("/wA="), None));
    hears(&mut seeing, &["a \"line\""]).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_joins_again_stays_where_it_is_until_it_has_left() {
    let host = start().await;
    let mut socket = host.websocket("/room/blue").await;
    let start = stands(&mut socket, true).await;
    say(host.client(), ["one", "two"]).await;
    hears(&mut socket, &["one", "two"]).await;
    socket.send(format!("join {start}")).await;
    socket.send("heard").await;
    hears(&mut socket, &["heard"]).await;
    socket.send(format!("again {start}")).await;
    stands(&mut socket, true).await;
    hears(&mut socket, &["one", "two", "heard"]).await;
    say(host.client(), ["three"]).await;
    hears(&mut socket, &["three"]).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_order_keeps_histories_and_positions() {
    let data = tempfile::tempdir().unwrap();
    let start = || Host::builder().guest("remembering").data_dir(data.path()).start();
    let host = start().await;
    let mut socket = host.websocket("/room/blue").await;
    stands(&mut socket, true).await;
    say(host.client(), ["one"]).await;
    let mut position = hears(&mut socket, &["one"]).await;
    drop(socket);
    // It misses two, and the process ends.
    say(host.client(), ["two", "three"]).await;
    host.stop().await;
    for (missed, next) in [(&["two", "three"][..], "four"), (&[], "five")] {
        let host = start().await;
        let back = format!("/room/blue?latest=0&after=remembering.room.blue:{position}");
        let mut socket = host.websocket(&back).await;
        stands(&mut socket, true).await;
        hears(&mut socket, missed).await;
        say(host.client(), [next]).await;
        position = hears(&mut socket, &[next]).await;
        // Who comes anew gets the latest, those of the processes before, too.
        let mut other = host.websocket("/room/blue?latest=3").await;
        stands(&mut other, true).await;
        let latest =
            if next == "four" { ["two", "three", "four"] } else { ["three", "four", "five"] };
        hears(&mut other, &latest).await;
        drop((socket, other));
        host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_leaves_no_proof_that_nothing_was_missed() {
    let data = tempfile::tempdir().unwrap();
    let file = format!("remembering={}", guest("remembering").display());
    let directory = data.path().display().to_string();
    let arguments = ["--module", &*file, "--data-dir", &*directory];
    let mut position = String::new();
    // The histories that the second one takes up are those of the first, and of no use to the third.
    for (signal, is_complete) in [("TERM", true), ("KILL", true), ("KILL", false)] {
        let process = Process::serve(TIDEGATE, &arguments).await;
        let target = match position.is_empty() {
            true => "/room/blue".to_owned(),
            false => format!("/room/blue?after=remembering.room.blue:{position}"),
        };
        let mut socket = Socket::open(process.address, &target).await;
        stands(&mut socket, is_complete).await;
        say(Client::new(process.address), [signal]).await;
        position = hears(&mut socket, &[signal]).await;
        drop(socket);
        if signal == "TERM" {
            // A start that fails has not sent anything, and leaves the histories to the next one.
            process.signal("TERM").await;
            process.wait().await;
            let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let place = taken.local_addr().unwrap().to_string();
            let serve = ["serve", "--listen", &place, "--data-dir", &directory];
            let failed = run(TIDEGATE, data.path(), &serve).await;
            assert!(!failed.status.success());
            assert!(data.path().join("history").exists());
            continue;
        }
        process.signal(signal).await;
        process.wait().await;
        assert!(!data.path().join("history").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_starts_again_without_its_data_tells_a_gap() {
    let host = start().await;
    let mut socket = host.websocket("/room/blue").await;
    stands(&mut socket, true).await;
    say(host.client(), ["one"]).await;
    let position = hears(&mut socket, &["one"]).await;
    host.stop().await;
    let host = start().await;
    let back = format!("/room/blue?latest=5&after=remembering.room.blue:{position}");
    let mut socket = host.websocket(&back).await;
    stands(&mut socket, false).await;
    say(host.client(), ["two"]).await;
    hears(&mut socket, &["two"]).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_reads_the_history_and_is_told_what_it_may_not_read() {
    let host = start().await;
    say(host.client(), ["one", "two", "three"]).await;
    let group = "/history/remembering.room.blue";
    let read = host.get(group).await;
    let (all, end) = read.text().rsplit_once(' ').unwrap();
    assert_eq!(all, "one two three | complete true more false");
    let (epoch, _) = end.split_once('-').unwrap();
    let first = host.get(&format!("{group}?limit=1&after={epoch}-1")).await;
    assert_eq!(first.text(), format!("two | complete true more true {epoch}-2"));
    let gap = host.get(&format!("{group}?after=nowhere")).await;
    assert_eq!(gap.text(), format!(" | complete false more false {end}"));
    for (path, rule) in [
        ("/history/remembering.other", "is not remembered; its module declares that it is"),
        ("/history/chat.room.blue", "modules.remembering.grants.groups"),
        ("/history/a%20b", "is not one of a-z"),
        ("/history/remembering.room.blue?limit=0", "1 to 1000 messages; this call asks for 0"),
        ("/history/remembering.room.blue?limit=1001", "1 to 1000 messages"),
    ] {
        let refused = host.get(path).await;
        assert!(refused.status == 400 && refused.text().contains(rule), "{}", refused.text());
    }
    let refused = host.post("/join/remembering.room.blue").await;
    assert!(refused.text().contains("at most the latest 1000 messages"), "{}", refused.text());
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_events_has_positions_as_ids_and_goes_on_behind_the_last_one() {
    let host = start().await;
    let client = host.client();
    let mut stream = client.start("GET", "/events/x", &[], "").await;
    let mut text = String::new();
    // The place where it begins.
    while !text.ends_with("\n\n") {
        text += std::str::from_utf8(&stream.part().await.unwrap().unwrap()).unwrap();
    }
    let start = text.trim_end().strip_prefix("id: ").unwrap().to_owned();
    for event in ["one", "two"] {
        client.request("POST", "/events/x", &[], event).await;
    }
    text.clear();
    while text.matches("\n\n").count() < 2 {
        text += std::str::from_utf8(&stream.part().await.unwrap().unwrap()).unwrap();
    }
    let (epoch, _) = start.split_once('-').unwrap();
    assert_eq!(text, format!("id: {epoch}-1\ndata: one\n\nid: {epoch}-2\ndata: two\n\n"));
    drop(stream);
    let last = format!("{epoch}-1");
    let mut stream = client.start("GET", "/events/x", &[("last-event-id", &last)], "").await;
    text.clear();
    while text.matches("\n\n").count() < 2 {
        text += std::str::from_utf8(&stream.part().await.unwrap().unwrap()).unwrap();
    }
    assert_eq!(text, format!("id: {epoch}-1\n\nid: {epoch}-2\ndata: two\n\n"));
    drop(stream);
    let mut stream = client.start("GET", "/events/x", &[("last-event-id", "7")], "").await;
    text.clear();
    while text.matches("\n\n").count() < 1 {
        text += std::str::from_utf8(&stream.part().await.unwrap().unwrap()).unwrap();
    }
    let gap = "event: tidegate-gap\nid: ";
    assert_eq!(text, format!("{gap}{epoch}-2\ndata: remembering.events.x\n\n"));
    drop(stream);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_an_answer_and_the_next_poll_nothing_is_missed() {
    let host = start().await;
    let client = host.client();
    let nothing = client.get("/poll/x?wait=1").await;
    assert_eq!(nothing.status, 204);
    let mut position = nothing.header("tidegate-position").unwrap().to_owned();
    for news in ["one", "two", "three"] {
        client.request("POST", "/poll/x", &[], news).await;
    }
    for news in ["one", "two", "three"] {
        let reply = client.get(&format!("/poll/x?after={position}")).await;
        assert_eq!((reply.status, reply.text()), (200, news));
        assert_eq!(reply.header("tidegate-complete"), None);
        reply.header("tidegate-position").unwrap().clone_into(&mut position);
    }
    let nothing = client.get(&format!("/poll/x?wait=1&after={position}")).await;
    assert_eq!(nothing.status, 204);
    assert_eq!(nothing.header("tidegate-position"), Some(&*position));
    // A poll whose position is gone does not wait.
    let gap = client.get("/poll/x?after=gone").await;
    assert_eq!((gap.status, gap.header("tidegate-complete")), (204, Some("false")));
    assert_eq!(gap.header("tidegate-position"), Some(&*position));
    let latest = client.get("/poll/x?after=gone&latest=1").await;
    assert_eq!((latest.status, latest.text()), (200, "three"));
    assert_eq!(latest.header("tidegate-complete"), Some("false"));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_for_the_history_in_a_loop_is_let_go() {
    let host = start().await;
    let mut socket = host.websocket("/room/blue").await;
    let start = stands(&mut socket, true).await;
    for _ in 0..4 {
        let line = "x".repeat(60_000);
        assert_eq!(host.client().request("POST", "/room/blue", &[], line).await.status, 200);
    }
    // It takes nothing.
    let let_go = |host: &Host| host.closes("1013") + host.closes("1008") > 0;
    for _ in 0..1_000 {
        if let_go(&host) || !socket.try_send(format!("again {start}")).await {
            break;
        }
    }
    host.until("it is let go", let_go).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_history_than_a_module_may_have_is_refused_with_the_fix() {
    let host = Host::builder().section("[modules.small.history]\nbytes = \"64 KiB\"").start().await;
    let refused = host.try_deploy("small", &guest("remembering")).await.unwrap_err().to_string();
    assert!(refused.contains("modules.NAME.history.bytes"), "{refused}");
    assert!(refused.contains("65536"), "{refused}");
    host.stop().await;
}
