//! Listings by prefix.

use std::time::Duration;

use bytes::Bytes;

use super::{Subject, is_conflict_of_prefix, key, prefix, text, value};
use crate::capability::store::{InputError, ReadError, Value};

pub(in super::super) async fn a_listing_is_in_the_order_of_bytes_and_ends(subject: Subject) {
    let names = ["", "!", "A", "a", "a!", "aa", "b", "z", "é", "\u{10ffff}"];
    let keys = names.map(|name| format!("k{name}"));
    let mut run = subject.run();
    for name in keys.iter().rev() {
        run.set(key(name), value("1"), None).unwrap();
    }
    run.set(key("j"), value("1"), None).unwrap();
    run.set(key("l"), value("1"), None).unwrap();
    subject.commit(&mut run).await.unwrap();
    for limit in [1, 3, 1_000] {
        assert_eq!(subject.list(&mut subject.run(), "k", limit).await, keys);
    }
    assert_eq!(subject.list(&mut subject.run(), "", 4).await.len(), 12);
    assert_eq!(subject.list(&mut subject.run(), "ka", 4).await, ["ka", "ka!", "kaa"]);
    assert!(subject.list(&mut subject.run(), "m", 4).await.is_empty());
}

pub(in super::super) async fn a_listing_goes_on_where_it_ended(subject: Subject) {
    subject.set(&[("a:1", "1"), ("a:2", "2"), ("a:4", "4"), ("a:5", "5")]).await;
    let listed = subject.run().list(&prefix("a:"), None, 2).await.unwrap();
    let last = listed.entries.last().cloned().unwrap();
    assert_eq!((last.0.as_str(), text(Some(last.1)).as_deref()), ("a:2", Some("2")));
    // A cursor is a text: a guest may hand it out and get it back in another run.
    let cursor: String = listed.cursor.unwrap().to_string();
    let mut run = subject.run();
    run.delete(key("a:4")).unwrap();
    run.set(key("a:3"), value("3"), None).unwrap();
    subject.commit(&mut run).await.unwrap();
    let cursor = Some(cursor.parse().unwrap());
    let listed = subject.run().list(&prefix("a:"), cursor, 10).await.unwrap();
    let keys: Vec<_> = listed.entries.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["a:3", "a:5"]);
    assert_eq!(listed.cursor, None);
}

pub(in super::super) async fn a_cursor_of_another_prefix_is_refused(subject: Subject) {
    subject.set(&[("a:1", "1"), ("a:2", "1"), ("b:1", "1")]).await;
    let cursor = subject.run().list(&prefix("a:"), None, 1).await.unwrap().cursor;
    for other in ["b:", "a", "", "a:1"] {
        let refused = subject.run().list(&prefix(other), cursor.clone(), 1).await;
        let Err(ReadError::Input(InputError::CursorOfOtherPrefix { .. })) = refused else {
            panic!("{other}: {refused:?}")
        };
    }
    for limit in [0, 1_001] {
        assert!(subject.run().list(&prefix("a:"), None, limit).await.is_err());
    }
}

pub(in super::super) async fn own_writes_are_in_listings(subject: Subject) {
    subject.set(&[("a:1", "1"), ("a:3", "1"), ("a:5", "1")]).await;
    let mut run = subject.run();
    run.set(key("a:0"), value("0"), None).unwrap();
    run.delete(key("a:1")).unwrap();
    run.set(key("a:2"), value("2"), None).unwrap();
    run.set(key("a:3"), value("3"), None).unwrap();
    run.add(key("a:6"), 6).unwrap();
    run.set(key("b"), value("1"), None).unwrap();
    for limit in [1, 2, 10] {
        let keys = subject.list(&mut run, "a:", limit).await;
        assert_eq!(keys, ["a:0", "a:2", "a:3", "a:5", "a:6"], "{limit} at once");
    }
    let listed = run.list(&prefix("a:"), None, 10).await.unwrap();
    let texts: Vec<_> = listed.entries.into_iter().map(|(_, it)| text(Some(it)).unwrap()).collect();
    assert_eq!(texts, ["0", "2", "3", "1", "6"]);
    for name in ["a:3", "a:5"] {
        run.delete(key(name)).unwrap();
    }
    assert_eq!(subject.list(&mut run, "a:", 1).await, ["a:0", "a:2", "a:6"]);
    subject.commit(&mut run).await.unwrap();
    assert_eq!(subject.list(&mut subject.run(), "a:", 2).await, ["a:0", "a:2", "a:6"]);
}

pub(in super::super) async fn a_page_of_large_values_ends_early(subject: Subject) {
    let large = Value::of_bytes(Bytes::from(vec![1; 256 * 1024]), 0).unwrap();
    for number in 0..10 {
        let mut run = subject.run();
        run.set(key(&format!("large:{number}")), large.clone(), None).unwrap();
        subject.commit(&mut run).await.unwrap();
    }
    let listed = subject.run().list(&prefix("large:"), None, 10).await.unwrap();
    assert_eq!(listed.entries.len(), 4, "1 MiB at once");
    assert_eq!(subject.list(&mut subject.run(), "large:", 10).await.len(), 10);
}

pub(in super::super) async fn a_listing_steps_over_what_has_expired(subject: Subject) {
    let mut run = subject.run();
    let span = crate::capability::store::TimeToLive::from_millis(10_000).unwrap();
    for number in 0..1_200 {
        run.set(key(&format!("a:{number:04}")), value("1"), Some(span)).unwrap();
    }
    run.set(key("a:9"), value("1"), None).unwrap();
    subject.commit(&mut run).await.unwrap();
    subject.clock.advance(Duration::from_secs(11)).await;
    let mut run = subject.run();
    let listed = run.list(&prefix("a:"), None, 10).await.unwrap();
    assert_eq!(listed.entries.len(), 1);
    run.set(key("b"), value("1"), None).unwrap();
    subject.set(&[("a:0001", "2")]).await;
    assert!(is_conflict_of_prefix(&subject.commit(&mut run).await, "a:"));
}
