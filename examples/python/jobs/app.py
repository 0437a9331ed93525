"""Slow work in the background: answer now, work later, tell the watchers.

The way of a job: `submit` puts it on `jobs.count` and answers. `count` does a part of the work and sends the rest to
itself, or the result to the channel whose name came with the job. `report` tells the watchers.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from primes import within

from tidegate_sdk import (
    Context,
    FlushError,
    HttpError,
    Request,
    Response,
    channel,
    export,
    http,
    strict,
    websocket,
)

# Read when the component is built, from a directory that the build has on its path.
PAGE = next(Path(place, "page.html").read_text() for place in sys.path if Path(place, "page.html").is_file())

# The largest number that a job may go to: some seconds of work.
MOST = 1_000_000_000

# How far one run counts, well within a host's limits. Between two parts others have their turn.
PART = 5_000_000


@http("GET /jobs")
def page() -> Response:
    return (
        Response.html(PAGE)
        .header("cache-control", "no-cache")
        .header("content-security-policy", "default-src 'self' 'unsafe-inline'; img-src data:")
    )


@strict
@dataclass
class Wish:
    """A request for work."""

    below: int

    def __post_init__(self) -> None:
        if self.below < 0:
            raise ValueError("below: a number from 0 on, please")


@dataclass
class Job:
    """Work to do. What is counted already is all below `start`, which are `primes`."""

    id: str
    below: int
    next: str
    """The channel for the result. `count` does not know who reads it."""
    start: int = 0
    primes: int = 0


@dataclass
class Counted:
    """A result."""

    id: str
    below: int
    primes: int


def tell(cx: Context, kind: str, **notice: Any) -> None:
    cx.group_send_json("watchers", {"type": kind, **notice})


@http("POST /jobs")
def submit(cx: Context, request: Request) -> tuple[int, dict[str, str]]:
    below = request.json(Wish).below
    if below > MOST:
        raise HttpError(400, f"at most {MOST}, please\n")
    job = Job(id=cx.correlation_id, below=below, next="jobs.report")
    tell(cx, "queued", id=job.id, below=below)
    cx.send("jobs.count", job)
    # Without this the host would try for a while after the answer and then drop the job.
    try:
        cx.flush()
    except FlushError as error:
        cx.warn(str(error))
        raise HttpError(503, "too much to do, try again later\n", {"retry-after": "5"}) from None
    return 202, {"id": job.id}


@channel("jobs.count")
def count(cx: Context, job: Job) -> None:
    tell(cx, "working", id=job.id, below=job.below, percent=job.start * 100 // max(job.below, 1))
    # So that watchers hear of it before the work is done.
    cx.flush()
    end = min(job.below, job.start + PART)
    primes = job.primes + within(job.start, end)
    if end == job.below:
        cx.send(job.next, Counted(job.id, job.below, primes))
        return
    rest = replace(job, start=end, primes=primes)
    cx.send("jobs.count", rest)
    # A job that is half done goes before those that were not begun: it does not give up.
    try:
        cx.flush()
    except FlushError:
        cx.send_later("jobs.count", rest, delay=1)


@channel("jobs.report")
def report(cx: Context, counted: Counted) -> None:
    tell(cx, "done", id=counted.id, below=counted.below, primes=counted.primes)


@websocket("/jobs/watch")
class Watch:
    """A page that watches. It only listens."""

    def groups(self) -> list[str]:
        return ["watchers"]


Consumer = export(page, submit, count, report, Watch)
