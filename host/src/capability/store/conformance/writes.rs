//! Values, and what a run sees.

use bytes::Bytes;

use super::{Subject, key, module, text, value};
use crate::capability::store::{Committed, Quota, Transaction, Value};

pub(in super::super) async fn a_value_comes_out_as_it_went_in(subject: Subject) {
    let all: Vec<u8> = (0..=255).collect();
    let values = [
        ("bytes", Value::of_bytes(Bytes::from(all), 7).unwrap()),
        ("empty", Value::of_bytes(Bytes::new(), u32::MAX).unwrap()),
        ("é \0\n{}", value("a key is any text")),
        ("integer", Value::of_integer(-3)),
    ];
    let mut run = subject.run();
    for (name, value) in &values {
        run.set(key(name), value.clone(), None).unwrap();
    }
    subject.commit(&mut run).await.unwrap();
    for (name, value) in values {
        assert_eq!(subject.run().get(&key(name)).await.unwrap(), Some(value), "{name}");
    }
    assert_eq!(subject.get("absent").await, None);
}

pub(in super::super) async fn the_longest_key_and_the_largest_value_pass(subject: Subject) {
    let (longest, largest) = ("k".repeat(512), Bytes::from(vec![0xab; 256 * 1024]));
    let value = Value::of_bytes(largest, 1).unwrap();
    let mut run = subject.run();
    run.set(key(&longest), value.clone(), None).unwrap();
    subject.commit(&mut run).await.unwrap();
    assert_eq!(subject.run().get(&key(&longest)).await.unwrap(), Some(value));
}

pub(in super::super) async fn a_run_sees_its_own_writes_and_nobody_else_does_before_the_commit(
    subject: Subject,
) {
    subject.set(&[("a", "1"), ("b", "1")]).await;
    let mut run = subject.run();
    run.set(key("a"), value("2"), None).unwrap();
    run.delete(key("b")).unwrap();
    run.set(key("c"), value("3"), None).unwrap();
    let keys = ["a", "b", "c"].map(key);
    let own = |values: Vec<_>| values.into_iter().map(text).collect::<Vec<_>>();
    let seen = own(run.get_many(&keys).await.unwrap());
    assert_eq!(seen, [Some("2".to_owned()), None, Some("3".to_owned())]);
    let others = own(subject.run().get_many(&keys).await.unwrap());
    assert_eq!(others, [Some("1".to_owned()), Some("1".to_owned()), None]);
    subject.commit(&mut run).await.unwrap();
    assert_eq!(own(subject.run().get_many(&keys).await.unwrap()), seen);
}

pub(in super::super) async fn a_module_sees_its_own_keys_only(subject: Subject) {
    subject.set(&[("a", "1")]).await;
    for other in ["auction-2", "auctio", "b"] {
        let mut run = subject.run_of(other);
        assert_eq!(run.get(&key("a")).await.unwrap(), None);
        assert!(subject.list(&mut run, "", 10).await.is_empty());
    }
}

pub(in super::super) async fn many_keys_come_in_the_order_that_they_were_asked_for(
    subject: Subject,
) {
    subject.set(&[("a", "1"), ("b", "2"), ("c", "3")]).await;
    let keys = ["c", "absent", "a", "c"].map(key);
    let values = subject.run().get_many(&keys).await.unwrap();
    let values: Vec<_> = values.into_iter().map(text).collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(values, [some("3"), None, some("1"), some("3")]);
    assert!(subject.run().get_many(&[]).await.is_err());
    let too_many: Vec<_> = (0..1_001).map(|number| key(&number.to_string())).collect();
    assert!(subject.run().get_many(&too_many).await.is_err());
    assert_eq!(subject.run().get_many(&too_many[..1_000]).await.unwrap().len(), 1_000);
}

pub(in super::super) async fn a_run_goes_on_after_a_flush(subject: Subject) {
    let mut run = subject.run();
    run.set(key("a"), value("1"), None).unwrap();
    subject.commit(&mut run).await.unwrap();
    assert_eq!(subject.get("a").await.as_deref(), Some("1"));
    assert_eq!(text(run.get(&key("a")).await.unwrap()).as_deref(), Some("1"));
    run.set(key("a"), value("2"), None).unwrap();
    subject.commit(&mut run).await.unwrap();
    assert_eq!(subject.get("a").await.as_deref(), Some("2"));
    let nothing = subject.commit(&mut run).await.unwrap();
    assert_eq!(nothing, Committed { number: None });
}

pub(in super::super) async fn modules_are_read_by_others_without_a_check(subject: Subject) {
    subject.set(&[("price", "1")]).await;
    let mut run: Transaction = subject.run_of("shop");
    let read = run.get_many_of(&module("auction"), &[key("price"), key("absent")]).await.unwrap();
    let read: Vec<_> = read.into_iter().map(text).collect();
    assert_eq!(read, [Some("1".to_owned()), None]);
    subject.set(&[("price", "2")]).await;
    run.set(key("seen"), value("1"), None).unwrap();
    subject.store.commit(&module("shop"), run.take(Quota::NONE)).await.unwrap();
}
