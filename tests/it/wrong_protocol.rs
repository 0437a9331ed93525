//! Answers that do not fit their connection: each is ignored and counted, and harms nothing.

use bytes::Bytes;
use tests::{Host, must};
use tidegate::{
    message::{
        ChannelName, Content, CorrelationId, Frame, Handshake, Message, Outcome, Reply, Response,
        ResponseHead,
    },
    telemetry::DropReason,
};

/// A host without slots: the test is the worker.
async fn host(example: &str) -> Host {
    Host::builder().set("worker = false").example(example).start().await
}

fn head(status: u16) -> ResponseHead {
    ResponseHead { status: ResponseHead::status_from(status).unwrap(), headers: Vec::new() }
}

fn respond(text: &'static str) -> Reply {
    Reply::Respond(Response { head: head(200), body: Bytes::from_static(text.as_bytes()) })
}

fn text(text: &str) -> Reply {
    Reply::Send(Frame::Text(text.to_owned()))
}

fn chunk(text: &'static str) -> Reply {
    Reply::StreamChunk(Bytes::from_static(text.as_bytes()))
}

/// Sends a message to a reply channel, as any program may.
async fn send(host: &Host, channel: &ChannelName, map: &'static [u8]) {
    let content = Content::parse(Bytes::from_static(map)).unwrap();
    let message = Message::custom(content, CorrelationId::random());
    host.app().layer().send(channel, message).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_takes_what_is_for_it_and_counts_the_rest() {
    let host = host("echo").await;
    let serve = async {
        let event = host.next_event().await;
        let accept = || Reply::Accept(Handshake::default());
        // What is sent before the handshake is accepted waits for it; a second time means nothing.
        let replies = vec![
            text("early"),
            respond("no"),
            accept(),
            accept(),
            Reply::Deny,
            respond("no"),
            chunk("no"),
            Reply::StreamEnd,
            text("late"),
        ];
        host.answer(&event, replies, Outcome::Ok).await;
        event.scope.reply_channel.clone()
    };
    let (mut socket, channel) = tokio::join!(host.websocket("/echo"), serve);
    assert_eq!(socket.text().await, "early");
    assert_eq!(socket.text().await, "late");
    assert_eq!(host.dropped(DropReason::WrongProtocol), 4);
    // {"close": 1005}, {"close": 999}, {"status": 99}, {"what": 1}
    for map in [
        &b"\x81\xa5close\xcd\x03\xed"[..],
        b"\x81\xa5close\xcd\x03\xe7",
        b"\x81\xa6status\x63",
        b"\x81\xa4what\x01",
    ] {
        send(&host, &channel, map).await;
    }
    // {"text": "still"}
    send(&host, &channel, b"\x81\xa4text\xa5still").await;
    assert_eq!(socket.text().await, "still");
    assert_eq!(host.dropped(DropReason::Unreadable), 4);
    socket.close(1000).await;
    let disconnect = host.next_event().await;
    host.answer(&disconnect, Vec::new(), Outcome::Ok).await;
    must("it is counted", async {
        while host.dropped(DropReason::ConnectionGone) == 0 {
            send(&host, &channel, b"\x81\xa4text\xa5still").await;
            tokio::task::yield_now().await;
        }
    })
    .await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_one_answer_and_what_comes_after_its_end_is_counted() {
    let host = host("hello").await;
    for (replies, answer, counted) in [
        (vec![respond("one"), respond("two")], "one", 1),
        (vec![text("no"), Reply::Accept(Handshake::default()), respond("one")], "one", 2),
        (
            vec![
                Reply::StreamStart(head(200)),
                chunk("a"),
                Reply::StreamStart(head(404)),
                chunk("b"),
                Reply::StreamEnd,
                chunk("c"),
                Reply::StreamEnd,
            ],
            "ab",
            3,
        ),
    ] {
        let dropped = |host: &Host| {
            host.dropped(DropReason::WrongProtocol) + host.dropped(DropReason::ConnectionGone)
        };
        let before = dropped(&host);
        let serve = async {
            let event = host.next_event().await;
            host.answer(&event, replies, Outcome::Ok).await;
        };
        let (reply, ()) = tokio::join!(host.get("/hello/x"), serve);
        assert_eq!((reply.status, reply.text()), (200, answer));
        host.until("all is counted", |host| dropped(host) == before + counted).await;
    }
    host.stop().await;
}
