"""The data of modules, and the transaction of one run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tidegate_sdk.errors import InvalidCall
from tidegate_sdk.testing import store_rules as rules
from tidegate_sdk.wire import Fetch, Page, Value


@dataclass(frozen=True)
class Stored:
    """A value with its version and the time when it is gone."""

    value: Value
    version: int
    expires: int | None


@dataclass
class Data:
    """The data of all modules."""

    modules: dict[str, dict[str, Stored]] = field(default_factory=dict)
    versions: int = 0

    def live(self, module: str, key: str, now: int) -> Stored | None:
        stored = self.modules.get(module, {}).get(key)
        return stored if stored and (stored.expires is None or stored.expires > now) else None

    def range(self, module: str, prefix: str, after: str | None, now: int) -> Iterator[tuple[str, Stored]]:
        """The entries of a prefix that are behind a key, in their order."""
        for key in sorted(self.modules.get(module, {})):
            stored = self.live(module, key, now)
            if stored and key.startswith(prefix) and (after is None or key > after):
                yield key, stored

    def put(self, module: str, key: str, value: Value, expires: int | None) -> None:
        self.versions += 1
        self.modules.setdefault(module, {})[key] = Stored(value, self.versions, expires)

    def remove(self, module: str, key: str) -> None:
        self.modules.get(module, {}).pop(key, None)


@dataclass(frozen=True)
class View:
    """The data as a run of a module sees it."""

    data: Data
    module: str
    now: int

    def stored(self, key: str) -> Stored | None:
        return self.data.live(self.module, key, self.now)

    def version(self, key: str) -> int | None:
        stored = self.stored(key)
        return stored.version if stored else None


class Conflict(Exception):
    """Something that the run read has changed: the text names it."""


class WrongType(Exception):
    """A value is not one that `add` can change."""


@dataclass(frozen=True)
class _Set:
    value: Value
    time_to_live: int | None


@dataclass(frozen=True)
class _Add:
    delta: int


# Channel, content, and when it is due: after some milliseconds, or at a moment.
Timer = tuple[str, bytes, int | None, int | None]

_Write = _Set | _Add | None  # None deletes


def _size(write: _Write) -> int:
    if isinstance(write, _Set) and isinstance(write.value.data, bytes):
        return len(write.value.data)
    return 8 if write is not None else 0


@dataclass
class _Range:
    """A part of a listing: what the run saw there. Without `last` it goes to the end of the prefix."""

    prefix: str
    after: str | None
    last: str | None
    seen: list[tuple[str, int]]

    def contains(self, key: str) -> bool:
        return (
            key.startswith(self.prefix)
            and (self.after is None or key > self.after)
            and (self.last is None or key <= self.last)
        )

    def still_holds(self, view: View) -> bool:
        now = view.data.range(view.module, self.prefix, self.after, view.now)
        return [(key, stored.version) for key, stored in now if self.contains(key)] == self.seen


@dataclass
class Transaction:
    """All that a run has read and wants to write."""

    reads: dict[str, int | None] = field(default_factory=dict)
    ranges: list[_Range] = field(default_factory=list)
    writes: dict[str, _Write] = field(default_factory=dict)
    timers: list[tuple[str | None, Timer | None]] = field(default_factory=list)
    """Timers that the run sets, by key. None cancels one."""
    fetches: list[Fetch] = field(default_factory=list)
    """Requests to servers outside that the run asks for."""
    written_bytes: int = 0
    read: int = 0

    @property
    def changes_something(self) -> bool:
        return bool(self.writes or self.timers or self.fetches)

    def get_many(self, view: View, keys: list[str]) -> list[Value | None]:
        rules.keys(keys)
        self._count(len(keys))
        for key in keys:
            if key not in self.writes or isinstance(self.writes[key], _Add):
                self.reads[key] = view.version(key)
        return [self._own(key, view.stored(key)) for key in keys]

    def get_many_of(self, view: View, keys: list[str]) -> list[Value | None]:
        """Reads keys that are not part of the transaction."""
        rules.keys(keys)
        self._count(len(keys))
        found = [view.stored(key) for key in keys]
        return [stored.value if stored else None for stored in found]

    def set(self, key: str, value: Value, time_to_live: int | None) -> None:
        rules.key(key)
        span = None if time_to_live is None else rules.time_to_live(time_to_live)
        rules.value(value)
        self._write(key, _Set(value, span))

    def set_timer(self, key: str | None, timer: Timer | None) -> None:
        """Sets the timer of a key, or cancels it."""
        self._count_write(True)
        self.timers.append((key, timer))

    def delete(self, key: str) -> None:
        rules.key(key)
        self._write(key, None)

    def add(self, key: str, delta: int) -> None:
        rules.key(key)
        write: _Write = _Add(delta)
        try:
            match self.writes.get(key, _Add(0)):
                case _Add(before):
                    write = _Add(rules.total(key, before, delta))
                case None:
                    write = _Set(Value(delta), None)
                case _Set(value, span):
                    write = _Set(replace(value, data=rules.total(key, value.data, delta)), span)
        except ValueError as error:
            raise InvalidCall(str(error)) from None
        self._write(key, write)

    def list_page(self, view: View, prefix: str, cursor: str | None, limit: int) -> Page:
        rules.prefix(prefix)
        rules.count(limit)
        rules.reads(self.read + limit)
        after = None if cursor is None else rules.behind(prefix, cursor)
        while True:
            seen, stored = self._scan(view, prefix, after, limit)
            self.read += len(stored)
            self.ranges.append(seen)
            entries = self._merged(seen, stored)
            if not entries and seen.last is not None:
                after = seen.last
                continue
            last = entries[limit - 1][0] if len(entries) > limit else seen.last
            return Page(entries[:limit], None if last is None else rules.cursor(prefix, last))

    def _scan(self, view: View, prefix: str, after: str | None, limit: int) -> tuple[_Range, dict[str, Stored]]:
        """A page of the stored values."""
        stored: dict[str, Stored] = {}
        size = 0
        for key, entry in view.data.range(view.module, prefix, after, view.now):
            if len(stored) == limit or size >= rules.PAGE_BYTES:
                break
            size += _size(_Set(entry.value, None))
            stored[key] = entry
        else:
            return _Range(prefix, after, None, [(key, it.version) for key, it in stored.items()]), stored
        seen = [(key, it.version) for key, it in stored.items()]
        return _Range(prefix, after, seen[-1][0], seen), stored

    def _merged(self, seen: _Range, stored: dict[str, Stored]) -> list[tuple[str, Value]]:
        """The run's own writes among the entries of a range."""
        keys = sorted({*stored, *(key for key in self.writes if seen.contains(key))})
        values = [(key, self._own(key, stored.get(key))) for key in keys]
        return [(key, value) for key, value in values if value is not None]

    def _own(self, key: str, stored: Stored | None) -> Value | None:
        """The value of a key as the run sees it: its own write over the stored value."""
        before = stored.value if stored else None
        if key not in self.writes:
            return before
        write = self.writes[key]
        if isinstance(write, _Set):
            return write.value
        if write is None:
            return None
        try:
            after = rules.total(key, before.data if before else None, write.delta)
        except ValueError as error:
            raise InvalidCall(str(error)) from None
        return Value(after, before.schema if before else 0)

    def check(self, view: View) -> None:
        """Raises `Conflict` unless everything that was read is as it was.

        The host does not ask about a single key of a run that writes nothing.
        """
        if not self.changes_something and not self.ranges and len(self.reads) <= 1:
            return
        for key, seen in self.reads.items():
            if view.version(key) != seen:
                raise Conflict(f"the key {rules.quoted(key)}")
        for part in self.ranges:
            if not part.still_holds(view):
                raise Conflict(f"the keys that begin with {rules.quoted(part.prefix)}")

    def commit(self, view: View) -> None:
        """Checks the reads, writes, and begins anew."""
        self.check(view)
        planned: list[tuple[str, Value | None, int | None]] = []
        for key, write in self.writes.items():
            match write:
                case None:
                    planned.append((key, None, None))
                case _Set(value, span):
                    planned.append((key, value, None if span is None else view.now + span))
                case _Add(delta):
                    stored = view.stored(key)
                    before = stored.value if stored else Value(0)
                    try:
                        after = replace(before, data=rules.total(key, before.data, delta))
                    except ValueError as error:
                        raise WrongType(str(error)) from None
                    planned.append((key, after, stored.expires if stored else None))
        for key, after_commit, expires in planned:
            if after_commit is None:
                view.data.remove(view.module, key)
            else:
                view.data.put(view.module, key, after_commit, expires)
        self.reads, self.ranges, self.writes, self.written_bytes = {}, [], {}, 0

    def _count(self, asked: int) -> None:
        rules.count(asked)
        self.read += asked
        rules.reads(self.read)

    def _count_write(self, is_new: bool) -> None:
        if is_new and len(self.writes) + len(self.timers) >= rules.WRITES_MAX:
            raise InvalidCall(
                f"a run writes at most {rules.WRITES_MAX} keys and timers. Divide the work among several messages"
            )

    def _write(self, key: str, write: _Write) -> None:
        is_new = key not in self.writes
        self._count_write(is_new)
        own = len(key.encode())
        size = self.written_bytes - (0 if is_new else own + _size(self.writes[key])) + own + _size(write)
        if size > rules.WRITTEN_BYTES_MAX:
            raise InvalidCall(
                f"a run writes at most {rules.WRITTEN_BYTES_MAX} bytes. Divide the work among several messages"
            )
        self.written_bytes = size
        self.writes[key] = write
