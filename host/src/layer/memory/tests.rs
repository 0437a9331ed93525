//! The layer of one process: the conformance of all layers, and what is its own.

use super::*;
use crate::layer::conformance::{
    Paused, Subject, config, conformance_cases, fairness_cases, one_test_each, presence_cases,
};
use crate::{layer::LastingChannels, message::Lasting, shutdown::Drain};

fn subject() -> std::future::Ready<Subject> {
    let metrics = Arc::new(Metrics::new());
    let layer = Arc::new(MemoryLayer::new(config(), Arc::clone(&metrics)));
    let clock = Arc::clone(&layer);
    let drain = Drain::new(tokio::runtime::Handle::current());
    drop(drain.spawn("later messages", async move { clock.keep_time().await }));
    std::future::ready(Subject { layer, metrics, clock: Box::new(Paused) })
}

conformance_cases!(one_test_each! [tokio::test(start_paused = true); subject()]);
fairness_cases!(one_test_each! [tokio::test(start_paused = true); subject()]);
presence_cases!(one_test_each! [tokio::test(start_paused = true); subject()]);

fn content(bytes: usize) -> Content {
    let mut map = vec![0x81, 0xa1, b'b', 0xc6];
    map.extend(u32::try_from(bytes - 8).unwrap().to_be_bytes());
    map.resize(bytes, 0);
    Content::parse(map.into()).unwrap()
}

fn default_layer() -> (MemoryLayer, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new());
    (MemoryLayer::new(LayerConfig::default(), Arc::clone(&metrics)), metrics)
}

/// A worker with two slots that reads these channels.
fn worker(
    layer: &MemoryLayer,
    channels: &[ChannelName],
    lasting: Arc<LastingChannels>,
) -> Arc<Dispatch> {
    let module = ModuleName::parse("m").unwrap();
    let owners = channels.iter().map(|channel| (channel.clone(), module.clone()));
    let dispatch = Dispatch::new(2, 9);
    dispatch.read(Arc::new(owners.collect()), lasting);
    layer.attach(&dispatch);
    dispatch
}

fn message(content: &Content) -> Message {
    Message::custom(content.clone(), CorrelationId::random())
}

#[tokio::test]
async fn by_default_a_message_has_1088_kib_and_10_000_wait_to_be_sent_later() {
    let (layer, _) = default_layer();
    let channel = ChannelName::parse("a").unwrap();
    let limit = 1_088 * 1024;
    layer.send(&channel, message(&content(limit))).await.unwrap();
    let refused = layer.send(&channel, message(&content(limit + 1))).await;
    assert_eq!(refused, Err(SendError::TooLarge { bytes: limit + 1, limit }));
    let (small, delay) = (content(9), Duration::from_secs(60));
    for _ in 0..10_000 {
        layer.send_later(&channel, message(&small), delay).await.unwrap();
    }
    let refused = layer.send_later(&channel, message(&small), delay).await;
    assert_eq!(refused, Err(SendError::TooManyDelayed { limit: 10_000 }));
}

#[tokio::test]
async fn by_default_an_inbox_has_64_mib_and_the_layer_256() {
    let (layer, metrics) = default_layer();
    let mib = content(1024 * 1024);
    let node = NodeName::random();
    layer.open_inbox(&node).await.unwrap();
    let connection = ChannelName::of_connection(&node, &LocalName::random());
    for _ in 0..63 {
        layer.send(&connection, message(&mib)).await.unwrap();
    }
    assert_eq!(metrics.dropped_count(DropReason::InboxFull), 0);
    layer.send(&connection, message(&mib)).await.unwrap();
    assert_eq!(metrics.dropped_count(DropReason::InboxFull), 1);
    for number in 0..256 {
        let channel = ChannelName::parse(&format!("c.{}", number % 10)).unwrap();
        layer.send(&channel, message(&mib)).await.unwrap();
    }
    let channel = ChannelName::parse("c.0").unwrap();
    let refused = layer.send(&channel, message(&content(9))).await;
    assert_eq!(refused, Err(SendError::ChannelFull(channel)));
}

