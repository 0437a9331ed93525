"""A WebSocket client for asyncio that reconnects as a Tidegate host expects it.

    async with Socket("wss://example.org/chat/blue") as socket:
        async for event in socket:
            match event:
                case Opened(resumed=False):
                    await socket.send_json({"type": "join", "name": "Ada"})
                case Message(data=data):
                    print(data)

It is a package of its own, because it needs an extra, `tidegate[websocket]`, without which `import tidegate` works. The
extra is the library `websockets`: it is maintained, typed and without dependencies, and has TLS, proxies and pings.

The rules are those of the JavaScript client, and the tests of both read the same tables. Times are in seconds.
"""

from .codes import Advice, advice
from .errors import SendError
from .events import (
    Closed,
    Ended,
    Ending,
    Error,
    Event,
    Gap,
    Message,
    Opened,
    PresenceChanged,
    Reconnecting,
)
from .options import Options, TokenSource
from .presence import Presence
from .socket import Socket, State

__all__ = [
    "Advice",
    "Closed",
    "Ended",
    "Ending",
    "Error",
    "Event",
    "Gap",
    "Message",
    "Opened",
    "Options",
    "Presence",
    "PresenceChanged",
    "Reconnecting",
    "SendError",
    "Socket",
    "State",
    "TokenSource",
    "advice",
]
