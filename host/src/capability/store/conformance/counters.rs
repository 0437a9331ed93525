//! Integers that runs add to.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{Subject, is_conflict_of_key, key, module, text, value};
use crate::capability::store::{
    CommitError, Data, InputError, Quota, ReadError, Transaction, Value,
};

pub(in super::super) async fn an_addition_never_conflicts_with_another(subject: Subject) {
    const RUNS: usize = 50;
    let add = async || {
        let mut run = subject.run();
        run.add(key("hits"), 3).unwrap();
        subject.commit(&mut run).await.unwrap();
    };
    join_all((0..RUNS).map(|_| add())).await;
    assert_eq!(subject.get("hits").await.as_deref(), Some("150"));
}

pub(in super::super) async fn an_addition_is_seen_by_the_run_and_by_those_that_read(
    subject: Subject,
) {
    let mut run = subject.run();
    run.add(key("hits"), 2).unwrap();
    run.add(key("hits"), -5).unwrap();
    assert_eq!(text(run.get(&key("hits")).await.unwrap()).as_deref(), Some("-3"));
    let mut reader = subject.run();
    assert_eq!(reader.get(&key("hits")).await.unwrap(), None);
    reader.set(key("seen"), value("nothing"), None).unwrap();
    // The run that looked has read as well.
    subject.commit(&mut run).await.unwrap();
    assert!(is_conflict_of_key(&subject.commit(&mut reader).await, "hits"));
    let mut run = subject.run();
    run.set(key("hits"), Value { data: Data::Integer(10), schema: 4 }, None).unwrap();
    run.add(key("hits"), 1).unwrap();
    run.delete(key("other")).unwrap();
    run.add(key("other"), 1).unwrap();
    subject.commit(&mut run).await.unwrap();
    let mut run = subject.run();
    run.add(key("hits"), 1).unwrap();
    subject.commit(&mut run).await.unwrap();
    let hits = subject.run().get(&key("hits")).await.unwrap();
    assert_eq!(hits, Some(Value { data: Data::Integer(12), schema: 4 }));
    assert_eq!(subject.get("other").await.as_deref(), Some("1"));
}

pub(in super::super) async fn only_integers_are_added_to(subject: Subject) {
    subject.set(&[("text", "12")]).await;
    let mut run = subject.run();
    run.add(key("text"), 1).unwrap();
    run.set(key("b"), value("1"), None).unwrap();
    let seen = run.get(&key("text")).await;
    assert!(matches!(seen, Err(ReadError::Input(InputError::NotAnInteger { .. }))), "{seen:?}");
    let refused = subject.commit(&mut run).await;
    let expected = InputError::NotAnInteger { key: "text".to_owned() };
    assert_eq!(refused, Err(CommitError::Value(expected)));
    assert_eq!(subject.get("b").await, None);
    let mut run = subject.run();
    run.set(key("text"), value("12"), None).unwrap();
    assert!(run.add(key("text"), 1).is_err());
}

pub(in super::super) async fn integers_are_exact_to_the_last_bit(subject: Subject) {
    let (largest, smallest) = (i64::MAX, i64::MIN);
    let add = async |to: i64| {
        let mut run = subject.run();
        run.add(key("n"), to).unwrap();
        subject.commit(&mut run).await
    };
    add(largest - 1).await.unwrap();
    assert_eq!(subject.get("n").await, Some((largest - 1).to_string()));
    add(1).await.unwrap();
    assert_eq!(subject.get("n").await, Some(largest.to_string()));
    let refused = add(1).await;
    assert_eq!(refused, Err(CommitError::Value(InputError::Overflow { key: "n".to_owned() })));
    add(smallest).await.unwrap();
    assert_eq!(subject.get("n").await.as_deref(), Some("-1"));
    add(-largest).await.unwrap();
    assert_eq!(subject.get("n").await, Some(smallest.to_string()));
    assert!(add(-1).await.is_err());
    assert_eq!(subject.get("n").await, Some(smallest.to_string()));
}

/// Threads that run again after a conflict until all is done.
pub(in super::super) async fn many_runs_that_read_and_set_one_counter_lose_nothing(
    subject: Subject,
) {
    const WRITERS: usize = 8;
    const INCREMENTS: usize = 25;
    let work = (0..WRITERS).map(|_| {
        let store = Arc::clone(&subject.store);
        let increments = async move {
            for _ in 0..INCREMENTS {
                loop {
                    let mut run = Transaction::new(Arc::clone(&store), module("auction"));
                    let before = run.get(&key("n")).await.unwrap();
                    let before: u64 = text(before).map_or(0, |text| text.parse().unwrap());
                    run.set(key("n"), value(&(before + 1).to_string()), None).unwrap();
                    match store.commit(&module("auction"), run.take(Quota::NONE)).await {
                        Ok(_) => break,
                        Err(CommitError::Conflict(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        };
        crate::shutdown::Drain::new(tokio::runtime::Handle::current()).spawn("writer", increments)
    });
    for writer in join_all(work).await {
        writer.unwrap();
    }
    let expected = (WRITERS * INCREMENTS).to_string();
    assert_eq!(subject.get("n").await, Some(expected));
}
