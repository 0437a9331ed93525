//! What a module may keep.

use super::{Subject, key, value};
use crate::capability::store::{CommitError, Counted, Quota, TimeToLive};

pub(in super::super) async fn a_quota_of_bytes_holds_and_what_makes_room_passes(subject: Subject) {
    let quota = Quota { bytes: 20, ..Quota::NONE };
    let mut run = subject.run();
    // Four bytes of keys and sixteen of values.
    run.set(key("ab"), value("12345678"), None).unwrap();
    run.set(key("cd"), value("12345678"), None).unwrap();
    subject.commit_within(&mut run, quota).await.unwrap();
    let mut run = subject.run();
    run.set(key("ab"), value("123456789"), None).unwrap();
    let refused = subject.commit_within(&mut run, quota).await;
    let expected = CommitError::Quota { what: Counted::Bytes, needed: 21, limit: 20 };
    assert_eq!(refused, Err(expected));
    assert_eq!(subject.get("ab").await.as_deref(), Some("12345678"));
    // With a smaller quota what only makes room passes.
    let smaller = Quota { bytes: 5, ..quota };
    let mut run = subject.run();
    run.set(key("ab"), value("1234"), None).unwrap();
    subject.commit_within(&mut run, smaller).await.unwrap();
    let mut run = subject.run();
    run.add(key("ab2"), 1).unwrap();
    assert!(subject.commit_within(&mut run, smaller).await.is_err());
    let mut run = subject.run();
    run.delete(key("cd")).unwrap();
    run.delete(key("ab")).unwrap();
    run.set(key("n"), value("1234"), None).unwrap();
    subject.commit_within(&mut run, smaller).await.unwrap();
}

pub(in super::super) async fn a_quota_of_keys_holds(subject: Subject) {
    let quota = Quota { keys: 2, ..Quota::NONE };
    let set = async |name: &str, span| {
        let mut run = subject.run();
        run.set(key(name), value("1"), span).unwrap();
        subject.commit_within(&mut run, quota).await
    };
    set("a", Some(TimeToLive::from_millis(10_000).unwrap())).await.unwrap();
    set("b", None).await.unwrap();
    let expected = CommitError::Quota { what: Counted::Keys, needed: 3, limit: 2 };
    assert_eq!(set("c", None).await, Err(expected));
    set("b", None).await.unwrap();
    // What has expired is taken away when room is needed.
    subject.clock.advance(std::time::Duration::from_secs(11)).await;
    set("c", None).await.unwrap();
    assert!(set("d", None).await.is_err());
}
