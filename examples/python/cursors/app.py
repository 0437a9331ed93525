"""A shared drawing: who is there, where their pointers are, and what they draw."""

from dataclasses import dataclass
from typing import Literal

from board import Board, Refused, checked_key, checked_name, checked_places, checked_stroke, hue
from files import CLIENT, read, serve

from tidegate_sdk import Json, Request, Response, Socket, Unreadable, export, http, presence, strict, websocket

PAGE = read("src/page", "page.html", (".html", ".css", ".js"))


@http("GET /cursors")
def first_board() -> Response:
    return page()


@http("GET /cursors/{board}")
def any_board(board: Board) -> Response:
    return page()


def page() -> Response:
    return (
        Response.html(PAGE["page.html"])
        .header("cache-control", "no-cache")
        .header("content-security-policy", "default-src 'self'; img-src data:")
    )


@http("GET /cursors/page/{file}")
def board_page_file(request: Request, file: str) -> Response:
    return serve(PAGE, file, request)


@http("GET /cursors/tidegate/{file}")
def board_client_file(request: Request, file: str) -> Response:
    return serve(CLIENT, file, request)


@dataclass
class Person:
    """The member that a connection belongs to."""

    key: str


@dataclass
class Facts:
    """The facts of a member, for everybody on the board."""

    name: str
    hue: int
    """From 0 to 359."""


@strict
@dataclass
class Join:
    type: Literal["join"]
    key: str
    name: str


@strict
@dataclass
class At:
    """Where its pointer is."""

    type: Literal["at"]
    at: tuple[int, int]


@strict
@dataclass
class Draw:
    """A part of a line."""

    type: Literal["draw"]
    stroke: list[tuple[int, int]]


@presence("board.*", leave_after="5s", interval="250ms")
@websocket("/cursors/{board}")
class Cursors:
    """A connection to a board."""

    board: Board
    # There is none before the client has said who it is.
    State = Person | None

    def connect(self, socket: Socket[Person | None]) -> None:
        socket.debug(f"connected to {self.board.group}")

    def receive(self, socket: Socket[Person | None], incoming: Json[Join | At | Draw] | Unreadable) -> None:
        try:
            if isinstance(incoming, Join):
                self.join(socket, incoming)
            elif isinstance(incoming, At):
                checked_places([incoming.at])
                self.tell(socket, "at", at=incoming.at)
            elif isinstance(incoming, Draw):
                self.tell(socket, "draw", stroke=checked_stroke(incoming.stroke))
            else:
                raise Refused('Please send JSON like {"type": "at", "at": [500, 500]}.')
        except Refused as refused:
            socket.send_json({"type": "error", "text": str(refused)})

    def join(self, socket: Socket[Person | None], wish: Join) -> None:
        """Joins the board. All connections with one key are one person."""
        key, name = checked_key(wish.key), checked_name(wish.name)
        socket.present(self.board.group, key, Facts(name, hue(key)))
        socket.state = Person(key)

    def tell(self, socket: Socket[Person | None], kind: str, **more: object) -> None:
        """Tells everybody on the board something. Nothing of it is kept, and it changes nothing of who is there."""
        if socket.state is None:
            raise Refused("Please join with a name first.")
        socket.group_send_json(self.board.group, {"type": kind, "key": socket.state.key, **more})


Consumer = export(first_board, any_board, board_page_file, board_client_file, Cursors)
