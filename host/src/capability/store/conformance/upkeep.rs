//! What operators do with the data of a module.

use std::{collections::BTreeMap, time::Duration};

use super::{Subject, key, module, prefix, text, value};
use crate::capability::store::{CommitError, Note, Parcel, Quota, Usage, Value};

pub(in super::super) async fn an_export_is_one_moment(subject: Subject) {
    const KEYS: usize = 1_200;
    let mut run = subject.run();
    for number in 0..KEYS {
        run.set(key(&format!("k:{number}")), value("before"), None).unwrap();
    }
    subject.commit(&mut run).await.unwrap();
    subject.set_for("expired", "1", 1_000).await;
    let mut other = subject.run_of("other");
    other.set(key("k:0"), value("other"), None).unwrap();
    subject.store.commit(&module("other"), other.take(Quota::NONE)).await.unwrap();
    subject.clock.advance(Duration::from_secs(2)).await;
    let mut export = subject.store.export(&module("auction")).await.unwrap();
    let mut exported: BTreeMap<_, _> = export.next().await.unwrap().into_iter().collect();
    for change in ["one", "two"] {
        let mut run = subject.run();
        for number in 0..KEYS {
            match change {
                "one" => run.set(key(&format!("k:{number}")), value("after"), None).unwrap(),
                _ => run.delete(key(&format!("k:{number}"))).unwrap(),
            }
            if number % 2 == 0 {
                run.set(key(&format!("new:{number}")), value("after"), None).unwrap();
            }
        }
        subject.commit(&mut run).await.unwrap();
    }
    loop {
        match export.next().await.unwrap() {
            step if step.is_empty() => break,
            step => exported.extend(step),
        }
    }
    assert_eq!(exported.len(), KEYS);
    let are_before = exported.into_values().all(|it| text(Some(it.value)).unwrap() == "before");
    assert!(are_before);
}

pub(in super::super) async fn a_cleared_module_has_nothing_and_goes_on_counting(subject: Subject) {
    let auction = module("auction");
    let mut run = subject.run();
    for number in 0..1_200 {
        run.set(key(&format!("k:{number}")), value("1"), None).unwrap();
    }
    let mut commit = run.take(Quota::NONE);
    commit.note = Some(Note { message: 7, kept: Duration::from_secs(60) });
    commit.relayed = vec![Parcel { target: "mail".to_owned(), payload: value_bytes() }];
    subject.store.commit(&auction, commit.clone()).await.unwrap();
    subject.set_for("short", "1", 1_000).await;
    let mut other = subject.run_of("auction-2");
    other.set(key("a"), value("1"), None).unwrap();
    subject.store.commit(&module("auction-2"), other.take(Quota::NONE)).await.unwrap();
    let mut modules = subject.store.modules().await.unwrap();
    modules.sort();
    assert_eq!(modules, ["auction", "auction-2"].map(module));
    let mut reader = subject.run();
    reader.get(&key("k:1")).await.unwrap();
    subject.store.clear(&auction).await.unwrap();
    assert_eq!(subject.store.modules().await.unwrap(), [module("auction-2")]);
    let usage = subject.store.usage(&auction).await.unwrap();
    assert_eq!(usage, Usage { number: 2, ..Usage::default() });
    assert!(subject.run().list(&prefix(""), None, 10).await.unwrap().entries.is_empty());
    assert!(subject.store.waiting(&auction, None, 10).await.unwrap().is_empty());
    reader.set(key("x"), value("1"), None).unwrap();
    let conflict = subject.commit(&mut reader).await;
    assert!(matches!(conflict, Err(CommitError::Conflict(_))), "{conflict:?}");
    commit.run = crate::capability::store::RunId::random();
    let committed = subject.store.commit(&auction, commit).await.unwrap();
    assert_eq!(committed.number, Some(3), "the message is not noted any more");
    let other = text(subject.run_of("auction-2").get(&key("a")).await.unwrap());
    assert_eq!(other.as_deref(), Some("1"));
}

fn value_bytes() -> bytes::Bytes {
    bytes::Bytes::from_static(b"payload")
}

pub(in super::super) async fn usage_follows_every_change(subject: Subject) {
    let usage = async || {
        let usage = subject.store.usage(&module("auction")).await.unwrap();
        (usage.keys, usage.bytes)
    };
    assert_eq!(usage().await, (0, 0));
    subject.set(&[("ab", "123"), ("c", "")]).await;
    assert_eq!(usage().await, (2, 6));
    subject.set(&[("ab", "12345"), ("d", "1")]).await;
    assert_eq!(usage().await, (3, 10));
    let mut run = subject.run();
    run.delete(key("ab")).unwrap();
    run.delete(key("not there")).unwrap();
    run.add(key("n"), 1).unwrap();
    run.set(key("d"), Value::of_integer(7), None).unwrap();
    subject.commit(&mut run).await.unwrap();
    // An integer counts as eight bytes, whatever its digits are.
    assert_eq!(usage().await, (3, 1 + 9 + 9));
    let mut run = subject.run();
    run.add(key("n"), 1_000_000).unwrap();
    subject.commit(&mut run).await.unwrap();
    assert_eq!(usage().await, (3, 19));
}
