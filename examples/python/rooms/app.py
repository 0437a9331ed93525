"""The chat of the Channels tutorial, with its sockets held by Tidegate. The site beside it is Django's."""

from dataclasses import dataclass

from tidegate_sdk import Json, Socket, export, websocket


@dataclass
class Line:
    """A line of the chat, from a client and to all in the room."""

    message: str


@websocket("/ws/chat/{room}/")
class Rooms:
    """A connection to a room. Its group is `chat.ROOM`, since the module is served as `chat`."""

    room: str

    def groups(self) -> list[str]:
        return [self.room]

    def receive(self, socket: Socket[None], line: Json[Line]) -> None:
        socket.group_send_json(self.room, line)


Consumer = export(Rooms)
