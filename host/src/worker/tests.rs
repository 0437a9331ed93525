//! Slots over a scripted layer: whatever panics beneath a run, the slots go on.

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use tokio::{
    runtime::Handle,
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{
    delivery::{Delivery, Origin},
    *,
};
use crate::{
    capability::store::{Commit, EmbeddedStore, Parcel, Quota, RunId},
    engine::Entry,
    layer::{
        GroupSent, LayerError, Moved, Received, SendError, Statistics, Waiting, WaitingId,
        WaitingPage,
    },
    message::{
        Answer, ChannelName, Content, CorrelationId, Done, Entered, Event, EventKind, Frame,
        GroupName, Handshake, InboxEntry, LocalName, MemberKey, MembersPage, Message, ModuleName,
        NodeName, Online, Outcome, Payload, Present, ProcessTag, Receipt, Reply, Scope, Settled,
        UserLimit, seal_relayed,
    },
};

/// Hands out what a test puts in, and panics as often as the test asks.
#[derive(Debug)]
struct ScriptedLayer {
    dispatch: OnceLock<Arc<Dispatch>>,
    answers: mpsc::Sender<Answer>,
    offer_panics: AtomicUsize,
    answer_panics: AtomicUsize,
    failing_joins: AtomicUsize,
    join_error: LayerError,
}

impl ScriptedLayer {
    const fn new(answers: mpsc::Sender<Answer>) -> Self {
        Self {
            dispatch: OnceLock::new(),
            answers,
            offer_panics: AtomicUsize::new(0),
            answer_panics: AtomicUsize::new(0),
            failing_joins: AtomicUsize::new(0),
            join_error: LayerError::Stopped,
        }
    }

    fn panic_if_asked(left: &AtomicUsize) {
        let one_less = |left: usize| left.checked_sub(1);
        if left.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less).is_ok() {
            panic!("asked to");
        }
    }
}

#[async_trait]
impl ChannelLayer for ScriptedLayer {
    fn outlives_the_process(&self) -> bool {
        true
    }

    fn attach(&self, dispatch: &Arc<Dispatch>) {
        self.dispatch.set(Arc::clone(dispatch)).unwrap();
    }

    fn offer(&self) {
        Self::panic_if_asked(&self.offer_panics);
    }

    async fn answer(&self, _: &NodeName, answer: Answer) -> Result<(), LayerError> {
        Self::panic_if_asked(&self.answer_panics);
        self.answers.send(answer).await.map_err(|_| LayerError::Stopped)
    }

    async fn waiting(
        &self,
        _: &ChannelName,
        _: Option<&WaitingId>,
        _: usize,
    ) -> Result<WaitingPage, LayerError> {
        Ok(WaitingPage::default())
    }

    async fn find_waiting(
        &self,
        _: &ChannelName,
        _: &WaitingId,
    ) -> Result<Option<Waiting>, LayerError> {
        Ok(None)
    }

    async fn move_waiting(
        &self,
        _: &ChannelName,
        _: &WaitingId,
        _: Option<&ChannelName>,
    ) -> Result<Moved, LayerError> {
        Ok(Moved::Gone)
    }

