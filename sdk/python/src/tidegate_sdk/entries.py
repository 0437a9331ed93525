"""Consumers and their triggers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tidegate_sdk.errors import ConsumerError
from tidegate_sdk.wire import Event, Host, Invocation

MARK = "__tidegate_consumer__"
SCHEDULE = "__tidegate_schedule__"
ACCESS = "__tidegate_access__"
PRESENCE = "__tidegate_presence__"
HISTORY = "__tidegate_history__"


@dataclass(frozen=True, slots=True)
class Guards:
    """Conditions for a request besides method and path. Host and names are in lower case."""

    host: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def exactness(self) -> tuple[float, int]:
        """Of routes whose guards hold, the one with the greatest of these is taken."""
        if self.host is None:
            return 0, len(self.headers)
        labels = float("inf") if not self.host.startswith("*") else self.host.count(".") + 1
        return labels, len(self.headers)


@dataclass(frozen=True, slots=True)
class HttpTrigger:
    methods: tuple[str, ...]
    path: str
    guards: Guards = field(default_factory=Guards)
    disconnect: bool = False


@dataclass(frozen=True, slots=True)
class WebsocketTrigger:
    path: str
    guards: Guards = field(default_factory=Guards)


@dataclass(frozen=True, slots=True)
class ChannelTrigger:
    name: str
    retries: int | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a consumer is run by the clock. The host reads expression and zone."""

    expression: str
    zone: str = "UTC"
    missed: str = "once"
    overlap: str | None = None
    """What becomes of a moment at which the run of the one before is not over. None: its run begins all the same."""


@dataclass(frozen=True, slots=True)
class Presence:
    """How groups announce who comes and goes, to the clients in them or to a channel. Times are in milliseconds."""

    groups: tuple[str, ...]
    """Names of groups without the module's part, with `*` in place of all behind the last dot."""
    leave_after: int
    interval: int
    list: int
    """The most members of which clients get a list."""


@dataclass(frozen=True, slots=True)
class Remembering:
    """Groups that are remembered, and how much of each."""

    pattern: str
    """The name of a group without the module's part, with `*` in place of all behind the last dot."""
    messages: int
    age: int
    """Seconds."""
    bytes: int


ClaimValue = str | int | bool


@dataclass(frozen=True, slots=True)
class Claim:
    """The name of a claim, and values of which one is enough."""

    name: str
    values: tuple[ClaimValue, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """What a consumer asks of the user. The host checks it before it runs the consumer."""

    user: Literal["required", "optional"] | None = None
    claims: tuple[Claim, ...] = ()

    @property
    def is_required(self) -> bool:
        """Whether nobody else is let in."""
        return self.user != "optional"


Trigger = HttpTrigger | WebsocketTrigger | ChannelTrigger
Run = Callable[[Host, Invocation, str, Event], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """A consumer that is ready to run."""

    name: str
    trigger: Trigger
    run: Run
    place: str
    """File and line, for error messages."""
    prefix: str = ""
    schedule: Schedule | None = None
    access: Access | None = None
    """What it asks of the user. None: nothing, and the host does not look for one."""
    presence: Presence | None = None
    histories: tuple[Remembering, ...] = ()
    resume: int | None = None
    """The milliseconds for which the host keeps a connection whose client was lost. None: it ends at once."""

    def under(self, prefix: str) -> Entry:
        """The same consumer, its path behind a prefix. Under a prefix, `/` is the prefix itself."""
        if isinstance(self.trigger, ChannelTrigger):
            return self
        path = "" if self.trigger.path == "/" else self.trigger.path
        return replace(self, prefix=prefix + self.prefix, trigger=replace(self.trigger, path=prefix + path))


@dataclass(frozen=True, slots=True)
class Mark:
    """The trace of a decorator on a function or class."""

    place: str
    compile: Callable[[], Entry]

    def put_on(self, thing: Any) -> None:
        """Leaves it there. A thing with two decorators would run for one of them only, so it is refused."""
        if MARK in vars(thing):
            raise ConsumerError(
                f"`{thing.__name__}` ({self.place}) has two decorators, and a consumer has one: write a second "
                "function that calls it"
            )
        setattr(thing, MARK, self)
