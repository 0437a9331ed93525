//! An auction: items and bids in the store, and every bid live to all who watch.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_sdk::{
    Context, Error, Json, Reply, Request, Response, Result, channel, export, http, sse,
};

mod item;
mod night;

use item::{Bid, Item, Refusal};
use night::{nights, sum_up};

const PAGE: &str = include_str!("page.html");

/// Whoever watches the auction.
const WATCHERS: &str = "watchers";

/// How long a stream is held. Then the browser comes back.
const HOLD: Duration = Duration::from_secs(300);

/// The longest time for bids, in minutes.
const MINUTES_MAX: u64 = 24 * 60;

#[http("GET /auction")]
fn page() -> Response {
    Response::html(PAGE)
        .header("cache-control", "no-cache")
        .header("content-security-policy", "default-src 'self' 'unsafe-inline'; img-src data:")
}

/// A thing that somebody wants to sell.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Offer {
    title: String,
    start: u64,
    step: u64,
    minutes: u64,
}

/// The message that closes an item.
#[derive(Serialize, Deserialize)]
struct Closing {
    item: String,
}

#[http("POST /auction/items")]
fn offer(cx: &mut Context, Json(offer): Json<Offer>) -> Result<Response> {
    let title = offer.title.trim();
    if title.is_empty() || title.chars().count() > 80 {
        return Err(refused("a title has 1 to 80 characters"));
    }
    if offer.step == 0 {
        return Err(refused("a step is at least 1"));
    }
    if offer.minutes == 0 || offer.minutes > MINUTES_MAX {
        return Err(refused("bids are taken for 1 to 1440 minutes"));
    }
    let store = cx.store();
    let number = store.counter("items")? + 1;
    store.set("items", &number)?;
    let id = format!("{number:08}");
    let time = Duration::from_secs(60 * offer.minutes);
    let item = Item::new(title, offer.start, offer.step, item::millis(cx.now()), time);
    store.set(&item::key(&id), &item)?;
    close_at_the_end(cx, &id, &item)?;
    tell(cx, &id, &item)?;
    Ok(Response::json(&item.shown(&id)).status(201))
}

#[http("GET /auction/items")]
fn items(cx: &mut Context) -> Result<Response> {
    let items: Vec<(String, Item)> = cx.store().list(item::PREFIX).collect::<Result<_, _>>()?;
    let shown: Vec<_> = items.iter().map(|(key, item)| item.shown(item::id(key))).collect();
    Ok(Response::json(&shown))
}

/// A bid. If another one comes between its look at the item and its commit, the host runs it again: it never
/// goes over a bid that it has not seen.
#[http("POST /auction/items/{id}/bids")]
fn bid(cx: &mut Context, id: &str, Json(bid): Json<Bid>) -> Result<Response> {
    let mut item = find(cx, id)?;
    if let Err(refusal) = item.take(&bid, item::millis(cx.now())) {
        let status = if matches!(refusal, Refusal::Name) { 422 } else { 409 };
        let shown = item.shown(id);
        return Ok(
            Response::json(&item::Refused { error: refusal.text(), item: shown }).status(status)
        );
    }
    let store = cx.store();
    store.set(&item::key(id), &item)?;
    close_at_the_end(cx, id, &item)?;
    store.set(&format!("bid:{id}:{:08}", item.bids), &bid)?;
    tell(cx, id, &item)?;
    Ok(Response::json(&item.shown(id)).status(201))
}

/// All bids for an item, the first one first.
#[http("GET /auction/items/{id}/bids")]
fn bids(cx: &mut Context, id: &str) -> Result<Response> {
    find(cx, id)?;
    let bids = cx.store().list::<Bid>(&format!("bid:{id}:"));
    let bids: Vec<Bid> = bids.map(|entry| entry.map(|(_, bid)| bid)).collect::<Result<_, _>>()?;
    Ok(Response::json(&bids))
}

/// Sets the timer of an item to its end, which is later than before if somebody has just bid.
fn close_at_the_end(cx: &mut Context, id: &str, item: &Item) -> Result<()> {
    let closing = Closing { item: id.to_owned() };
    Ok(cx.timer(format!("close:{id}")).send_at("auction.close", &closing, item.end())?)
}

/// Closes an item and tells all who watch. Bids compare with the end that is stored, so nothing depends on when
/// this runs. A bid may have moved the end while the message was on its way: then the next timer closes it.
#[channel("auction.close", retries = 20)]
fn close(cx: &mut Context, closing: &Closing) -> Result<()> {
    let Some(mut item) = cx.store().get::<Item>(&item::key(&closing.item))? else { return Ok(()) };
    if !item.close(item::millis(cx.now())) {
        return Ok(());
    }
    night::count(cx, &item)?;
    cx.store().set(&item::key(&closing.item), &item)?;
    tell(cx, &closing.item, &item)?;
    Ok(())
}

#[http("GET /auction/events")]
fn events(cx: &mut Context, _request: &Request) -> Result<Reply> {
    sse::start(cx)?;
    cx.group_add(WATCHERS)?;
    // From here on every change comes to the stream: what the page asks for afterwards is not older.
    cx.flush()?;
    sse::send(cx, &sse::Event::data("").name("joined"))?;
    Ok(cx.hold(HOLD))
}

/// Tells all who watch of an item. Messages may overtake each other: who gets them keeps the one with most bids.
fn tell(cx: &mut Context, id: &str, item: &Item) -> Result<()> {
    let text =
        serde_json::to_string(&item.shown(id)).map_err(|error| Error::failed(error.to_string()))?;
    cx.group_send(WATCHERS, &sse::Event::data(text))?;
    Ok(())
}

fn find(cx: &mut Context, id: &str) -> Result<Item> {
    let found = cx.store().get(&item::key(id))?;
    found.ok_or_else(|| Error::not_found("there is no such item"))
}

fn refused(rule: &str) -> Error {
    Error::bad_request(rule)
}

export! {
    page,
    offer,
    items,
    bid,
    bids,
    close,
    events,
    nights,
    #[schedule("0 3 * * *", zone = "Europe/Zurich")]
    sum_up,
}
