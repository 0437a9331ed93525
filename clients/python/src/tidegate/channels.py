"""A channel layer for Django Channels 4 that shares channels and groups with Tidegate.

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "tidegate.channels.ChannelLayer",
        "CONFIG": {"url": "redis://127.0.0.1:6379/0"},
    },
}
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from channels.exceptions import ChannelFull, InvalidChannelLayerError, MessageTooLarge
from channels.layers import BaseChannelLayer

from . import errors
from .background import Background
from .client import DEFAULT_PREFIX, Client, channel_name, options
from .content import Message, encode
from .hosts import GroupPrefixes, refuse_settings, url_of_hosts
from .node import mailbox_key

__all__ = ["AsyncFrames", "ChannelLayer", "Frames"]

NODE_PREFIX = "specific."

T = TypeVar("T")


class ChannelLayer(BaseChannelLayer):  # type: ignore[misc]
    """The layer of a Django process: one connection to Redis for all its event loops and threads.

    Settings are `url` or, as with channels_redis, `hosts`; those of `tidegate.Client`; and

    - `groups`: how names of groups begin here and there, such as `{"chat_": "chat."}`;
    - `on_gap`: the type of a message that members of groups get when they may have missed some.
    """

    extensions = ["groups", "flush"]

    def __init__(
        self,
        url: str | None = None,
        hosts: Any = None,
        groups: Mapping[str, str] | None = None,
        on_gap: str | None = None,
        **settings: Any,
    ) -> None:
        try:
            refuse_settings(settings)
            if hosts is not None:
                if url is not None:
                    raise errors.ConfigError("both `url` and `hosts` are set; set one of them")
                url = url_of_hosts(hosts)
            checked = options(url, settings)
            checked.topology()
            self._prefixes = GroupPrefixes(groups or {})
        except (errors.ConfigError, TypeError) as error:
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS: {error}") from error
        super().__init__(expiry=checked.expiry, capacity=checked.capacity)
        self.group_expiry = checked.group_expiry
        self.channel_capacity = self.compile_capacities(dict(checked.channel_capacity))
        self._options = checked
        self._url = url
        self._settings = settings
        self._on_gap = on_gap
        self._background = Background(self._make)

    def _make(self) -> Client:
        return Client(self._url, node_prefix=NODE_PREFIX, on_gap=self._gap, **self._settings)

    @property
    def _client(self) -> Client:
        return self._background.running()[1]

    @property
    def client_prefix(self) -> str:
        """Returns what names of this process's channels have in common. A forked child has its own."""
        return self._client.id

    # Channels.

    async def send(self, channel: str, message: Message) -> None:
        """Sends to a channel. Raises `ChannelFull` where it has no room."""
        with _channels_errors():
            content = self._encode(message)
            await self._background.ask(self._client.send_content(channel, content))

    async def send_later(self, channel: str, message: Message, delay: float) -> None:
        """Sends after `delay` seconds, a day at most. It outlives this process."""
        with _channels_errors():
            await self._background.ask(self._client.send_later(channel, message, delay))

    async def receive(self, channel: str) -> Message:
        """Waits for the next message of a channel. Cancellation loses none."""
        client = self._client
        key = client.key_of(channel)
        await self._serve(client)
        return await client.take(key)

    async def new_channel(self, prefix: str = DEFAULT_PREFIX) -> str:
        """Returns a new channel that this process alone receives from."""
        client = self._client
        name = channel_name(client.node_name, prefix)
        await self._serve(client)
        return name

    async def _serve(self, client: Client) -> None:
        if not client.is_serving:
            await self._background.ask(client.serve())

    # Groups.

    async def group_add(self, group: str, channel: str) -> None:
        """Makes a channel a member of a group, or renews its membership."""
        with _channels_errors():
            await self._background.ask(self._client.group_add(self.group_name(group), channel))

    async def group_discard(self, group: str, channel: str) -> None:
        """Ends a membership; does nothing where there is none."""
        with _channels_errors():
            await self._background.ask(self._client.group_discard(self.group_name(group), channel))

    async def group_send(self, group: str, message: Message) -> None:
        """Sends to all members: consumers of Django, Tidegate's sockets and channels."""
        with _channels_errors():
            content = self._encode(message)
            name = self.group_name(group)
            await self._background.ask(self._client.group_send_content(name, content))

    def group_name(self, group: str) -> str:
        """Returns what a group is called in Tidegate."""
        return self._prefixes.map(group)

    # The rest.

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine of this layer for a caller without event loop, or beside that of the caller."""
        return self._background.wait(work)

    def _encode(self, message: Message) -> bytes:
        return encode(message, self._options.message_bytes)

    def _gap(self, locals_: set[str]) -> None:
        if self._on_gap is None:
            return
        content = encode({"type": self._on_gap}, self._options.message_bytes)
        mailboxes = self._client.mailboxes
        mailboxes.put((mailbox_key(local), content) for local in locals_)

    async def flush(self) -> None:
        """Deletes all messages and memberships of the application, for tests."""
        with _channels_errors():
            await self._background.ask(self._client.flush())

    async def close(self) -> None:
        """Ends the connections of this process. The next call opens others, as another process."""
        ending = self._background.stop()
        if ending is not None:
            await asyncio.wrap_future(ending)

    async def close_pools(self) -> None:
        """Does nothing: unlike those of channels_redis, connections belong to no event loop."""


@contextmanager
def _channels_errors() -> Iterator[None]:
    """Raises the exceptions that Channels has in the place of ours."""
    try:
        yield
    except errors.ChannelFull as error:
        raise ChannelFull(str(error)) from error
    except errors.MessageTooLarge as error:
        raise MessageTooLarge(str(error)) from error


class AsyncFrames:
    """For an asynchronous WebSocket consumer whose groups have members in Tidegate, too.

    A message of `tidegate.frames` is then the same for both: Tidegate's sockets get it as it is, and a
    socket held by Daphne or uvicorn gets it through these handlers.
    """

    async def websocket_send(self, event: Message) -> None:
        """Sends the frame to the client."""
        await self.send(text_data=event.get("text"), bytes_data=event.get("bytes"))  # type: ignore[attr-defined]

    async def websocket_close(self, event: Message) -> None:
        """Closes the socket."""
        await self.close(code=event.get("code", 1000), reason=event.get("reason"))  # type: ignore[attr-defined]


class Frames:
    """The same for a synchronous WebSocket consumer."""

    def websocket_send(self, event: Message) -> None:
        """Sends the frame to the client."""
        self.send(text_data=event.get("text"), bytes_data=event.get("bytes"))  # type: ignore[attr-defined]

    def websocket_close(self, event: Message) -> None:
        """Closes the socket."""
        self.close(code=event.get("code", 1000), reason=event.get("reason"))  # type: ignore[attr-defined]
