"""Answers on a WebSocket, and counts what it has answered."""

from dataclasses import dataclass
from pathlib import Path

from tidegate_sdk import Response, Socket, export, http, websocket

# Read when the component is built, which has no files at run time.
PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")


@http("GET /module-name")
def page() -> Response:
    return Response.html(PAGE).header("cache-control", "no-cache")


@dataclass
class Seen:
    """What the host keeps with each connection. It outlives a deploy."""

    messages: int = 0


@websocket("/module-name/socket")
class Echo:
    State = Seen

    def receive(self, socket: Socket[Seen], text: str) -> None:
        socket.state.messages += 1
        socket.send(f"{socket.state.messages}: you said {text}")


Consumer = export(page, Echo)
