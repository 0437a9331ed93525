//! Values with a time to live.

use std::time::Duration;

use super::{Subject, is_conflict_of_key, key, module, text, value};
use crate::capability::store::TimeToLive;

const SECOND: Duration = Duration::from_secs(1);

pub(in super::super) async fn an_expired_key_is_gone_and_makes_room(subject: Subject) {
    subject.set_for("a", "1", 1_000_000).await;
    subject.clock.advance(900 * SECOND).await;
    assert_eq!(subject.get("a").await.as_deref(), Some("1"));
    subject.clock.advance(100 * SECOND).await;
    let mut run = subject.run();
    assert_eq!(run.get(&key("a")).await.unwrap(), None);
    assert!(subject.list(&mut run, "", 10).await.is_empty());
    // It counts as not there, so nothing has changed since.
    run.set(key("b"), value("1"), None).unwrap();
    while subject.store.sweep().await.unwrap() > 0 {}
    subject.commit(&mut run).await.unwrap();
    let mut run = subject.run();
    assert_eq!(run.get(&key("a")).await.unwrap(), None);
    subject.set_for("a", "2", 1_000_000).await;
    run.set(key("b"), value("2"), None).unwrap();
    assert!(is_conflict_of_key(&subject.commit(&mut run).await, "a"));
}

pub(in super::super) async fn what_expired_after_the_first_read_is_there_for_the_whole_run(
    subject: Subject,
) {
    subject.set_for("a", "1", 1_000_000).await;
    subject.set_for("b", "1", 1_000_000).await;
    let mut run = subject.run();
    assert_eq!(text(run.get(&key("a")).await.unwrap()).as_deref(), Some("1"));
    subject.clock.advance(2_000 * SECOND).await;
    assert_eq!(text(run.get(&key("a")).await.unwrap()).as_deref(), Some("1"));
    assert_eq!(text(run.get(&key("b")).await.unwrap()).as_deref(), Some("1"));
    assert_eq!(subject.list(&mut run, "", 10).await, ["a", "b"]);
    assert_eq!(subject.get("a").await, None);
    run.set(key("c"), value("1"), None).unwrap();
    subject.commit(&mut run).await.unwrap();
    // By the same clock until the run is over.
    assert!(matches!(subject.list(&mut run, "", 10).await.as_slice(), [.., c] if c == "c"));
}

pub(in super::super) async fn a_new_value_has_a_new_time_to_live(subject: Subject) {
    subject.set_for("a", "1", 1_000_000).await;
    subject.set_for("b", "1", 1_000_000).await;
    subject.set_for("c", "1", 1_000_000).await;
    subject.clock.advance(900 * SECOND).await;
    subject.set_for("a", "2", 1_000_000).await;
    subject.set(&[("b", "2")]).await;
    let mut run = subject.run();
    run.delete(key("c")).unwrap();
    run.set(key("hits"), crate::capability::store::Value::of_integer(1), Some(usual())).unwrap();
    subject.commit(&mut run).await.unwrap();
    subject.clock.advance(900 * SECOND).await;
    while subject.store.sweep().await.unwrap() > 0 {}
    assert_eq!(subject.get("a").await.as_deref(), Some("2"));
    assert_eq!(subject.get("b").await.as_deref(), Some("2"));
    assert_eq!(subject.get("c").await, None);
    // An addition does not prolong a life, and begins anew when it is over.
    let mut run = subject.run();
    run.add(key("hits"), 1).unwrap();
    subject.commit(&mut run).await.unwrap();
    assert_eq!(subject.get("hits").await.as_deref(), Some("2"));
    subject.clock.advance(900 * SECOND).await;
    assert_eq!(subject.get("hits").await, None);
    let mut run = subject.run();
    run.add(key("hits"), 5).unwrap();
    subject.commit(&mut run).await.unwrap();
    subject.clock.advance(100_000 * SECOND).await;
    assert_eq!(subject.get("hits").await.as_deref(), Some("5"));
    assert_eq!(subject.get("b").await.as_deref(), Some("2"));
}

fn usual() -> TimeToLive {
    TimeToLive::from_millis(1_000_000).unwrap()
}

pub(in super::super) async fn what_has_expired_is_swept_step_by_step(subject: Subject) {
    const KEYS: usize = 1_200;
    let mut run = subject.run();
    for number in 0..KEYS {
        run.set(key(&format!("short:{number}")), value("1"), Some(usual())).unwrap();
    }
    run.set(key("stays"), value("1"), None).unwrap();
    subject.commit(&mut run).await.unwrap();
    assert_eq!(subject.store.sweep().await.unwrap(), 0);
    subject.clock.advance(1_100 * SECOND).await;
    let mut swept = 0;
    loop {
        match subject.store.sweep().await.unwrap() {
            0 => break,
            step => {
                assert!(step <= 1_000, "{step} at once");
                swept += step;
            }
        }
    }
    assert_eq!(swept, KEYS);
    let usage = subject.store.usage(&module("auction")).await.unwrap();
    assert_eq!((usage.keys, usage.bytes), (1, 6));
}
