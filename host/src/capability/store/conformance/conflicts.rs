//! What a commit finds changed.

use super::{
    Subject, is_conflict, is_conflict_of_key, is_conflict_of_prefix, key, prefix, text, value,
};

pub(in super::super) async fn a_changed_key_is_a_conflict_and_nothing_is_written(subject: Subject) {
    subject.set(&[("a", "1"), ("b", "1")]).await;
    let mut run = subject.run();
    run.get_many(&[key("a"), key("b")]).await.unwrap();
    run.set(key("c"), value("1"), None).unwrap();
    run.delete(key("a")).unwrap();
    subject.set(&[("b", "2")]).await;
    assert!(is_conflict_of_key(&subject.commit(&mut run).await, "b"));
    assert_eq!(subject.get("c").await, None);
    assert_eq!(subject.get("a").await.as_deref(), Some("1"));
}

pub(in super::super) async fn a_key_that_came_or_went_is_a_conflict(subject: Subject) {
    subject.set(&[("there", "1")]).await;
    let (mut came, mut went) = (subject.run(), subject.run());
    came.get(&key("not there")).await.unwrap();
    came.set(key("x"), value("1"), None).unwrap();
    went.get(&key("there")).await.unwrap();
    went.set(key("x"), value("1"), None).unwrap();
    let mut other = subject.run();
    other.set(key("not there"), value("1"), None).unwrap();
    other.delete(key("there")).unwrap();
    subject.commit(&mut other).await.unwrap();
    assert!(is_conflict_of_key(&subject.commit(&mut came).await, "not there"));
    assert!(is_conflict_of_key(&subject.commit(&mut went).await, "there"));
    assert_eq!(subject.get("x").await, None);
}

pub(in super::super) async fn a_key_that_changed_and_changed_back_is_a_conflict(subject: Subject) {
    subject.set(&[("a", "1")]).await;
    let mut run = subject.run();
    run.get(&key("a")).await.unwrap();
    run.set(key("b"), value("1"), None).unwrap();
    subject.set(&[("a", "2")]).await;
    subject.set(&[("a", "1")]).await;
    assert!(is_conflict_of_key(&subject.commit(&mut run).await, "a"));
}

pub(in super::super) async fn a_key_that_was_read_twice_and_changed_between_is_found_at_once(
    subject: Subject,
) {
    subject.set(&[("a", "1")]).await;
    let mut run = subject.run();
    run.get(&key("a")).await.unwrap();
    assert_eq!(text(run.get(&key("a")).await.unwrap()).as_deref(), Some("1"));
    subject.set(&[("a", "2")]).await;
    assert!(is_conflict(&run.get(&key("a")).await));
    assert!(run.list(&prefix(""), None, 10).await.is_err());
    run.set(key("b"), value("1"), None).unwrap();
    assert!(is_conflict_of_key(&subject.commit(&mut run).await, "a"));
}

pub(in super::super) async fn a_phantom_is_a_conflict(subject: Subject) {
    subject.set(&[("bid:1", "1"), ("bid:3", "1"), ("item", "1")]).await;
    for change in ["came", "went", "changed"] {
        let mut run = subject.run();
        assert_eq!(subject.list(&mut run, "bid:", 10).await, ["bid:1", "bid:3"]);
        run.set(key("highest"), value("3"), None).unwrap();
        let mut other = subject.run();
        match change {
            "came" => other.set(key("bid:2"), value("1"), None).unwrap(),
            "went" => other.delete(key("bid:3")).unwrap(),
            _ => other.set(key("bid:3"), value("2"), None).unwrap(),
        }
        subject.commit(&mut other).await.unwrap();
        assert!(is_conflict_of_prefix(&subject.commit(&mut run).await, "bid:"), "{change}");
        let mut back = subject.run();
        back.delete(key("bid:2")).unwrap();
        back.set(key("bid:3"), value("1"), None).unwrap();
        subject.commit(&mut back).await.unwrap();
    }
    let mut run = subject.run();
    assert!(subject.list(&mut run, "none:", 10).await.is_empty());
    run.set(key("highest"), value("0"), None).unwrap();
    subject.set(&[("none:1", "1")]).await;
    assert!(is_conflict_of_prefix(&subject.commit(&mut run).await, "none:"));
}

pub(in super::super) async fn a_key_beyond_the_page_that_was_read_is_not(subject: Subject) {
    subject.set(&[("a:1", "1"), ("a:2", "1"), ("a:4", "1"), ("b", "1")]).await;
    let mut run = subject.run();
    let listed = run.list(&prefix("a:"), None, 2).await.unwrap();
    assert_eq!(listed.entries.len(), 2);
    run.set(key("x"), value("1"), None).unwrap();
    subject.set(&[("a:3", "1"), ("a:4", "2"), ("a", "1"), ("b", "2")]).await;
    subject.commit(&mut run).await.unwrap();
}

/// Two runs read the same two keys, and each writes another of them.
pub(in super::super) async fn write_skew_is_a_conflict(subject: Subject) {
    subject.set(&[("on call:a", "1"), ("on call:b", "1")]).await;
    let (mut first, mut second) = (subject.run(), subject.run());
    for (run, own) in [(&mut first, "on call:a"), (&mut second, "on call:b")] {
        assert_eq!(subject.list(run, "on call:", 10).await.len(), 2);
        run.delete(key(own)).unwrap();
    }
    subject.commit(&mut first).await.unwrap();
    assert!(is_conflict_of_prefix(&subject.commit(&mut second).await, "on call:"));
    subject.set(&[("on call:a", "1")]).await;
    let (mut first, mut second) = (subject.run(), subject.run());
    for (run, own) in [(&mut first, "on call:a"), (&mut second, "on call:b")] {
        run.get_many(&[key("on call:a"), key("on call:b")]).await.unwrap();
        run.delete(key(own)).unwrap();
    }
    subject.commit(&mut first).await.unwrap();
    assert!(is_conflict_of_key(&subject.commit(&mut second).await, "on call:a"));
}

pub(in super::super) async fn a_run_that_only_reads_is_checked_if_it_read_twice(subject: Subject) {
    subject.set(&[("a", "1"), ("b", "1")]).await;
    let mut run = subject.run();
    run.get(&key("a")).await.unwrap();
    subject.set(&[("a", "2"), ("b", "2")]).await;
    assert!(run.check().is_trivial());
    subject.store.commit(&super::module("auction"), run.check()).await.unwrap();
    run.get(&key("b")).await.unwrap();
    let checked = subject.store.commit(&super::module("auction"), run.check()).await;
    assert!(is_conflict_of_key(&checked, "a"));
    assert!(is_conflict_of_key(&subject.commit(&mut run).await, "a"));
}

pub(in super::super) async fn blind_writes_do_not_conflict(subject: Subject) {
    let (mut first, mut second) = (subject.run(), subject.run());
    first.set(key("a"), value("1"), None).unwrap();
    second.set(key("a"), value("2"), None).unwrap();
    assert_eq!(text(second.get(&key("a")).await.unwrap()).as_deref(), Some("2"));
    subject.commit(&mut first).await.unwrap();
    subject.commit(&mut second).await.unwrap();
    assert_eq!(subject.get("a").await.as_deref(), Some("2"));
}
