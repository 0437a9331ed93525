"""An auction: items and bids in the store, and every bid live to all who watch."""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from item import PREFIX, Bid, Item, Refusal, millis

from tidegate_sdk import (
    Context,
    HttpError,
    Json,
    Reply,
    Response,
    Tick,
    channel,
    export,
    http,
    schedule,
    sse,
    strict,
)

# Read when the component is built, from a directory that the build has on its path.
PAGE = next(Path(place, "page.html").read_text() for place in sys.path if Path(place, "item.rs").is_file())

# The group of those who watch the auction.
WATCHERS = "watchers"

# How many seconds a stream is held. Then the browser comes back.
HOLD = 300


@http("GET /auction")
def auction_page() -> Response:
    return (
        Response.html(PAGE)
        .header("cache-control", "no-cache")
        .header("content-security-policy", "default-src 'self' 'unsafe-inline'; img-src data:")
    )


@strict
@dataclass
class Offer:
    """A thing that somebody wants to sell."""

    title: str
    start: int
    step: int
    minutes: int


@dataclass
class Closing:
    """The message that closes an item."""

    item: str


@http("POST /auction/items")
def offer(cx: Context, offer: Json[Offer]) -> tuple[int, dict[str, Any]]:
    title = offer.title.strip()
    if not 1 <= len(title) <= 80:
        raise HttpError(400, "a title has 1 to 80 characters")
    if offer.start < 0:
        raise HttpError(400, "a start is at least 0")
    if offer.step < 1:
        raise HttpError(400, "a step is at least 1")
    if not 1 <= offer.minutes <= 24 * 60:
        raise HttpError(400, "bids are taken for 1 to 1440 minutes")
    number = cx.store.counter("items") + 1
    cx.store.set("items", number)
    id = f"{number:08}"
    item = Item(title, offer.start, offer.step, ends=millis(cx.now()) + offer.minutes * 60_000)
    cx.store.set(PREFIX + id, item)
    close_at_the_end(cx, id, item)
    tell(cx, id, item)
    return 201, item.shown(id)


@http("GET /auction/items")
def items(cx: Context) -> list[dict[str, Any]]:
    return [item.shown(key.removeprefix(PREFIX)) for key, item in cx.store.list(PREFIX, Item)]


@http("POST /auction/items/{id}/bids")
def bid(cx: Context, id: str, bid: Json[Bid]) -> tuple[int, dict[str, Any]]:
    """Takes a bid.

    If another one comes between the look at the item and the commit, the host runs this again: it never goes over a bid
    that it has not seen.
    """
    item = find(cx, id)
    try:
        item.take(bid, millis(cx.now()))
    except Refusal as refusal:
        return refusal.status, {"error": str(refusal), "item": item.shown(id)}
    cx.store.set(PREFIX + id, item)
    close_at_the_end(cx, id, item)
    cx.store.set(f"bid:{id}:{item.bids:08}", bid)
    tell(cx, id, item)
    return 201, item.shown(id)


@http("GET /auction/items/{id}/bids")
def bids(cx: Context, id: str) -> list[Bid]:
    """All bids for an item, the first one first."""
    find(cx, id)
    return [bid for _, bid in cx.store.list(f"bid:{id}:", Bid)]


def close_at_the_end(cx: Context, id: str, item: Item) -> None:
    """Sets the timer of an item to its end, which is later than before if somebody has just bid."""
    cx.timers.set("auction.close", Closing(id), at=datetime.fromtimestamp(item.ends / 1000, UTC), key=f"close:{id}")


@channel("auction.close", retries=20)
def close(cx: Context, closing: Closing) -> None:
    """Closes an item and tells the watchers.

    Bids compare with the end that is stored, so nothing depends on when this runs. A bid may have moved the end while
    the message was on its way: then the next timer closes it.
    """
    item = cx.store.get(PREFIX + closing.item, Item)
    if item is None or item.closed or millis(cx.now()) < item.ends:
        return
    if item.best is not None:
        # Nothing is read, so items that close at the same time do not disturb each other.
        cx.store.add("sold")
        cx.store.add("paid", item.best.amount)
    item.closed = True
    cx.store.set(PREFIX + closing.item, item)
    tell(cx, closing.item, item)


@dataclass
class Night:
    """The sales between a night and the one before."""

    until: int
    """When it was summed up, in milliseconds since 1970."""
    sold: int
    paid: int


@schedule("0 3 * * *", zone="Europe/Zurich")
@channel("auction.night", retries=20)
def sum_up(cx: Context, tick: Tick) -> None:
    """Stores the sales since the last night, and counts from 0 again."""
    night = Night(millis(tick.due), cx.store.counter("sold"), cx.store.counter("paid"))
    cx.store.add("sold", -night.sold)
    cx.store.add("paid", -night.paid)
    cx.store.set(f"night:{night.until:016}", night)


@http("GET /auction/nights")
def nights(cx: Context) -> list[Night]:
    """All nights, the first one first."""
    return [night for _, night in cx.store.list("night:", Night)]


@http("GET /auction/events")
def events(cx: Context) -> Reply:
    cx.start_stream(sse.head())
    cx.group_add(WATCHERS)
    # From here on every change comes to the stream: what the page asks for afterwards is not older.
    cx.flush()
    cx.write(str(sse.Event(name="joined", data="")))
    return cx.hold(HOLD)


def tell(cx: Context, id: str, item: Item) -> None:
    """Tells the watchers of an item. Messages may overtake each other: a client keeps the one with most bids."""
    cx.group_send(WATCHERS, sse.Event.json(item.shown(id)))


def find(cx: Context, id: str) -> Item:
    item = cx.store.get(PREFIX + id, Item)
    if item is None:
        raise HttpError(404, "there is no such item")
    return item


Consumer = export(auction_page, offer, items, bid, bids, close, events, sum_up, nights)
