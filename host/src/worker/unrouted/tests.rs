//! A module's channel is full: requests are refused at once, frames after a while.

use std::collections::BTreeMap;

use tokio::{runtime::Handle, time::advance};

use super::*;
use crate::{
    layer::{Capacities, Dispatch, LayerConfig, MemoryLayer, Owners},
    message::{Answer, Frame, InboxEntry, LocalName, ModuleName, NodeName, Scope},
    routing::{
        Declared, EventChannels, Guards, OnFault, Pattern, Policy, RouteSpec, RouteTable, Trigger,
    },
    telemetry::{DropReason, Metrics},
    worker::{
        delivery::{DeliveryWarnings, Means, Origin},
        fallback_reply::FallbackReply,
        overlaps::Overlaps,
        relay::Relay,
    },
};

/// A module `m` with a request and a WebSocket at `/`, whose channels hold one message each.
struct Stage {
    registry: Registry,
    drain: Drain,
    layer: Arc<dyn ChannelLayer>,
    metrics: Arc<Metrics>,
    node: NodeName,
    owners: Arc<Owners>,
}

impl Stage {
    async fn new() -> Self {
        let module = ModuleName::parse("m").unwrap();
        let path = || Pattern::parse("/").unwrap();
        let trigger = |trigger| RouteSpec { consumer: "c".into(), trigger };
        let methods = ["GET".to_owned()].into();
        let (guards, disconnect) = (Guards::default(), false);
        let http = Trigger::Http { methods, path: path(), guards, disconnect };
        let mut routes = vec![
            trigger(http),
            trigger(Trigger::Websocket { path: path(), guards: Guards::default() }),
        ];
        routes[1].consumer = "w".into();
        let second = Duration::from_secs(1);
        let policy = Policy {
            event_expiry: 10 * second,
            deadline: second,
            on_fault: OnFault::Close,
            user_limit: None,
            sections: None,
            activation: 1,
        };
        let retries = BTreeMap::new();
        let declared = Declared {
            module: &module,
            routes: &routes,
            access: BTreeMap::new(),
            resumes: BTreeMap::new(),
            policy,
            files: &[],
            retries: &retries,
        };
        let registry = Registry::default();
        registry.routes().replace(RouteTable::build(&[declared]).unwrap());
        let metrics = Arc::new(Metrics::new());
        let capacities = Capacities::new(1, []).unwrap();
        let config = LayerConfig { capacities, ..LayerConfig::default() };
        let layer: Arc<dyn ChannelLayer> = Arc::new(MemoryLayer::new(config, Arc::clone(&metrics)));
        let node = NodeName::random();
        layer.open_inbox(&node).await.unwrap();
        let channels = EventChannels::of(&module);
        let owners = channels.all().map(|channel| (channel.clone(), module.clone()));
        let (drain, owners) = (Drain::new(Handle::current()), Arc::new(Owners::from(owners)));
        Self { registry, drain, layer, metrics, node, owners }
    }

    async fn send_on(&self, kind: EventKind, waited: Duration) {
        let (local, id) = (LocalName::random(), CorrelationId::random());
        let scope = Scope {
            reply_channel: ChannelName::of_connection(&self.node, &local),
            correlation: id,
            protocol: kind.protocol(),
            secure: false,
            method: "GET".to_owned(),
            http_version: "1.1",
            path: "/".to_owned(),
            raw_path: "/".to_owned(),
            query_string: String::new(),
            path_params: Vec::new(),
            headers: Vec::new(),
            client: ([127, 0, 0, 1], 1).into(),
            server: ([127, 0, 0, 1], 2).into(),
            root_path: String::new(),
            subprotocols: Vec::new(),
            user: None,
            session: None,
        };
        let words = Some(FallbackReply::about(&kind));
        let delivery = Delivery {
            means: Arc::new(Means {
                layer: Arc::clone(&self.layer),
                metrics: Arc::clone(&self.metrics),
                warnings: DeliveryWarnings::default(),
                relay: Relay::idle(&self.layer),
                overlaps: Overlaps::idle(),
            }),
            correlation: id,
            place: None,
            origin: Some(Origin { node: self.node.clone(), local, order: 0, words }),
            receipt: None,
            module: ModuleName::unrouted(),
            id: None,
            content: None,
            answered: Arc::default(),
        };
        let event = Event {
            scope: Arc::new(scope),
            consumer: "".into(),
            order: 0,
            kind,
            state: None,
            activation: 0,
            wants_done: false,
        };
        let channel = ChannelName::of_unrouted(&event.kind);
        let payload = Payload::Event(Box::new(event));
        let message =
            Message { payload, correlation: id, id: None, trace: None, expires_after: None };
        let module = ModuleName::unrouted();
        let received = Received { channel, module, message, waited, receipt: None };
        send_on(&self.registry, &self.drain, Arc::new(delivery), received).await;
    }

    async fn reply(&self) -> Reply {
        let mut entries = self.layer.read_inbox(&self.node).await.unwrap();
        match entries.pop() {
            Some(InboxEntry::Answer(Answer { mut replies, .. })) => replies.pop().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn take(&self) -> Received {
        let dispatch = Dispatch::new(1, 1);
        dispatch.read(Arc::clone(&self.owners), Arc::default());
        self.layer.attach(&dispatch);
        dispatch.next(&*self.layer).await.unwrap()
    }
}

fn frame() -> EventKind {
    EventKind::WebsocketReceive(Frame::Text("x".to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_request_that_finds_its_module_busy_is_refused_at_once() {
    let stage = Stage::new().await;
    let request = || EventKind::HttpRequest(bytes::Bytes::new());
    stage.send_on(request(), Duration::ZERO).await;
    stage.send_on(request(), Duration::ZERO).await;
    let Reply::Respond(refused) = stage.reply().await else { panic!("a response") };
    assert_eq!(refused.head.status, 503);
    assert_eq!(stage.metrics.dropped_count(DropReason::ChannelFull), 1);
    let taken = stage.take().await;
    assert_eq!(taken.channel.as_str(), "http.request.m");
    let Payload::Event(event) = taken.message.payload else { panic!("an event") };
    assert_eq!(&*event.consumer, "c");
}

#[tokio::test(start_paused = true)]
async fn a_frame_waits_for_room_and_is_refused_after_2_seconds() {
    let stage = Stage::new().await;
    stage.send_on(frame(), Duration::ZERO).await;
    stage.send_on(frame(), Duration::ZERO).await;
    stage.take().await;
    // The one that waited has the room now.
    stage.take().await;
    stage.send_on(frame(), Duration::ZERO).await;
    stage.send_on(frame(), Duration::ZERO).await;
    let before = Instant::now();
    assert!(matches!(stage.reply().await, Reply::Close(close) if close.code == 1013));
    assert_eq!(before.elapsed().as_secs(), FULL_CHANNEL_TIMEOUT.as_secs());
    assert_eq!(stage.metrics.dropped_count(DropReason::ChannelFull), 1);
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_a_worker_for_too_long_is_not_sent_on() {
    let stage = Stage::new().await;
    stage.send_on(frame(), Duration::from_secs(10)).await;
    assert_eq!(stage.metrics.dropped_count(DropReason::Expired), 1);
    // What is left of the time it may wait counts.
    stage.send_on(frame(), Duration::from_secs(9)).await;
    advance(Duration::from_secs(2)).await;
    stage.send_on(frame(), Duration::ZERO).await;
    stage.take().await;
    assert_eq!(stage.metrics.dropped_count(DropReason::Expired), 2);
}
