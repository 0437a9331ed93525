"""A room for members: the host knows who they are before anything here runs."""

from dataclasses import dataclass

from tidegate_sdk import Context, Socket, User, claims, export, http, user, websocket


@dataclass
class Claims:
    name: str


@user(optional=True)
@http("GET /")
def greeting(user: User | None) -> str:
    return f"Hello {user.claims(Claims).name}!\n" if user else "Hello! Please sign in.\n"


@user
@websocket("/room")
class Room:
    def groups(self) -> list[str]:
        return ["room"]

    def receive(self, socket: Socket[None], text: str) -> None:
        socket.group_send("room", f"{name(socket.user)}: {text}")

    def disconnect(self, socket: Socket[None]) -> None:
        socket.group_send("room", f"{name(socket.user)} has left")


def name(user: User | None) -> str:
    return user.claims(Claims).name if user else "somebody"


@claims(role=["admin", "owner"])
@http("POST /clear")
def clear_room(cx: Context, user: User) -> str:
    cx.group_send("room", f"{user.id} has cleared the room")
    return f"cleared by {user.id}\n"


@claims(level=[3, 4], verified=True)
@http("GET /cellar")
def cellar(user: User) -> str:
    return f"{user.id} is in the cellar\n"


Consumer = export({"/members": [greeting, Room, clear_room, cellar]})
