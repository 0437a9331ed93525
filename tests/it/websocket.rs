//! WebSocket at the edge: the consumer decides the handshake, text and bytes stay apart, ends are
//! told once.

use tests::{Client, Host, Socket};
use tidegate::message::{
    ChannelName, Content, CorrelationId, EventKind, GroupName, Handshake, Outcome, Reply,
};

#[tokio::test(flavor = "multi_thread")]
async fn text_and_bytes_come_back_as_what_they_were() {
    let host = Host::builder().example("echo").start().await;
    let mut socket = host.websocket("/echo").await;
    socket.send("grüße \u{1f30a}").await;
    assert_eq!(socket.text().await, "grüße \u{1f30a}");
    socket.send("").await;
    assert_eq!(socket.text().await, "");
    socket.send_bytes(vec![0, 255, 254]).await;
    assert_eq!(&socket.bytes().await[..], [0, 255, 254]);
    socket.close(1000).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_nobody_serves_is_denied_with_403() {
    let host = Host::builder().example("echo").example("hello").start().await;
    for path in ["/nowhere", "/hello/ann"] {
        let denied = Socket::try_open(host.address(), path, &[]).await.unwrap_err();
        assert_eq!(denied.status().as_u16(), 403, "{path}");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_breaks_rfc_6455_is_refused_and_says_why() {
    let host = Host::builder().example("echo").start().await;
    let client = Client::new(host.address());
    let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let version = ("sec-websocket-version", "13");
    let upgrade = [("connection", "upgrade"), ("upgrade", "websocket")];
    let table =
        [(vec![version], 400), (vec![key], 426), (vec![key, ("sec-websocket-version", "8")], 426)];
    for (extra, status) in table {
        let headers = [&upgrade[..], &extra[..]].concat();
        let reply = client.request("GET", "/echo", &headers, "").await;
        assert_eq!(reply.status, status, "{extra:?}: {}", reply.text());
        if status == 426 {
            assert_eq!(reply.header("sec-websocket-version"), Some("13"));
        }
    }
    let posted =
        client.request("POST", "/echo", &[&upgrade[..], &[key, version]].concat(), "").await;
    assert_eq!(posted.status, 400);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_message_waits_for_the_handshake_and_never_accepts_it() {
    let host = Host::builder().set("worker = false").example("echo").start().await;
    let layer = host.app().layer();
    let serve = async {
        let event = host.next_event().await;
        let channel = event.scope.reply_channel.clone();
        let group = GroupName::parse("echo.early").unwrap();
        layer.group_add(&group, &channel).await.unwrap();
        // {"text": "early"} and {"close": 4001}: direct ones of Channels 1 would accept and deny.
        for map in [&b"\x81\xa4text\xa5early"[..], b"\x81\xa5close\xcd\x0f\xa1"] {
            let content = Content::parse(bytes::Bytes::from_static(map)).unwrap();
            layer.group_send(&group, content, CorrelationId::random()).await.unwrap();
        }
        // Somebody adds a connection that has ended.
        let (node, _) = channel.connection().unwrap();
        let ended = ChannelName::parse(&format!("{node}!ended")).unwrap();
        layer.group_add(&GroupName::parse("echo.ghosts").unwrap(), &ended).await.unwrap();
        host.answer(&event, vec![Reply::Accept(Handshake::default())], Outcome::Ok).await;
    };
    let (mut socket, ()) = tokio::join!(host.websocket("/echo"), serve);
    // The inbox is in order: the ended one was looked at before.
    assert_eq!(layer.statistics().await.unwrap().groups, 1, "a connection that ended is no member");
    assert_eq!(socket.text().await, "early");
    assert_eq!(socket.closed().await.0, 4001);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_during_the_handshake_is_told_to_the_consumer_once() {
    let host = Host::builder().set("worker = false").example("echo").start().await;
    let address = host.address();
    let client = tests::background(async move { Socket::open(address, "/echo").await });
    let connect = host.next_event().await;
    tests::give_up(client).await;
    host.answer(&connect, vec![Reply::Accept(Handshake::default())], Outcome::Ok).await;
    let disconnect = host.next_event().await;
    let EventKind::WebsocketDisconnect(close) = &disconnect.kind else { panic!("{disconnect:?}") };
    assert_eq!((close.code, disconnect.order), (1006, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_did_not_accept_is_not_told_of_an_end() {
    let host = Host::builder().set("worker = false").example("echo").start().await;
    let layer = std::sync::Arc::clone(host.app().layer());
    let address = host.address();
    let client = tests::background(async move { Socket::open(address, "/echo").await });
    let connect = host.next_event().await;
    tests::give_up(client).await;
    host.answer(&connect, Vec::new(), Outcome::Ok).await;
    assert_eq!(host.stop().await, 0);
    assert_eq!(layer.statistics().await.unwrap().channels.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_connection_is_told_although_the_module_rests() {
    let breaker = "[breaker]\nfaults = 1\npause = '1h'\nlongest_pause = '1h'";
    let host = Host::builder().guest("counter").section(breaker).start().await;
    let mut socket = host.websocket("/count").await;
    socket.send("fault").await;
    assert_eq!(socket.closed().await.0, 1011);
    let records = std::sync::Arc::clone(host.app().records());
    host.stop().await;
    let told = |record: &std::sync::Arc<tidegate::worker::Record>| {
        record.log.text.contains("disconnect 1011")
    };
    assert_eq!(records.latest().iter().filter(|record| told(record)).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_of_a_client_reaches_the_consumer() {
    let host = Host::builder().guest("slow").start().await;
    let mut watch = host.websocket("/watch").await;
    host.websocket("/flooded").await.close(4321).await;
    assert_eq!(watch.text().await, "closed 4321");
    drop(host.websocket("/flooded").await);
    assert_eq!(watch.text().await, "closed 1006");
    drop(watch);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_streams_share_a_socket_and_one_that_is_not_there_closes_it() {
    let host = Host::builder().guest("demultiplexer").start().await;
    let mut one = host.websocket("/both").await;
    let mut two = host.websocket("/both").await;
    for frames in 1..=2 {
        one.send(r#"{"stream": "count", "payload": null}"#).await;
        assert_eq!(one.text().await, format!(r#"{{"stream":"count","payload":{frames}}}"#));
        one.send(r#"{"stream": "tell", "payload": "ahoy"}"#).await;
        for socket in [&mut one, &mut two] {
            assert_eq!(socket.text().await, r#"{"stream":"tell","payload":"ahoy"}"#);
        }
    }
    one.send(r#"{"stream": "tea", "payload": null}"#).await;
    assert_eq!(one.closed().await, (4404, r#"there is no stream "tea""#.to_owned()));
    two.send(r#"{"stream": "count", "payload": 1}"#).await;
    let (code, reason) = two.closed().await;
    assert_eq!(code, 4400);
    assert!(reason.starts_with(r#"stream "count": "#), "{reason}");
    assert_eq!(host.invocations("demultiplexer", "failed"), 0);
    host.stop().await;
}
