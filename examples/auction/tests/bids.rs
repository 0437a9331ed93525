//! Bids and the end of an item, natively.

use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidegate_sdk::Stored;
use tidegate_sdk::testing::{TestData, TestHost, json};

/// An item as a client reads it.
#[derive(Debug, PartialEq, Deserialize)]
struct Shown {
    price: Option<u64>,
    best: Option<String>,
    bids: u64,
    least: u64,
    closed: bool,
}

/// An item as it is stored.
#[derive(Serialize, Deserialize)]
struct Item {
    title: String,
    start: u64,
    step: u64,
    ends: u64,
    best: Option<Bid>,
    bids: u64,
    closed: bool,
}

impl Stored for Item {}

#[derive(Serialize, Deserialize)]
struct Bid {
    name: String,
    amount: u64,
}

/// A host with an item that takes bids for a minute: 100, then 10 more each.
fn host() -> TestHost {
    let host = TestHost::new(auction::consumers()).named("auction").at(UNIX_EPOCH);
    let offer = json!({ "title": "Lamp", "start": 100, "step": 10, "minutes": 1 });
    assert_eq!(host.request("POST", "/auction/items").json(&offer).send().status(), 201);
    host
}

fn bid(host: &TestHost, name: &str, amount: u64) -> u16 {
    let bid = json!({ "name": name, "amount": amount });
    host.request("POST", "/auction/items/00000001/bids").json(&bid).send().status()
}

fn shown(host: &TestHost) -> Shown {
    let items: Vec<Shown> = host.get("/auction/items").json();
    items.into_iter().next().expect("the item is listed")
}

#[test]
fn a_bid_is_compared_with_one_that_came_after_it_was_read() {
    let host = host();
    assert_eq!(bid(&host, "Ada", 100), 201);
    host.before_commit(|data: &TestData| {
        let mut item: Item = data.get("item:00000001").expect("the item is stored");
        item.best = Some(Bid { name: "Eve".to_owned(), amount: 150 });
        item.bids += 1;
        data.set("item:00000001", &item);
    });
    assert_eq!(bid(&host, "Bob", 110), 409);
    let expected = Shown {
        price: Some(150),
        best: Some("Eve".to_owned()),
        bids: 2,
        least: 160,
        closed: false,
    };
    assert_eq!(shown(&host), expected);

    host.conflict_once("item:00000001");
    assert_eq!(bid(&host, "Bob", 160), 201);
    assert_eq!((shown(&host).price, shown(&host).bids), (Some(160), 3));
    // An attempt that was thrown away sends nothing.
    assert_eq!(host.group_messages("watchers").len(), 3);
}

#[test]
fn bids_end_by_the_stored_time_and_watchers_are_told_who_has_won() {
    let host = host();
    host.advance(Duration::from_secs(59));
    assert_eq!(bid(&host, "Ada", 100), 201);
    let told = host.group_messages("watchers").len();
    host.advance(Duration::from_secs(29));
    assert!(!shown(&host).closed, "a late bid has moved the end");
    assert_eq!(host.timers(), ["close:00000001"]);
    host.advance(Duration::from_secs(1));
    assert_eq!(host.timers(), Vec::<String>::new());
    assert_eq!(bid(&host, "Bob", 500), 409);
    let expected =
        Shown { price: Some(100), best: Some("Ada".to_owned()), bids: 1, least: 110, closed: true };
    assert_eq!(shown(&host), expected);
    assert_eq!(host.group_messages("watchers").len(), told + 1);
}

#[test]
fn each_night_is_summed_up_once() {
    let host = host();
    host.advance(Duration::from_secs(40));
    assert_eq!(bid(&host, "Ada", 120), 201);
    host.advance(Duration::from_secs(60));
    host.fire("sum_up");
    host.advance(Duration::from_secs(24 * 3600));
    host.fire("sum_up");
    let expected = json!([
        { "until": 100_000, "sold": 1, "paid": 120 },
        { "until": 86_500_000, "sold": 0, "paid": 0 },
    ]);
    assert_eq!(host.get("/auction/nights").json::<Value>(), expected);
}
