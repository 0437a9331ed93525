//! Which message a run is for, and which delivery of it; over Redis in `redis::attempts`.

use std::collections::BTreeSet;

use tests::{Client, Host, Socket};

/// Reads lines such as `work NAME ID ATTEMPT`: what stands before the id, the id, and the attempt.
pub(crate) async fn line(watch: &mut Socket) -> (String, String, String) {
    let text = watch.text().await;
    let mut words = text.rsplitn(3, ' ').map(str::to_owned);
    let (attempt, id) = (words.next().unwrap(), words.next().unwrap());
    (words.next().unwrap(), id, attempt)
}

/// Work that fails keeps its id, and its attempts are counted up to the dead letters.
pub(crate) async fn assert_ids_stay_and_attempts_count(client: &Client, watch: &mut Socket) {
    let mut ids = BTreeSet::new();
    for (name, last) in [("late", "work late 3"), ("never", "dead never 1")] {
        let reply = client.request("POST", &format!("/work/{name}"), &[], "").await;
        assert_eq!((reply.status, reply.text()), (200, "none 1"));
        let mut of = BTreeSet::new();
        let mut told = Vec::new();
        while told.last().is_none_or(|told| told != last) {
            let (what, id, attempt) = line(watch).await;
            told.push(format!("{what} {attempt}"));
            of.insert(id);
        }
        let work = |attempt| format!("work {name} {attempt}");
        let mut expected = vec![work(1), work(2), work(3)];
        if name == "never" {
            expected.push(last.to_owned());
        }
        assert_eq!(told, expected);
        assert_eq!(of.len(), 1, "{of:?}");
        ids.extend(of);
    }
    assert_eq!(ids.len(), 2, "each message has an id of its own");
    for id in ids {
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
}

async fn host() -> Host {
    Host::builder().section("[layer]\nretry_pause = '20ms'\n").guest("attempts").start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_keeps_its_id_and_its_attempts_are_counted() {
    let host = host().await;
    let mut watch = host.websocket("/watch").await;
    assert_ids_stay_and_attempts_count(&host.client(), &mut watch).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_done_again_for_its_data_is_the_same_attempt() {
    let host = host().await;
    let mut watch = host.websocket("/watch").await;
    let reply = host.client().request("POST", "/to/conflict/x", &[], "").await;
    assert_eq!(reply.status, 200);
    let mut ids = BTreeSet::new();
    for _ in 0..20 {
        let (what, id, attempt) = line(&mut watch).await;
        assert_eq!((&*what, &*attempt), ("conflict x", "1"));
        ids.insert(id);
    }
    assert_eq!(ids.len(), 20);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_retries_has_an_id_and_an_event_of_a_connection_has_none() {
    let host = host().await;
    let mut watch = host.websocket("/watch").await;
    let reply = host.client().request("POST", "/to/once/x", &[], "").await;
    assert_eq!(reply.status, 200);
    let (what, id, attempt) = line(&mut watch).await;
    assert_eq!((&*what, id.len(), &*attempt), ("once x", 32, "1"));
    let mut facts = host.websocket("/facts").await;
    facts.send("which?").await;
    assert_eq!(facts.text().await, "none 1");
    facts.close(1000).await;
    assert_eq!(watch.text().await, "left none 1");
    host.stop().await;
}
