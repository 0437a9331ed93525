"""The layer for a program without event loop: scripts, Celery tasks, threads."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from .background import Background
from .client import DEFAULT_PREFIX, Client, GroupSent, options
from .content import Message


class SyncClient:
    """The methods of `Client`, which block. They may be called from several threads and after a fork."""

    def __init__(self, url: str | None = None, **settings: Any) -> None:
        # A wrong setting is found here, and not at the first call.
        options(url, settings).topology()
        self._background = Background(lambda: Client(url, **settings))

    def __enter__(self) -> SyncClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def _client(self) -> Client:
        return self._background.running()[1]

    def send(self, channel: str, message: Mapping[str, Any]) -> bool:
        """Sends to a channel. False where it belongs to a process that is gone."""
        return self._background.wait(self._client.send(channel, message))

    def send_later(self, channel: str, message: Mapping[str, Any], delay: float) -> None:
        """Sends after `delay` seconds, a day at most."""
        self._background.wait(self._client.send_later(channel, message, delay))

    def group_add(self, group: str, channel: str) -> bool:
        """Makes a channel a member, or renews its membership."""
        return self._background.wait(self._client.group_add(group, channel))

    def group_discard(self, group: str, channel: str) -> None:
        """Ends a membership; does nothing where there is none."""
        self._background.wait(self._client.group_discard(group, channel))

    def group_send(self, group: str, message: Mapping[str, Any]) -> GroupSent:
        """Sends to all members of a group."""
        return self._background.wait(self._client.group_send(group, message))

    def new_channel(self, prefix: str = DEFAULT_PREFIX) -> str:
        """Returns a new channel that this process alone receives from."""
        return self._background.wait(self._client.new_channel(prefix))

    def receive(self, channel: str, timeout: float | None = None) -> Message:
        """Waits for the next message of a channel, or raises `TimeoutError`, which loses none."""
        return self._background.wait(self._client.receive(channel), timeout)

    def close(self) -> None:
        """Ends the thread and all connections."""
        ending = self._background.stop()
        if ending is not None:
            ending.result()
