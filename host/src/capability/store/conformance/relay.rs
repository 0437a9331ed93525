//! Messages that are stored with a commit.

use bytes::Bytes;

use super::{Subject, key, module, value};
use crate::capability::store::{Commit, CommitError, Counted, Parcel, Quota};

fn parcels(subject: &Subject, targets: &[&str]) -> Commit {
    let mut run = subject.run();
    run.set(key("a"), value("1"), None).unwrap();
    let mut commit = run.take(Quota::NONE);
    let parcel = |target: &&str| Parcel {
        target: (*target).to_owned(),
        payload: Bytes::from(vec![0, 0xff, target.as_bytes()[0]]),
    };
    commit.relayed = targets.iter().map(parcel).collect();
    commit
}

pub(in super::super) async fn what_is_relayed_comes_in_order_until_it_is_forgotten(
    subject: Subject,
) {
    let auction = module("auction");
    // More than nine commits: places are ordered as numbers.
    let names: Vec<_> = (0..12).map(|number| format!("target-{number}")).collect();
    for name in &names {
        let commit = parcels(&subject, &[name, "mail"]);
        subject.store.commit(&auction, commit).await.unwrap();
    }
    let mut refused = parcels(&subject, &["never"]);
    refused.quota.keys = 0;
    refused.writes.insert(key("b"), refused.writes.values().next().unwrap().clone());
    subject.store.commit(&auction, refused).await.unwrap_err();
    let waiting = subject.store.waiting(&auction, None, 100).await.unwrap();
    let targets: Vec<_> = waiting.iter().map(|(_, parcel)| parcel.target.as_str()).collect();
    let expected: Vec<_> = names.iter().flat_map(|name| [name.as_str(), "mail"]).collect();
    assert_eq!(targets, expected);
    assert_eq!(waiting[1].1.payload, &[0, 0xff, b'm'][..]);
    let places: Vec<_> = waiting.iter().map(|(place, _)| *place).collect();
    let after = subject.store.waiting(&auction, Some(places[2]), 3).await.unwrap();
    assert_eq!(after.iter().map(|(place, _)| *place).collect::<Vec<_>>(), places[3..6]);
    // In any order, and again without harm.
    subject.store.forget(&auction, &[places[3], places[0], places[3]]).await.unwrap();
    subject.store.forget(&auction, &[places[0]]).await.unwrap();
    let rest = subject.store.waiting(&auction, None, 2).await.unwrap();
    assert_eq!(rest.iter().map(|(place, _)| *place).collect::<Vec<_>>(), places[1..3]);
    assert_eq!(subject.store.usage(&auction).await.unwrap().relayed, 22);
    assert!(subject.store.waiting(&module("other"), None, 10).await.unwrap().is_empty());
}

pub(in super::super) async fn what_waits_to_be_relayed_is_bounded(subject: Subject) {
    let auction = module("auction");
    let quota = Quota { relayed: 3, ..Quota::NONE };
    let commit = |targets| Commit { quota, ..parcels(&subject, targets) };
    subject.store.commit(&auction, commit(&["a", "b"])).await.unwrap();
    let refused = subject.store.commit(&auction, commit(&["c", "d"])).await;
    let expected = CommitError::Quota { what: Counted::Relayed, needed: 4, limit: 3 };
    assert_eq!(refused, Err(expected));
    let place = subject.store.waiting(&auction, None, 1).await.unwrap()[0].0;
    subject.store.forget(&auction, &[place]).await.unwrap();
    subject.store.commit(&auction, commit(&["c", "d"])).await.unwrap();
    let targets = subject.store.waiting(&auction, None, 10).await.unwrap();
    let targets: Vec<_> = targets.iter().map(|(_, parcel)| parcel.target.as_str()).collect();
    assert_eq!(targets, ["b", "c", "d"]);
}
