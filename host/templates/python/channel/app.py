"""Work in the background: a request is answered now, and another consumer works."""

from dataclasses import dataclass

from tidegate_sdk import Context, FlushError, HttpError, Json, channel, export, http


@dataclass
class Job:
    """Work to do."""

    text: str


@http("POST /module-name")
def submit(cx: Context, job: Json[Job]) -> tuple[int, str]:
    cx.send("module-name.count", job)
    # Sends now, and says if the channel is full. Without it the host would try for a
    # while after the answer and then drop the job.
    try:
        cx.flush()
    except FlushError as error:
        cx.warn(str(error))
        raise HttpError(503, "too much to do, try again later\n") from None
    return 202, "it will be done\n"


@channel("module-name.count")
def count(cx: Context, job: Job) -> None:
    """Nobody waits for this: it may take as long as the host's deadline allows."""
    cx.info(f"{len(job.text.split())} words")


Consumer = export(submit, count)