#[tokio::test]
async fn all_messages_together_are_bounded_in_bytes() {
    let layer = MemoryLayer::new(config(), Arc::new(Metrics::new()));
    let channel = |name: &str| ChannelName::parse(name).unwrap();
    let large = || message(&content(1_000));
    for name in ["a", "b", "c"] {
        layer.send(&channel(name), large()).await.unwrap();
    }
    let delay = Duration::from_secs(1);
    layer.send_later(&channel("d"), large(), delay).await.unwrap();
    let small = || message(&content(9));
    let full = layer.send(&channel("e"), small()).await;
    assert_eq!(full, Err(SendError::ChannelFull(channel("e"))));
    assert!(layer.send_later(&channel("e"), small(), delay).await.is_err());
    let worker = worker(&layer, &[channel("a")], Arc::default());
    worker.next(&layer).await.unwrap();
    layer.send(&channel("e"), large()).await.unwrap();
    assert!(layer.send(&channel("e"), small()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_at_the_stop_is_counted_by_kind() {
    let (layer, metrics) = default_layer();
    let channel = |name| ChannelName::parse(name).unwrap();
    let at_least_once = Lasting { retries: 1, lease: Duration::from_secs(60) };
    let lasting = Arc::new(LastingChannels::from([(channel("a"), at_least_once)]));
    let send = async |name| layer.send(&channel(name), message(&content(9))).await.unwrap();
    let later = Duration::from_secs(3600);
    layer.send_later(&channel("a"), message(&content(9)), later).await.unwrap();
    // Of two that a worker has, one fails for good, and the other is still out.
    let worker = worker(&layer, &[channel("a"), channel("b")], lasting);
    send("a").await;
    send("a").await;
    let received = worker.next(&layer).await.unwrap();
    worker.next(&layer).await.unwrap();
    worker.close();
    let receipt = received.receipt.unwrap();
    layer.settle(&channel("a"), &receipt, Settled::Dead).await.unwrap();
    send("a").await;
    for _ in 0..4 {
        send("b").await;
    }
    let lost = LostAtStop { delayed: 1, at_least_once: 3, at_most_once: 4 };
    assert_eq!(layer.stop(0).await, lost);
    assert_eq!(metrics.dropped_count(DropReason::Shutdown), 8);
    assert_eq!(layer.stop(0).await, LostAtStop::default());
}

#[tokio::test(start_paused = true)]
async fn what_has_expired_before_the_stop_is_counted_as_expired() {
    let (layer, metrics) = default_layer();
    let channel = ChannelName::parse("a").unwrap();
    layer.send(&channel, message(&content(9))).await.unwrap();
    tokio::time::advance(LayerConfig::default().expiry).await;
    assert_eq!(layer.stop(0).await, LostAtStop::default());
    assert_eq!(metrics.dropped_count(DropReason::Expired), 1);
}

#[tokio::test(start_paused = true)]
async fn a_later_message_comes_when_it_is_due() {
    let (layer, _) = default_layer();
    let channel = ChannelName::parse("a").unwrap();
    let worker = worker(&layer, std::slice::from_ref(&channel), Arc::default());
    let (delay, sent) = (Duration::from_secs(10), Instant::now());
    layer.send_later(&channel, message(&content(9)), delay).await.unwrap();
    tokio::select! {
        () = layer.keep_time() => {}
        received = worker.next(&layer) => drop(received.unwrap()),
    }
    let waited = sent.elapsed();
    assert!(waited >= delay && waited <= delay + Duration::from_millis(2), "{waited:?}");
}

/// A node that notes the answers it is called with.
#[derive(Debug, Default)]
struct Noted(Mutex<Vec<u64>>);

impl Recipient for Noted {
    fn answer(&self, answer: Answer) {
        lock(&self.0).push(answer.order);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_passes_by_the_inbox_unless_something_is_before_it() {
    let (layer, _) = default_layer();
    let node = NodeName::random();
    layer.open_inbox(&node).await.unwrap();
    let noted = Arc::new(Noted::default());
    let recipient: Arc<dyn Recipient> = Arc::<Noted>::clone(&noted);
    layer.lend_recipient(&node, Arc::downgrade(&recipient));
    let local = LocalName::random();
    let connection = ChannelName::of_connection(&node, &local);
    let answer = async |order| {
        let answer = Answer { to: local.clone(), order, replies: Vec::new(), done: None };
        layer.answer(&node, answer).await.unwrap();
    };
    let read = async || layer.read_inbox(&node).await.unwrap().len();
    answer(0).await;
    assert_eq!(read().await, 1, "nobody reads the inbox yet");
    assert!(timeout(Duration::from_nanos(1), read()).await.is_err());
    answer(1).await;
    layer.send(&connection, message(&content(9))).await.unwrap();
    answer(2).await;
    assert_eq!(read().await, 2, "the message and what came after it");
    answer(3).await;
    assert_eq!(read().await, 1, "the reader may not have handed out the message yet");
    assert!(timeout(Duration::from_nanos(1), read()).await.is_err());
    answer(4).await;
    drop(recipient);
    assert_eq!(*lock(&noted.0), [1, 4]);
    drop(noted);
    answer(5).await;
    assert_eq!(read().await, 1, "the node takes no more calls");
}