    async fn send(&self, _: &ChannelName, _: Message) -> Result<(), SendError> {
        Ok(())
    }
    async fn send_later(&self, _: &ChannelName, _: Message, _: Duration) -> Result<(), SendError> {
        Ok(())
    }
    async fn room(&self, _: &ChannelName) {}
    async fn settle(&self, _: &ChannelName, _: &Receipt, _: Settled) -> Result<(), LayerError> {
        Ok(())
    }
    async fn group_add(&self, _: &GroupName, _: &ChannelName) -> Result<(), SendError> {
        let one_less = |left: usize| left.checked_sub(1);
        match self.failing_joins.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less) {
            Ok(_) => Err(self.join_error.clone().into()),
            Err(_) => Ok(()),
        }
    }
    async fn present(
        &self,
        group: &GroupName,
        connection: &ChannelName,
        _: &Present,
    ) -> Result<(), SendError> {
        self.group_add(group, connection).await
    }
    async fn members(
        &self,
        _: &GroupName,
        _: Option<&MemberKey>,
        _: usize,
    ) -> Result<MembersPage, LayerError> {
        Ok(MembersPage::default())
    }
    async fn group_discard(&self, _: &GroupName, _: &ChannelName) -> Result<(), LayerError> {
        Ok(())
    }
    async fn leave_all(&self, _: &ChannelName) -> Result<(), LayerError> {
        Ok(())
    }
    async fn enter(
        &self,
        _: &GroupName,
        _: &ChannelName,
        _: Option<UserLimit>,
    ) -> Result<Entered, LayerError> {
        Ok(Entered::Full)
    }
    async fn connections_of(&self, _: &GroupName, _: usize) -> Result<Online, LayerError> {
        Ok(Online::default())
    }
    async fn group_send(
        &self,
        _: &GroupName,
        _: Content,
        _: CorrelationId,
    ) -> Result<GroupSent, SendError> {
        Ok(GroupSent::default())
    }
    async fn open_inbox(&self, _: &NodeName) -> Result<(), LayerError> {
        Ok(())
    }
    async fn read_inbox(&self, _: &NodeName) -> Result<Vec<InboxEntry>, LayerError> {
        std::future::pending().await
    }
    async fn close_inbox(&self, _: &NodeName) {}
    async fn statistics(&self) -> Result<Statistics, LayerError> {
        Ok(Statistics::default())
    }
    async fn probe(&self) -> Result<(), LayerError> {
        Ok(())
    }
}

/// A worker with two slots, of which the module may hold one.
struct Stage {
    layer: Arc<ScriptedLayer>,
    answers: mpsc::Receiver<Answer>,
    metrics: Arc<Metrics>,
    pool: WorkerPool,
}

impl Stage {
    fn new() -> Self {
        let (answered, answers) = mpsc::channel(100);
        let layer = Arc::new(ScriptedLayer::new(answered));
        let metrics = Arc::new(Metrics::new());
        let config = WorkerConfig {
            slots: 2,
            breaker: BreakerConfig::default(),
            fetches: None,
            channels: ChannelFilter::default(),
            retry_pause: Duration::from_secs(1),
        };
        let shared: Arc<dyn ChannelLayer> = Arc::<ScriptedLayer>::clone(&layer);
        let parts = Parts {
            layer: shared,
            store: Arc::new(EmbeddedStore::in_memory().unwrap()),
            sessions: None,
            registry: Arc::default(),
            metrics: Arc::clone(&metrics),
            clients: Arc::default(),
            records: Arc::new(Records::default()),
            traces: Traces::default(),
        };
        let pool = WorkerPool::start(&config, parts, Drain::new(Handle::current())).unwrap();
        Self { layer, answers, metrics, pool }
    }

