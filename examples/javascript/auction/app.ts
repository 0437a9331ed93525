/** An auction: items and bids in the store, and every bid live to all who watch. */

import type { Context } from "@tidegate/sdk";
import { Response, app, badRequest, channel, http, notFound, sse } from "@tidegate/sdk";

import page from "../../auction/src/page.html?text";
import { PREFIX, shown, take } from "./item.ts";
import type { Bid, Item } from "./item.ts";

/** Whoever watches the auction. */
const WATCHERS = "watchers";
/** How long a stream is held, in milliseconds. Then the browser comes back. */
const HOLD = 300_000;
const MINUTE = 60_000;

interface Night {
    until: number;
    sold: number;
    paid: number;
}

/** Tells all who watch of an item. Messages may overtake each other: who gets them keeps the one with most bids. */
function tell(cx: Context, id: string, item: Item) {
    cx.groupSend(WATCHERS, sse.json(shown(id, item)));
}

/** Sets the timer of an item to its end, which is later than before if somebody has just bid. */
function closeAtTheEnd(cx: Context, id: string, item: Item) {
    cx.timer(`close:${id}`).sendAt("auction.close", { item: id }, new Date(item.ends));
}

function find(cx: Context, id: string): Item {
    const item = cx.store.get<Item>(PREFIX + id);
    if (!item) throw notFound("there is no such item");
    return item;
}

/** A whole number of a body, from `least` on. */
function whole(value: unknown, least: number, rule: string): number {
    if (Number.isSafeInteger(value) && (value as number) >= least) return value as number;
    throw badRequest(rule);
}

const auctionPage = http("GET /auction", () =>
    Response.html(page)
        .header("cache-control", "no-cache")
        .header("content-security-policy", "default-src 'self' 'unsafe-inline'; img-src data:"),
);

const offer = http("POST /auction/items", (request, cx) => {
    const { title: given, ...numbers } = request.typedJson();
    const title = typeof given === "string" ? given.trim() : "";
    if (!title || [...title].length > 80) throw badRequest("a title has 1 to 80 characters");
    const start = whole(numbers.start, 0, "a start is at least 0");
    const step = whole(numbers.step, 1, "a step is at least 1");
    const minutes = whole(numbers.minutes, 1, "bids are taken for 1 to 1440 minutes");
    if (minutes > 24 * 60) throw badRequest("bids are taken for 1 to 1440 minutes");
    const number = cx.store.counter("items") + 1;
    cx.store.set("items", number);
    const id = String(number).padStart(8, "0");
    const ends = cx.now().getTime() + minutes * MINUTE;
    const item: Item = { title, start, step, ends, best: null, bids: 0, closed: false };
    cx.store.set(PREFIX + id, item);
    closeAtTheEnd(cx, id, item);
    tell(cx, id, item);
    return Response.json(shown(id, item), { status: 201 });
});

const items = http("GET /auction/items", (_, cx) =>
    [...cx.store.list<Item>(PREFIX)].map(([key, item]) => shown(key.slice(PREFIX.length), item)),
);

/**
 * A bid. If another one comes between its look at the item and its commit, the host runs it again: it never goes over a
 * bid that it has not seen.
 */
const bid = http("POST /auction/items/{id}/bids", (request, cx) => {
    const { id } = request.params;
    const { name, amount } = request.typedJson();
    if (typeof name !== "string") throw badRequest("a bid has a name");
    const given: Bid = { name, amount: whole(amount, 0, "an amount is at least 0") };
    const item = find(cx, id);
    const taken = take(item, given, cx.now().getTime());
    if ("error" in taken) {
        const { status, error } = taken;
        return Response.json({ error, item: shown(id, item) }, { status });
    }
    cx.store.set(PREFIX + id, taken);
    closeAtTheEnd(cx, id, taken);
    cx.store.set(`bid:${id}:${String(taken.bids).padStart(8, "0")}`, given);
    tell(cx, id, taken);
    return Response.json(shown(id, taken), { status: 201 });
});

/** All bids for an item, the first one first. */
const bids = http("GET /auction/items/{id}/bids", ({ params: { id } }, cx) => {
    find(cx, id);
    return [...cx.store.list<Bid>(`bid:${id}:`)].map(([, bid]) => bid);
});

/**
 * Closes an item and tells all who watch. Bids compare with the end that is stored, so nothing depends on when this runs.
 * A bid may have moved the end while the message was on its way: then the next timer closes it.
 */
const close = channel<{ item: string }>("auction.close", { retries: 20 }, ({ item: id }, cx) => {
    const item = cx.store.get<Item>(PREFIX + id);
    if (!item || item.closed || cx.now().getTime() < item.ends) return;
    if (item.best) {
        // Nothing is read, so items that close at the same time do not disturb each other.
        cx.store.add("sold", 1);
        cx.store.add("paid", item.best.amount);
    }
    const closed = { ...item, closed: true };
    cx.store.set(PREFIX + id, closed);
    tell(cx, id, closed);
});

const events = http("GET /auction/events", (_, cx) => {
    sse.start(cx);
    cx.groupAdd(WATCHERS);
    // From here on every change comes to the stream: what the page asks for afterwards is not older.
    cx.flush();
    sse.send(cx, sse.data("", { name: "joined" }));
    return cx.hold(HOLD);
});

/** Stores the sales since the last night, and counts from 0 again. */
const sumUp = channel(
    "auction.night",
    { schedule: { expression: "0 3 * * *", zone: "Europe/Zurich" }, retries: 20 },
    ({ due }, cx) => {
        const [sold, paid] = [cx.store.counter("sold"), cx.store.counter("paid")];
        cx.store.add("sold", -sold);
        cx.store.add("paid", -paid);
        const until = due.getTime();
        cx.store.set(`night:${String(until).padStart(16, "0")}`, { until, sold, paid });
    },
);

/** All nights, the first one first. */
const nights = http("GET /auction/nights", (_, cx) =>
    [...cx.store.list<Night>("night:")].map(([, night]) => night),
);

export default app({ auctionPage, offer, items, bid, bids, close, events, nights, sumUp });
