"""Sends every WebSocket message back."""

from tidegate_sdk import Socket, export, websocket


@websocket("/echo")
class Echo:
    def receive(self, socket: Socket[None], frame: str | bytes) -> None:
        socket.send(frame)


Consumer = export(Echo)
