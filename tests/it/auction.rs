//! The example `auction`: bidders race, and no bid is lost, also when the host is killed.

use serde_json::{Value, json};
use tests::{Client, Host, Process, Streaming, background, example, must};

use crate::TIDEGATE;

const BIDDERS: u64 = 50;
const STEP: u64 = 10;

async fn post(client: Client, path: &str, body: Value) -> (u16, Value) {
    let headers = [("content-type", "application/json")];
    let reply = client.request("POST", path, &headers, body.to_string()).await;
    (reply.status, serde_json::from_str(reply.text()).unwrap_or(Value::Null))
}

async fn get(client: Client, path: &str) -> Value {
    serde_json::from_str(client.get(path).await.text()).unwrap()
}

fn number(value: &Value, at: &str) -> Option<u64> {
    value.pointer(at)?.as_u64()
}

fn text(value: &Value, at: &str) -> String {
    value.pointer(at).unwrap().as_str().unwrap().to_owned()
}

async fn offer(client: Client) -> String {
    let offer = json!({"title": "Lamp", "start": 100, "step": STEP, "minutes": 60});
    let (status, item) = post(client, "/auction/items", offer).await;
    assert_eq!(status, 201, "{item}");
    text(&item, "/id")
}

/// Bids a step above what it knows until the price is beyond a limit or the host is gone. Returns the amounts
/// that were taken.
async fn bidder(client: Client, item: String, name: u64, limit: u64) -> Vec<u64> {
    let (mut taken, mut amount) = (Vec::new(), 100);
    let path = format!("/auction/items/{item}/bids");
    while amount <= limit {
        let bid = json!({"name": format!("bidder {name}"), "amount": amount}).to_string();
        let Some(reply) = client.try_post(&path, bid).await else { break };
        let answer: Value = serde_json::from_str(reply.text()).unwrap_or(Value::Null);
        let least = match reply.status {
            201 => {
                taken.push(amount);
                number(&answer, "/least")
            }
            409 => number(&answer, "/item/least"),
            status => panic!("{status} {answer}"),
        };
        amount = least.unwrap();
    }
    taken
}

/// The stored bids rise by a step at least, the price is the last of them, and each that was taken is there.
async fn assert_holds(client: Client, item: &str, taken: &[u64]) {
    let bids = get(client, &format!("/auction/items/{item}/bids")).await;
    let bids: Vec<u64> =
        bids.as_array().unwrap().iter().map(|bid| number(bid, "/amount").unwrap()).collect();
    assert!(
        bids.iter().zip(bids.iter().skip(1)).all(|(one, next)| *next >= one + STEP),
        "{bids:?}"
    );
    let items = get(client, "/auction/items").await;
    let item = items.as_array().unwrap().iter().find(|it| text(it, "/id") == item).unwrap();
    assert_eq!(number(item, "/price"), bids.last().copied());
    assert_eq!(number(item, "/bids"), Some(bids.len() as u64));
    for amount in taken {
        assert!(bids.contains(amount), "{amount} is lost: {bids:?}");
    }
}

/// The price that a stream shows last: the one of the item with most bids.
async fn last_price(mut stream: Streaming, price: u64) -> u64 {
    let (mut text, mut best) = (String::new(), (0, 0));
    must("the last price is shown", async {
        while best.1 != price {
            let part = stream.part().await.unwrap().unwrap();
            text += std::str::from_utf8(&part).unwrap();
            while let Some((event, rest)) = text.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                if let Some(item) = data.and_then(|data| serde_json::from_str::<Value>(data).ok()) {
                    let bids = number(&item, "/bids").unwrap();
                    best = best.max((bids, number(&item, "/price").unwrap_or(0)));
                }
                text = rest.to_owned();
            }
        }
    })
    .await;
    best.1
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_bidders_that_race_none_goes_over_a_bid_that_it_has_not_seen() {
    let host = Host::builder().example("auction").start().await;
    let client = host.client();
    let item = offer(client).await;
    let mut stream = client.start("GET", "/auction/events", &[], "").await;
    must("the stream has begun", stream.part()).await;
    let bidders: Vec<_> = (0..BIDDERS)
        .map(|number| background(bidder(client, item.clone(), number, 100 + 40 * STEP)))
        .collect();
    let mut taken = Vec::new();
    for bidder in bidders {
        taken.extend(must("a bidder is done", bidder).await.unwrap());
    }
    taken.sort_unstable();
    assert_eq!(taken, (0..=40).map(|step| 100 + step * STEP).collect::<Vec<_>>());
    assert_holds(client, &item, &taken).await;
    assert_eq!(last_price(stream, 100 + 40 * STEP).await, 100 + 40 * STEP);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bid_that_was_taken_is_lost_when_the_host_is_killed() {
    let data = tempfile::tempdir().unwrap();
    let module = format!("auction={}", example("auction").display());
    let arguments = ["--data-dir", data.path().to_str().unwrap(), "--module", &module];
    let mut process = Process::serve(TIDEGATE, &arguments).await;
    let item = offer(Client::new(process.address)).await;
    let mut taken = Vec::new();
    for round in 1..=3 {
        let client = Client::new(process.address);
        let before = taken.len() as u64;
        let bidders: Vec<_> = (0..8)
            .map(|number| background(bidder(client, item.clone(), number, u64::MAX / 2)))
            .collect();
        must("some bids are taken", async {
            while get(client, "/auction/items").await[0]["bids"].as_u64().unwrap() < before + 10 {}
        })
        .await;
        if round == 2 {
            // A version beside the bids.
            process
                .api()
                .done("PUT", "modules/auction", std::fs::read(example("auction")).unwrap())
                .await;
        }
        process.signal("KILL").await;
        process.wait().await;
        for bidder in bidders {
            taken.extend(must("a bidder is done", bidder).await.unwrap());
        }
        process = Process::serve(TIDEGATE, &arguments).await;
        assert_holds(Client::new(process.address), &item, &taken).await;
    }
}
