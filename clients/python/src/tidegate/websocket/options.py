"""The options of a socket, checked once."""

from __future__ import annotations

import random
import ssl as tls
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal, Protocol, TypedDict

from ..errors import ConfigError
from .clock import Clock, LoopClock
from .events import Ending


class TokenSource(Protocol):
    """Gives the token of the user before each attempt; `None` for none.

    `fresh` says that the last one may have expired.
    """

    def __call__(self, *, fresh: bool) -> str | Awaitable[str | None] | None:
        """Returns the token, or an awaitable of it."""
        ...


ShouldReconnect = Callable[[Ending], bool | None]


class Given(TypedDict, total=False):
    """The options that a socket takes as keywords: those of `Options`."""

    protocols: Sequence[str]
    token: TokenSource | None
    resume: bool
    headers: Mapping[str, str]
    ssl: tls.SSLContext | None
    proxy: str | Literal[True] | None
    first: float
    longest: float
    factor: float
    spread: float
    later: float
    stable_after: float
    open_timeout: float | None
    close_timeout: float
    ping_interval: float | None
    ping_timeout: float | None
    message_bytes: int | None
    queue_messages: int
    queue_bytes: int
    should_reconnect: ShouldReconnect | None
    clock: Clock
    random: Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a socket. Times are in seconds."""

    # Subprotocols to offer.
    protocols: Sequence[str] = ()
    # Gives the token of the user before each attempt.
    token: TokenSource | None = None
    # Whether a connection that was lost goes on where it stopped, if the host lets it.
    resume: bool = False
    # Fields of the handshake, such as `origin` and `cookie`.
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    ssl: tls.SSLContext | None = None
    # An address; `True` is the proxy of the environment, if it has one.
    proxy: str | Literal[True] | None = True
    # The longest that the first pause, and that any pause may be, and by how much the span grows.
    first: float = 1.0
    longest: float = 30.0
    factor: float = 2.0
    # Over so many seconds clients reconnect that were closed together.
    spread: float = 5.0
    # Added to the pause after 1013.
    later: float = 5.0
    # A connection that lasts so long is not a failure.
    stable_after: float = 5.0
    # How long the token, the handshake, and the end of a connection may take.
    open_timeout: float | None = 20.0
    close_timeout: float = 10.0
    # How often a ping is sent, and how long its answer may take.
    ping_interval: float | None = 20.0
    ping_timeout: float | None = 20.0
    # The largest message that is taken.
    message_bytes: int | None = 1024 * 1024
    # Messages that may wait for a connection, and their bytes; also the bytes of the sent messages that `resume` keeps.
    queue_messages: int = 0
    queue_bytes: int = 65_536
    # Decides in place of the close code; `None` leaves it to the code.
    should_reconnect: ShouldReconnect | None = None
    # For tests.
    clock: Clock = field(default_factory=LoopClock)
    random: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        if isinstance(self.protocols, str):
            raise ConfigError("protocols is a list of texts, and this is one text")
        if self.token is not None and not callable(self.token):
            raise ConfigError("token is a function, which gives the token before each attempt")
        self._check("first", above=0, most=self.longest)
        for name in ("longest", "spread", "later", "stable_after", "close_timeout"):
            self._check(name)
        self._check("factor", least=1)
        for name in ("queue_messages", "queue_bytes"):
            self._check(name)
        for name in ("open_timeout", "ping_interval", "ping_timeout", "message_bytes"):
            if getattr(self, name) is not None:
                self._check(name, above=0)

    def _check(
        self,
        name: str,
        least: float = 0,
        above: float | None = None,
        most: float = 1e9,
    ) -> None:
        value = getattr(self, name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not least <= value <= most or (above is not None and value <= above):
            rule = f"at least {least}" if above is None else f"above {above}"
            raise ConfigError(f"{name} is {value!r}; it is a number, {rule} and at most {most:g}")


def options(given: Given) -> Options:
    """Checks options. Raises `ConfigError` for one that is wrong or does not exist."""
    known = {it.name for it in fields(Options)}
    for name in given:
        if name not in known:
            raise ConfigError(f"there is no option {name}; there are {', '.join(sorted(known))}")
    return Options(**given)
