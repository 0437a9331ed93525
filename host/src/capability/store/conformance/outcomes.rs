//! What becomes of commits, and of messages that are done.

use std::time::Duration;

use super::{Subject, key, module, value};
use crate::capability::store::{CommitError, Committed, Note, Quota, RunId, RunOutcome};

pub(in super::super) async fn commits_are_numbered(subject: Subject) {
    for number in 1..=3 {
        let committed = subject.store.commit(&module("auction"), subject.setting("a", "1")).await;
        assert_eq!(committed, Ok(Committed { number: Some(number) }));
    }
    let other = subject.store.commit(&module("other"), subject.setting("a", "1")).await;
    assert_eq!(other, Ok(Committed { number: Some(1) }));
    assert_eq!(subject.store.usage(&module("auction")).await.unwrap().number, 3);
}

pub(in super::super) async fn the_outcome_of_a_run_is_known(subject: Subject) {
    let auction = module("auction");
    let commit = subject.setting("a", "1");
    let run = commit.run;
    subject.store.commit(&auction, commit).await.unwrap();
    for _ in 0..2 {
        let outcome = subject.store.outcome(&auction, run).await.unwrap();
        assert_eq!(outcome, RunOutcome::Committed { number: 1 });
    }
    let unknown = subject.store.outcome(&auction, RunId::random()).await.unwrap();
    assert_eq!(unknown, RunOutcome::NotCommitted);
    let mut run = subject.run();
    run.get_many(&[key("a"), key("b")]).await.unwrap();
    run.set(key("b"), value("1"), None).unwrap();
    let commit = run.take(Quota::NONE);
    let run = commit.run;
    subject.set(&[("a", "2")]).await;
    subject.store.commit(&auction, commit).await.unwrap_err();
    let refused = subject.store.outcome(&auction, run).await.unwrap();
    assert_eq!(refused, RunOutcome::NotCommitted);
}

pub(in super::super) async fn a_run_whose_outcome_was_asked_for_does_not_commit_later(
    subject: Subject,
) {
    let auction = module("auction");
    let mut run = subject.run();
    run.add(key("hits"), 1).unwrap();
    let late = run.take(Quota::NONE);
    let outcome = subject.store.outcome(&auction, late.run).await.unwrap();
    assert_eq!(outcome, RunOutcome::NotCommitted);
    let refused = subject.store.commit(&auction, late).await;
    assert!(matches!(refused, Err(CommitError::Unknown { .. })), "{refused:?}");
    assert_eq!(subject.get("hits").await, None);
    // A commit that comes twice counts once.
    let mut run = subject.run();
    run.add(key("hits"), 1).unwrap();
    let twice = run.take(Quota::NONE);
    for _ in 0..2 {
        let committed = subject.store.commit(&auction, twice.clone()).await;
        assert_eq!(committed, Ok(Committed { number: Some(1) }));
    }
    assert_eq!(subject.get("hits").await.as_deref(), Some("1"));
}

pub(in super::super) async fn a_message_that_is_done_is_not_done_again(subject: Subject) {
    let done = async |message, name: &str| {
        let mut run = subject.run();
        run.get(&key(name)).await.unwrap();
        run.add(key("hits"), 1).unwrap();
        let mut commit = run.take(Quota::NONE);
        commit.note = Some(Note { message, kept: Duration::from_secs(60) });
        subject.store.commit(&module("auction"), commit).await
    };
    done(u128::MAX, "a").await.unwrap();
    assert_eq!(done(u128::MAX, "a").await, Err(CommitError::AlreadyDone));
    done(0, "a").await.unwrap();
    assert_eq!(subject.get("hits").await.as_deref(), Some("2"));
    // A run without data notes its message, too.
    let mut only = subject.setting("unused", "1");
    only.writes.clear();
    only.note = Some(Note { message: 7, kept: Duration::from_secs(60) });
    let mut again = only.clone();
    again.run = RunId::random();
    subject.store.commit(&module("auction"), only).await.unwrap();
    let refused = subject.store.commit(&module("auction"), again).await;
    assert_eq!(refused, Err(CommitError::AlreadyDone));
}

pub(in super::super) async fn a_note_is_forgotten_in_its_time(subject: Subject) {
    let note = async |seconds| {
        let mut commit = subject.setting("a", "1");
        commit.note = Some(Note { message: 7, kept: Duration::from_secs(seconds) });
        subject.store.commit(&module("auction"), commit).await
    };
    note(1_000).await.unwrap();
    subject.clock.advance(Duration::from_secs(900)).await;
    while subject.store.sweep().await.unwrap() > 0 {}
    assert_eq!(note(60).await, Err(CommitError::AlreadyDone));
    subject.clock.advance(Duration::from_secs(100)).await;
    note(10_000).await.unwrap();
    subject.clock.advance(Duration::from_secs(1_000)).await;
    while subject.store.sweep().await.unwrap() > 0 {}
    assert_eq!(note(60).await, Err(CommitError::AlreadyDone));
}