    /// An event of a module that is not here: the slot answers without a run.
    fn send(&self, order: u64) {
        let (local, correlation) = (LocalName::random(), CorrelationId::random());
        let kind = EventKind::WebsocketReceive(Frame::Text("x".to_owned()));
        let scope = Scope {
            reply_channel: ChannelName::of_connection(&NodeName::random(), &local),
            correlation,
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
        let event = Event {
            scope: Arc::new(scope),
            consumer: "c".into(),
            order,
            kind,
            state: None,
            activation: 0,
            wants_done: true,
        };
        let payload = Payload::Event(Box::new(event));
        let received = Received {
            channel: ChannelName::parse("websocket.receive.m").unwrap(),
            module: ModuleName::parse("m").unwrap(),
            message: Message { payload, correlation, id: None, trace: None, expires_after: None },
            waited: Duration::ZERO,
            receipt: None,
        };
        self.layer.dispatch.get().unwrap().hand_over(vec![received]);
    }

    async fn answered(&mut self) -> u64 {
        let answer = timeout(Duration::from_secs(10), self.answers.recv()).await;
        let answer = answer.expect("an answer in time").unwrap();
        assert_eq!(answer.done.map(|done| done.outcome), Some(Outcome::Gone));
        answer.order
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_panics_is_replaced_counted_and_frees_the_place_of_its_module() {
    let mut stage = Stage::new();
    // Far more than there are slots, and than the module may hold.
    stage.layer.answer_panics.store(9, Ordering::Release);
    for order in 0..10 {
        stage.send(order);
    }
    // Two slots run them, so the last two change places at times.
    stage.answered().await;
    stage.pool.stop().await;
    assert_eq!(stage.metrics.slot_panics.get(), 9);
    assert_eq!(stage.metrics.slots_busy.get(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_go_on_after_a_panic_of_the_layer() {
    let mut stage = Stage::new();
    stage.send(0);
    assert_eq!(stage.answered().await, 0);
    stage.layer.offer_panics.store(2, Ordering::Release);
    for order in 1..4 {
        stage.send(order);
        assert_eq!(stage.answered().await, order);
    }
    // Who has run looks for more, and so does who comes in the place of a slot that panicked.
    stage.pool.stop().await;
    assert_eq!(stage.metrics.slot_panics.get(), 2);
}

/// The answer to a handshake whose join fails so many times, and how many entries were dropped.
async fn answer_after(failing_joins: usize, join_error: LayerError) -> (Answer, usize) {
    let (answered, mut answers) = mpsc::channel(10);
    let layer: Arc<dyn ChannelLayer> = Arc::new(ScriptedLayer {
        failing_joins: AtomicUsize::new(failing_joins),
        join_error,
        ..ScriptedLayer::new(answered)
    });
    let origin =
        Origin { node: NodeName::random(), local: LocalName::random(), order: 0, words: None };
    let channel = ChannelName::of_connection(&origin.node, &origin.local);
    let delivery = Delivery {
        means: Arc::new(Means {
            layer: Arc::clone(&layer),
            metrics: Arc::new(Metrics::new()),
            warnings: DeliveryWarnings::default(),
            relay: Relay::idle(&layer),
            overlaps: Overlaps::idle(),
        }),
        correlation: CorrelationId::random(),
        place: None,
        origin: Some(origin),
        receipt: None,
        module: ModuleName::unrouted(),
        id: None,
        content: None,
        answered: Arc::default(),
    };
    let group = GroupName::parse("g").unwrap();
    let accept = Entry::Reply(Reply::Accept(Handshake::default()));
    let done = Done { outcome: Outcome::Ok, state: None, activation: 1 };
    let entries = vec![Entry::GroupAdd { group, channel }, accept];
    let dropped = match delivery.conclude(entries, Some(done)).await {
        Ok(()) => 0,
        Err((halted, done)) => delivery.conclude_patiently(halted, done).await,
    };
    (answers.recv().await.unwrap(), dropped)
}

fn away() -> LayerError {
    LayerError::Unavailable("the group is away".to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_join_that_fails_is_made_again_before_the_connection_is_answered() {
    let (answer, dropped) = answer_after(5, away()).await;
    assert_eq!((answer.replies.len(), dropped), (1, 0));
    assert_eq!(answer.done.unwrap().outcome, Outcome::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_join_cannot_be_made_is_refused() {
    let (answer, dropped) = answer_after(usize::MAX, away()).await;
    assert_eq!((answer.replies.len(), dropped), (0, 1));
    assert_eq!(answer.done.unwrap().outcome, Outcome::Refused);
}

#[tokio::test(start_paused = true)]
async fn a_join_that_the_store_refuses_is_not_made_again() {
    let started = Instant::now();
    let refused = LayerError::Refused("NOPERM".to_owned());
    let (answer, dropped) = answer_after(1, refused).await;
    assert_eq!((answer.replies.len(), dropped), (0, 1));
    assert_eq!(answer.done.unwrap().outcome, Outcome::Refused);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn a_worker_that_ends_sends_what_it_has_stored_and_leaves_what_others_send() {
    let (answered, _answers) = mpsc::channel(10);
    let layer = Arc::new(ScriptedLayer::new(answered));
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().unwrap());
    let metrics = Arc::new(Metrics::new());
    let relay = Relay::new(Arc::clone(&store), layer, metrics, Box::new(|_| true));
    let module = ModuleName::parse("shop").unwrap();
    for process in [relay.process(), ProcessTag::random(), relay.process()] {
        let mut commit = Commit::new(RunId::random(), Quota::NONE);
        let content = Content::parse(bytes::Bytes::from_static(&[0x80])).unwrap();
        let payload = seal_relayed(Some(process), CorrelationId::random(), &content);
        commit.relayed.push(Parcel { target: "mail".to_owned(), payload });
        store.commit(&module, commit).await.unwrap();
    }
    assert_eq!(relay.finish().await, 0);
    let left = store.waiting(&module, None, 10).await.unwrap();
    assert_eq!(left.iter().map(|(place, _)| place.number).collect::<Vec<_>>(), [2]);
}
