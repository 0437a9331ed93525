/**
 * Slow work in the background: answer now, work later, tell those who watch.
 *
 * The way of a job: `submit` puts it on `jobs.count` and answers. `count` does a part of the work
 * and sends the rest to itself, or the result to the channel whose name came with the job. `report`
 * tells the watchers.
 */

import {
    type Context,
    FlushError,
    Frame,
    Response,
    app,
    badRequest,
    channel,
    http,
    websocket,
} from "@tidegate/sdk";

import page from "../../jobs/src/page.html?text";
import { primesWithin } from "./primes.ts";

/** The largest number that a job may go to. */
const MOST = 1_000_000_000;

/** How far one run counts. Between two parts others have their turn. */
const PART = 5_000_000;

/** How long the rest of a job waits when the channel is full, in milliseconds. */
const FULL_CHANNEL_PAUSE = 1000;

/** Work to do. */
interface Job {
    id: string;
    below: number;
    /** What is counted already: all below `from`, which are `primes`. */
    from: number;
    primes: number;
    /** Where the result goes. `count` knows nothing of those who use it. */
    next: string;
}

/** A result. */
type Counted = Pick<Job, "id" | "below" | "primes">;

/** What watchers are told. */
type Notice =
    | { type: "queued"; id: string; below: number }
    | { type: "working"; id: string; below: number; percent: number }
    | { type: "done"; id: string; below: number; primes: number };

function tell(cx: Context, notice: Notice) {
    cx.groupSend("watchers", Frame.json(notice));
}

const showPage = http("GET /jobs", () =>
    Response.html(page, {
        headers: {
            "cache-control": "no-cache",
            "content-security-policy": "default-src 'self' 'unsafe-inline'; img-src data:",
        },
    }),
);

const submit = http("POST /jobs", (request, cx) => {
    const { below, ...others }: Record<string, unknown> = Object(request.json());
    if (
        typeof below !== "number" ||
        !Number.isInteger(below) ||
        below < 0 ||
        Object.keys(others).length > 0
    ) {
        throw badRequest('body: it is to be {"below": NUMBER}\n');
    }
    if (below > MOST) throw badRequest(`at most ${MOST}, please\n`);
    const id = cx.correlationId;
    tell(cx, { type: "queued", id, below });
    const job: Job = { id, below, from: 0, primes: 0, next: "jobs.report" };
    cx.send("jobs.count", job);
    try {
        // Without this the host would try for a while after the answer and then drop the job.
        cx.flush();
    } catch (error) {
        if (!(error instanceof FlushError)) throw error;
        cx.warn(error.message);
        return Response.text("too much to do, try again later\n", {
            status: 503,
            headers: { "retry-after": "5" },
        });
    }
    return Response.json({ id }, { status: 202 });
});

const count = channel("jobs.count", ({ id, below, from, primes: counted, next }: Job, cx) => {
    tell(cx, {
        type: "working",
        id,
        below,
        percent: Math.floor((from * 100) / Math.max(below, 1)),
    });
    // So that watchers hear of it before the work is done.
    cx.flush();
    const end = Math.min(below, from + PART);
    const primes = counted + primesWithin(from, end);
    if (end === below) {
        const result: Counted = { id, below, primes };
        cx.send(next, result);
        return;
    }
    const rest: Job = { id, below, from: end, primes, next };
    cx.send("jobs.count", rest);
    try {
        cx.flush();
    } catch (error) {
        if (!(error instanceof FlushError)) throw error;
        // A job that is half done goes before those that were not begun: it does not give up.
        cx.sendLater("jobs.count", rest, FULL_CHANNEL_PAUSE);
    }
});

const report = channel("jobs.report", (counted: Counted, cx) => {
    tell(cx, { type: "done", ...counted });
});

/** A page that watches. It only listens. */
const watch = websocket("/jobs/watch", { groups: () => ["watchers"] });

export default app({ page: showPage, submit, count, report, watch });
