/** An item, and the rules for its bids. Amounts are in cents, moments in milliseconds since 1970. */

/** A bid is followed by at least so many milliseconds for the next one. */
const ANSWER_MILLIS = 30_000;

/** The keys of items begin with this. */
export const PREFIX = "item:";

/** What somebody is ready to pay. */
export interface Bid {
    name: string;
    amount: number;
}

/** A thing that is sold. */
export interface Item {
    title: string;
    /** The first bid is at least this. */
    start: number;
    /** A further bid is at least so much higher than the one before. */
    step: number;
    /** When no bid is taken any more. */
    ends: number;
    best: Bid | null;
    bids: number;
    /** Whether the end was told to those who watch. */
    closed: boolean;
}

/** Why a bid is not taken. */
export interface Refusal {
    status: number;
    error: string;
}

/** The least that the next bid must be. */
export function least({ best, start, step }: Item): number {
    return best ? best.amount + step : start;
}

/** The item with a bid, if the bid follows the rules. */
export function take(item: Item, bid: Bid, now: number): Item | Refusal {
    const name = bid.name.trim();
    if (![...name].length || [...name].length > 40)
        return { status: 422, error: "a name has 1 to 40 characters" };
    if (item.closed || now >= item.ends)
        return { status: 409, error: "the auction of this item is over" };
    if (bid.amount < least(item))
        return { status: 409, error: `the next bid is at least ${least(item)}` };
    const best = { name, amount: bid.amount };
    return { ...item, best, bids: item.bids + 1, ends: Math.max(item.ends, now + ANSWER_MILLIS) };
}

/** The item as clients see it. `price` and `best` are null while there is no bid. */
export function shown(id: string, item: Item) {
    const { title, best, bids, ends, closed } = item;
    const price = best?.amount ?? null;
    return { id, title, price, best: best?.name ?? null, bids, least: least(item), ends, closed };
}
