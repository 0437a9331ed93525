//! Interface servers in other languages send events without knowing the routes. Here one is played on
//! the layer, in memory and on Redis alike.

use std::sync::Arc;

use tests::{Host, RedisServer, must};
use tidegate::{
    message::{
        Answer, ChannelName, Close, CorrelationId, Done, Event, EventKind, Frame, InboxEntry,
        LocalName, Message, NodeName, Outcome, Payload, Protocol, Reply, Scope,
    },
    telemetry::DropReason,
};

/// A node that is no interface server of ours.
pub(crate) struct Peer {
    pub(crate) host: Host,
    node: NodeName,
    wants_done: bool,
    /// One that lives as long as the host.
    _redis: Option<RedisServer>,
}

/// What came back for an event: the replies, and the mark if it was asked for.
pub(crate) type Ended = (Vec<Reply>, Option<Done>);

impl Peer {
    /// A host with examples and one more guest, and the node beside it.
    async fn start(on_redis: bool, wants_done: bool, guest: &str) -> Self {
        let redis = on_redis.then(RedisServer::start);
        let mut builder = Host::builder();
        if let Some(redis) = &redis {
            builder = builder.section(&format!("[layer]\nurl = {:?}", redis.url()));
        }
        let host = builder.example("hello").guest(guest).start().await;
        Self { _redis: redis, ..Self::beside(host, wants_done).await }
    }

    /// A node beside a host.
    pub(crate) async fn beside(host: Host, wants_done: bool) -> Self {
        let node = NodeName::random();
        host.app().layer().open_inbox(&node).await.unwrap();
        Self { host, node, wants_done, _redis: None }
    }

    pub(crate) fn scope(&self, protocol: Protocol, method: &str, target: &str) -> Scope {
        Scope {
            reply_channel: ChannelName::of_connection(&self.node, &LocalName::random()),
            correlation: CorrelationId::random(),
            protocol,
            secure: false,
            method: method.to_owned(),
            http_version: "1.1",
            path: target.to_owned(),
            raw_path: target.to_owned(),
            query_string: String::new(),
            path_params: Vec::new(),
            headers: Vec::new(),
            client: "127.0.0.1:1".parse().unwrap(),
            server: "127.0.0.1:2".parse().unwrap(),
            root_path: String::new(),
            subprotocols: Vec::new(),
            user: None,
            session: None,
        }
    }

    pub(crate) fn event(&self, scope: &Scope, order: u64, kind: EventKind) -> Event {
        Event {
            scope: Arc::new(scope.clone()),
            consumer: "".into(),
            order,
            kind,
            state: None,
            activation: 0,
            wants_done: self.wants_done,
        }
    }

    async fn send(&self, event: Event) {
        let channel = ChannelName::parse(event.kind.channel()).unwrap();
        self.send_to(&channel, event).await;
    }

    pub(crate) async fn send_to(&self, channel: &ChannelName, event: Event) {
        let correlation = event.scope.correlation;
        let payload = Payload::Event(Box::new(event));
        let message = Message { payload, correlation, id: None, trace: None, expires_after: None };
        self.host.app().layer().send(channel, message).await.unwrap();
    }

    /// All that is said about one event.
    pub(crate) async fn end_of(&self, order: u64) -> Ended {
        let mut all = Vec::new();
        loop {
            let read = self.host.app().layer().read_inbox(&self.node);
            for entry in must("an answer", read).await.unwrap() {
                let InboxEntry::Answer(Answer { order: of, replies, done, .. }) = entry else {
                    continue;
                };
                assert_eq!(of, order);
                all.extend(replies);
                if done.is_some() || (!self.wants_done && !all.is_empty()) {
                    return (all, done);
                }
            }
        }
    }

    async fn ask(&self, method: &str, target: &str, body: &'static str) -> Ended {
        let scope = self.scope(Protocol::Http, method, target);
        self.send(self.event(&scope, 7, EventKind::HttpRequest(body.into()))).await;
        self.end_of(7).await
    }
}

