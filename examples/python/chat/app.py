"""A chat with rooms: a page, and a WebSocket on the same path."""

from dataclasses import dataclass
from typing import Literal

from files import CLIENT, read, serve
from text import Refused, Room, connection_id, line, name

from tidegate_sdk import Json, Request, Response, Socket, Unreadable, export, history, http, strict, websocket

PAGE = read("page", "page.html", (".html", ".css", ".js"))
LINES = 100
"""The lines of a room that are kept, and shown to who joins."""


@http("GET /chat")
def lobby() -> Response:
    return page()


@http("GET /chat/{room}")
def room(room: Room) -> Response:
    return page()


def page() -> Response:
    return (
        Response.html(PAGE["page.html"])
        .header("cache-control", "no-cache")
        .header("content-security-policy", "default-src 'self'; img-src data:")
    )


@http("GET /chat/page/{file}")
def page_file(request: Request, file: str) -> Response:
    return serve(PAGE, file, request)


@http("GET /chat/tidegate/{file}")
def client_file(request: Request, file: str) -> Response:
    return serve(CLIENT, file, request)


@dataclass
class Member:
    """Who a connection belongs to; told to everybody in the room."""

    name: str
    id: str | None = None
    """Tells apart two people with one name. A client that gives none has none."""

    def notice(self, kind: str, **more: str) -> dict[str, str]:
        """A message about them to everybody in the room."""
        known = {"id": self.id} if self.id is not None else {}
        return {"type": kind, "name": self.name, **known, **more}


@strict
@dataclass
class Join:
    type: Literal["join"]
    name: str
    id: str | None = None
    remember: bool = False
    """Whether it knows positions, and wants the lines that it has missed."""


@strict
@dataclass
class Say:
    type: Literal["say"]
    text: str


@history("room.*", messages=LINES, age="24h", bytes="1MiB")
@websocket("/chat/{room}", resume="2m")
class Chat:
    """A connection to a room."""

    room: Room
    # There is none before the client has said its name.
    State = Member | None

    def connect(self, socket: Socket[Member | None]) -> None:
        socket.debug(f"connected to {self.room.group}")

    def receive(self, socket: Socket[Member | None], incoming: Json[Join | Say] | Unreadable) -> None:
        try:
            if isinstance(incoming, Join):
                self.join(socket, incoming)
            elif isinstance(incoming, Say):
                self.say(socket, incoming)
            else:
                raise Refused('Please send JSON like {"type": "say", "text": "Hello"}.')
        except Refused as refused:
            socket.send_json({"type": "error", "text": str(refused)})

    def join(self, socket: Socket[Member | None], wish: Join) -> None:
        if socket.state is not None:
            raise Refused("You have a name already.")
        member = Member(name(wish.name), None if wish.id is None else connection_id(wish.id))
        socket.state = member
        # First in, then the notice: the new member sees it too, and knows that it worked.
        group = self.room.group
        if wish.remember:
            socket.group_join(group, after=socket.last_position(group), latest=LINES)
        else:
            socket.group_add(group)
        socket.group_send_json(group, member.notice("joined"))

    def say(self, socket: Socket[Member | None], said: Say) -> None:
        if socket.state is None:
            raise Refused("Please join with a name first.")
        socket.group_send_json(self.room.group, socket.state.notice("said", text=line(said.text)))

    def disconnect(self, socket: Socket[Member | None]) -> None:
        if socket.state is not None:
            socket.group_send_json(self.room.group, socket.state.notice("left"))


Consumer = export(lobby, room, page_file, client_file, Chat)