fn response(replies: &[Reply]) -> (u16, String) {
    let [Reply::Respond(response)] = replies else { panic!("one response, not {replies:?}") };
    let body = String::from_utf8(response.body.to_vec()).unwrap();
    (response.head.status.as_u16(), body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_module_finds_its_route_and_captures() {
    for (on_redis, wants_done) in [(false, true), (false, false), (true, true), (true, false)] {
        let peer = Peer::start(on_redis, wants_done, "counter").await;
        let (replies, done) = peer.ask("GET", "/hello/%C3%84nne", "").await;
        assert_eq!(response(&replies), (200, "Hello, Änne!\n".to_owned()));
        assert_eq!(done.map(|done| done.outcome), wants_done.then_some(Outcome::Ok));
        peer.host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_route_there_is_a_404_and_a_handshake_is_denied() {
    for on_redis in [false, true] {
        let peer = Peer::start(on_redis, true, "counter").await;
        let (replies, done) = peer.ask("GET", "/nothing-is-here", "").await;
        assert_eq!(response(&replies).0, 404);
        assert_eq!(done.unwrap().outcome, Outcome::Ok);
        let (replies, _) = peer.ask("DELETE", "/hello/you", "").await;
        let Some(Reply::Respond(refused)) = replies.first() else { panic!("{replies:?}") };
        assert_eq!(refused.head.status, 405);
        assert!(refused.head.headers.iter().any(|(name, _)| name == "allow"));
        assert_eq!(response(&peer.ask("GET", "/hello/%FF", "").await.0).0, 400);
        let scope = peer.scope(Protocol::Websocket, "GET", "/nothing-is-here");
        peer.send(peer.event(&scope, 0, EventKind::WebsocketConnect)).await;
        let (replies, done) = peer.end_of(0).await;
        assert_eq!(replies, [Reply::Deny]);
        assert_eq!(done.unwrap().outcome, Outcome::Ok);
        let frame = EventKind::WebsocketReceive(Frame::Text("x".to_owned()));
        peer.send(peer.event(&scope, 1, frame)).await;
        let (replies, done) = peer.end_of(1).await;
        assert!(replies.is_empty());
        assert_eq!(done.unwrap().outcome, Outcome::Gone);
        peer.host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_keeps_its_state_with_whoever_asks_for_marks() {
    for on_redis in [false, true] {
        let peer = Peer::start(on_redis, true, "counter").await;
        let scope = peer.scope(Protocol::Websocket, "GET", "/count");
        peer.send(peer.event(&scope, 0, EventKind::WebsocketConnect)).await;
        let (replies, done) = peer.end_of(0).await;
        assert!(matches!(&replies[..], [Reply::Accept(_), ..]), "{replies:?}");
        let mut last = done.unwrap();
        for (order, expected) in [(1, "1:x:1"), (2, "1:x:2")] {
            let frame = EventKind::WebsocketReceive(Frame::Text("x".to_owned()));
            let mut event = peer.event(&scope, order, frame);
            (event.state, event.activation) = (last.state.clone(), last.activation);
            peer.send(event).await;
            let (replies, done) = peer.end_of(order).await;
            assert_eq!(replies, [Reply::Send(Frame::Text(expected.to_owned()))]);
            let done = done.unwrap();
            assert_eq!(done.outcome, Outcome::Ok);
            assert!(done.state.is_some() && done.activation > 0);
            last = done;
        }
        let over = EventKind::WebsocketDisconnect(Close::new(1001, ""));
        peer.send(peer.event(&scope, 3, over)).await;
        assert_eq!(peer.end_of(3).await.1.unwrap().outcome, Outcome::Ok);
        peer.host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_no_marks_is_told_of_a_fault_in_words() {
    for on_redis in [false, true] {
        let peer = Peer::start(on_redis, false, "panic").await;
        let (replies, done) = peer.ask("GET", "/run", "").await;
        let (status, text) = response(&replies);
        assert_eq!((status, done), (500, None), "{text}");
        peer.host.record_of(&text);
        peer.host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_on_such_a_channel_is_dropped_and_counted() {
    let peer = Peer::start(false, true, "counter").await;
    let content = tidegate::message::Content::parse(b"\x80".to_vec().into()).unwrap();
    let message = Message::custom(content, CorrelationId::random());
    let channel = ChannelName::parse("http.request").unwrap();
    peer.host.app().layer().send(&channel, message).await.unwrap();
    peer.host.until("it is counted", |host| host.dropped(DropReason::NotRun) == 1).await;
    peer.host.stop().await;
}
